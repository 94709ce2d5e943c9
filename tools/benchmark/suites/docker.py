"""Docker's containers: how long they take to start and go, and their traffic."""

import statistics
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass

from ..contenders import Contender, DockerEngine, engines
from ..contenders.contender import MTU
from ..contenders.docker_engine import IMAGE, NETWORK
from ..loads import tcp_bulk
from ..metrics import Conditions, Figures, Group, Measurement, Metric, at_least, at_most
from ..processes import ProgramFailed
from ..results import Results
from .staged import give_up, run_stage, take_away
from .staged import Stage

TRIALS = 5  # of one container; the median counts
CROWD = 100
CROWD_ROUNDS = 3  # a turn takes minutes
CROWD_SECONDS = 600.0


def one_container() -> Measurement:
    method = f"`docker run --rm true`, from the command's start to its end; median of {TRIALS}, one after the other."
    group = Group("one container", method)
    metric = Metric(group, "docker run --rm true", "s", is_rate=False, goals=(at_most(0.9),))

    def measure(engine: DockerEngine, _: Conditions) -> Figures:
        def once() -> float:
            start = time.monotonic()
            engine.docker("run", "--rm", "--network", NETWORK, IMAGE, "true")
            return time.monotonic() - start

        return {metric: statistics.median(once() for _ in range(TRIALS))}

    return Measurement(group.title, measure)


def many_containers() -> Measurement:
    method = f"{CROWD} `docker run --detach` at the same time, until all have ended; then one `docker rm --force` of all."
    group = Group(f"{CROWD} containers in parallel", method)
    start, remove = (
        Metric(group, f"{CROWD} containers, {what}", "s", is_rate=False, goals=goals)
        for what, goals in (("start", (at_most(0.9),)), ("removal", ()))
    )

    def measure(engine: DockerEngine, _: Conditions) -> Figures:
        begin = time.monotonic()
        commands = [subprocess.Popen(list(map(str, engine.docker_command(*engine.run_words()))),
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    for _ in range(CROWD)]  # fmt: skip
        outputs = [command.communicate(timeout=CROWD_SECONDS) for command in commands]
        started = time.monotonic() - begin
        containers = [output.strip() for output, _ in outputs if output.strip()]
        begin = time.monotonic()
        engine.docker("rm", "--force", *containers)
        removed = time.monotonic() - begin
        if len(containers) < CROWD or any(command.returncode for command in commands):
            failures = [complaint for _, complaint in outputs if complaint]
            raise ProgramFailed(f"{CROWD - len(containers)} of {CROWD} containers did not start: {failures[:1]}")
        return {start: started, remove: removed}

    return Measurement(group.title, measure)


def traffic(title: str, method: str, ends) -> Measurement:
    group = Group(title, f"{method} Bits that arrive per second, one stream.")
    cost_group = Group(f"CPU: {title}", "Busy time of all CPUs (/proc/stat) while the stream ran, by what arrived.")
    rate = Metric(group, f"{title}: TCP", "Gbit/s", goals=(at_least(0.85),))
    cost = Metric(cost_group, f"{title}: CPU per GB", "s", is_rate=False)

    def measure(engine: DockerEngine, conditions: Conditions) -> Figures:
        gigabits, cpu_seconds = tcp_bulk(*ends(engine), conditions, streams=1, threads=1)
        return {rate: gigabits, cost: cpu_seconds}

    return Measurement(title, measure)


@dataclass(frozen=True)
class DockerSuite:
    name: str = "docker"
    title: str = "Docker on its own bridge network and on Martlet's"
    is_timed: bool = True

    def choose(self, contenders: list[Contender]) -> list[DockerEngine]:
        return engines(contenders)

    def run(self, contenders: list[DockerEngine], conditions: Conditions, results: Results):
        with ExitStack() as stack:
            present = []
            for engine in contenders:
                stack.callback(take_away, engine)
                try:
                    engine.set_up(2)
                    engine.prepare()
                    require_alike(engine)
                    engine.freeze()
                except ProgramFailed as failure:
                    if engine.name == results.base:
                        raise
                    give_up(engine, "all", failure, results)
                    engine.freeze()
                else:
                    present.append(engine)
            beside = traffic(
                "container to container", "Two containers of one network.", lambda e: (e.peer, e.hosts[0])
            )
            published = traffic(
                "published port", "From the machine outside to a port of the host.", lambda e: (e.hosts[1], e.published)
            )
            run_stage(Stage(2, [one_container(), beside, published]), present, conditions, results)
            run_stage(Stage(2, [many_containers()], most_rounds=CROWD_ROUNDS), present, conditions, results)


def require_alike(engine: DockerEngine):
    for end in (*engine.hosts, engine.peer):
        if end.mtu() != MTU:
            raise ProgramFailed(f"{engine.name}: {end.interface} has an MTU of {end.mtu()}, not of {MTU}")
    engine.peer.ping(engine.hosts[0].address)
    engine.hosts[0].ping(engine.hosts[1].address)


SUITE = DockerSuite()
