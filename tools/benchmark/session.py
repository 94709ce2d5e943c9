"""One run: sets contenders up, measures them in turn, tears them down."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .contenders import Contender, KernelBridge
from .measurements import Conditions, Measurement, busy_cpu_seconds
from .namespaces import Host
from .processes import ProgramFailed, run
from .results import Results, number

MTU = 1500
QUIET_SECONDS = 1.0
BUSY_LIMIT = 0.1


@contextmanager
def standing(contenders: list[Contender]) -> Iterator[None]:
    """Sets all contenders up, makes their hosts alike and proves that they reach each other."""
    with ExitStack() as stack:
        for contender in contenders:
            contender.set_up()
            stack.callback(contender.tear_down)
            for host in contender.hosts:
                prepare(host, contender)
            first, second = contender.hosts
            first.ping(second.address)
            first.ping(second.address6)
        yield


def prepare(host: Host, contender: Contender):
    host.prepare()
    if host.mtu() != MTU:
        raise ProgramFailed(f"{contender.name}: {host.interface} has an MTU of {host.mtu()}, not of {MTU}")


def measure(
    contenders: list[Contender], suite: list[Measurement], conditions: Conditions, rounds: int
) -> Results:
    """Measures A B C, A B C, ...: the pairs whose ratio is taken follow each other at once."""
    results = Results([contender.name for contender in contenders])
    if (busy := busy_share()) > BUSY_LIMIT:
        progress(f"Warning: other programs keep the machine {busy:.0%} busy; these figures are not to be cited.")
    total, done, start = rounds * len(suite) * len(contenders), 0, time.monotonic()
    for turn in range(rounds):
        for measurement in suite:
            for contender in contenders:
                client, server = contender.hosts
                figures = measurement(client, server, conditions)
                results.record(contender.name, figures)
                done += 1
                remaining = (time.monotonic() - start) / done * (total - done)
                values = ", ".join(f"{metric.name} {number(value)} {metric.unit}" for metric, value in figures.items())
                progress(f"round {turn + 1}/{rounds}  {contender.name}: {values}  ({remaining:.0f} s left)")
    return results


def busy_share() -> float:
    """How busy the machine is with other work, 0 to 1; with two CPUs or so, any such work spoils the figures."""
    before = busy_cpu_seconds()
    time.sleep(QUIET_SECONDS)
    return (busy_cpu_seconds() - before) / QUIET_SECONDS / os.cpu_count()


def progress(text: str):
    print(text, file=sys.stderr, flush=True)


def introduction(suite: str, rounds: int, conditions: Conditions) -> str:
    """The sentences that stand above a table."""
    facts = "; ".join(f"{name} {value}" for name, value in machine(conditions).items())
    return f"Suite {suite}, {rounds} interleaved round(s) of {conditions.seconds:g} s. {facts}."


def machine(conditions: Conditions) -> dict[str, str]:
    """What a reader must know to compare a table with another."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return {
        "kernel": platform.release(),
        "cpus": f"{os.cpu_count()} x {model}",
        "congestion control": conditions.congestion_control,
        "MTU": str(MTU),
        "bridge-nf-call-iptables": "0 unless named" if KernelBridge.has_br_netfilter() else "absent",
        "iperf3": run("iperf3", "--version").split()[1],
    }
