"""What all switches that are measured have in common."""

import shutil
import signal
import tempfile
from pathlib import Path

from ..namespaces import Host, Namespace
from ..processes import Background, ProgramFailed

PREFIX4, PREFIX6 = "10.77", "fd77::"
SUBNET4, SUBNET6 = f"{PREFIX4}.0.0/16", f"{PREFIX6}/64"
FIRST_NUMBER = 2  # of hosts; 1 is the gateway's by custom
MOST_HOSTS = 4096
INTERFACE = "eth0"
MTU = 1500


class NotApplicable(Exception):
    """A contender cannot be asked for this figure; the message says why."""


class Contender:
    """A switch with hosts on it.

    set_up is start, create_sandbox and connect for each host, complete; the suite `scale` calls these one by one and
    looks at the clock. Subclasses add the processes that switch to `processes`, so that they can be frozen and their
    time and memory counted.
    """

    name: str
    stem: str  # of the names of its namespaces
    is_peer = True  # a switch in user space that Martlet is set against
    packages: tuple[str, ...] = ()  # Debian's, beyond those of tools/lib/packages.sh
    archives: tuple[str, ...] = ()  # packages that are unpacked below .build, not installed
    programs: tuple[str, ...] = ()
    is_switch = True  # joins hosts at layer 2
    most_hosts = MOST_HOSTS
    mtu = MTU  # of its hosts' interfaces
    connects_one_by_one = True  # hosts can be added while it runs
    shares_table = False  # it learns addresses by the same code as another contender
    notes: tuple[str, ...] = ()  # what it was not given, and other settings that a reader must know

    def __init__(self):
        self.hosts: list[Host] = []
        self.namespaces: list[Namespace] = []
        self.processes: list[Background] = []
        self._directory: Path | None = None

    def missing(self) -> str | None:
        """Why it cannot run on this machine; None when it can."""
        absent = [program for program in self.programs if not shutil.which(program)]
        if not absent:
            return None
        return f"{', '.join(absent)} could not be found or installed (Debian: {' '.join(self.packages)})"

    def version(self) -> str | None:
        """Of the program that switches, where it is not the kernel or this tree."""
        return None

    def larger(self, addresses: int) -> "Contender | None":
        """The same switch, told to remember so many addresses; None when it has no such setting."""
        return None

    def start(self):
        """Starts the switch, without hosts."""
        raise NotImplementedError

    def create_sandbox(self, number: int) -> Namespace:
        """Makes the namespace of a host that is not yet connected."""
        return self.create_namespace(f"{self.stem}-host{number}")

    def connect(self, sandbox: Namespace, number: int) -> Host:
        """Gives the host an interface on the switch, addressed and up."""
        raise NotImplementedError

    def complete(self):
        """Called when all hosts are connected."""

    def set_up(self, count: int):
        self.start()
        numbers = range(FIRST_NUMBER, FIRST_NUMBER + count)
        self.hosts = [self.connect(self.create_sandbox(number), number) for number in numbers]
        self.complete()

    def tear_down(self):
        self.thaw()
        namespaces, processes, directory = self.namespaces, self.processes, self._directory
        # First, so that it can be set up again even when something here fails.
        self.hosts, self.namespaces, self.processes, self._directory = [], [], [], None
        for process in reversed(processes):
            process.stop()
        for namespace in namespaces:
            namespace.delete()
        if directory:
            shutil.rmtree(directory)

    def forget_addresses(self):
        """Empties the table of learned addresses."""
        raise NotApplicable("it cannot be told to forget its addresses")

    @property
    def directory(self) -> Path:
        """For its files; made on first use."""
        if not self._directory:
            self._directory = Path(tempfile.mkdtemp(prefix=f"{self.stem}-"))
        return self._directory

    def create_namespace(self, name: str) -> Namespace:
        namespace = Namespace.create(name)
        self.namespaces.append(namespace)
        return namespace

    def freeze(self):
        """Lets it have no processor until thaw: while others are measured, one that polls must not disturb them."""
        for process in self.processes:
            process.signal(signal.SIGSTOP)

    def thaw(self):
        for process in self.processes:
            process.signal(signal.SIGCONT)

    def require_running(self):
        for process in self.processes:
            process.require_running()

    def cpu_seconds(self) -> float:
        """What its processes have used since they started, in the kernel too."""
        return sum(process_cpu_seconds(process.pid) for process in self.processes)

    def resident_bytes(self) -> int:
        return sum(process_resident_bytes(process.pid) for process in self.processes)


def process_cpu_seconds(pid: int) -> float:
    """Of all threads that live, io_uring's among them, to the nanosecond (Documentation/scheduler/sched-stats.rst)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def process_resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProgramFailed(f"process {pid} has ended")


def host(namespace: Namespace, number: int) -> Host:
    """Host `number` with the addresses that all contenders give it."""
    address = f"{PREFIX4}.{number >> 8}.{number & 0xFF}"
    return Host(namespace, INTERFACE, address, f"{PREFIX6}{number:x}")


def add_addresses(to: Host) -> Host:
    """Gives the host's interface its addresses, and brings it up."""
    to.namespace.batch(
        f"address add {to.address}/16 dev {to.interface}",
        f"address add {to.address6}/64 dev {to.interface} nodad",
        f"link set {to.interface} up",
    )
    return to
