"""Results as one HTML page that needs nothing else: its style and its plots are in it."""

from html import escape
from pathlib import Path

from ..metrics import Group, Metric
from ..results import Results, Verdict, verdicts
from .numbers import number
from .plots import curves, dots

STYLE = Path(__file__).with_name("page.css")
READING = (
    "Large dot: median. Line: smallest to largest. Small dots: rounds. Beside it the median, and the ratio to the "
    "{base}, which is taken round by round. A red mark in Martlet's row is its goal."
)


def page(results: Results, subject: str) -> str:
    title = f"{results.suite}: {results.title}"
    body = [
        f"<h1>{escape(title)}</h1>",
        reading(results),
        *(f"<p class=remark>{escape(remark)}</p>" for remark in results.remarks),
        definitions(results.machine),
        *goals(verdicts(results, subject)),
        *(section(results, group, metrics, subject) for group, metrics in results.groups().items()),
        *switches(results),
        *absences(results),
        f"<p class=method>To repeat it: <code>tools/bench {escape(results.suite)}</code></p>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text()}</style>\n" + "\n".join(body) + "\n</html>\n"
    )


def reading(results: Results) -> str:
    if not results.has_peers:
        return ""
    how = f"{results.rounds} interleaved rounds at most, {results.seconds:g} s a measurement. "
    return f"<p class=method>{escape(how + READING.format(base=results.base))}</p>"


def definitions(facts: dict[str, str]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def section(results: Results, group: Group, metrics: list[Metric], subject: str) -> str:
    if not results.has_peers:
        plots = ""  # the table of goals says it all
    elif group.x_label:
        plots = f"<figure>{curves(results, metrics)}</figure>"
    else:
        figures = (
            f"<figure><h3>{escape(metric.name)}, {escape(metric.unit)}</h3>{dots(results, metric, subject)}</figure>"
            for metric in metrics
        )
        plots = f"<div class=plots>{''.join(figures)}</div>"
    return f"<h2>{escape(group.title)}</h2>\n<p class=method>{escape(group.method)}</p>\n{plots}"


def goals(found: list[Verdict]) -> list[str]:
    if not found:
        return []
    met = sum(verdict.is_met for verdict in found)
    rows = "".join(
        f"<tr><td>{escape(verdict.metric.name)}<td>{escape(verdict.bound)}"
        f"<td class=number>{'nothing' if verdict.reached is None else number(verdict.reached, 2)}"
        f"<td class={'met' if verdict.is_met else 'missed'}>{'met' if verdict.is_met else 'missed'}"
        for verdict in found
    )
    table = f"<table><tr><th>figure<th>goal<th>reached<th>{rows}</table>"
    return [f"<h2>Goals: {met} of {len(found)} met</h2>", table]


def switches(results: Results) -> list[str]:
    rows = "".join(
        f"<li>{escape(entry.name)}{f' {escape(entry.version)}' if entry.version else ''}"
        f"{': ' if entry.notes else ''}<span class=quiet>{escape('; '.join(entry.notes))}</span>"
        for entry in results.entries
    )
    return ["<h2>Switches</h2>", f"<ul>{rows}</ul>"]


def absences(results: Results) -> list[str]:
    if not results.absences:
        return []
    rows = "".join(
        f"<li>{escape(absence.contender)}, {escape(absence.what)}: <span class=quiet>{escape(absence.reason)}</span>"
        for absence in results.absences
    )
    return ["<h2>Left out</h2>", f"<ul>{rows}</ul>"]
