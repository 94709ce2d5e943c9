"""Traffic between two hosts, and what came of it. The generator is martlet-load."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .cpu import busy_cpu_seconds
from .metrics import Conditions
from .namespaces import Host
from .ports import LOAD_PORT, STREAM_PORT
from .processes import Background, ProgramFailed

REQUEST_PAYLOAD = 64  # bytes
SERVER_SECONDS = 3600
DRAIN_SECONDS = 0.2  # for what is still queued when the sender has ended
SLACK_SECONDS = 30.0
BULK_START_BYTES = 10_000_000  # past TCP's slow start
CONCURRENCY = 8  # connections at the same time
FAILED_SHARE = 0.001  # of connections; more says that something is broken
SESSION_RATE = 150_000  # datagrams per second
SESSION_PASSES = 2


Pair = tuple[Host, Host]  # a client and a server


@dataclass(frozen=True)
class Delivery:
    """What became of a flood, and what it cost."""

    sent: int
    sent_per_second: float
    received: int
    received_per_second: float
    cpu_seconds: float  # of the whole machine


def tcp_bulk(
    client: Host, server: Host, conditions: Conditions, streams: int, threads: int
) -> tuple[float, float]:
    """Gbit/s at the receiver, and CPU seconds of the whole machine for a gigabyte received. threads: at each end."""
    share = ("--streams", str(streams), "--threads", str(threads))
    with server.namespace.start_server("tcp", STREAM_PORT, *sink_command(conditions, *share)) as sink:
        before = busy_cpu_seconds()
        client.namespace.run(*stream_command(server, conditions, *share), timeout=conditions.seconds + SLACK_SECONDS)
        spent = busy_cpu_seconds() - before
        received = json.loads(sink.finish(SLACK_SECONDS))
    if not received["bytes"]:
        raise ProgramFailed(f"no byte of a TCP stream arrived at {server.address}")
    return received["bits_per_second"] / 1e9, spent / (received["bytes"] / 1e9)


def stream_command(server: Host, conditions: Conditions, *options: str, port: int = STREAM_PORT) -> list[str | Path]:
    target = [conditions.load, "stream", server.address, str(port), "--seconds", str(conditions.seconds)]
    return [*target, "--congestion-control", conditions.congestion_control, *options]


def sink_command(conditions: Conditions, *options: str, port: int = STREAM_PORT) -> list[str | Path]:
    command = [conditions.load, "stream-sink", str(port), "--seconds", str(SERVER_SECONDS)]
    return [*command, "--congestion-control", conditions.congestion_control, *options]


@contextmanager
def bulk_in_background(client: Host, server: Host, conditions: Conditions) -> Iterator[None]:
    """One TCP stream that runs at full speed when this is entered, and still does when it is left."""
    with server.namespace.start_server("tcp", STREAM_PORT, *sink_command(conditions)):
        _, start = server.received()
        with client.namespace.start(*stream_command(server, replace(conditions, seconds=SERVER_SECONDS))) as sender:
            sender.wait_until(lambda: server.received()[1] - start > BULK_START_BYTES, "bulk traffic")
            yield
            sender.require_running()


def small_frames(
    client: Host, server: Host, conditions: Conditions, payload: int, rate: float = 0, spin: bool = False
) -> Delivery:
    """UDP from one socket to another. rate: datagrams per second; 0 sends as fast as possible."""
    load, port = conditions.load, str(LOAD_PORT)
    command = (load, "sink", port, "--seconds", str(SERVER_SECONDS), *(["--spin"] if spin else []))
    with server.namespace.start_server("udp", LOAD_PORT, *command) as sink:
        before = busy_cpu_seconds()
        sender = flood(client, server.address, conditions, payload, rate)
        spent = busy_cpu_seconds() - before
        time.sleep(DRAIN_SECONDS)
        receiver = json.loads(sink.stop())
    return Delivery(
        sender["sent"], sender["datagrams_per_second"], receiver["received"], receiver["datagrams_per_second"], spent
    )


def flood(client: Host, address: str, conditions: Conditions, payload: int, rate: float = 0) -> dict:
    """What martlet-load tells of itself."""
    output = client.namespace.run(
        *(conditions.load, "flood", address, str(LOAD_PORT), "--payload", str(payload)),
        *("--seconds", str(conditions.seconds), "--rate", str(rate)),
        timeout=conditions.seconds + SLACK_SECONDS,
    )
    return json.loads(output)


@dataclass(frozen=True)
class RoundTrips:
    """Times in microseconds."""

    p50: float
    p99: float
    p999: float
    cpu: float  # of the whole machine, for one round trip


def round_trips(
    client: Host, server: Host, conditions: Conditions, cpus: tuple[int, int] | None, number: int = LOAD_PORT
) -> RoundTrips:
    """cpus: what client and server are pinned to; None leaves them free. number: of the server's port."""
    load, port = conditions.load, str(number)
    control = ("--congestion-control", conditions.congestion_control)
    client_cpu, server_cpu = [("--cpu", str(cpu)) for cpu in cpus] if cpus else [(), ()]
    command = (load, "echo", port, "--seconds", str(SERVER_SECONDS), *server_cpu, *control)
    with server.namespace.start_server("tcp", number, *command):
        before = busy_cpu_seconds()
        output = client.namespace.run(
            *(load, "latency", "tcp", server.address, port, "--payload", str(REQUEST_PAYLOAD)),
            *("--seconds", str(conditions.seconds), *client_cpu, *control),
            timeout=conditions.seconds + SLACK_SECONDS,
        )
        spent = busy_cpu_seconds() - before
    figures = json.loads(output)
    cpu = spent / max(1, figures["round_trips"]) * 1e6
    return RoundTrips(figures["p50_us"], figures["p99_us"], figures["p999_us"], cpu)


