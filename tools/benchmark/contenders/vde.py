"""Virtual Distributed Ethernet: vde_switch, and a vde_plug2tap for each host."""

from ..namespaces import Host, Namespace
from ..processes import Background, run
from .contender import INTERFACE, Contender, add_addresses, host

PORTS = 2048


class VDESwitch(Contender):
    name = "vde_switch"
    stem = "vde"
    packages = ("vde2",)
    programs = ("vde_switch", "vde_plug2tap")
    notes = ("no offloads in the hosts: it has no virtio-net header", "a process beside the switch for each host")

    def version(self) -> str:
        return run("vde_switch", "--version").split()[1]

    def start(self):
        control = self.directory / "control"
        switch = Background("vde_switch", "-s", control, "-n", str(PORTS))
        self.processes.append(switch)
        switch.wait_until((control / "ctl").exists, str(control))

    def connect(self, sandbox: Namespace, number: int) -> Host:
        plug = sandbox.start("vde_plug2tap", "-s", self.directory / "control", INTERFACE)
        self.processes.append(plug)
        plug.wait_until(lambda: sandbox.has_interface(plug.pid, INTERFACE), INTERFACE)
        return add_addresses(host(sandbox, number))
