"""A machine outside, a host with an uplink, a container behind it: published ports, the way out, and what many cost."""

import time

from ..contenders import Contender, Router, routers
from ..contenders.router import Port
from ..cpu import end_cpus
from ..loads import CONCURRENCY, make_sessions, new_connections, round_trips, small_frames, spread_frames
from ..metrics import Against, Conditions, Figures, Goal, Group, Measurement, Metric, at_least, at_most
from ..processes import ProgramFailed
from .l2 import SMALL_PAYLOAD
from .paths import Path, latency, require_arrival, tcp, udp
from .staged import Stage, StagedSuite

SESSIONS = (1, 1_000, 100_000, 1_000_000)
SESSIONS_MISSED = 0.02  # of them, that a router may have lost before it counts as a failure
PUBLISHED = (1, 100, 10_000)
FIRST_PUBLISHED = 20_000
ROUNDS_OF_MANY = 3  # a turn takes a quarter of a minute
FLAT = at_most(1.2, Against.NOTHING)
PUBLISHING_MILLISECONDS, PUBLISHING_MEGABYTES, SESSION_MEGABYTES = 50, 1, 256

PATHS = (
    Path(
        "published port",
        "From the machine outside to a port of the host, which stands for one of the container's.",
        lambda router: (router.hosts[1], router.published),
    ),
    Path("outbound", "From the container to the machine outside.", lambda router: (router.hosts[0], router.hosts[1])),
)
PUBLISHED_PORT = PATHS[0].pair


def connections(path: Path) -> Measurement:
    method = f"Connect, request, response, close: {CONCURRENCY} at a time, each of a thread; both ends have as many."
    group = path.group("new connections", method)
    rate = Metric(group, f"{path.name}: new connections", "/s", goals=(at_least(1.0),))
    p50, p99 = (Metric(group, f"{path.name}: one connection, {at}", "us", is_rate=False) for at in ("p50", "p99"))
    cost = Metric(group, f"{path.name}: CPU per connection", "us", is_rate=False)

    def measure(router: Router, conditions: Conditions) -> Figures:
        found = new_connections(*path.pair(router), conditions)
        return {rate: found.per_second, p50: found.p50, p99: found.p99, cost: found.cpu}

    return Measurement(group.title, measure)


class Curves:
    """Figures over a number of things that are there, and how the last of them compares with the first."""

    def __init__(self, things: str, counts: tuple[int, ...], prefix: str, flat: dict[str, Goal]):
        """flat: of these figures the growth is one too, with its goal."""
        self.things, self.counts, self.prefix, self.flat = things, counts, prefix, flat
        self.first: dict[tuple[str, str], float] = {}
        method = f"At {counts[-1]:,} {things}, divided by the figure at {counts[0]} of the same round."
        self.growth = Group(f"{prefix}: growth of the cost", method)

    def metric(self, title: str, method: str, unit: str, count: int, is_rate=False, goals=()) -> Metric:
        group = Group(f"{self.prefix}: {title}", method, self.things)
        return Metric(group, f"{title}, {count:,} {self.things}", unit, is_rate, goals, x=count)

    def with_growth(self, router: Router, count: int, figures: Figures) -> Figures:
        """These, and at the largest count their growth since the smallest, which was measured in the same round."""
        titles = {metric: metric.name.partition(f", {count:,} ")[0] for metric in figures}
        for metric, title in titles.items():
            if title not in self.flat:
                continue
            if count == self.counts[0]:
                self.first[router.name, title] = figures[metric]
            elif count == self.counts[-1] and (first := self.first.pop((router.name, title), None)):
                goals = (self.flat[title],)
                growth = Metric(self.growth, f"{title}, {count:,} {self.things} by {self.counts[0]}", "x", False, goals)
                figures = figures | {growth: figures[metric] / first}
        return figures


class ManySessions:
    """What a packet costs while so many UDP sessions of a published port are there."""

    ONE_FLOW, ROUND_TRIP = "CPU per million frames of one flow", "round trip, p50"

    def __init__(self):
        flat = {self.ONE_FLOW: FLAT, self.ROUND_TRIP: FLAT}
        self.curves = Curves("sessions", SESSIONS, "Sessions", flat)
        self.empty_bytes: dict[str, int] = {}

    def measurement(self, count: int) -> Measurement:
        one_flow = "60-byte frames of one flow to the published port, sent without pause; the sink blocks."
        spread = "60-byte frames to the published port, sent without pause, each of another of the sessions."
        metric = self.curves.metric
        rate = metric("frames of one flow", one_flow, "kpps", count, is_rate=True)
        cost = metric(self.ONE_FLOW, one_flow + " Busy time of all CPUs.", "s", count)
        trip = metric(self.ROUND_TRIP, "64 bytes each way over TCP, ends on two CPUs.", "us", count)
        spread_rate = metric("frames of all sessions", spread, "kpps", count, is_rate=True, goals=(at_least(1.0),))
        spread_cost = metric("CPU per million frames of all sessions", spread, "s", count)
        bound = (at_most(SESSION_MEGABYTES, Against.NOTHING),) if count == SESSIONS[-1] else ()
        growing = "By which the router's processes have grown since one session."
        memory = metric("memory", growing, "MB", count, False, bound)

        def measure(router: Router, conditions: Conditions) -> Figures:
            router.require_room(count)
            router.forget_sessions()
            pair = PUBLISHED_PORT(router)
            make_sessions(*pair, conditions, count)
            require_sessions(router, count)
            one = require_arrival(small_frames(*pair, conditions, SMALL_PAYLOAD))
            every = require_arrival(spread_frames(*pair, conditions, count, SMALL_PAYLOAD))
            figures = {
                rate: one.received_per_second / 1e3,
                cost: one.cpu_seconds / one.received * 1e6,
                trip: round_trips(*pair, conditions, end_cpus()).p50,
                spread_rate: every.received_per_second / 1e3,
                spread_cost: every.cpu_seconds / every.received * 1e6,
            }
            if router.processes:
                resident = router.resident_bytes()
                empty = self.empty_bytes.setdefault(router.name, resident)
                figures[memory] = max(0, resident - empty) / 1e6
            return self.curves.with_growth(router, count, figures)

        return Measurement(f"{count:,} sessions", measure)


