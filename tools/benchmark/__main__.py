"""tools/bench: switches side by side, in interleaved rounds, as ratios to the kernel bridge."""

import argparse
import json
import sys
from pathlib import Path

from .contenders import Contender, KernelBridge, Martlet, Prototype
from .measurements import SUITES, Conditions
from .processes import ProgramFailed
from .session import introduction, machine, measure, progress, standing


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--suite", choices=SUITES, default="l2", help="what to measure (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="seconds a measurement (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="two rounds of a second: to see that it works")
    parser.add_argument("--congestion-control", default="cubic", metavar="NAME", help="TCP's (default: %(default)s)")
    parser.add_argument("--prototype", type=Path, metavar="DIR", help="measure the C prototype DIR/sw.c as well")
    parser.add_argument("--without-martlet", action="store_true", help="measure the others only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to this file")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--binaries", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 1
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    return options


def choose_contenders(options: argparse.Namespace) -> list[Contender]:
    chosen: list[Contender] = [KernelBridge(call_iptables=False), KernelBridge(call_iptables=True)]
    if not options.without_martlet:
        chosen.append(Martlet(options.binaries))
    if options.prototype:
        chosen.append(Prototype(options.prototype))
    for contender in chosen:
        if reason := contender.missing():
            progress(f"left out: {contender.name}: {reason}")
    return [contender for contender in chosen if not contender.missing()]


def main() -> int:
    options = arguments()
    conditions = Conditions(options.seconds, options.congestion_control, options.binaries / "martlet-load")
    contenders = choose_contenders(options)
    with standing(contenders):
        results = measure(contenders, SUITES[options.suite], conditions, options.rounds)

    print(introduction(options.suite, options.rounds, conditions))
    print(f"Ratios are to '{results.base}', round by round.\n")
    print(results.table(goals_of=Martlet.name))
    print()
    missed = [] if options.without_martlet else results.missed_goals(Martlet.name)
    for line in missed:
        print(f"Goal missed. {line}")
    if options.json:
        record = {
            "suite": options.suite,
            "seconds": options.seconds,
            "machine": machine(conditions),
            "results": results.as_json(),
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProgramFailed as failure:
        sys.exit(f"tools/bench: {failure}")
