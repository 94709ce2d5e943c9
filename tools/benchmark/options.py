"""The command line of tools/bench."""

import argparse
from pathlib import Path

from .contenders import Contender, contenders
from .suites import SUITES

BASE, SUBJECT = "bridge", "martlet"
QUICK_ROUNDS, QUICK_SECONDS = 2, 1
DESCRIPTION = "Measures switches side by side, in interleaved rounds, as ratios to the kernel bridge."


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/bench", description=DESCRIPTION)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)} (default: l2)")
    add_choice_of_peers(parser)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="seconds a measurement (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="two rounds of a second: to see that it works")
    parser.add_argument("--congestion-control", default="cubic", metavar="NAME", help="TCP's (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to this file")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots to this file")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write SUITE.json, SUITE.md and SUITE.html there")
    parser.add_argument("--render", type=Path, nargs="+", metavar="JSON", help="measure nothing; show these results")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--packages", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--archives", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--instructions", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--binaries", type=Path, default=Path(), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [suite for suite in options.suites if suite not in SUITES]:
        parser.error(f"there is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    options.suites = options.suites or ["l2"]
    if len(options.render or options.suites) > 1 and (options.json or options.html):
        parser.error("--json and --html hold one suite; --output takes several")
    if options.quick:
        options.rounds, options.seconds = QUICK_ROUNDS, QUICK_SECONDS
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    options.contenders = choose(parser, options)
    return options


def add_choice_of_peers(parser: argparse.ArgumentParser):
    names = ", ".join(name for name in contenders(Path(), Path(), Path()) if name != BASE)

    def listed(text: str) -> list[str]:
        return [name for name in text.split(",") if name]

    parser.add_argument("--peers", type=listed, metavar="NAME,...", help=f"only these beside the bridge: {names}")
    parser.add_argument("--without", type=listed, default=[], metavar="NAME,...", help="all but these")
    parser.add_argument("--without-martlet", action="store_true", help="measure the others only")
    parser.add_argument("--prototype", type=Path, metavar="DIR", help="measure the C prototype DIR/sw.c as well")
    parser.add_argument("--before", type=Path, metavar="DIR", help="measure the martletd and martlet in DIR as well")


def choose(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Contender]:
    every = contenders(options.binaries, options.prototype, options.before)
    without = options.without + ([SUBJECT] if options.without_martlet else [])
    named = list(every) if options.peers is None else options.peers
    if unknown := [name for name in named + without if name not in every]:
        parser.error(f"there is no switch {', '.join(unknown)} (the prototype needs --prototype)")
    if BASE in without:
        parser.error("every ratio is to the kernel bridge: it cannot be left out")
    return [contender for name, contender in every.items() if name == BASE or name in named and name not in without]
