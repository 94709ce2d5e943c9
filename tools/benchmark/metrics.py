"""What a figure is: its name, its unit, how it was made, and what Martlet is to reach."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .contenders import Contender


class Against(Enum):
    """What a goal's figure is divided by."""

    BASE = "the kernel bridge"
    USER_SPACE = "each user-space peer"
    NOTHING = ""


@dataclass(frozen=True)
class Goal:
    """A bound for Martlet: the least or the most that is allowed."""

    bound: float
    is_minimum: bool
    against: Against = Against.BASE

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.is_minimum else value <= self.bound

    def __str__(self) -> str:
        relation = f"{'>=' if self.is_minimum else '<='} {self.bound:g}"
        return relation if self.against is Against.NOTHING else f"{relation} x {self.against.value}"


def at_least(bound: float, against: Against = Against.BASE) -> Goal:
    return Goal(bound, True, against)


def at_most(bound: float, against: Against = Against.BASE) -> Goal:
    return Goal(bound, False, against)


@dataclass(frozen=True)
class Group:
    """Figures that are shown together. x_label: where they are points of a curve, what it runs over."""

    title: str
    method: str
    x_label: str | None = None


@dataclass(frozen=True)
class Metric:
    """A figure that a measurement yields."""

    group: Group
    name: str
    unit: str
    is_rate: bool = True  # more is better; otherwise less is
    goals: tuple[Goal, ...] = ()
    x: int | None = None


@dataclass(frozen=True)
class Conditions:
    """What is equal for all contenders."""

    seconds: float
    congestion_control: str
    load: Path  # the program martlet-load
    instructions: Path | None = None  # what `tools/micro --json` printed


Figures = dict[Metric, float]


@dataclass(frozen=True)
class Measurement:
    """From a contender that stands with its hosts to figures."""

    title: str
    run: Callable[[Contender, Conditions], Figures]
    is_search: bool = False  # of many trials, each of which looks itself whether the machine stood still
