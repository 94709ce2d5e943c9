"""The C prototype of Martlet's design, compiled from a directory that has its sw.c."""

import shutil
from pathlib import Path

from ..namespaces import Host, Namespace
from ..processes import Background, run
from .contender import INTERFACE, Contender, add_addresses, host


class Prototype(Contender):
    OPTIONS = "-n 32 -g -s 50 -a -z 30".split()

    name = "C prototype"
    stem = "prototype"
    is_peer = False  # but the same design
    connects_one_by_one = False

    def __init__(self, sources: Path):
        super().__init__()
        self.sources = sources

    def missing(self) -> str | None:
        if not (self.sources / "sw.c").is_file():
            return f"{self.sources} has no sw.c"
        return None if shutil.which("gcc") else "gcc is not installed"

    def start(self):
        self.program = self.directory / "sw"
        run("gcc", "-O2", "-w", "-o", self.program, self.sources / "sw.c", "-luring", "-lpthread")

    def connect(self, sandbox: Namespace, number: int) -> Host:
        return host(sandbox, number)

    def complete(self):
        # It takes all its ports at its start.
        ports = [word for host in self.hosts for word in ("-p", f"tap:{host.namespace.name}:{INTERFACE}")]
        switch = Background(self.program, *ports, *self.OPTIONS)
        self.processes.append(switch)
        switch.wait_for_line("ready")
        for connected in self.hosts:
            add_addresses(connected)
