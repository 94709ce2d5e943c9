"""Figures of all rounds and their ratios pair by pair; as JSON and back."""

from dataclasses import asdict, dataclass, field
from statistics import median

from .contenders import Contender
from .metrics import Against, Goal, Group, Metric

Series = list[float | None]  # one for each round; None where there is no figure
FORMAT = 1  # of the JSON


@dataclass(frozen=True)
class Entry:
    """A contender as the results know it."""

    name: str
    is_peer: bool
    version: str | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, contender: Contender) -> "Entry":
        return cls(contender.name, contender.is_peer, contender.version(), contender.notes)


@dataclass(frozen=True)
class Absence:
    """A figure that is not there, or all of a contender's, and why. for_good: there is no sense in trying again."""

    contender: str
    what: str
    reason: str
    for_good: bool = False


@dataclass
class Results:
    """What one suite found. The first entry is the base of all ratios."""

    suite: str
    title: str
    rounds: int
    seconds: float  # of one measurement
    machine: dict[str, str]
    entries: list[Entry] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    series: dict[Metric, dict[str, Series]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.entries[0].name if self.entries else ""

    @property
    def has_peers(self) -> bool:
        return len(self.entries) > 1

    def has(self, contender: str) -> bool:
        return any(entry.name == contender for entry in self.entries)

    def record(self, turn: int, contender: str, figures: dict[Metric, float]):
        for metric, value in figures.items():
            of_metric = self.series.setdefault(metric, {})
            of_metric.setdefault(contender, [None] * self.rounds)[turn] = value

    def leave_out(self, contender: str, what: str, reason: str, for_good: bool = False):
        absence = Absence(contender, what, " ".join(reason.split()), for_good)
        if absence not in self.absences:
            self.absences.append(absence)

    def is_left_out(self, contender: str, what: str) -> bool:
        """Whether it is so for good."""
        return any((a.contender, a.what, a.for_good) == (contender, what, True) for a in self.absences)

    def figures(self, metric: Metric, contender: str) -> list[float]:
        """Those that there are."""
        return [value for value in self.series[metric].get(contender, []) if value is not None]

    def ratios(self, metric: Metric, contender: str, base: str | None = None) -> list[float]:
        """Each round's figure divided by the base's figure of the same round: drift between rounds cancels out."""
        of_metric = self.series[metric]
        pairs = zip(of_metric.get(contender, []), of_metric.get(base or self.base, []))
        return [own / other for own, other in pairs if own is not None and other]

    def groups(self) -> dict[Group, list[Metric]]:
        groups: dict[Group, list[Metric]] = {}
        for metric in self.series:
            groups.setdefault(metric.group, []).append(metric)
        return groups

    def as_json(self) -> dict:
        return {
            "format": FORMAT,
            "suite": self.suite,
            "title": self.title,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "machine": self.machine,
            "remarks": self.remarks,
            "switches": [asdict(entry) for entry in self.entries],
            "left_out": [asdict(absence) for absence in self.absences],
            "metrics": [metric_as_json(metric) | {"figures": self._figures_as_json(metric)} for metric in self.series],
        }

    def _figures_as_json(self, metric: Metric) -> list[dict]:
        return [
            {
                "switch": contender,
                "rounds": rounds,
                "median": median_of(self.figures(metric, contender)),
                "median_ratio": median_of(self.ratios(metric, contender)),
            }
            for contender, rounds in self.series[metric].items()
        ]

    @classmethod
    def from_json(cls, record: dict) -> "Results":
        if record.get("format") != FORMAT:
            raise ValueError(f"results of format {record.get('format')}; this program reads format {FORMAT}")
        results = cls(*(record[key] for key in ("suite", "title", "rounds", "seconds", "machine")))
        results.remarks = record["remarks"]
        results.entries = [Entry(**entry | {"notes": tuple(entry["notes"])}) for entry in record["switches"]]
        results.absences = [Absence(**absence) for absence in record["left_out"]]
        for metric in record["metrics"]:
            figures = {figure["switch"]: figure["rounds"] for figure in metric["figures"]}
            results.series[metric_from_json(metric)] = figures
        return results


def metric_as_json(metric: Metric) -> dict:
    goals = [
        {"bound": goal.bound, "is_minimum": goal.is_minimum, "against": goal.against.value} for goal in metric.goals
    ]
    return {
        "group": asdict(metric.group),
        "name": metric.name,
        "unit": metric.unit,
        "is_rate": metric.is_rate,
        "x": metric.x,
        "goals": goals,
    }


def metric_from_json(record: dict) -> Metric:
    goals = tuple(Goal(goal["bound"], goal["is_minimum"], Against(goal["against"])) for goal in record["goals"])
    return Metric(Group(**record["group"]), record["name"], record["unit"], record["is_rate"], goals, record["x"])


def median_of(values: list[float]) -> float | None:
    return median(values) if values else None


@dataclass(frozen=True)
class Verdict:
    """A goal, and what was reached: a ratio, or a figure where the goal is one. None when there is none."""

    metric: Metric
    goal: Goal
    against: str
    reached: float | None

    @property
    def is_met(self) -> bool:
        return self.reached is not None and self.goal.is_met(self.reached)

    @property
    def bound(self) -> str:
        unit = f" {self.metric.unit}" if self.goal.against is Against.NOTHING else f" x {self.against}"
        return f"{'>=' if self.goal.is_minimum else '<='} {self.goal.bound:g}{unit}"

    def __str__(self) -> str:
        reached = "nothing was measured" if self.reached is None else f"{self.reached:.2f}"
        return f"{self.metric.name}: {reached}, the goal is {self.bound}"


def verdicts(results: Results, subject: str) -> list[Verdict]:
    """One for each goal, and for each peer where a goal is set against all of them. None without the subject."""
    if not results.has(subject):
        return []
    peers = [entry.name for entry in results.entries if entry.is_peer]
    found = []
    for metric in results.series:
        for goal in metric.goals:
            if goal.against is Against.NOTHING:
                found.append(Verdict(metric, goal, "", median_of(results.figures(metric, subject))))
                continue
            for other in [results.base] if goal.against is Against.BASE else peers:
                if results.figures(metric, other):
                    found.append(Verdict(metric, goal, other, median_of(results.ratios(metric, subject, other))))
    return found
