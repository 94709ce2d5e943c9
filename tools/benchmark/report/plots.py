"""Plots as inline SVG. Colours and fonts are the page's, by class; every mark has its figure as a tooltip."""

from html import escape
from statistics import median

from ..metrics import Against, Metric
from ..results import Results
from .numbers import number, spread
from .scales import Scale, tick_label

# Of dots(), in pixels.
LABEL_WIDTH, PLOT_WIDTH, FIGURE_WIDTH = 172, 136, 104
ROW_HEIGHT, TOP, AXIS_HEIGHT = 22, 6, 22

# Of curves().
CURVE_WIDTH, CURVE_HEIGHT = 480, 260
CURVE_LEFT, CURVE_TOP, CURVE_BOTTOM, LEGEND_WIDTH, LEGEND_STEP = 52, 12, 40, 210, 17

COLOURS = {
    "kernel bridge + br_netfilter": "netfilter",
    "kernel bridge": "bridge",
    "Martlet": "martlet",
    "C prototype": "prototype",
    "Open vSwitch, AF_PACKET": "ovs",
    "Open vSwitch, AF_XDP": "ovs-xdp",
    "DPDK testpmd": "testpmd",
    "vde_switch": "vde",
}


def colour(name: str) -> str:
    """The class of a switch, the same in all plots; a switch with another setting keeps it."""
    return next((colour for start, colour in COLOURS.items() if name.startswith(start)), "other")


def dots(results: Results, metric: Metric, subject: str) -> str:
    """A row for each switch: the median as a large dot, the range as a line, each round as a small dot."""
    rows = [(entry.name, figures) for entry in results.entries if (figures := results.figures(metric, entry.name))]
    bounds = {bound for goal in metric.goals if (bound := place_of_goal(results, metric, goal)) is not None}
    scale = Scale.over([value for _, figures in rows for value in figures] + list(bounds), PLOT_WIDTH, metric.is_rate)
    bottom = TOP + ROW_HEIGHT * len(rows)
    marks = [grid(scale, bottom)]
    for index, (name, figures) in enumerate(rows):
        middle = TOP + ROW_HEIGHT * (index + 0.5)
        marks.append(row(results, metric, scale, middle, name, figures))
        if name == subject:
            marks += [goal_mark(scale, bound, middle) for bound in bounds]
    width = LABEL_WIDTH + PLOT_WIDTH + FIGURE_WIDTH
    return svg(width, bottom + AXIS_HEIGHT, f"{metric.name}, {metric.unit}", marks)


def place_of_goal(results: Results, metric: Metric, goal) -> float | None:
    """The figure that meets a goal just so; None for one that is set against several switches."""
    if goal.against is Against.NOTHING:
        return goal.bound
    base = results.figures(metric, results.base)
    return goal.bound * median(base) if goal.against is Against.BASE and base else None


def row(results: Results, metric: Metric, scale: Scale, y: float, name: str, figures: list[float]) -> str:
    def x(value: float) -> float:
        return LABEL_WIDTH + scale.place(value)

    tooltip = f"{name}: {spread(figures)} {metric.unit}"
    ratios = [] if name == results.base else results.ratios(metric, name)
    ratio = f'<tspan class="quiet"> {number(median(ratios))} x</tspan>' if ratios else ""
    rounds = "".join(f'<circle class="round" cx="{x(value):.1f}" cy="{y}" r="2"/>' for value in figures)
    return (
        f'<g class="{colour(name)}"><title>{escape(tooltip)}</title>'
        f'<text class="name" x="{LABEL_WIDTH - 8}" y="{y + 4}">{escape(name)}</text>'
        f'<line class="range" x1="{x(min(figures)):.1f}" x2="{x(max(figures)):.1f}" y1="{y}" y2="{y}"/>{rounds}'
        f'<circle class="median" cx="{x(median(figures)):.1f}" cy="{y}" r="5"/>'
        f'<text class="figure" x="{LABEL_WIDTH + PLOT_WIDTH + 10}" y="{y + 4}">{number(median(figures))}{ratio}</text>'
        "</g>"
    )


def goal_mark(scale: Scale, bound: float, y: float) -> str:
    x = LABEL_WIDTH + scale.place(bound)
    top, bottom = y - ROW_HEIGHT / 2 + 1, y + ROW_HEIGHT / 2 - 1
    tooltip = f"<title>goal: {number(bound)}</title>"
    return f'<line class="goal" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}">{tooltip}</line>'


