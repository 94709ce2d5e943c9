"""RFC 2889, sections 5.7 and 5.8: how many addresses a switch remembers, and how fast it learns them.

Three hosts: the learner sends one frame from each of many addresses, the prober one frame to each. What the switch has
learned goes to the learner alone; what it has not is flooded, and so reaches the monitor too.
"""

import json
import time
from contextlib import ExitStack
from itertools import count

from ..contenders import Contender, switches
from ..loads import DRAIN_SECONDS, SERVER_SECONDS, SLACK_SECONDS
from ..metrics import Conditions, Figures, Group, Measurement, Metric
from ..namespaces import Host
from ..processes import Background, ProgramFailed
from ..search import highest_passing, highest_passing_from, repeated
from .staged import Stage, StagedSuite

FEWEST_ADDRESSES, MOST_ADDRESSES = 1024, 131072
ADDRESS_PARTS = 128  # the resolution is the first number that failed divided by this
LARGER_TABLE = 65536
RATE_ADDRESSES = 1024  # with fewer a burst fits in a queue, at any rate
SAFE_RATE = 10_000  # frames per second that every contender forwards
RATE_STEPS = 32  # the resolution is the sender's own limit divided by this
TRIALS = 2
ROUNDS = 3

CAPACITY_GROUP = Group(
    "Address caching capacity",
    f"RFC 2889, section 5.7: the most addresses of which none is flooded, by binary search up to {MOST_ADDRESSES}, "
    f"at {SAFE_RATE} frames per second.",
)
RATE_GROUP = Group(
    "Address learning rate",
    "RFC 2889, section 5.8: the highest rate of frames from new addresses at which all are learned; half as many "
    "addresses as the switch has room for. The sender's own limit is an upper bound.",
)
CAPACITY = Metric(CAPACITY_GROUP, "addresses remembered", "addresses")
RATE = Metric(RATE_GROUP, "addresses learned", "thousand/s")


class AddressTests:
    """The measurements of one run, in which the second builds on what the first has found."""

    def __init__(self):
        self.capacities: dict[str, int] = {}
        self.seeds = count(1)  # new addresses in each trial

    def capacity(self, contender: Contender, conditions: Conditions) -> Figures:
        def trial(addresses: float) -> float | None:
            rate = self.learn(contender, conditions, int(addresses), SAFE_RATE)
            return None if rate is None else int(addresses)

        found = int(highest_passing_from(FEWEST_ADDRESSES, MOST_ADDRESSES, ADDRESS_PARTS, repeated(TRIALS, trial)))
        self.capacities[contender.name] = found
        return {CAPACITY: found}

    def rate(self, contender: Contender, conditions: Conditions) -> Figures:
        addresses = self.capacities.get(contender.name, 0) // 2
        if addresses < RATE_ADDRESSES:
            raise ProgramFailed(f"its capacity was not found, or is below {2 * RATE_ADDRESSES}")

        def trial(rate: float) -> float | None:
            return self.learn(contender, conditions, addresses, rate)

        most = send(contender.hosts[0], conditions, "mac-learn", addresses, next(self.seeds), 0)
        return {RATE: highest_passing(most, most / RATE_STEPS, repeated(TRIALS, trial)) / 1e3}

    def learn(self, contender: Contender, conditions: Conditions, addresses: int, rate: float) -> float | None:
        """Lets the switch learn new addresses. Returns the rate that the sender has reached; None if one was missed."""
        learner, prober, monitor = contender.hosts
        seed = next(self.seeds)
        contender.forget_addresses()
        send(prober, conditions, "mac-probe", 1, seed, SAFE_RATE)  # or what the learner sends would be flooded
        reached = send(learner, conditions, "mac-learn", addresses, seed, rate)
        with ExitStack() as stack:
            counters = [count_frames(host, conditions, addresses, seed) for host in (learner, monitor)]
            for counter in counters:
                stack.enter_context(counter)
            send(prober, conditions, "mac-probe", addresses, seed, SAFE_RATE)
            time.sleep(DRAIN_SECONDS)
            delivered, flooded = [json.loads(counter.stop()) for counter in counters]
        if delivered["overruns"] or flooded["overruns"]:
            raise ProgramFailed("the counting program was too slow")
        return reached if flooded["matching"] == 0 and delivered["matching"] == addresses else None


def send(host: Host, conditions: Conditions, program: str, addresses: int, seed: int, rate: float) -> float:
    """Frames per second that were sent."""
    output = host.namespace.run(
        *(conditions.load, program, host.interface, "--addresses", str(addresses)),
        *("--rate", str(rate), "--seed", str(seed)),
        timeout=addresses / SAFE_RATE + SLACK_SECONDS,
    )
    return json.loads(output)["frames_per_second"]


def count_frames(host: Host, conditions: Conditions, addresses: int, seed: int) -> Background:
    options = ("--seconds", str(SERVER_SECONDS), "--addresses", str(addresses), "--seed", str(seed))
    counter = host.namespace.start(conditions.load, "mac-count", host.interface, *options)
    counter.wait_for_line("ready")
    return counter


def variants(contenders: list[Contender]) -> list[Contender]:
    """Those with a table of their own; where its size can be set, with a larger one too."""
    chosen = []
    for contender in switches(contenders):
        if contender.shares_table:
            continue
        larger = contender.larger(LARGER_TABLE)
        chosen += [contender, larger] if larger else [contender]
    return chosen


def stages() -> list[Stage]:
    tests = AddressTests()
    searches = [
        Measurement(CAPACITY.name, tests.capacity, is_search=True),
        Measurement(RATE.name, tests.rate, is_search=True),
    ]
    return [Stage(3, searches, most_rounds=ROUNDS)]


SUITE = StagedSuite("mac", "learning addresses", stages, variants)
