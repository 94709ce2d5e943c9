"""docker-proxy, Docker's way without rules: a process for each port that copies between two connections."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from ..processes import Background, ProgramFailed
from .contender import NotApplicable
from .kernel_router import CONTAINER4, MASQUERADE, KernelRouter
from .router import Port

UNPACKED = Path(__file__).resolve().parents[3] / ".build" / "peers"  # by tools/lib/packages.sh
# A proxy tells who started it by descriptor 3, and would close what it has there itself.
LAUNCH = """
while read -r protocol port; do
  "$0" -proto "$protocol" -host-ip 0.0.0.0 -host-port "$port" \
    -container-ip "$1" -container-port "$port" </dev/null 3>/dev/null &
done <"$2"
wait
"""
MEMORY_SHARE = 0.5  # of what is free, for a number of ports that is tried


class DockerProxy(KernelRouter):
    packages = ()
    archives = ("docker.io",)
    programs = ("nft", "setsid")
    ruleset = MASQUERADE
    publishes_only = True
    notes = ("a process for each port, no daemon; memory is what is proportionally theirs (PSS)",)

    def __init__(self):
        super().__init__()
        self.name = "kernel bridge + docker-proxy"
        self.stem = "docker-proxy"
        self.launchers: dict[tuple[Port, ...], Background] = {}
        self.bytes_each = 0

    def missing(self) -> str | None:
        return super().missing() if program() else "docker-proxy could not be found or unpacked (Debian: docker.io)"

    def publish(self, ports: tuple[Port, ...]):
        free = available_bytes()
        if len(ports) * self.bytes_each > free * MEMORY_SHARE:
            raise NotApplicable(
                f"{len(ports)} processes of {self.bytes_each / 1e6:.1f} MB each would take more than half of the "
                f"{free / 1e9:.0f} GB that are free"
            )
        listed = self.directory / f"ports-{len(self.launchers)}"
        listed.write_text("".join(f"{protocol} {number}\n" for protocol, number in ports))
        launcher = self.switch.start("setsid", "sh", "-c", LAUNCH, program(), CONTAINER4, listed)
        self.processes.append(launcher)
        self.launchers[ports] = launcher
        try:
            launcher.wait_until(lambda: set(ports) <= bound_ports(launcher.pid), f"{len(ports)} ports")
        except ProgramFailed as failure:
            self.withdraw(ports)
            reason = str(failure).rpartition(": ")[2]
            raise NotApplicable(f"{len(ports)} processes could not be started: {reason}") from failure
        self.bytes_each = self.resident_bytes() // sum(len(of) for of in self.launchers)

    def withdraw(self, ports: tuple[Port, ...]):
        launcher = self.launchers.pop(ports)
        self.processes.remove(launcher)
        # A group of its own, so that those go too that a shell which has ended left behind.
        with suppress(ProcessLookupError):
            os.killpg(launcher.pid, signal.SIGKILL)
        launcher.stop()
        # In the enclosure they are ours now, and would keep their process ids.
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-launcher.pid, 0)

    def resident_bytes(self) -> int:
        return sum(proportional_bytes(pid) for launcher in self.launchers.values() for pid in children(launcher.pid))

    def tear_down(self):
        for ports in list(self.launchers):
            self.withdraw(ports)
        super().tear_down()


def program() -> str | None:
    return shutil.which("docker-proxy") or next(map(str, UNPACKED.glob("usr/*bin/docker-proxy")), None)


def available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise ProgramFailed("/proc/meminfo does not say how much memory is free")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def proportional_bytes(pid: int) -> int:
    """Of pages that several processes have, each counts its part (proc(5), smaps_rollup)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def bound_ports(pid: int) -> set[Port]:
    """In the process's namespace; none when it has ended."""
    found = set()
    for protocol in ("tcp", "udp"):
        for table in (protocol, f"{protocol}6"):
            try:
                rows = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            except OSError:
                return set()
            found |= {(protocol, int(row.split()[1].rpartition(":")[2], 16)) for row in rows}
    return found