def require_sessions(router: Router, count: int):
    found = router.session_count()
    if found is not None and found < count * (1 - SESSIONS_MISSED):
        raise ProgramFailed(f"of {count} sessions it has {found}")


class ManyPorts:
    """What a packet and a connection cost while so many ports are published, and what publishing them takes."""

    CONNECTION, FRAME = "CPU per connection", "CPU per million frames"

    def __init__(self):
        self.curves = Curves("published ports", PUBLISHED, "Published ports", {self.CONNECTION: FLAT, self.FRAME: FLAT})

    def measurement(self, count: int) -> Measurement:
        last = FIRST_PUBLISHED + count - 1
        ports: tuple[Port, ...] = tuple(("tcp", number) for number in range(FIRST_PUBLISHED, last + 1))
        publishing = (
            "From the command to ports that are reached, its programs included. Martlet: one `martlet publish` of a "
            "range; nftables: one `nft -f`; docker-proxy: a process each."
        )
        connecting = "Connect, request, response, close, to the port that was published last."
        frames = "60-byte frames of one flow to a published port, sent without pause; the sink blocks."
        largest = count == PUBLISHED[-1]

        def bound(most: float) -> tuple[Goal, ...]:
            return (at_most(most, Against.NOTHING),) if largest else ()

        metric = self.curves.metric
        taken = metric("time to publish", publishing, "ms", count, False, bound(PUBLISHING_MILLISECONDS))
        memory = metric(
            "memory", "By which the processes have grown.", "MB", count, False, bound(PUBLISHING_MEGABYTES)
        )
        rate = metric("new connections", connecting, "/s", count, is_rate=True, goals=(at_least(1.0),))
        cost = metric(self.CONNECTION, connecting + " Busy time of all CPUs.", "us", count)
        trip = metric("round trip, p50", "64 bytes each way over TCP, ends on two CPUs.", "us", count)
        frame_rate = metric("frames", frames, "kpps", count, is_rate=True)
        frame_cost = metric(self.FRAME, frames + " Busy time of all CPUs.", "s", count)

        def measure(router: Router, conditions: Conditions) -> Figures:
            before, start = router.resident_bytes(), time.perf_counter()
            router.publish(ports)
            figures = {taken: (time.perf_counter() - start) * 1e3}
            try:
                if router.processes:
                    figures[memory] = (router.resident_bytes() - before) / 1e6
                pair = PUBLISHED_PORT(router)
                connected = new_connections(*pair, conditions, last)
                delivery = require_arrival(small_frames(*pair, conditions, SMALL_PAYLOAD))
                figures |= {
                    rate: connected.per_second,
                    cost: connected.cpu,
                    trip: round_trips(*pair, conditions, end_cpus(), last).p50,
                    frame_rate: delivery.received_per_second / 1e3,
                    frame_cost: delivery.cpu_seconds / delivery.received * 1e6,
                }
            finally:
                router.withdraw(ports)
            return self.curves.with_growth(router, count, figures)

        return Measurement(f"{count:,} published ports", measure)


def is_measured_in_full(contender: Contender) -> bool:
    return isinstance(contender, Router) and not contender.publishes_only


def stages() -> list[Stage]:
    cpus = end_cpus()
    sessions, ports = ManySessions(), ManyPorts()
    paths = [
        measurement
        for path in PATHS
        for measurement in (
            tcp(path, 1, at_least(0.85)),
            tcp(path, 4, at_least(0.85)),
            udp(path, False, at_least(1.6)),
            udp(path, True, at_least(1.2)),
            latency(path, cpus, at_most(0.6)),
            connections(path),
        )
    ]
    return [
        Stage(2, paths, takes=is_measured_in_full),
        Stage(2, [sessions.measurement(count) for count in SESSIONS], ROUNDS_OF_MANY, is_measured_in_full),
        Stage(2, [ports.measurement(count) for count in PUBLISHED], ROUNDS_OF_MANY),
    ]


SUITE = StagedSuite("nat", "a machine outside and a container behind a host", stages, routers)
