"""martletd in a namespace of its own, driven by the commands that a person would type."""

import os
import sys
from pathlib import Path

from ..namespaces import Host, Namespace
from ..processes import ProgramFailed
from .contender import INTERFACE, SUBNET4, SUBNET6, Contender, host


class Martlet(Contender):
    NAME = "Martlet"
    is_peer = False
    NETWORK = "bench"
    plugin = "off"  # the machine has one place for it

    def __init__(
        self, binaries: Path, tell=lambda text: None, table_limit: int | None = None, workers: int | None = None
    ):
        """None: the default."""
        super().__init__()
        self.binaries = binaries
        self.tell = tell
        self.table_limit = table_limit
        self.workers = workers
        self.settings = {} if workers is None else {"workers": str(workers)}  # of the configuration file
        self.shares_table = workers is not None
        changed = {"fdb-limit": table_limit, "workers": workers}
        given = [f"{name} {value}" for name, value in changed.items() if value is not None]
        self.name = ", ".join([self.NAME, *given])
        self.stem = "-".join(["martlet", *(name.replace(" ", "-") for name in given)])

    def missing(self) -> str | None:
        if self.workers is not None and self.workers > os.cpu_count():
            return f"{self.workers} workers need as many processors"
        return super().missing()

    def larger(self, addresses: int) -> Contender:
        return Martlet(self.binaries, self.tell, addresses)

    def start(self):
        self.start_daemon()
        options = ["--no-gateway", "--subnet", SUBNET4, "--subnet", SUBNET6]
        if self.table_limit is not None:
            options += ["--fdb-limit", str(self.table_limit)]
        self.command("network", "create", self.NETWORK, *options)

    def start_daemon(self):
        places = {"--state-dir": "state", "--socket": "sock", "--run-dir": "run"}
        arguments = [word for flag, name in places.items() for word in (flag, str(self.directory / name))]
        arguments += ["--docker-plugin", self.plugin]
        self.switch = self.create_namespace(f"{self.stem}-switch")
        if self.settings:
            configuration = self.directory / "martlet.yaml"
            configuration.write_text("".join(f"{key}: {value}\n" for key, value in self.settings.items()))
            arguments += ["--config", str(configuration)]
        self.tell(f"martletd {' '.join(arguments)}")
        daemon = self.switch.start(self.binaries / "martletd", *arguments)
        self.processes.append(daemon)
        daemon.wait_for_line("ready")

    def create_sandbox(self, number: int) -> Namespace:
        sandbox = f"{self.stem}-host{number}"
        self.command("sandbox", "create", sandbox)
        return Namespace(sandbox)

    def connect(self, sandbox: Namespace, number: int) -> Host:
        connected = host(sandbox, number)
        places = ("--ip", connected.address, "--ip6", connected.address6, "--ifname", INTERFACE)
        self.command("network", "connect", self.NETWORK, sandbox.name, *places)
        return connected

    def command(self, *arguments: str) -> str:
        """Runs `martlet ARGUMENTS` and returns what it printed."""
        self.tell(f"martlet {' '.join(arguments)}")
        return self.switch.run(self.binaries / "martlet", "--socket", self.directory / "sock", *arguments)

    def forget_addresses(self):
        self.command("fdb", "flush", self.NETWORK)

    def tear_down(self):
        self.thaw()
        if self.processes:
            try:
                self.command("shutdown", "--purge")
            except ProgramFailed as failure:
                print(f"martlet shutdown --purge failed: {failure}", file=sys.stderr)
        sandboxes = [host.namespace for host in self.hosts if host.namespace not in self.namespaces]
        if left := [sandbox.name for sandbox in sandboxes if sandbox.exists()]:
            print(f"martlet shutdown --purge left {', '.join(left)} behind", file=sys.stderr)
        super().tear_down()
