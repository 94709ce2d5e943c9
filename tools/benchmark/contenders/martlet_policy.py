"""Martlet with a policy on its network, or with somebody who looks: what each costs beside the network without."""

from collections.abc import Callable
from pathlib import Path

from .martlet import Martlet

RULES = 1000
LIBRARY = "libMisbehavingPolicy.so"  # told nothing, it is the learning switch's code behind a library's call
SCRAPE = """
import socket, sys, time
while True:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        connection.sendall(b"GET /metrics HTTP/1.1\\r\\nHost: metrics\\r\\nConnection: close\\r\\n\\r\\n")
        while connection.recv(1 << 16):
            pass
    time.sleep(1)
"""


class MartletPolicy(Martlet):
    def __init__(self, binaries: Path, name: str, load: Callable[["MartletPolicy"], list[str]] | None = None):
        super().__init__(binaries)
        self.name = f"{self.NAME}, {name}"
        self.stem = "martlet-" + name.replace(" ", "-").replace(",", "")
        self.load = load

    def complete(self):
        super().complete()
        if self.load:
            self.command("policy", "load", self.NETWORK, *self.load(self))


class MartletScraped(Martlet):
    """Its metrics are read once a second."""

    def __init__(self, binaries: Path):
        super().__init__(binaries)
        self.name = f"{self.NAME}, metrics read once a second"
        self.stem = "martlet-metrics"

    def start_daemon(self):
        place = self.directory / "metrics"
        self.settings = {"metrics": str(place)}
        super().start_daemon()
        self.processes.append(self.switch.start("python3", "-c", SCRAPE, place))


class MartletBefore(Martlet):
    """Another build's programs: of a commit to compare with."""

    def __init__(self, binaries: Path):
        super().__init__(binaries)
        self.name = f"{self.NAME}, before"
        self.stem = "martlet-before"


def built_in(_: MartletPolicy) -> list[str]:
    return ["learning"]


def library(contender: MartletPolicy) -> list[str]:
    return [str(contender.binaries.resolve() / LIBRARY)]


def rules(contender: MartletPolicy) -> list[str]:
    """The traffic meets the last of them; the others are alike, and of several kinds."""
    lines = ["policy many", "default drop"]
    for number in range(RULES - 1):
        address = f"10.{100 + number % 100}.{number // 100}.{number % 250}"
        match number % 4:
            case 0:
                lines.append(f"rule ip.dst {address} -> drop")
            case 1:
                lines.append(f"rule ip.src {address}/32 tcp.dst {1 + number} -> drop")
            case 2:
                lines.append(f"rule udp.dst {20000 + number} ip.src 172.16.{number % 250}.0/24 -> drop")
            case 3:
                lines.append(f"rule eth.src 06:00:00:00:{number // 256:02x}:{number % 256:02x} -> drop")
    lines.append("rule ip.version 4 -> learn")
    path = contender.directory / "many.policy"
    path.write_text("\n".join([*lines, "rule eth.type 0x0806 -> learn", "rule ip.version 6 -> learn"]) + "\n")
    return [str(path)]


def policies(binaries: Path, before: Path | None) -> list[Martlet]:
    """The first is what the others are measured against."""
    found: list[Martlet] = [Martlet(binaries)]
    if before:
        found.append(MartletBefore(before))
    return found + [
        MartletPolicy(binaries, "built-in learning", built_in),
        MartletPolicy(binaries, "learning as a library", library),
        MartletPolicy(binaries, f"{RULES} rules as text", rules),
        MartletScraped(binaries),
    ]
