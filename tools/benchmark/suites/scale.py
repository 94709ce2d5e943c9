"""From 2 endpoints to 1024: what more of them cost. Each switch stands alone, and is set up anew in each round."""

import math
import time
from contextlib import suppress
from statistics import median

from ..contenders import Contender, KernelBridge, switches
from ..contenders.contender import FIRST_NUMBER
from ..cpu import busy_share
from ..loads import Pair, parallel_bulk, parallel_small_frames
from ..metrics import Conditions, Figures, Group, Metric
from ..namespaces import Host
from ..processes import ProgramFailed
from ..progress import Remaining, progress
from ..results import Results
from ..stalls import unstalled
from .staged import give_up, make_alike, take_away, written

COUNTS = (2, 16, 64, 256, 1024)
FLOWS = 4
PAYLOAD = 18  # bytes; a 60-byte frame over IPv4
FEWER_ROUNDS = {256: 3, 1024: 2}  # at most, for they take minutes
CONNECT_LIMIT_SECONDS = 300.0
QUIET_SHARE, QUIET_SECONDS, QUIET_LIMIT_SECONDS = 0.05, 0.5, 20.0
PERCENTILE_99 = 0.99

X_LABEL = "endpoints"
FRAMES = Group(
    "Small frames",
    f"{FLOWS} UDP flows of 60-byte frames at a time, between pairs that lie far apart; all that their sinks get.",
    X_LABEL,
)
BULK = Group("Bulk TCP", f"{FLOWS} TCP streams at the same time, between the same pairs.", X_LABEL)
MEMORY = Group(
    "Memory",
    "Resident in the switch's processes. What the kernel keeps for a port is not in it, for any switch.",
    X_LABEL,
)
CONNECT = Group(
    "Time to connect one endpoint, median",
    "From the command to an interface that is up and has its addresses; the programs that are started for it included "
    "(Martlet: one `martlet network connect`; kernel bridge: two `ip -batch`).",
    X_LABEL,
)
SLOWEST = Group("Time to connect one endpoint, p99", "The same; where they are few, the slowest.", X_LABEL)
TOTAL = Group("Time to connect all endpoints", "One after the other.", X_LABEL)


class ScaleSuite:
    name = "scale"
    is_timed = True
    title = f"{COUNTS[0]} to {COUNTS[-1]} endpoints"

    def choose(self, contenders: list[Contender]) -> list[Contender]:
        """br_netfilter costs the same for any number of ports."""
        return [c for c in switches(contenders) if not (isinstance(c, KernelBridge) and c.call_iptables)]

    def run(self, contenders: list[Contender], conditions: Conditions, results: Results):
        turns = [
            (count, turn, contender)
            for count in COUNTS
            for turn in range(min(results.rounds, FEWER_ROUNDS.get(count, results.rounds)))
            for contender in contenders
        ]
        remaining = Remaining([str(count) for count, _, _ in turns], conditions.seconds)
        for count, turn, contender in turns:
            start = time.monotonic()
            figures = take_turn(count, contender, conditions, results)
            results.record(turn, contender.name, figures)
            remaining.finished(str(count), time.monotonic() - start)
            if figures:
                progress(f"{count} endpoints, round {turn + 1}  {contender.name}: {written(figures)}  ({remaining})")


def take_turn(count: int, contender: Contender, conditions: Conditions, results: Results) -> Figures:
    what = f"{count} endpoints"
    if results.is_left_out(contender.name, what):
        return {}
    if not contender.connects_one_by_one:
        results.leave_out(contender.name, what, "it takes all its ports at its start", for_good=True)
        return {}
    hosts = min(count, contender.most_hosts)
    if hosts < count - 1:
        results.leave_out(contender.name, what, f"it takes {contender.most_hosts} at most", for_good=True)
        return {}
    if hosts < count:
        results.leave_out(contender.name, what, f"measured with {hosts}: it takes no more")

    def measure() -> Figures:
        try:
            return set_up_and_measure(count, hosts, contender, conditions)
        finally:
            take_away(contender)

    wait_until_quiet()
    try:
        return unstalled(measure)
    except ProgramFailed as failure:
        # What could not be done once takes as long to fail again.
        give_up(contender, what, failure, results, for_good=True)
        return {}


def set_up_and_measure(count: int, hosts: int, contender: Contender, conditions: Conditions) -> Figures:
    """count: what the figures are filed under."""
    contender.start()
    numbers = range(FIRST_NUMBER, FIRST_NUMBER + hosts)
    sandboxes = [contender.create_sandbox(number) for number in numbers]
    wait_until_quiet()
    times = []
    for sandbox, number in zip(sandboxes, numbers):
        start = time.perf_counter()
        contender.hosts.append(contender.connect(sandbox, number))
        times.append(time.perf_counter() - start)
        if sum(times) > CONNECT_LIMIT_SECONDS:
            raise ProgramFailed(f"only {len(times)} endpoints were connected in {CONNECT_LIMIT_SECONDS:g} s")
    contender.complete()
    make_alike(contender)
    wait_until_quiet()

    chosen = pairs(contender)
    for client, server in chosen:
        acquaint(client, server)
    figures = {
        metric(CONNECT, "connecting one, median", "ms", count): median(times) * 1e3,
        metric(SLOWEST, "connecting one, p99", "ms", count): sorted(times)[math.ceil(PERCENTILE_99 * hosts) - 1] * 1e3,
        metric(TOTAL, "connecting all", "s", count): sum(times),
    }
    if contender.processes:
        figures[metric(MEMORY, "resident memory", "MB", count)] = contender.resident_bytes() / 1e6
    figures[metric(FRAMES, "small frames", "kpps", count)] = parallel_small_frames(chosen, conditions, PAYLOAD) / 1e3
    figures[metric(BULK, "bulk TCP", "Gbit/s", count)] = parallel_bulk(chosen, conditions)
    return figures


def metric(group: Group, name: str, unit: str, count: int) -> Metric:
    return Metric(group, f"{name}, {count} endpoints", unit, is_rate=group in (FRAMES, BULK), x=count)


def pairs(contender: Contender) -> list[Pair]:
    """A pair for each flow; the same pair several times where hosts are few."""
    hosts = contender.hosts
    step = max(2, len(hosts) // FLOWS)
    starts = [index * step % (len(hosts) - step // 2) for index in range(FLOWS)]
    return [(hosts[start], hosts[start + step // 2]) for start in starts]


def acquaint(client: Host, server: Host):
    """Lets two hosts know each other, and the switch know both, without a broadcast that must arrive.

    A veth's frames wait in a queue of 1000 (net.core.netdev_max_backlog), so that of a broadcast to 1022 ports the
    kernel bridge loses some.
    """
    for host, other in ((client, server), (server, client)):
        host.namespace.batch(
            f"neigh replace {other.address} lladdr {other.link_address()} dev {host.interface} nud permanent"
        )
    with suppress(ProgramFailed):
        server.ping(client.address, seconds=1)  # may be flooded and lost, but the switch has learned the sender
    client.ping(server.address)


def wait_until_quiet():
    """Until new interfaces have sent what they announce, and the kernel has taken the old ones away."""
    deadline = time.monotonic() + QUIET_LIMIT_SECONDS
    while busy_share(QUIET_SECONDS) > QUIET_SHARE and time.monotonic() < deadline:
        pass


SUITE = ScaleSuite()
