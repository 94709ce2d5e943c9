"""The switches that are measured, in the order in which they take their turns. The first is the base of all ratios."""

from pathlib import Path

from .contender import Contender, NotApplicable
from .kernel_bridge import KernelBridge
from .martlet import Martlet
from .open_vswitch import OpenVSwitch
from .prototype import Prototype
from .testpmd import TestPMD
from .vde import VDESwitch

__all__ = ["Contender", "KernelBridge", "Martlet", "NotApplicable", "contenders"]


def contenders(binaries: Path, prototype: Path | None) -> dict[str, Contender]:
    """By the names that --peers takes. Martlet comes next to the base: the less lies between, the less drifts."""
    every: dict[str, Contender] = {"bridge": KernelBridge(call_iptables=False), "martlet": Martlet(binaries)}
    if prototype:
        every["prototype"] = Prototype(prototype)
    return every | {
        "martlet-one": Martlet(binaries, workers=1),
        "br_netfilter": KernelBridge(call_iptables=True),
        "ovs": OpenVSwitch(),
        "ovs-xdp": OpenVSwitch(over_xdp=True),
        "testpmd": TestPMD(),
        "vde": VDESwitch(),
    }
