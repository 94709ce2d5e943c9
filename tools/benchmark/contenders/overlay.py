"""Two hosts of one machine, each with a switch and a container, joined by VXLAN (RFC 7348) over a veth pair."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..namespaces import Host, Namespace
from .contender import FIRST_NUMBER, INTERFACE, MTU, SUBNET4, SUBNET6, Contender
from .kernel_bridge import BRIDGE, KernelBridge
from .martlet import Martlet

WIRE = "u0"  # both ends of the pair between the hosts
HOSTS4, HOSTS_LENGTH4 = ("192.0.2.1", "192.0.2.2"), 24  # RFC 5737
VNI = 42
PORT = 4789
OVERHEAD = 50  # outer IPv4, UDP, VXLAN and the inner Ethernet header
TUNNEL = "vx0"
# Without them each packet is cut and summed before it enters the pair, as for a network card that does neither; and a
# veth joins packets on receipt (GRO) only where the end that sends has no TSO (veth_skb_is_eligible_for_gro of
# drivers/net/veth.c).
NO_OFFLOADS = "tx off tso off gso off gro on".split()


@dataclass(frozen=True)
class Underlay:
    """What the hosts are joined by. carries_offloads: it takes segmented packets whole."""

    mtu: int = MTU
    carries_offloads: bool = True

    @property
    def inner_mtu(self) -> int:
        return self.mtu - OVERHEAD

    def join(self, hosts: list[Namespace]):
        """Makes the pair."""
        hosts[0].batch(f"link add {WIRE} type veth peer name {WIRE} netns {hosts[1].name}")
        for host, address in zip(hosts, HOSTS4):
            host.batch(
                f"address add {address}/{HOSTS_LENGTH4} dev {WIRE}",
                f"link set {WIRE} mtu {self.mtu} up",
            )
            if not self.carries_offloads:
                host.run("ethtool", "-K", WIRE, *NO_OFFLOADS)


class End(Protocol):
    """A switch that can have a tunnel, beside what all switches have."""

    def join_tunnel(self, local: str, remote: str, mtu: int):
        """Called once the underlay is there. mtu: of what passes within the tunnel."""


class KernelEnd(KernelBridge):
    """With a vxlan device on the bridge."""

    def __init__(self, number: int):
        super().__init__(call_iptables=False)
        self.stem = f"vxlan-bridge{number}"

    def join_tunnel(self, local: str, remote: str, mtu: int):
        self.inner_mtu = mtu
        self.switch.batch(*tunnel_commands(local, remote, mtu))

    def port_commands(self, port: str) -> tuple[str, ...]:
        return (f"link set {port} mtu {self.inner_mtu}", *super().port_commands(port))

    def connect(self, sandbox: Namespace, number: int) -> Host:
        connected = super().connect(sandbox, number)
        sandbox.batch(f"link set {INTERFACE} mtu {self.inner_mtu}")
        return connected


def tunnel_commands(local: str, remote: str, mtu: int) -> list[str]:
    """For `ip -batch`."""
    return [
        f"link add {TUNNEL} type vxlan id {VNI} local {local} remote {remote} dstport {PORT}",
        f"link set {TUNNEL} mtu {mtu} master {BRIDGE} up",
    ]


class MartletEnd(Martlet):
    def __init__(self, stem: str, binaries: Path, tell, settings: dict[str, str]):
        super().__init__(binaries, tell)
        self.stem, self.settings = stem, settings

    def start(self):
        self.start_daemon()

    def join_tunnel(self, local: str, remote: str, mtu: int):
        """The daemon derives the MTU itself."""
        tunnel = ("--driver", "overlay", "-o", f"vni={VNI}", "-o", f"local={local}", "-o", f"port={PORT}")
        self.command(
            *("network", "create", self.NETWORK, *tunnel, "--no-gateway", "--subnet", SUBNET4, "--subnet", SUBNET6)
        )
        self.command("overlay", "peer", "add", self.NETWORK, remote)


class Overlay(Contender):
    """hosts are the containers, one on each host. The underlay may be another one each time that it is set up."""

    is_switch = False
    is_peer = False
    most_hosts = 2

    def __init__(self, name: str, stem: str, ends: list[End]):
        super().__init__()
        self.name, self.stem, self.ends = name, stem, ends
        self.underlay = Underlay()

    @property
    def mtu(self) -> int:
        return self.underlay.inner_mtu

    def missing(self) -> str | None:
        return self.ends[0].missing()

    def set_up(self, count: int):
        for end in self.ends:
            end.start()
            self.processes += end.processes
        self.underlay.join([end.switch for end in self.ends])
        for end, local, remote in zip(self.ends, HOSTS4, reversed(HOSTS4)):
            end.join_tunnel(local, remote, self.mtu)
        for number, end in enumerate(self.ends, FIRST_NUMBER):
            end.hosts = [end.connect(end.create_sandbox(number), number)]
            self.hosts += end.hosts

    def tear_down(self):
        self.thaw()
        self.hosts, self.processes = [], []
        for end in self.ends:
            end.tear_down()


class KernelOverlay(Overlay):
    notes = ("vxlan with its defaults: outer UDP checksums are sent (udpcsum), where Martlet sends none over IPv4",)

    def __init__(self):
        super().__init__("kernel vxlan + bridge", "vxlan", [KernelEnd(number) for number in (1, 2)])


class MartletOverlay(Overlay):
    def __init__(self, binaries: Path, tell=lambda text: None, segmentation: str | None = None):
        """segmentation: the most that the kernel is asked for (docs/control-plane.md, tunnel-segmentation)."""
        settings = {} if segmentation is None else {"tunnel-segmentation": segmentation}
        name = ", ".join([Martlet.NAME, *(f"{key} {value}" for key, value in settings.items())])
        stem = "-".join(["martlet-vxlan", *settings.values()])
        super().__init__(name, stem, [MartletEnd(f"{stem}{number}", binaries, tell, settings) for number in (1, 2)])
