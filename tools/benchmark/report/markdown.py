"""Results as Markdown tables."""

from ..metrics import Metric
from ..results import Results, Verdict, verdicts
from .numbers import number, spread

Row = list[str]


def document(results: Results, subject: str) -> str:
    """All of it: what was measured and where, the tables, the goals, and what is not there."""
    sections = [introduction(results), *remarks(results)]
    for group, metrics in results.groups().items():
        show = curve if group.x_label else points if results.has_peers else list_of_one
        sections += [f"## {group.title}", group.method, show(results, metrics)]
    sections += goals(verdicts(results, subject)) + switches(results) + absences(results)
    return "\n\n".join(sections) + "\n"


def introduction(results: Results) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in results.machine.items())
    sentences = [f"# {results.suite}: {results.title}", f"{facts}."]
    if results.has_peers:
        sentences += [
            f"{results.rounds} interleaved round(s) at most, {results.seconds:g} s a measurement.",
            f"Figures are median [min..max]; ratios are to '{results.base}', round by round.",
        ]
    return "\n\n".join(sentences)


def remarks(results: Results) -> list[str]:
    return ["\n".join(f"* {remark}" for remark in results.remarks)] if results.remarks else []


def points(results: Results, metrics: list[Metric]) -> str:
    """A row for each switch; for each metric a column, and one for its ratios where there are any."""
    columns = [["switch", *(entry.name for entry in results.entries)]]
    for metric in metrics:
        figures = [spread(results.figures(metric, entry.name)) for entry in results.entries]
        columns.append([f"{metric.name}, {metric.unit}", *figures])
        ratios = [spread(results.ratios(metric, entry.name), digits=2) for entry in results.entries[1:]]
        if any(ratios):
            columns.append(["ratio", "1" if figures[0] else "", *ratios])
    return table([list(row) for row in zip(*columns) if any(row[1:])])


def curve(results: Results, metrics: list[Metric]) -> str:
    """A row for each switch; a column for each point, without the spread."""
    rows = [[f"{metrics[0].unit} by {metrics[0].group.x_label}", *(str(metric.x) for metric in metrics)]]
    for entry in results.entries:
        cells = []
        for metric in metrics:
            figure = spread(results.figures(metric, entry.name)).partition(" ")[0]
            ratios = [] if entry.name == results.base else results.ratios(metric, entry.name)
            ratio = spread(ratios, digits=2).partition(" ")[0]
            cells.append(f"{figure} ({ratio})" if ratio else figure)
        if any(cells):
            rows.append([entry.name, *cells])
    return table(rows)


def list_of_one(results: Results, metrics: list[Metric]) -> str:
    """A row for each metric, of the only entry."""
    figures = [[metric.name, spread(results.figures(metric, results.base)), metric.unit] for metric in metrics]
    return table([["operation", results.base, "unit"], *figures])


def comparison(results: Results, subject: str) -> str:
    """For two switches: a row for each metric."""
    rows = [["measurement", "unit", results.base, subject, "ratio"]]
    for metric in results.series:
        figures = [spread(results.figures(metric, name)) for name in (results.base, subject)]
        rows.append([metric.name, metric.unit, *figures, spread(results.ratios(metric, subject), digits=2)])
    return table(rows)


def goals(found: list[Verdict]) -> list[str]:
    if not found:
        return []
    rows = [["goal", "bound", "reached", ""]]
    for verdict in found:
        reached = "nothing" if verdict.reached is None else number(verdict.reached, digits=2)
        rows.append([verdict.metric.name, verdict.bound, reached, "met" if verdict.is_met else "**missed**"])
    return ["## Goals", table(rows)]


def switches(results: Results) -> list[str]:
    lines = [
        f"* {entry.name}{f' ({entry.version})' if entry.version else ''}{': ' if entry.notes else ''}"
        + "; ".join(entry.notes)
        for entry in results.entries
    ]
    return ["## Switches", "\n".join(lines)]


def absences(results: Results) -> list[str]:
    if not results.absences:
        return []
    lines = [f"* {absence.contender}, {absence.what}: {absence.reason}" for absence in results.absences]
    return ["## Left out", "\n".join(lines)]


def table(rows: list[Row]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
