"""Routers with NAT: a host with an uplink to a machine outside, and one container behind it."""

from dataclasses import replace

from ..namespaces import Host, Namespace
from ..ports import LOAD_PORT, STREAM_PORT
from .contender import FIRST_NUMBER, INTERFACE, PREFIX4, PREFIX6, Contender

UPLINK = "uplink0"  # the host's end of the pair that leads outside
HOST4, OUTSIDE4, OUTSIDE_LENGTH4 = "198.51.100.1", "198.51.100.2", 24  # RFC 5737
HOST6, OUTSIDE6, OUTSIDE_LENGTH6 = "fd51::1", "fd51::2", 64
SOURCES4 = "198.18.0.0/15"  # RFC 2544, appendix C.2.2: what `martlet-load sessions` sends from lies outside too
GATEWAY4, GATEWAY6 = f"{PREFIX4}.0.1", f"{PREFIX6}1"

Port = tuple[str, int]  # a protocol, tcp or udp, and a number: the host's and the container's alike
SERVICES: tuple[Port, ...] = (("tcp", STREAM_PORT), ("tcp", LOAD_PORT), ("udp", LOAD_PORT))


class Router(Contender):
    """hosts[0] is the container, hosts[1] the machine outside; `switch` is the namespace of the host between them."""

    is_switch = False
    most_hosts = 2
    publishes_only = False  # measured for how it publishes ports, and for nothing else

    def set_up(self, count: int):
        self.start()
        container = self.connect(self.create_sandbox(FIRST_NUMBER), FIRST_NUMBER)
        self.hosts = [container, self.outside]
        for host in self.hosts:
            # The side that closes a connection keeps its port for a minute: 470 connections a second would use up all.
            host.namespace.set_sysctl("net.ipv4.tcp_tw_reuse", "1")
        self.publish(SERVICES)
        self.complete()

    def join_outside(self):
        """Makes the machine outside, and the pair that leads to it. To be called by start, when there is `switch`."""
        namespace = self.create_namespace(f"{self.stem}-outside")
        self.switch.batch(
            f"link add {UPLINK} type veth peer name {INTERFACE} netns {namespace.name}",
            f"address add {HOST4}/{OUTSIDE_LENGTH4} dev {UPLINK}",
            f"address add {HOST6}/{OUTSIDE_LENGTH6} dev {UPLINK} nodad",
            f"link set {UPLINK} up",
            f"route add {SOURCES4} via {OUTSIDE4}",
        )
        namespace.batch(
            f"address add {OUTSIDE4}/{OUTSIDE_LENGTH4} dev {INTERFACE}",
            f"address add {OUTSIDE6}/{OUTSIDE_LENGTH6} dev {INTERFACE} nodad",
            f"link set {INTERFACE} up",
            f"route add {PREFIX6}/64 via {HOST6}",  # IPv6 is routed, not translated
        )
        self.outside = Host(namespace, INTERFACE, OUTSIDE4, OUTSIDE6)

    @property
    def published(self) -> Host:
        """The container as the machine outside finds it: what listens there is reached at the host's address."""
        return replace(self.hosts[0], address=HOST4, address6=HOST6)

    def publish(self, ports: tuple[Port, ...]):
        """As fast as it can be told; returns when all of them are reached."""
        raise NotImplementedError

    def withdraw(self, ports: tuple[Port, ...]):
        raise NotImplementedError

    def require_room(self, sessions: int):
        """Raises NotApplicable where it cannot have so many."""

    def forget_sessions(self):
        raise NotImplementedError

    def session_count(self) -> int | None:
        """None where it cannot be told."""
        return None


def add_default_routes(sandbox: Namespace):
    sandbox.batch(f"route add default via {GATEWAY4}", f"route add default via {GATEWAY6}")
