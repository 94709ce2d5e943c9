"""The switches that are measured. Each joins two hosts and leaves no trace after tear_down."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from .namespaces import Host, Namespace
from .processes import Background, ProgramFailed, run

PREFIX4, PREFIX6 = "10.77.0.", "fd77::"
INTERFACE = "eth0"


class Contender:
    """A switch with two hosts on it. Subclasses set `hosts` in set_up."""

    name: str
    hosts: tuple[Host, Host]

    def missing(self) -> str | None:
        """Why it cannot run on this machine; None when it can."""
        return None

    def set_up(self):
        raise NotImplementedError

    def tear_down(self):
        raise NotImplementedError


def add_address(namespace: Namespace, number: int) -> Host:
    """Gives eth0 in the namespace the addresses of host `number`, and brings it up."""
    host = Host(namespace, INTERFACE, f"{PREFIX4}{number}", f"{PREFIX6}{number}")
    namespace.run("ip", "address", "add", f"{host.address}/24", "dev", INTERFACE)
    namespace.run("ip", "address", "add", f"{host.address6}/64", "dev", INTERFACE, "nodad")
    namespace.run("ip", "link", "set", INTERFACE, "up")
    return host


class KernelBridge(Contender):
    """The kernel's bridge with veth pairs, as container runtimes set it up."""

    SYSCTL = "net.bridge.bridge-nf-call-iptables"

    def __init__(self, call_iptables: bool):
        self.call_iptables = call_iptables
        self.name = "kernel bridge + br_netfilter" if call_iptables else "kernel bridge"
        self.namespaces: list[Namespace] = []

    @classmethod
    def has_br_netfilter(cls) -> bool:
        return Path("/proc/sys", *cls.SYSCTL.split(".", 2)).exists()

    def missing(self) -> str | None:
        if self.call_iptables and not self.has_br_netfilter():
            return "br_netfilter is not loaded"
        return None

    def set_up(self):
        stem = f"bridge{int(self.call_iptables)}"
        switch = self._create(f"{stem}-switch")
        switch.run("ip", "link", "add", "br0", "type", "bridge")
        switch.run("ip", "link", "set", "br0", "up")
        if self.has_br_netfilter():
            switch.set_sysctl(self.SYSCTL, str(int(self.call_iptables)))
        hosts = []
        for number in (2, 3):
            host = self._create(f"{stem}-host{number}")
            port = f"port{number}"
            switch.run("ip", "link", "add", port, "type", "veth", "peer", "name", INTERFACE, "netns", host.name)
            switch.run("ip", "link", "set", port, "master", "br0", "up")
            hosts.append(add_address(host, number))
        self.hosts = (hosts[0], hosts[1])

    def _create(self, name: str) -> Namespace:
        self.namespaces.append(Namespace.create(name))
        return self.namespaces[-1]

    def tear_down(self):
        for namespace in self.namespaces:
            namespace.delete()


class Martlet(Contender):
    """martletd in a namespace of its own, driven by the commands that a person would type."""

    name = "martlet"
    NETWORK = "bench"

    def __init__(self, binaries: Path, tell=lambda text: None):
        self.binaries = binaries
        self.tell = tell

    def set_up(self):
        self.directory = Path(tempfile.mkdtemp(prefix="martlet-"))
        self.namespace = Namespace.create("martlet-switch")
        places = {"--state-dir": "state", "--socket": "sock", "--run-dir": "run"}
        arguments = [word for flag, name in places.items() for word in (flag, str(self.directory / name))]
        self.tell(f"martletd {' '.join(arguments)}")
        self.daemon: Background = self.namespace.start(self.binaries / "martletd", *arguments)
        self.daemon.wait_for_line("ready")
        subnets = ("--subnet", f"{PREFIX4}0/24", "--subnet", f"{PREFIX6}/64")
        self.command("network", "create", self.NETWORK, "--no-gateway", *subnets)
        self.hosts = (self._connect("martlet-host2"), self._connect("martlet-host3"))

    def _connect(self, sandbox: str) -> Host:
        self.command("sandbox", "create", sandbox)
        self.command("network", "connect", self.NETWORK, sandbox)
        namespace = Namespace(sandbox)
        link = next(link for link in json.loads(namespace.run("ip", "-j", "address")) if link["ifname"] != "lo")
        addresses = {a["family"]: a["local"] for a in link["addr_info"] if a["scope"] == "global"}
        return Host(namespace, link["ifname"], addresses["inet"], addresses["inet6"])

    def command(self, *arguments: str) -> str:
        """Runs `martlet ARGUMENTS` and returns what it printed."""
        self.tell(f"martlet {' '.join(arguments)}")
        return self.namespace.run(self.binaries / "martlet", "--socket", self.directory / "sock", *arguments)

    def tear_down(self):
        try:
            self.command("shutdown", "--purge")
        except ProgramFailed as failure:
            print(f"martlet shutdown --purge failed: {failure}", file=sys.stderr)
        self.daemon.stop()
        if left := [host.namespace.name for host in self.hosts if host.namespace.exists()]:
            print(f"martlet shutdown --purge left {', '.join(left)} behind", file=sys.stderr)
        shutil.rmtree(self.directory)
        self.namespace.delete()


class Prototype(Contender):
    """The C prototype of the same design, compiled from a directory that has its sw.c."""

    OPTIONS = "-n 32 -g -s 50 -a -z 30".split()

    def __init__(self, sources: Path):
        self.name = "C prototype"
        self.sources = sources

    def missing(self) -> str | None:
        if not (self.sources / "sw.c").is_file():
            return f"{self.sources} has no sw.c"
        return None if shutil.which("gcc") else "gcc is not installed"

    def set_up(self):
        self.directory = Path(tempfile.mkdtemp(prefix="prototype-"))
        binary = self.directory / "sw"
        run("gcc", "-O2", "-w", "-o", binary, self.sources / "sw.c", "-luring", "-lpthread")
        self.namespaces = [Namespace.create(f"prototype-host{number}") for number in (2, 3)]
        ports = [word for space in self.namespaces for word in ("-p", f"tap:{space.name}:{INTERFACE}")]
        self.switch = Background(binary, *ports, *self.OPTIONS)
        self.switch.wait_for_line("ready")
        first, second = (add_address(space, number) for space, number in zip(self.namespaces, (2, 3)))
        self.hosts = (first, second)

    def tear_down(self):
        self.switch.stop()
        for namespace in self.namespaces:
            namespace.delete()
        shutil.rmtree(self.directory)
