"""Measurements on a path: from a client to a server, with their goals."""

from collections.abc import Callable
from dataclasses import dataclass

from ..contenders import Contender
from ..loads import Delivery, Pair, round_trips, small_frames, tcp_bulk
from ..metrics import Conditions, Figures, Goal, Group, Measurement, Metric
from ..processes import ProgramFailed
from .l2 import SMALL_PAYLOAD


@dataclass(frozen=True)
class Path:
    """A direction in which connections are made, or what lies between their ends."""

    name: str
    method: str
    pair: Callable[..., Pair]  # of a contender

    def group(self, title: str, method: str) -> Group:
        return Group(f"{self.name[:1].upper()}{self.name[1:]}: {title}", f"{self.method} {method}")


def require_arrival(delivery: Delivery) -> Delivery:
    if not delivery.received:
        raise ProgramFailed("no datagram arrived")
    return delivery


def tcp(path: Path, streams: int, *goals: Goal) -> Measurement:
    name = "1 stream" if streams == 1 else f"{streams} streams"
    bulk = path.group("bulk TCP", "Bits that arrive per second; one thread at each end.")
    cpu = path.group("CPU of bulk TCP", "Busy time of all CPUs (/proc/stat) while the streams ran, by what arrived.")
    rate = Metric(bulk, f"{path.name}: TCP, {name}", "Gbit/s", goals=goals)
    cost = Metric(cpu, f"{path.name}: CPU per GB, {name}", "s", is_rate=False)

    def measure(contender: Contender, conditions: Conditions) -> Figures:
        gigabits, cpu_seconds = tcp_bulk(*path.pair(contender), conditions, streams, threads=1)
        return {rate: gigabits, cost: cpu_seconds}

    return Measurement(rate.name, measure)


def udp(path: Path, spin: bool, *goals: Goal) -> Measurement:
    sink = "sink spins" if spin else "sink blocks"
    frames = path.group("small frames", "UDP over IPv4, 60-byte frames, sent without pause; what the program gets.")
    cpu = path.group("CPU of small frames", "Busy time of all CPUs for a million frames that arrived.")
    rate = Metric(frames, f"{path.name}: UDP, {sink}", "kpps", goals=goals)
    cost = Metric(cpu, f"{path.name}: CPU per million frames, {sink}", "s", is_rate=False)

    def measure(contender: Contender, conditions: Conditions) -> Figures:
        delivery = require_arrival(small_frames(*path.pair(contender), conditions, SMALL_PAYLOAD, spin=spin))
        return {rate: delivery.received_per_second / 1e3, cost: delivery.cpu_seconds / delivery.received * 1e6}

    return Measurement(rate.name, measure)


def latency(path: Path, cpus: tuple[int, int], *goals: Goal) -> Measurement:
    """goals: of the median."""
    method = "A TCP request of 64 bytes and its reply, one at a time; client on the first CPU, server on the last."
    group = path.group("latency", method)
    p50, p99, p999 = (
        Metric(group, f"{path.name}: round trip, {share}", "us", is_rate=False, goals=of_share)
        for share, of_share in (("p50", goals), ("p99", ()), ("p99.9", ()))
    )
    cost = Metric(group, f"{path.name}: CPU per round trip", "us", is_rate=False)

    def measure(contender: Contender, conditions: Conditions) -> Figures:
        trips = round_trips(*path.pair(contender), conditions, cpus)
        return {p50: trips.p50, p99: trips.p99, p999: trips.p999, cost: trips.cpu}

    return Measurement(group.title, measure)
