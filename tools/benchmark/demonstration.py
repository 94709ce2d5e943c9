"""tools/demo: the bench with one round, told step by step."""

import argparse
import sys
from pathlib import Path

from .contenders import KernelBridge, Martlet
from .measurements import SUITES, Conditions
from .processes import ProgramFailed
from .session import introduction, measure, progress, standing

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
    bridge, martlet = KernelBridge(call_iptables=False), Martlet(options.binaries, tell=show_command)

    step("A network with two sandboxes on martletd, and the same on the kernel bridge")
    with standing([bridge, martlet]):
        for command in (("network", "ls"), ("endpoint", "ls")):
            show_output(martlet.command(*command))
        step("Do they reach each other?")
        show_reachability(martlet)
        step("Both are measured in turn, by the same programs")
        results = measure([bridge, martlet], SUITES["l2"], conditions, rounds=1)
        step("Taking everything away")

    print(f"\n{introduction('l2', 1, conditions)}\n")
    print(results.table(goals_of=Martlet.name))
    print("\nOne round shows the order of magnitude. tools/bench measures several and says how far they spread.")
    for line in results.missed_goals(Martlet.name):
        print(f"Goal missed in this round. {line}")


if __name__ == "__main__":
    try:
        main()
    except ProgramFailed as failure:
        sys.exit(f"tools/demo: {failure}")
