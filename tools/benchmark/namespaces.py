"""Network namespaces, and hosts that live in them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from .processes import COMMAND_SECONDS, Background, run

NAMED = Path("/run/netns")
TCP_LISTEN = "0A"


class Namespace:
    """A network namespace below /run/netns."""

    def __init__(self, name: str):
        self.name = name

    @classmethod
    def create(cls, name: str) -> "Namespace":
        run("ip", "netns", "add", name)
        namespace = cls(name)
        namespace.run("ip", "link", "set", "lo", "up")
        return namespace

    def delete(self):
        """Does nothing when it is gone."""
        if self.exists():
            run("ip", "netns", "del", self.name)

    def exists(self) -> bool:
        return (NAMED / self.name).exists()

    def command(self, *command: str | Path) -> list[str | Path]:
        # Not `ip netns exec`, which also makes a mount namespace: a sandbox that martletd mounts must show out here.
        return ["nsenter", f"--net={NAMED / self.name}", "--", *command]

    def run(self, *command: str | Path, timeout: float = COMMAND_SECONDS, text: str = "") -> str:
        return run(*self.command(*command), timeout=timeout, text=text)

    def batch(self, *commands: str):
        """Lets one `ip` carry out several commands."""
        self.run("ip", "-batch", "-", text="\n".join(commands) + "\n")

    def start(self, *command: str | Path) -> Background:
        return Background(*self.command(*command))

    def set_sysctl(self, name: str, value: str):
        self.run("sysctl", "-qw", f"{name}={value}")

    def start_server(self, protocol: str, port: int, *command: str | Path) -> Background:
        """Starts a program and returns when it is bound to the port. protocol: tcp or udp."""
        server = self.start(*command)
        server.wait_until(lambda: self._is_bound(server.pid, protocol, port), f"{protocol} port {port}")
        return server

    def has_interface(self, pid: int, interface: str) -> bool:
        """Whether the process that was started in here has got so far, and the interface is there."""
        if not self._has_entered(pid):
            return False
        rows = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
        return any(row.partition(":")[0].strip() == interface for row in rows)

    def _has_entered(self, pid: int) -> bool:
        """Before nsenter has, what /proc shows of the process is still of the namespace that we are in."""
        return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(NAMED / self.name).st_ino

    def _is_bound(self, pid: int, protocol: str, port: int) -> bool:
        try:
            if not self._has_entered(pid):
                return False
            rows = [
                row.split()
                for table in (protocol, f"{protocol}6")
                for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            ]
        except FileNotFoundError:
            return False
        return any(
            int(row[1].rpartition(":")[2], 16) == port and (protocol == "udp" or row[3] == TCP_LISTEN) for row in rows
        )


@dataclass
class Host:
    """One end of a measurement: a namespace with one interface on the switch."""

    namespace: Namespace
    interface: str
    address: str
    address6: str

    def prepare(self):
        """Makes all hosts alike, whichever switch they hang on."""
        self.namespace.run("tc", "qdisc", "replace", "dev", self.interface, "root", "noqueue")

    def mtu(self) -> int:
        return self._link()["mtu"]

    def link_address(self) -> str:
        return self._link()["address"]

    def received(self) -> tuple[int, int]:
        """Frames and bytes, Ethernet headers included, that the interface has taken from the switch."""
        counters = self._link()["stats64"]["rx"]
        return counters["packets"], counters["bytes"]

    def _link(self) -> dict:
        return json.loads(self.namespace.run("ip", "-j", "-s", "link", "show", "dev", self.interface))[0]

    def ping(self, address: str, count: int = 1, seconds: int = 10) -> str:
        """Until `count` were answered; seconds: how long at most."""
        return self.namespace.run("ping", "-n", "-i", "0.2", "-c", str(count), "-w", str(seconds), address)
