"""The kernel's bridge with veth pairs, as container runtimes set it up."""

from pathlib import Path

from .veth import VethContender

BRIDGE = "br0"


class KernelBridge(VethContender):
    SYSCTL = "net.bridge.bridge-nf-call-iptables"

    is_peer = False
    has_partial_checksums = True
    most_hosts = 1023  # BR_MAX_PORTS is 1024, and port 0 is not given out (net/bridge/br_if.c)

    def __init__(self, call_iptables: bool):
        super().__init__()
        self.call_iptables = self.shares_table = call_iptables
        self.name = "kernel bridge + br_netfilter" if call_iptables else "kernel bridge"
        self.stem = f"bridge{int(call_iptables)}"

    @classmethod
    def has_br_netfilter(cls) -> bool:
        return Path("/proc/sys", *cls.SYSCTL.split(".", 2)).exists()

    def missing(self) -> str | None:
        if self.call_iptables and not self.has_br_netfilter():
            return "br_netfilter is not loaded"
        return None

    def start(self):
        super().start()
        self.switch.batch(f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up")
        if self.has_br_netfilter():
            self.switch.set_sysctl(self.SYSCTL, str(int(self.call_iptables)))

    def port_commands(self, port: str) -> tuple[str, ...]:
        return (f"link set {port} master {BRIDGE}",)

    def forget_addresses(self):
        self.switch.run("ip", "link", "set", BRIDGE, "type", "bridge", "fdb_flush")
