"""What policies, and looking, cost: Martlet beside itself."""

from ..contenders import Contender, Martlet
from ..contenders.martlet_policy import MartletBefore, policies
from ..cpu import end_cpus
from .paths import Path, latency, tcp, udp
from .staged import Stage, StagedSuite


def choose(contenders: list[Contender]) -> list[Contender]:
    """The ratios are to Martlet without a policy, whichever switches were asked for."""
    martlet = next((c for c in contenders if type(c) is Martlet and c.workers is None), None)
    before = next((c for c in contenders if isinstance(c, MartletBefore)), None)
    return policies(martlet.binaries, before.binaries if before else None) if martlet else []


def stages() -> list[Stage]:
    path = Path("two endpoints", "Martlet beside itself.", lambda martlet: (martlet.hosts[0], martlet.hosts[1]))
    return [Stage(2, [tcp(path, 1), tcp(path, 4), udp(path, False), udp(path, True), latency(path, end_cpus())])]


SUITE = StagedSuite("policy", "policies, and looking", stages, choose)
