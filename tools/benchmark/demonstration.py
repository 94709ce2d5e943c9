"""tools/demo: the bench with one round and two switches, told step by step."""

import argparse
import sys
from pathlib import Path

from .contenders import KernelBridge, Martlet
from .machine import facts
from .metrics import Conditions
from .processes import ProgramFailed
from .progress import progress
from .report.markdown import comparison
from .results import Entry, Results, verdicts
from .suites import l2
from .suites.staged import Stage, run_stage, standing

PINGS = 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/demo", description="Shows Martlet at work beside the kernel bridge.")
    parser.add_argument("--seconds", type=float, default=3, help="seconds a measurement (default: %(default)s)")
    parser.add_argument("--binaries", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def step(text: str):
    progress(f"\n==> {text}")


def show_command(text: str):
    progress(f"    $ {text}")


def show_output(text: str):
    progress("\n".join(f"      {line}" for line in text.strip().splitlines()))


def show_reachability(martlet: Martlet):
    first, second = martlet.hosts
    for address in (second.address, second.address6):
        show_command(f"ping -c {PINGS} {address}    # in {first.namespace.name}")
        show_output(first.ping(address, PINGS).partition("statistics ---")[2])


def main():
    options = arguments()
    conditions = Conditions(options.seconds, "cubic", options.binaries / "martlet-load")
    contenders = [KernelBridge(call_iptables=False), martlet := Martlet(options.binaries, tell=show_command)]
    results = Results("demo", "", 1, options.seconds, facts(conditions), [Entry.of(c) for c in contenders])

    step("A network with two sandboxes on martletd, and the same on the kernel bridge")
    with standing(contenders, 2, results):
        martlet.thaw()
        for command in (("network", "ls"), ("endpoint", "ls")):
            show_output(martlet.command(*command))
        step("Do they reach each other?")
        show_reachability(martlet)
        step("Both are measured in turn, by the same programs")
        run_stage(Stage(2, l2.main_measurements()), contenders, conditions, results)
        step("Taking everything away")

    print("\n" + "; ".join(f"{name} {value}" for name, value in results.machine.items()) + "\n")
    print(comparison(results, martlet.name))
    print("\nOne round shows the order of magnitude. tools/bench measures several and says how far they spread.")
    for verdict in verdicts(results, martlet.name):
        if not verdict.is_met:
            print(f"Goal missed in this round. {verdict}")


if __name__ == "__main__":
    try:
        main()
    except ProgramFailed as failure:
        sys.exit(f"tools/demo: {failure}")
