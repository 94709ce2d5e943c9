"""One sender, one receiver: throughput, small frames and latency of a switch at layer 2."""

import time
from dataclasses import replace

from ..contenders import Contender, NotApplicable
from ..cpu import end_cpus
from ..loads import DRAIN_SECONDS, bulk_in_background, flood, round_trips, small_frames, tcp_bulk
from ..metrics import Against, Conditions, Figures, Group, Measurement, Metric, at_least, at_most
from ..namespaces import Host
from ..processes import ProgramFailed
from ..search import highest_passing, repeated
from .staged import Stage, StagedSuite

ETHERNET_HEADER, IPV4_HEADER, UDP_HEADER, FRAME_CHECK_SEQUENCE = 14, 20, 8, 4
HEADERS = ETHERNET_HEADER + IPV4_HEADER + UDP_HEADER
SMALL_PAYLOAD = 18  # bytes; a 60-byte frame over IPv4

FLOOD_HOSTS = 8
NOBODY = ("10.77.255.254", "02:00:00:00:ff:fe")  # an address that no host has
IDLE_SETTLE_SECONDS = 1.0

FRAME_SIZES = (64, 128, 256, 512, 1024, 1280, 1518)  # RFC 2544, section 9.1; with the frame check sequence
TRIAL_SECONDS = 0.4
TRIALS = 2  # of which one must lose nothing
SEARCH_ROUNDS = 3  # a search is many trials already
SEARCH_STEPS = 32  # the resolution is the sender's own limit divided by this

BULK = Group(
    "Bulk TCP", "Bits that arrive per second. One thread at each end for all streams, or one for each, as named."
)
BULK_CPU = Group("CPU of bulk TCP", "Busy time of all CPUs (/proc/stat) while the streams ran, by what arrived.")
SMALL = Group(
    "Small frames",
    "UDP over IPv4, 60-byte frames, sent without pause; what the receiving program gets. A sink that blocks is woken, "
    "one that spins never sleeps.",
)
SMALL_CPU = Group(
    "CPU of small frames", "Busy time of all CPUs, sender and receiver included, for a million frames that arrived."
)
FLOODING = Group(
    "Flooding",
    f"60-byte frames to an address that nobody has, sent without pause by one of {FLOOD_HOSTS} hosts; copies that "
    f"arrive at the {FLOOD_HOSTS - 1} others.",
)
IDLE = Group(
    "At rest", "CPU time of the switch's processes with no traffic. The kernel bridge has none; a polling peer has 100."
)
LOSS_FREE = Group(
    "Loss-free rate",
    "RFC 2544, section 26.1: the highest rate at which no frame is lost, by binary search. Sizes are with the frame "
    "check sequence, as the RFC has them.",
    x_label="frame size, bytes",
)

PER_PEER = at_least(3, Against.USER_SPACE)
TCP_STREAMS = {1: (at_least(0.85), PER_PEER), 4: (at_least(0.8), PER_PEER), 16: ()}


def tcp(streams: int, threads: int = 1) -> Measurement:
    """threads: at each end; one that serves all streams, as iperf3 has it before 3.16, or one for each."""
    name = "1 stream" if streams == 1 else f"{streams} streams" + (", a thread each" if threads > 1 else "")
    rate = Metric(BULK, f"TCP, {name}", "Gbit/s", goals=() if threads > 1 else TCP_STREAMS[streams])
    cost = Metric(BULK_CPU, f"CPU per GB, {name}", "s", is_rate=False)

    def measure(contender: Contender, conditions: Conditions) -> Figures:
        gigabits, cpu_seconds = tcp_bulk(*contender.hosts[:2], conditions, streams, threads)
        return {rate: gigabits, cost: cpu_seconds}

    return Measurement(rate.name, measure)


def udp(spin: bool) -> Measurement:
    sink = "sink spins" if spin else "sink blocks"
    rate = Metric(SMALL, f"UDP, 60-byte frames, {sink}", "kpps", goals=(at_least(1.0 if spin else 1.8),))
    limit = () if spin else (at_most(0.9),)
    cost = Metric(SMALL_CPU, f"CPU per million frames, {sink}", "s", is_rate=False, goals=limit)

    def measure(contender: Contender, conditions: Conditions) -> Figures:
        delivery = small_frames(*contender.hosts[:2], conditions, SMALL_PAYLOAD, spin=spin)
        if not delivery.received:
            raise ProgramFailed("no datagram arrived")
        return {rate: delivery.received_per_second / 1e3, cost: delivery.cpu_seconds / delivery.received * 1e6}

    return Measurement(rate.name, measure)


