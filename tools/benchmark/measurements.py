"""What is measured: each measurement is one function from two hosts to its figures."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .namespaces import Host
from .processes import ProgramFailed

IPERF_PORT, LOAD_PORT = 5201, 7000
SMALL_PAYLOAD = 18  # bytes; a 60-byte frame over IPv4
REQUEST_PAYLOAD = 64
SERVER_SECONDS = 3600
DRAIN_SECONDS = 0.2  # for what is still queued when the sender has ended
SLACK_SECONDS = 30.0


@dataclass(frozen=True)
class Goal:
    """A bound for Martlet's ratio to the kernel bridge: the least or the most that is allowed."""

    bound: float
    is_minimum: bool

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.bound if self.is_minimum else ratio <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.is_minimum else '<='} {self.bound:g}"


@dataclass(frozen=True)
class Metric:
    """A figure that a measurement yields."""

    name: str
    unit: str
    goal: Goal | None = None


@dataclass(frozen=True)
class Conditions:
    """What is equal for all contenders."""

    seconds: float
    congestion_control: str
    load: Path  # the program martlet-load


Figures = dict[Metric, float]
Measurement = Callable[[Host, Host, Conditions], Figures]

TCP_1 = Metric("TCP, 1 stream", "Gbit/s", Goal(0.75, is_minimum=True))
TCP_4 = Metric("TCP, 4 streams", "Gbit/s", Goal(0.7, is_minimum=True))
UDP_BLOCKING = Metric("UDP, 60-byte frames, sink blocks", "kpps", Goal(1.5, is_minimum=True))
UDP_SPINNING = Metric("UDP, 60-byte frames, sink spins", "kpps")
CPU = Metric("CPU per million of them, sink blocks", "s", Goal(1.1, is_minimum=False))
ROUND_TRIP_P50 = Metric("TCP request/response, two CPUs, p50", "us", Goal(0.75, is_minimum=False))
ROUND_TRIP_P99 = Metric("TCP request/response, two CPUs, p99", "us")
SHARED_ROUND_TRIP_P50 = Metric("TCP request/response, one CPU, p50", "us")
SHARED_ROUND_TRIP_P99 = Metric("TCP request/response, one CPU, p99", "us")


def tcp_1(client: Host, server: Host, conditions: Conditions) -> Figures:
    return {TCP_1: tcp_gigabits(client, server, conditions, streams=1)}


def tcp_4(client: Host, server: Host, conditions: Conditions) -> Figures:
    return {TCP_4: tcp_gigabits(client, server, conditions, streams=4)}


def tcp_gigabits(client: Host, server: Host, conditions: Conditions, streams: int) -> float:
    seconds = max(1, round(conditions.seconds))  # iperf3 takes whole seconds
    with server.namespace.start_server("tcp", IPERF_PORT, "iperf3", "-s", "-1", "-p", str(IPERF_PORT)):
        output = client.namespace.run(
            *("iperf3", "-J", "-c", server.address, "-p", str(IPERF_PORT), "-t", str(seconds)),
            *("-P", str(streams), "-C", conditions.congestion_control),
            timeout=seconds + SLACK_SECONDS,
        )
    return json.loads(output)["end"]["sum_received"]["bits_per_second"] / 1e9


def udp_blocking(client: Host, server: Host, conditions: Conditions) -> Figures:
    rate, cpu_seconds = small_frames(client, server, conditions)
    return {UDP_BLOCKING: rate, CPU: cpu_seconds}


def udp_spinning(client: Host, server: Host, conditions: Conditions) -> Figures:
    rate, _ = small_frames(client, server, conditions, "--spin")
    return {UDP_SPINNING: rate}


def small_frames(client: Host, server: Host, conditions: Conditions, *sink_options: str) -> tuple[float, float]:
    """Thousands delivered per second, and CPU seconds of the whole machine for a million delivered."""
    load, port, seconds = conditions.load, str(LOAD_PORT), str(conditions.seconds)
    command = (load, "sink", port, "--seconds", str(SERVER_SECONDS), *sink_options)
    with server.namespace.start_server("udp", LOAD_PORT, *command) as sink:
        before = busy_cpu_seconds()
        client.namespace.run(
            *(load, "flood", server.address, port, "--payload", str(SMALL_PAYLOAD), "--seconds", seconds),
            timeout=conditions.seconds + SLACK_SECONDS,
        )
        spent = busy_cpu_seconds() - before
        time.sleep(DRAIN_SECONDS)
        figures = json.loads(sink.stop())
    if not figures["received"]:
        raise ProgramFailed(f"no datagram from {client.address} arrived at {server.address}")
    return figures["datagrams_per_second"] / 1e3, spent / figures["received"] * 1e6


def round_trip(client: Host, server: Host, conditions: Conditions) -> Figures:
    p50, p99 = round_trip_microseconds(client, server, conditions, *end_cpus())
    return {ROUND_TRIP_P50: p50, ROUND_TRIP_P99: p99}


def shared_round_trip(client: Host, server: Host, conditions: Conditions) -> Figures:
    cpu, _ = end_cpus()
    p50, p99 = round_trip_microseconds(client, server, conditions, cpu, cpu)
    return {SHARED_ROUND_TRIP_P50: p50, SHARED_ROUND_TRIP_P99: p99}


def round_trip_microseconds(
    client: Host, server: Host, conditions: Conditions, client_cpu: int, server_cpu: int
) -> tuple[float, float]:
    """p50 and p99. The ends are pinned: left free, they meet on one CPU or not by chance, and that is worth 40 us."""
    load, port = conditions.load, str(LOAD_PORT)
    control = ("--congestion-control", conditions.congestion_control)
    command = (load, "echo", port, "--seconds", str(SERVER_SECONDS), "--cpu", str(server_cpu), *control)
    with server.namespace.start_server("tcp", LOAD_PORT, *command):
        output = client.namespace.run(
            *(load, "latency", "tcp", server.address, port),
            *("--payload", str(REQUEST_PAYLOAD), "--seconds", str(conditions.seconds)),
            *("--cpu", str(client_cpu), *control),
            timeout=conditions.seconds + SLACK_SECONDS,
        )
    figures = json.loads(output)
    return figures["p50_us"], figures["p99_us"]


def end_cpus() -> tuple[int, int]:
    """A CPU for each end; the same where there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def busy_cpu_seconds() -> float:
    """Of all CPUs since boot: all but idle, waiting for a disk, and stolen by the hypervisor (proc(5), /proc/stat)."""
    user, nice, system, _, _, interrupt, soft_interrupt = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + interrupt + soft_interrupt) / os.sysconf("SC_CLK_TCK")


SUITES: dict[str, list[Measurement]] = {
    "l2": [tcp_1, tcp_4, udp_blocking, udp_spinning, round_trip, shared_round_trip],
}