@dataclass(frozen=True)
class NewConnections:
    """Connect, request, response, close. Times in microseconds, for all four."""

    per_second: float
    p50: float
    p99: float
    cpu: float  # of the whole machine, for one connection


def new_connections(client: Host, server: Host, conditions: Conditions, number: int = LOAD_PORT) -> NewConnections:
    """number: of the server's port."""
    control = ("--congestion-control", conditions.congestion_control)
    threads = str(CONCURRENCY)
    serve = (conditions.load, "echo", str(number), "--threads", threads, "--seconds", str(SERVER_SECONDS), *control)
    with server.namespace.start_server("tcp", number, *serve):
        before = busy_cpu_seconds()
        output = client.namespace.run(
            *(conditions.load, "connect", server.address, str(number), "--concurrency", threads),
            *("--payload", str(REQUEST_PAYLOAD), "--seconds", str(conditions.seconds), *control),
            timeout=conditions.seconds + SLACK_SECONDS,
        )
        spent = busy_cpu_seconds() - before
    figures = json.loads(output)
    if not figures["connections"]:
        raise ProgramFailed(f"no connection to {server.address} was answered")
    if figures["failed"] > figures["connections"] * FAILED_SHARE:
        raise ProgramFailed(f"{figures['failed']} connections failed beside {figures['connections']} that did not")
    cpu = spent / figures["connections"] * 1e6
    return NewConnections(figures["connections_per_second"], figures["p50_us"], figures["p99_us"], cpu)


@contextmanager
def sink(server: Host, conditions: Conditions) -> Iterator[Background]:
    """What comes to LOAD_PORT by UDP is taken, and counted."""
    command = (conditions.load, "sink", str(LOAD_PORT), "--seconds", str(SERVER_SECONDS))
    with server.namespace.start_server("udp", LOAD_PORT, *command) as program:
        yield program


def make_sessions(client: Host, server: Host, conditions: Conditions, count: int):
    """A datagram from each of so many sources, slowly enough to lose none, and once more for those that were lost."""
    with sink(server, conditions):
        for _ in range(SESSION_PASSES):
            client.namespace.run(
                *(conditions.load, "sessions", server.address, str(LOAD_PORT), "--count", str(count)),
                *("--rate", str(SESSION_RATE)),
                timeout=count / SESSION_RATE + SLACK_SECONDS,
            )
        time.sleep(DRAIN_SECONDS)


def spread_frames(client: Host, server: Host, conditions: Conditions, count: int, payload: int) -> Delivery:
    """UDP as fast as it goes, each datagram from another of so many sources."""
    with sink(server, conditions) as receiving:
        before = busy_cpu_seconds()
        output = client.namespace.run(
            *(conditions.load, "sessions", server.address, str(LOAD_PORT), "--count", str(count)),
            *("--payload", str(payload), "--seconds", str(conditions.seconds)),
            timeout=conditions.seconds + SLACK_SECONDS,
        )
        spent = busy_cpu_seconds() - before
        time.sleep(DRAIN_SECONDS)
        receiver, sender = json.loads(receiving.stop()), json.loads(output)
    return Delivery(
        sender["sent"], sender["datagrams_per_second"], receiver["received"], receiver["datagrams_per_second"], spent
    )


def parallel_small_frames(pairs: list[Pair], conditions: Conditions, payload: int) -> float:
    """Datagrams per second that all servers get, while every client sends as fast as it can."""
    with ExitStack() as stack:
        sinks, senders = [], []
        for port, (_, server) in enumerate(pairs, LOAD_PORT):
            command = (conditions.load, "sink", str(port), "--seconds", str(SERVER_SECONDS))
            sinks.append(stack.enter_context(server.namespace.start_server("udp", port, *command)))
        for port, (client, server) in enumerate(pairs, LOAD_PORT):
            command = (conditions.load, "flood", server.address, str(port), "--payload", str(payload))
            sender = client.namespace.start(*command, "--seconds", str(conditions.seconds))
            senders.append(stack.enter_context(sender))
        for sender in senders:
            sender.finish(conditions.seconds + SLACK_SECONDS)
        time.sleep(DRAIN_SECONDS)
        return sum(json.loads(sink.stop())["datagrams_per_second"] for sink in sinks)


def parallel_bulk(pairs: list[Pair], conditions: Conditions) -> float:
    """Gbit/s that all servers get, over one TCP stream a pair."""
    with ExitStack() as stack:
        sinks = [
            stack.enter_context(server.namespace.start_server("tcp", port, *sink_command(conditions, port=port)))
            for port, (_, server) in enumerate(pairs, STREAM_PORT)
        ]
        senders = [
            stack.enter_context(client.namespace.start(*stream_command(server, conditions, port=port)))
            for port, (client, server) in enumerate(pairs, STREAM_PORT)
        ]
        for sender in senders:
            sender.finish(conditions.seconds + SLACK_SECONDS)
        return sum(json.loads(sink.finish(SLACK_SECONDS))["bits_per_second"] for sink in sinks) / 1e9
