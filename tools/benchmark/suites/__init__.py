"""What is measured, by the names that tools/bench takes."""

from typing import Protocol

from ..contenders import Contender
from ..metrics import Conditions
from ..results import Results
from . import docker, l2, mac, micro, nat, overlay, policy, scale


class Suite(Protocol):
    name: str
    title: str
    is_timed: bool  # its figures are of time, on switches that take turns

    def choose(self, contenders: list[Contender]) -> list[Contender]:
        """Those of the suite, from those that were asked for; the first is the base of its ratios."""

    def run(self, contenders: list[Contender], conditions: Conditions, results: Results):
        """Measures, and enters into the results what was found and what was left out."""


EVERY: tuple[Suite, ...] = (
    l2.SUITE,
    nat.SUITE,
    overlay.SUITE,
    docker.SUITE,
    policy.SUITE,
    scale.SUITE,
    mac.SUITE,
    micro.SUITE,
)
SUITES: dict[str, Suite] = {suite.name: suite for suite in EVERY}
