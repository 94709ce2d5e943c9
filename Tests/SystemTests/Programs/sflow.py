"""A collector of sFlow version 5 that writes each sample as a line of JSON, with what tells where it came from.

    sflow.py ADDRESS PORT

Reads by the specification (https://sflow.org/sflow_version_5.txt, section 5) and ends at what does not keep to it. Prints `ready` first.
"""

import ipaddress
import json
import socket
import sys


class Reader:
    """The external data representation (RFC 4506)."""

    def __init__(self, octets):
        self.octets, self.place = octets, 0

    def plain(self, count):
        if self.place + count > len(self.octets):
            raise SystemExit("a datagram is cut")
        self.place += count
        return self.octets[self.place - count : self.place]

    def number(self, count=4):
        return int.from_bytes(self.plain(count), "big")

    def opaque(self):
        octets = self.plain(self.number())
        if any(self.plain(-len(octets) % 4)):
            raise SystemExit("padding is not zero")
        return octets

    def end(self):
        if self.place != len(self.octets):
            raise SystemExit("more was sent than the structure has")


IF_COUNTERS = [
    ("index", 4), ("type", 4), ("speed", 8), ("direction", 4), ("status", 4),
    ("in_octets", 8), ("in_ucast", 4), ("in_multicast", 4), ("in_broadcast", 4), ("in_discards", 4), ("in_errors", 4),
    ("in_unknown", 4),
    ("out_octets", 8), ("out_ucast", 4), ("out_multicast", 4), ("out_broadcast", 4), ("out_discards", 4), ("out_errors", 4),
    ("promiscuous", 4),
]  # fmt: skip


def flow_record(kind, reader):
    if kind != 1:
        return {}
    found = {"protocol": reader.number(), "frame_length": reader.number(), "stripped": reader.number()}
    found["header"] = reader.opaque().hex()
    reader.end()
    return found


def counter_record(kind, reader):
    if kind == 1:
        found = {name: reader.number(size) for name, size in IF_COUNTERS}
    elif kind == 1005:
        found = {"name": reader.opaque().decode()}
    else:
        return {}
    reader.end()
    return found


def sample(kind, reader):
    names = {
        1: ["sequence", "source", "rate", "pool", "drops", "input", "output"],
        2: ["sequence", "source"],
    }[kind]
    found = {"kind": {1: "flow", 2: "counters"}[kind]} | {name: reader.number() for name in names}
    for _ in range(reader.number()):
        record = reader.number()
        found |= (flow_record if kind == 1 else counter_record)(record, Reader(reader.opaque()))
    reader.end()
    return found


def datagram(octets):
    reader = Reader(octets)
    if reader.number() != 5:
        raise SystemExit("not version 5")
    size = {1: 4, 2: 16}[reader.number()]
    head = {"agent": str(ipaddress.ip_address(reader.plain(size)))}
    head |= {name: reader.number() for name in ["sub_agent", "datagram", "uptime"]}
    for _ in range(reader.number()):
        kind = reader.number()
        yield head | sample(kind, Reader(reader.opaque()))
    reader.end()


address, port = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as collector:
    collector.bind((address, port))
    print("ready", flush=True)
    while True:
        for found in datagram(collector.recv(65536)):
            print(json.dumps(found), flush=True)