def grid(scale: Scale, bottom: float) -> str:
    marks = []
    for tick in scale.ticks():
        x = LABEL_WIDTH + scale.place(tick)
        marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        marks.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 14}">{tick_label(tick)}</text>')
    if scale.is_logarithmic:
        marks.append(f'<text class="tick start" x="0" y="{bottom + 14}">logarithmic</text>')
    return "".join(marks)


def curves(results: Results, metrics: list[Metric]) -> str:
    """A line for each switch over the metrics' x, which are placed at equal distances; whiskers are the range."""
    points = {
        entry.name: [(index, figures) for index, m in enumerate(metrics) if (figures := results.figures(m, entry.name))]
        for entry in results.entries
    }
    points = {name: found for name, found in points.items() if found}
    every = [value for found in points.values() for _, figures in found for value in figures]
    scale = Scale.over(every, CURVE_HEIGHT, metrics[0].is_rate)
    step = CURVE_WIDTH / max(1, len(metrics) - 1)
    marks = [curve_axes(scale, metrics, step)]
    marks += [line(scale, metrics, step, name, found) for name, found in points.items()]
    marks += legend(scale, points)
    width = CURVE_LEFT + CURVE_WIDTH + LEGEND_WIDTH
    height = max(CURVE_TOP + CURVE_HEIGHT + CURVE_BOTTOM, CURVE_TOP + LEGEND_STEP * (len(points) + 1))
    return svg(width, height, metrics[0].group.title, marks)


def curve_y(scale: Scale, value: float) -> float:
    return CURVE_TOP + CURVE_HEIGHT - scale.place(value)


def curve_axes(scale: Scale, metrics: list[Metric], step: float) -> str:
    right, bottom = CURVE_LEFT + CURVE_WIDTH, CURVE_TOP + CURVE_HEIGHT
    marks = []
    for tick in scale.ticks():
        y = curve_y(scale, tick)
        marks.append(f'<line class="grid" x1="{CURVE_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text class="tick end" x="{CURVE_LEFT - 6}" y="{y + 4:.1f}">{tick_label(tick)}</text>')
    for index, metric in enumerate(metrics):
        x = CURVE_LEFT + index * step
        marks.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}">{metric.x}</text>')
    label = f"{metrics[0].group.x_label}; figures in {metrics[0].unit}{', logarithmic' if scale.is_logarithmic else ''}"
    marks.append(f'<text class="tick" x="{CURVE_LEFT + CURVE_WIDTH / 2}" y="{bottom + 34}">{escape(label)}</text>')
    return "".join(marks)


def line(scale: Scale, metrics: list[Metric], step: float, name: str, points: list[tuple[int, list[float]]]) -> str:
    places = [(CURVE_LEFT + index * step, curve_y(scale, median(figures))) for index, figures in points]
    marks = [f'<polyline class="curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>']
    for (x, y), (index, figures) in zip(places, points):
        top, bottom = curve_y(scale, max(figures)), curve_y(scale, min(figures))
        tooltip = escape(f"{name}, {metrics[index].x}: {spread(figures)} {metrics[index].unit}")
        marks.append(f'<line class="range" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>')
        marks.append(f'<circle class="median" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{tooltip}</title></circle>')
    return f'<g class="{colour(name)}">{"".join(marks)}</g>'


def legend(scale: Scale, points: dict[str, list[tuple[int, list[float]]]]) -> list[str]:
    """Names beside the lines' right ends, from top to bottom, moved apart where they would meet."""
    x, lowest = CURVE_LEFT + CURVE_WIDTH + 14, float(CURVE_TOP)
    marks = []
    for name, found in sorted(points.items(), key=lambda item: curve_y(scale, median(item[1][-1][1]))):
        lowest = max(lowest + LEGEND_STEP, curve_y(scale, median(found[-1][1])) + 4)
        marks.append((name, lowest))
    overflow = max(0.0, lowest - (CURVE_TOP + CURVE_HEIGHT + 4))
    return [
        f'<g class="{colour(name)}"><circle class="median" cx="{x}" cy="{y - overflow - 4:.1f}" r="4"/>'
        f'<text class="legend" x="{x + 10}" y="{y - overflow:.1f}">{escape(name)}</text></g>'
        for name, y in marks
    ]


def svg(width: float, height: float, label: str, marks: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px" role="img" '
        f'aria-label="{escape(label, quote=True)}">{"".join(marks)}</svg>'
    )
