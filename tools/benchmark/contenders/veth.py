"""Switches whose ports are one end of a veth pair."""

from ..namespaces import Host, Namespace
from .contender import INTERFACE, Contender, add_addresses, host


class VethContender(Contender):
    """Makes the pairs; subclasses take the ports, which lie in the namespace `switch`."""

    # A switch that reads frames without a virtio-net header would get them with their checksums still to be made.
    has_partial_checksums = False
    NO_OFFLOADS = "no checksum and segmentation offloads in the hosts: it reads frames without a virtio-net header"

    def start(self):
        self.switch = self.create_namespace(f"{self.stem}-switch")

    def connect(self, sandbox: Namespace, number: int) -> Host:
        port = f"port{number}"
        self.switch.batch(
            f"link add {port} type veth peer name {INTERFACE} netns {sandbox.name}",
            *self.port_commands(port),
            f"link set {port} up",
        )
        if not self.has_partial_checksums:
            sandbox.run("ethtool", "-K", INTERFACE, "tx", "off", "tso", "off", "gso", "off")
        connected = add_addresses(host(sandbox, number))
        self.attach(port)
        return connected

    def port_commands(self, port: str) -> tuple[str, ...]:
        """Further commands for `ip -batch` in the switch's namespace."""
        return ()

    def attach(self, port: str):
        """Puts the port on the switch."""
