"""dockerd on Martlet's network beside dockerd on its own: how fast containers start, and their traffic."""

import time
from statistics import median

from ..contenders import dockers
from ..contenders.docker import Docker
from ..cpu import end_cpus
from ..loads import new_connections, round_trips, tcp_bulk
from ..metrics import Conditions, Figures, Group, Measurement, Metric, at_least, at_most
from .staged import Stage, StagedSuite

RUNS = 7  # of a turn; their median is its figure
MANY = 100
ROUNDS_OF_MANY = 3


def one_container() -> Measurement:
    group = Group("one container", f"`docker run --rm true`, from the command to its end; median of {RUNS}.")
    taken = Metric(group, "docker run --rm true", "ms", is_rate=False, goals=(at_most(0.9),))

    def measure(engine: Docker, conditions: Conditions) -> Figures:
        return {taken: median(milliseconds(engine.run_once) for _ in range(RUNS))}

    return Measurement(taken.name, measure)


def many_containers() -> Measurement:
    group = Group(f"{MANY} containers", "By a command each, all at the same time, until the last has ended.")
    started = Metric(group, f"{MANY} containers are started", "ms", is_rate=False, goals=(at_most(0.9),))
    removed = Metric(group, f"{MANY} containers are removed", "ms", is_rate=False)

    def measure(engine: Docker, conditions: Conditions) -> Figures:
        starting = milliseconds(lambda: engine.run_many(MANY))
        return {started: starting, removed: milliseconds(lambda: engine.remove_many(MANY))}

    return Measurement(group.title, measure)


def milliseconds(work) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def traffic(path: str, method: str, pair) -> list[Measurement]:
    group = Group(path, method)
    rate = Metric(group, f"{path}: TCP, 1 stream", "Gbit/s", goals=(at_least(0.85),))
    trip = Metric(group, f"{path}: round trip, p50", "us", is_rate=False, goals=(at_most(0.6),))
    connections = Metric(group, f"{path}: new connections", "/s", goals=(at_least(1.0),))

    def bulk(engine: Docker, conditions: Conditions) -> Figures:
        return {rate: tcp_bulk(*pair(engine), conditions, streams=1, threads=1)[0]}

    def latency(engine: Docker, conditions: Conditions) -> Figures:
        return {trip: round_trips(*pair(engine), conditions, end_cpus()).p50}

    def connecting(engine: Docker, conditions: Conditions) -> Figures:
        return {connections: new_connections(*pair(engine), conditions).per_second}

    return [Measurement(rate.name, bulk), Measurement(trip.name, latency), Measurement(connections.name, connecting)]


def stages() -> list[Stage]:
    between = traffic(
        "container to container", "Two containers of one network.", lambda engine: (engine.hosts[1], engine.hosts[0])
    )
    published = traffic(
        "published port",
        "From the machine outside to a port of the host.",
        lambda engine: (engine.outside, engine.published),
    )
    return [
        Stage(2, [one_container(), *between, *published]),
        Stage(2, [many_containers()], ROUNDS_OF_MANY),
    ]


SUITE = StagedSuite("docker", "containers of dockerd, on Martlet and on Docker's own bridge network", stages, dockers)
