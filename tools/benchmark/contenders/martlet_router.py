"""martletd with an uplink, driven by the commands that a person would type."""

import json
from pathlib import Path

from ..namespaces import Host, Namespace
from ..processes import ProgramFailed
from .contender import SUBNET4, SUBNET6
from .martlet import Martlet
from .router import UPLINK, Port, Router


class MartletRouter(Router, Martlet):
    def __init__(self, binaries: Path, tell=lambda text: None):
        super().__init__(binaries, tell)
        self.stem = "martlet-nat"

    def start(self):
        self.start_daemon()
        self.join_outside()
        self.command("uplink", "set", UPLINK)
        self.command("network", "create", self.NETWORK, "--subnet", SUBNET4, "--subnet", SUBNET6)

    def connect(self, sandbox: Namespace, number: int) -> Host:
        connected = Martlet.connect(self, sandbox, number)
        self.endpoint = json.loads(self.command("--json", "network", "inspect", self.NETWORK))[0]["endpoints"][0]["id"]
        return connected

    def publish(self, ports: tuple[Port, ...]):
        for specification in specifications(ports):
            self.command("publish", self.endpoint, specification)

    def withdraw(self, ports: tuple[Port, ...]):
        for specification in specifications(ports):
            self.command("unpublish", self.endpoint, specification)

    def forget_sessions(self):
        self.command("session", "flush")

    def session_count(self) -> int | None:
        try:
            return json.loads(self.command("--json", "uplink", "show"))["sessions"]
        except (ProgramFailed, json.JSONDecodeError):
            return None


def specifications(ports: tuple[Port, ...]) -> list[str]:
    """As `martlet publish` takes them: consecutive ports of a protocol as one range; of IPv4, as the others publish them."""
    ranges: list[tuple[str, int, int]] = []
    for protocol, number in sorted(ports):
        if ranges and ranges[-1][0] == protocol and ranges[-1][2] + 1 == number:
            ranges[-1] = (protocol, ranges[-1][1], number)
        else:
            ranges.append((protocol, number, number))
    spans = ((protocol, str(first) if first == last else f"{first}-{last}") for protocol, first, last in ranges)
    return [f"0.0.0.0:{span}:{span}/{protocol}" for protocol, span in spans]
