"""Figures of all rounds, their ratios pair by pair, and how they are printed."""

from dataclasses import dataclass, field
from statistics import median

from .measurements import Metric

Series = list[float]


@dataclass
class Results:
    """One figure for each metric, contender and round. The first contender is the base of all ratios."""

    contenders: list[str]
    series: dict[Metric, dict[str, Series]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.contenders[0]

    def record(self, contender: str, figures: dict[Metric, float]):
        for metric, value in figures.items():
            self.series.setdefault(metric, {name: [] for name in self.contenders})[contender].append(value)

    def ratios(self, metric: Metric, contender: str) -> Series:
        """Each round's figure divided by the base's figure of the same round: drift between rounds cancels out."""
        return [own / base for own, base in zip(self.series[metric][contender], self.series[metric][self.base])]

    def missed_goals(self, contender: str) -> list[str]:
        """One line for each goal that the contender's median ratio does not meet."""
        return [
            f"{metric.name}: {median(self.ratios(metric, contender)):.2f}, the goal is {metric.goal}"
            for metric in self.series
            if metric.goal and not metric.goal.is_met(median(self.ratios(metric, contender)))
        ]

    def table(self, goals_of: str) -> str:
        """Markdown: a row for each metric and contender, or for each metric where there are but two contenders."""
        return self._comparison(goals_of) if len(self.contenders) == 2 else self._list(goals_of)

    def _list(self, goals_of: str) -> str:
        rows = [["measurement", "switch", "median [min..max]", "unit", "ratio", "goal"]]
        for metric, by_contender in self.series.items():
            for contender in self.contenders:
                is_base = contender == self.base
                ratio = "1" if is_base else spread(self.ratios(metric, contender), digits=2)
                goal = str(metric.goal) if metric.goal and contender == goals_of else ""
                name = metric.name if is_base else ""
                rows.append([name, contender, spread(by_contender[contender]), metric.unit, ratio, goal])
        return markdown(rows)

    def _comparison(self, goals_of: str) -> str:
        base, other = self.contenders
        rows = [["measurement", "unit", base, other, "ratio", "goal"]]
        for metric, by_contender in self.series.items():
            ratio = spread(self.ratios(metric, other), digits=2)
            goal = str(metric.goal) if metric.goal and other == goals_of else ""
            figures = [spread(by_contender[base]), spread(by_contender[other])]
            rows.append([metric.name, metric.unit, *figures, ratio, goal])
        return markdown(rows)

    def as_json(self) -> list[dict]:
        return [
            {
                "metric": metric.name,
                "unit": metric.unit,
                "contender": contender,
                "rounds": values,
                "median": median(values),
                "ratios": self.ratios(metric, contender),
                "median_ratio": median(self.ratios(metric, contender)),
            }
            for metric, by_contender in self.series.items()
            for contender, values in by_contender.items()
        ]


def number(value: float, digits: int | None = None) -> str:
    """Three significant digits, unless told how many after the point."""
    if digits is None:
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def spread(values: Series, digits: int | None = None) -> str:
    middle = number(median(values), digits)
    if len(values) == 1:
        return middle
    return f"{middle} [{number(min(values), digits)}..{number(max(values), digits)}]"


def markdown(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