def latency(
    title: str, method: str, cpus: tuple[int, int] | None, limits: tuple[float | None, float | None], loaded=False
) -> Measurement:
    """limits: for the ratios of p50 and p99."""
    group = Group(title, "A TCP request of 64 bytes and its reply, one at a time; the full round trip. " + method)
    goals = [(at_most(limit),) if limit else () for limit in limits] + [()]
    prefix = title.partition(", ")[2]
    p50, p99, p999 = (
        Metric(group, f"round trip, {prefix}, {share}", "us", is_rate=False, goals=goal)
        for share, goal in zip(("p50", "p99", "p99.9"), goals)
    )
    cost = Metric(group, f"CPU per round trip, {prefix}", "us", is_rate=False)

    def measure(contender: Contender, conditions: Conditions) -> Figures:
        client, server = contender.hosts[:2]
        if not loaded:
            trips = round_trips(client, server, conditions, cpus)
            return {p50: trips.p50, p99: trips.p99, p999: trips.p999, cost: trips.cpu}
        with bulk_in_background(client, server, conditions):
            trips = round_trips(client, server, conditions, cpus)
        return {p50: trips.p50, p99: trips.p99, p999: trips.p999}  # the CPUs are the bulk stream's too

    return Measurement(title, measure)


def idle(contender: Contender, conditions: Conditions) -> Figures:
    if not contender.processes:
        raise NotApplicable("it has no process")
    time.sleep(IDLE_SETTLE_SECONDS)
    before, start = contender.cpu_seconds(), time.monotonic()
    time.sleep(conditions.seconds)
    share = (contender.cpu_seconds() - before) / (time.monotonic() - start)
    return {IDLE_CPU: share * 100}


IDLE_CPU = Metric(IDLE, "idle CPU", "% of a core", is_rate=False, goals=(at_most(0.5, Against.NOTHING),))
COPIES = Metric(FLOODING, "copies delivered", "kpps")


def flooding(contender: Contender, conditions: Conditions) -> Figures:
    sender, *others = contender.hosts
    address, link_address = NOBODY
    sender.namespace.batch(f"neigh replace {address} lladdr {link_address} dev {sender.interface} nud permanent")
    before = received_frames(others)
    seconds = flood(sender, address, conditions, SMALL_PAYLOAD)["seconds"]
    time.sleep(DRAIN_SECONDS)
    return {COPIES: (received_frames(others) - before) / seconds / 1e3}


def received_frames(hosts: list[Host]) -> float:
    """Frames of the flood, also where a switch has put several into one: only its first has headers."""
    totals = [host.received() for host in hosts]
    return sum((size - HEADERS * count) / SMALL_PAYLOAD for count, size in totals)


def loss_free(frame_size: int) -> Measurement:
    rate = Metric(LOSS_FREE, f"{frame_size} bytes without loss", "kpps", x=frame_size)

    def measure(contender: Contender, conditions: Conditions) -> Figures:
        return {rate: loss_free_rate(contender, conditions, frame_size) / 1e3}

    return Measurement(rate.name, measure, is_search=True)


def loss_free_rate(contender: Contender, conditions: Conditions, frame_size: int) -> float:
    """Frames per second."""
    client, server = contender.hosts[:2]
    payload = frame_size - FRAME_CHECK_SEQUENCE - HEADERS
    short = replace(conditions, seconds=TRIAL_SECONDS)

    def trial(rate: float) -> float | None:
        delivery = small_frames(client, server, short, payload, rate)
        return delivery.sent_per_second if delivery.received == delivery.sent else None

    most = small_frames(client, server, short, payload).sent_per_second
    return highest_passing(most, most / SEARCH_STEPS, repeated(TRIALS, trial))


def main_measurements() -> list[Measurement]:
    """What tools/demo shows as well."""
    cpus = end_cpus()
    limits = (0.65, 0.85)
    return [
        tcp(1),
        tcp(4),
        udp(spin=False),
        udp(spin=True),
        latency("Latency, ends on two CPUs", "Client on the first, server on the last.", cpus, limits),
    ]


def further_measurements() -> list[Measurement]:
    first, _ = end_cpus()
    shared = "Both ends on the first CPU: the kernel bridge then wakes no other."
    return [
        tcp(16),
        tcp(4, threads=4),
        latency("Latency, ends free", "The scheduler places the ends.", None, (0.65, 0.85)),
        latency("Latency, ends on one CPU", shared, (first, first), (None, None)),
        latency("Latency, under bulk", "Beside one TCP bulk stream, ends free.", None, (None, 1.0), loaded=True),
        Measurement(IDLE_CPU.name, idle),
    ]


def stages() -> list[Stage]:
    return [
        Stage(2, main_measurements() + further_measurements()),
        Stage(2, [loss_free(size) for size in FRAME_SIZES], SEARCH_ROUNDS),
        Stage(FLOOD_HOSTS, [Measurement(FLOODING.title, flooding)]),
    ]


SUITE = StagedSuite("l2", "two hosts at layer 2", stages)
