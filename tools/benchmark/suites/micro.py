"""The data path's single operations, in process: the instructions that tools/micro has counted."""

import json

from ..contenders import Contender, Martlet
from ..metrics import Against, Conditions, Group, Metric, at_most
from ..results import Entry, Results

INSTRUCTIONS = Group(
    "Instructions",
    "For one operation, counted by valgrind (tools/micro): the same each time, whatever else the machine does. The "
    "goals are the thresholds in the tree.",
)


class MicroSuite:
    name = "micro"
    title = "instructions of single operations"
    is_timed = False

    def choose(self, contenders: list[Contender]) -> list[Contender]:
        return []

    def run(self, contenders: list[Contender], conditions: Conditions, results: Results):
        text = conditions.instructions.read_text() if conditions.instructions else ""
        if not text.strip():
            results.leave_out(Martlet.NAME, "all", "tools/micro counted nothing: is valgrind installed?")
            return
        results.entries = [Entry(Martlet.NAME, is_peer=False)]
        results.rounds = 1
        for count in json.loads(text):
            goals = () if count["threshold"] is None else (at_most(count["threshold"], Against.NOTHING),)
            metric = Metric(INSTRUCTIONS, count["name"], "instructions", is_rate=False, goals=goals)
            results.record(0, Martlet.NAME, {metric: count["instructions"]})


SUITE = MicroSuite()
