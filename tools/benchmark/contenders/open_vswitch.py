"""Open vSwitch in user space: its `netdev` datapath, over AF_PACKET or over AF_XDP."""

from ..processes import run
from .contender import Contender
from .veth import VethContender

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
BRIDGE = "br0"
START_SECONDS = 10


class OpenVSwitch(VethContender):
    packages = ("openvswitch-switch",)
    programs = ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl")

    def __init__(self, over_xdp: bool = False, table_size: int | None = None):
        super().__init__()
        self.over_xdp = self.shares_table = over_xdp
        self.table_size = table_size
        self.name = f"Open vSwitch, {'AF_XDP' if over_xdp else 'AF_PACKET'}"
        self.stem = "ovs-xdp" if over_xdp else "ovs"
        self.notes = (self.NO_OFFLOADS,)
        if over_xdp:
            self.notes += ("one thread that polls without pause, while it is measured",)
            self.most_hosts = 16  # each port pins a buffer of its own
        if table_size is not None:
            self.name += f", mac-table-size {table_size}"
            self.stem += f"-{table_size}"

    def version(self) -> str:
        return run("ovs-vswitchd", "--version").splitlines()[0].split()[-1]

    def larger(self, addresses: int) -> Contender:
        return OpenVSwitch(self.over_xdp, addresses)

    def start(self):
        super().start()
        # Debian's paths are those of a switch that may already run on this machine.
        places = [f"{name}={self.directory}" for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")]
        self.environment = ["env", *places]
        database, socket = self.directory / "conf.db", self.directory / "db.sock"
        run(*self.environment, "ovsdb-tool", "create", database, SCHEMA)
        server = self.switch.start(*self.environment, "ovsdb-server", database, f"--remote=punix:{socket}")
        self.processes.append(server)
        server.wait_until(socket.exists, str(socket))
        self.processes.append(self.switch.start(*self.environment, "ovs-vswitchd", f"unix:{socket}"))
        self.configure("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", "fail-mode=standalone")
        if self.table_size is not None:
            self.configure("set", "bridge", BRIDGE, f"other-config:mac-table-size={self.table_size}")

    def configure(self, *command: str):
        """Runs ovs-vsctl, which returns when the switch has carried it out."""
        socket = f"--db=unix:{self.directory / 'db.sock'}"
        self.switch.run(*self.environment, "ovs-vsctl", socket, f"--timeout={START_SECONDS}", *command)

    def attach(self, port: str):
        settings = ["--", "set", "interface", port, "type=afxdp"] if self.over_xdp else []
        self.configure("add-port", BRIDGE, port, *settings)

    def forget_addresses(self):
        control = next(self.directory.glob("ovs-vswitchd.*.ctl"))
        self.switch.run(*self.environment, "ovs-appctl", "-t", control, "fdb/flush", BRIDGE)
