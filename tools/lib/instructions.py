"""Compares the instructions of the data path's single operations with what the tree says they may be.

Called by tools/micro, which says where things are.
"""

import argparse
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

# An operation may take so much more than is written down. Counts of one build are the same each time; this is for what a change
# elsewhere does to the compiler's choices.
TOLERANCE = 0.03


@dataclass(frozen=True)
class Count:
    """A case's instructions for one operation, and what they may be; None where nothing is written down."""

    name: str
    instructions: float
    written: float | None

    @property
    def threshold(self) -> float | None:
        return None if self.written is None else round(self.written * (1 + TOLERANCE), 2)

    @property
    def verdict(self) -> str:
        if self.threshold is None:
            return "no threshold"
        if self.instructions > self.threshold:
            return "exceeded"
        return "less than written" if self.instructions < self.written * (1 - TOLERANCE) else ""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/micro", description=__doc__.split(".")[0] + ".")
    parser.add_argument("--json", action="store_true", help="print [{name, instructions, threshold}...]")
    parser.add_argument("--update", action="store_true", help="write down what was counted, and accept it")
    for name in ("--counts", "--thresholds"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--swift", help=argparse.SUPPRESS)
    return parser.parse_args()


def counted(directory: Path) -> dict[str, float]:
    """Instructions for one operation, by case: `micro names` beside the dumps, which callgrind numbers from 1."""
    counts = {}
    for number, line in enumerate((directory / "names").read_text().splitlines(), start=1):
        name, operations = line.split("\t")
        counts[name] = round(summary(directory / f"count.{number}") / int(operations), 2)
    return counts


def summary(dump: Path) -> int:
    """The instructions of a dump (callgrind's profile format, "summary:")."""
    for line in dump.read_text().splitlines():
        if line.startswith("summary:"):
            return int(line.split()[1])
    sys.exit(f"{dump}: callgrind wrote no summary")


def show(counts: list[Count]):
    rows = [("OPERATION", "INSTRUCTIONS", "THRESHOLD", "")]
    for each in counts:
        threshold = "" if each.threshold is None else f"{each.threshold:.2f}"
        rows.append((each.name, f"{each.instructions:.2f}", threshold, each.verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, instructions, threshold, verdict in rows:
        cells = (name.ljust(widths[0]), instructions.rjust(widths[1]), threshold.rjust(widths[2]), verdict)
        print("   ".join(cells).rstrip())


def main():
    options = arguments()
    measured = counted(options.counts)
    here = {"swift": options.swift, "architecture": platform.machine()}
    if options.update:
        options.thresholds.write_text(json.dumps(here | {"instructions": measured}, indent=2) + "\n")
    known = json.loads(options.thresholds.read_text())
    counts = [Count(name, instructions, known["instructions"].get(name)) for name, instructions in measured.items()]
    if options.json:
        fields = [{"name": c.name, "instructions": c.instructions, "threshold": c.threshold} for c in counts]
        print(json.dumps(fields, indent=2))
    else:
        show(counts)

    of = {name: known[name] for name in here}
    if of["architecture"] != here["architecture"]:
        print(f"the thresholds are of {of['architecture']}: not compared", file=sys.stderr)
        return
    failures = [f"{c.name}: {c.verdict}" for c in counts if c.verdict in ("exceeded", "no threshold")]
    failures += [f"{name}: there is no such case any more" for name in known["instructions"] if name not in measured]
    if failures and of != here:
        print(f"the thresholds are of Swift {of['swift']}, this is {here['swift']}", file=sys.stderr)
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
