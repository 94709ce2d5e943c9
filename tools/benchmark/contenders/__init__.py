"""What is measured, in the order in which they take their turns. The first is the base of all ratios."""

from pathlib import Path

from .contender import Contender, NotApplicable
from .docker import Docker, DockerBridge, DockerMartlet
from .docker_proxy import DockerProxy
from .kernel_bridge import KernelBridge
from .kernel_router import KernelRouter, RuleRouter
from .martlet import Martlet
from .martlet_policy import MartletBefore
from .martlet_router import MartletRouter
from .open_vswitch import OpenVSwitch
from .overlay import KernelOverlay, MartletOverlay, Overlay
from .prototype import Prototype
from .router import Router
from .testpmd import TestPMD
from .vde import VDESwitch

__all__ = [
    "Contender",
    "KernelBridge",
    "Martlet",
    "NotApplicable",
    "Overlay",
    "Router",
    "contenders",
    "dockers",
    "overlays",
    "routers",
    "switches",
]


def contenders(binaries: Path, prototype: Path | None, before: Path | None = None) -> dict[str, Contender]:
    """By the names that --peers takes. Martlet comes next to the base: the less lies between, the less drifts."""
    every: dict[str, Contender] = {"bridge": KernelBridge(call_iptables=False), "martlet": Martlet(binaries)}
    if prototype:
        every["prototype"] = Prototype(prototype)
    if before:
        every["before"] = MartletBefore(before)
    return every | {
        "martlet-one": Martlet(binaries, workers=1),
        "br_netfilter": KernelBridge(call_iptables=True),
        "ovs": OpenVSwitch(),
        "ovs-xdp": OpenVSwitch(over_xdp=True),
        "testpmd": TestPMD(),
        "vde": VDESwitch(),
        "nft-rules": RuleRouter(),
        "docker-proxy": DockerProxy(),
        "split": MartletOverlay(binaries, segmentation="datagrams"),
    }


def switches(contenders: list[Contender]) -> list[Contender]:
    return [contender for contender in contenders if contender.is_switch]


def routers(contenders: list[Contender]) -> list[Router]:
    """Those that are routers, and of switches that can be routers too the router."""
    found: list[Router] = []
    for contender in contenders:
        if isinstance(contender, Router):
            found.append(contender)
        elif isinstance(contender, KernelBridge) and not contender.call_iptables:
            found.append(KernelRouter())
        elif isinstance(contender, Martlet) and contender.workers is None:
            found.append(MartletRouter(contender.binaries, contender.tell))
    return found


def dockers(contenders: list[Contender]) -> list[Docker]:
    """In place of the kernel bridge and of Martlet, an engine on each."""
    found: list[Docker] = []
    for contender in contenders:
        if isinstance(contender, Router):
            continue
        if isinstance(contender, KernelBridge) and not contender.call_iptables:
            found.append(DockerBridge())
        elif isinstance(contender, Martlet) and contender.workers is None:
            found.append(DockerMartlet(contender.binaries, contender.tell))
    return found


def overlays(contenders: list[Contender]) -> list[Overlay]:
    """Those that are overlays, and in place of the kernel bridge and of Martlet two hosts of each."""
    found: list[Overlay] = []
    for contender in contenders:
        if isinstance(contender, Overlay):
            found.append(contender)
        elif isinstance(contender, Router):
            continue
        elif isinstance(contender, KernelBridge) and not contender.call_iptables:
            found.append(KernelOverlay())
        elif isinstance(contender, Martlet) and contender.workers is None:
            found.append(MartletOverlay(contender.binaries, contender.tell))
    return found
