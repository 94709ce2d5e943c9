"""The kernel's bridge, conntrack and nftables, as container runtimes set them up."""

import shutil

from ..namespaces import Host, Namespace
from .contender import FIRST_NUMBER, PREFIX4, SUBNET4, NotApplicable
from .kernel_bridge import BRIDGE, KernelBridge
from .router import GATEWAY4, GATEWAY6, UPLINK, Port, Router, add_default_routes

CONTAINER4 = f"{PREFIX4}.0.{FIRST_NUMBER}"
SESSION_SECONDS = 300  # of UDP; Martlet's default, where the kernel's is 30 without a reply
SESSION_SLACK = 0.05  # of the table, for what else is there

MASQUERADE = f"""
table ip bench {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {SUBNET4} oifname {UPLINK} masquerade
  }}
}}
"""
MAPS = """
table ip bench {
  map tcp_ports { type inet_service : ipv4_addr . inet_service; }
  map udp_ports { type inet_service : ipv4_addr . inet_service; }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    fib daddr type local dnat ip to tcp dport map @tcp_ports
    fib daddr type local dnat ip to udp dport map @udp_ports
  }
}
"""
# Docker 28's chains, but for what is the same for any number of ports.
CHAINS = f"""
table ip bench {{
  chain docker_nat {{ }}
  chain prerouting {{
    type nat hook prerouting priority dstnat;
    fib daddr type local jump docker_nat
  }}
  chain docker_filter {{ }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    oifname {BRIDGE} jump docker_filter
    iifname {BRIDGE} accept
  }}
}}
"""


class KernelRouter(Router, KernelBridge):
    """Published ports are entries of one map."""

    packages = ("conntrack",)
    programs = ("nft",)
    ruleset = MASQUERADE + MAPS

    def __init__(self):
        super().__init__(call_iptables=False)
        self.name = "kernel bridge + nftables"
        self.stem = "nftables"

    def start(self):
        KernelBridge.start(self)
        self.join_outside()
        self.switch.batch(f"address add {GATEWAY4}/16 dev {BRIDGE}", f"address add {GATEWAY6}/64 dev {BRIDGE} nodad")
        self.switch.set_sysctl("net.ipv4.ip_forward", "1")
        self.switch.set_sysctl("net.ipv6.conf.all.forwarding", "1")
        self.tell_nftables(self.ruleset)
        # They are there when conntrack is in use.
        for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            self.switch.set_sysctl(f"net.netfilter.{name}", str(SESSION_SECONDS))

    def connect(self, sandbox: Namespace, number: int) -> Host:
        container = KernelBridge.connect(self, sandbox, number)
        add_default_routes(sandbox)
        return container

    def publish(self, ports: tuple[Port, ...]):
        self.tell_nftables("\n".join(map_commands("add", ports)))

    def withdraw(self, ports: tuple[Port, ...]):
        self.tell_nftables("\n".join(map_commands("delete", ports)))

    def tell_nftables(self, commands: str):
        """In one transaction."""
        self.switch.run("nft", "-f", "-", text=commands)

    def require_room(self, sessions: int):
        if not shutil.which("conntrack"):
            raise NotApplicable("conntrack, which empties the table, could not be found or installed")
        setting = "net.netfilter.nf_conntrack_max"
        most = int(self.switch.run("sysctl", "-n", setting))
        if sessions * (1 + SESSION_SLACK) > most:
            # It belongs to the machine's first namespace alone (net/netfilter/nf_conntrack_standalone.c).
            raise NotApplicable(f"the machine's {setting} is {most}; `sysctl -w {setting}={2 * sessions}` raises it")

    def forget_sessions(self):
        self.switch.run("conntrack", "-F")

    def session_count(self) -> int | None:
        return int(self.switch.run("sysctl", "-n", "net.netfilter.nf_conntrack_count"))


class RuleRouter(KernelRouter):
    """Published ports are rules, two each, as Docker writes them; but all in one transaction."""

    ruleset = MASQUERADE + CHAINS
    publishes_only = True
    notes = ("for each port a rule in the NAT chain and one in the filter, as Docker has it, in one transaction",)

    def __init__(self):
        super().__init__()
        self.name = "kernel bridge + nftables, a rule a port"
        self.stem = "nftables-rules"
        self.ports: tuple[Port, ...] = ()

    def publish(self, ports: tuple[Port, ...]):
        self.tell_nftables("\n".join(rule_commands(ports)))
        self.ports += ports

    def withdraw(self, ports: tuple[Port, ...]):
        # A rule is deleted by a handle, which would have to be asked for: written anew, without these.
        gone = set(ports)
        self.ports = tuple(port for port in self.ports if port not in gone)
        flush = [f"flush chain ip bench {chain}" for chain in ("docker_nat", "docker_filter")]
        self.tell_nftables("\n".join([*flush, *rule_commands(self.ports)]))

    def tear_down(self):
        self.ports = ()
        super().tear_down()


def map_commands(verb: str, ports: tuple[Port, ...]) -> list[str]:
    """For nft: one for each protocol. verb: add or delete."""
    commands = []
    for protocol in ("tcp", "udp"):
        numbers = [number for of, number in ports if of == protocol]
        if numbers:
            elements = ", ".join(f"{number} : {CONTAINER4} . {number}" for number in numbers)
            commands.append(f"{verb} element ip bench {protocol}_ports {{ {elements} }}")
    return commands


def rule_commands(ports: tuple[Port, ...]) -> list[str]:
    """For nft: two for each port."""
    return [
        f"add rule ip bench {chain} {rule}"
        for protocol, number in ports
        for chain, rule in (
            ("docker_nat", f"iifname != {BRIDGE} {protocol} dport {number} dnat to {CONTAINER4}:{number}"),
            ("docker_filter", f"ip daddr {CONTAINER4} iifname != {BRIDGE} {protocol} dport {number} accept"),
        )
    ]
