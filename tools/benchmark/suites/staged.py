"""Suites whose switches all stand at the same time and take turns: A B C, A B C."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ..contenders import Contender, NotApplicable, switches
from ..metrics import Conditions, Figures, Measurement
from ..processes import ProgramFailed
from ..progress import Remaining, progress
from ..report.numbers import number
from ..results import Results
from ..stalls import unstalled


@dataclass(frozen=True)
class Stage:
    """Measurements that want the same number of hosts."""

    hosts: int
    measurements: list[Measurement]
    most_rounds: int | None = None  # where one takes long, and differs little from the next
    takes: Callable[[Contender], bool] = lambda contender: True
    title: str = ""  # where several have as many hosts
    prepare: Callable[[Contender], None] = lambda contender: None  # called before it is set up


@dataclass(frozen=True)
class StagedSuite:
    name: str
    title: str
    stages: Callable[[], list[Stage]]
    choose: Callable[[list[Contender]], list[Contender]] = switches
    is_timed: bool = True
    facts: dict[str, str] = field(default_factory=dict)  # where they are not the machine's

    def run(self, contenders: list[Contender], conditions: Conditions, results: Results):
        results.machine.update(self.facts)
        for stage in self.stages():
            chosen = list(filter(stage.takes, contenders))
            for contender in chosen:
                stage.prepare(contender)
            with standing(chosen, stage.hosts, results, stage.title) as present:
                run_stage(stage, present, conditions, results)


@contextmanager
def standing(contenders: list[Contender], hosts: int, results: Results, title: str = "") -> Iterator[list[Contender]]:
    """Sets all contenders up and yields those that stand, frozen, with hosts that are alike and reach each other."""
    title = title or f"{hosts} hosts"
    present = []
    with ExitStack() as stack:
        for contender in contenders:
            if hosts > contender.most_hosts:
                results.leave_out(contender.name, title, f"it takes {contender.most_hosts} hosts at most")
                continue
            stack.callback(take_away, contender)
            try:
                contender.set_up(hosts)
                make_alike(contender)
                require_reachable(contender)
                contender.freeze()
            except (ProgramFailed, NotApplicable) as failure:
                if contender.name == results.base:
                    raise
                give_up(contender, title, failure, results)
                contender.freeze()
            else:
                present.append(contender)
        yield present


def take_away(contender: Contender):
    """Figures are not lost over what is left behind, which ends with the enclosure."""
    try:
        contender.tear_down()
    except ProgramFailed as failure:
        progress(f"{contender.name} was not taken away: {failure}")


def make_alike(contender: Contender):
    for host in contender.hosts:
        host.prepare()
        if (mtu := host.mtu()) != contender.mtu:
            raise ProgramFailed(f"{contender.name}: {host.interface} has an MTU of {mtu}, not of {contender.mtu}")


def require_reachable(contender: Contender):
    first, second = contender.hosts[:2]
    first.ping(second.address)
    first.ping(second.address6)


def run_stage(stage: Stage, contenders: list[Contender], conditions: Conditions, results: Results):
    """The pairs whose ratio is taken follow each other at once."""
    rounds = min(results.rounds, stage.most_rounds or results.rounds)
    titles = [measurement.title for measurement in stage.measurements for _ in contenders]
    remaining = Remaining(titles * rounds, conditions.seconds)
    for turn in range(rounds):
        for measurement in stage.measurements:
            for contender in contenders:
                start = time.monotonic()
                # Again for each turn: whoever continues all processes of the machine continues these too.
                for other in contenders:
                    other.freeze()
                figures = take_turn(measurement, contender, conditions, results)
                results.record(turn, contender.name, figures)
                remaining.finished(measurement.title, time.monotonic() - start)
                if figures:
                    progress(f"round {turn + 1}/{rounds}  {contender.name}: {written(figures)}  ({remaining})")


def take_turn(measurement: Measurement, contender: Contender, conditions: Conditions, results: Results) -> Figures:
    """Without figures when there are none; why is in the results."""
    if results.is_left_out(contender.name, measurement.title):
        return {}

    def measure() -> Figures:
        contender.require_running()
        # Also wakes what has gone to sleep: addresses are learned, neighbours known.
        contender.hosts[0].ping(contender.hosts[1].address)
        return measurement.run(contender, conditions)

    contender.thaw()
    try:
        return measure() if measurement.is_search else unstalled(measure)
    except NotApplicable as reason:
        results.leave_out(contender.name, measurement.title, str(reason), for_good=True)
    except ProgramFailed as failure:
        give_up(contender, measurement.title, failure, results)
    finally:
        contender.freeze()
    return {}


def give_up(contender: Contender, what: str, failure: Exception, results: Results, for_good: bool = False):
    results.leave_out(contender.name, what, str(failure), for_good)
    progress(f"left out: {contender.name}, {what}: {failure}")


def written(figures: Figures) -> str:
    return ", ".join(f"{metric.name} {number(value)} {metric.unit}" for metric, value in figures.items())
