"""IPv4 and IPv6 packets built and taken apart by hand, for the programs beside this one. It is no program itself.

Addresses are text; packets are bytes that begin with the IP header. What is built has all its checksums.
"""

import socket
import struct
import time

TCP, UDP, ICMP, ICMPV6, FRAGMENT = 6, 17, 1, 58, 44
IPV6_HDRINCL = 36  # linux/in6.h
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD


def is_ipv6(address):
    return ":" in address


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if is_ipv6(address) else socket.AF_INET, address)


def unpacked(octets):
    return socket.inet_ntop(socket.AF_INET if len(octets) == 4 else socket.AF_INET6, octets)


def endpoint(text):
    """From 192.0.2.1:80 or [2001:db8::1]:80 to an address and a port."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def checksum(octets):
    """RFC 1071: what makes the sum over all of them, it included, 0xFFFF. 0 over what has a right one."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(source, destination, protocol, length):
    """RFC 793, section 3.1, and RFC 8200, section 8.1."""
    both = packed(source) + packed(destination)
    return both + (struct.pack("!I3xB", length, protocol) if is_ipv6(source) else struct.pack("!xBH", protocol, length))


def with_checksum(segment, offset, source, destination, protocol):
    """The segment with its checksum, of the pseudo header and itself, at the offset."""
    blank = segment[:offset] + b"\0\0" + segment[offset + 2 :]
    value = checksum(pseudo_header(source, destination, protocol, len(blank)) + blank)
    if protocol == UDP and value == 0:
        value = 0xFFFF  # 0 says that there is none (RFC 768)
    return blank[:offset] + struct.pack("!H", value) + blank[offset + 2 :]


def udp(source, source_port, destination, destination_port, payload=b""):
    """A datagram without its IP header."""
    datagram = struct.pack("!4H", source_port, destination_port, 8 + len(payload), 0) + payload
    return with_checksum(datagram, 6, source, destination, UDP)


def tcp(
    source, source_port, destination, destination_port, flags, sequence=0, acknowledged=0, payload=b"", window=65535
):
    """A segment without its IP header, and without options. flags: a number, of FLAGS."""
    ports = struct.pack("!2H", source_port, destination_port)
    rest = struct.pack("!2I2B3H", sequence % 2**32, acknowledged % 2**32, 5 << 4, flags, window, 0, 0)
    return with_checksum(ports + rest + payload, 16, source, destination, TCP)


def icmp(source, destination, kind, code, rest=b"\0" * 4, payload=b""):
    """A message without its IP header; ICMPv6 where the addresses are IPv6. rest: bytes 4 to 7."""
    message = struct.pack("!2BH", kind, code, 0) + rest + payload
    if is_ipv6(source):
        return with_checksum(message, 2, source, destination, ICMPV6)
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def ip(source, destination, protocol, payload, identification=0, offset=0, more=False, dont_fragment=False, hops=64):
    """A packet. offset: in bytes, of a fragment. In IPv6 offset or more adds a fragment header (RFC 8200, 4.5)."""
    if not is_ipv6(source):
        place = dont_fragment << 14 | more << 13 | offset // 8
        header = struct.pack("!2B3H2BH", 0x45, 0, 20 + len(payload), identification & 0xFFFF, place, hops, protocol, 0)
        header += packed(source) + packed(destination)
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload
    if offset or more:
        payload = struct.pack("!BxHI", protocol, offset | more, identification) + payload
        protocol = FRAGMENT
    return struct.pack("!IH2B", 6 << 28, len(payload), protocol, hops) + packed(source) + packed(destination) + payload


class RawSender:
    """Sends whole packets, from any source address, by the kernel's routes."""

    def __init__(self, ipv6):
        self.socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        if ipv6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)

    def send(self, packet):
        self.socket.sendto(packet, (Packet(packet).destination, 0))


class Packet:
    """What the headers of a packet say, as far as they are there; a quote in an ICMP error may be cut short.

    Ports are None where they are not in it. ICMP has its query identifier as both ports.
    """

    def __init__(self, octets):
        self.octets = octets
        if octets[0] >> 4 == 4:
            header = (octets[0] & 15) * 4
            self.protocol, self.header_is_right = octets[9], checksum(octets[:header]) == 0
            self.source, self.destination = unpacked(octets[12:16]), unpacked(octets[16:20])
            place = struct.unpack("!H", octets[6:8])[0]
            self.offset, self.more = (place & 0x1FFF) * 8, bool(place & 0x2000)
            end = struct.unpack("!H", octets[2:4])[0]
        else:
            header = 40
            self.protocol, self.header_is_right = octets[6], True
            self.source, self.destination = unpacked(octets[8:24]), unpacked(octets[24:40])
            self.offset, self.more = 0, False
            end = 40 + struct.unpack("!H", octets[4:6])[0]
            if self.protocol == FRAGMENT and len(octets) >= 48:
                self.protocol, place = octets[40], struct.unpack("!H", octets[42:44])[0]
                self.offset, self.more, header = place & 0xFFF8, bool(place & 1), 48
        self.is_whole = len(octets) >= end
        self.payload = octets[header:end]  # an Ethernet frame may have padding behind
        self.source_port = self.destination_port = None
        if self.offset == 0 and self.protocol in (TCP, UDP) and len(self.payload) >= 4:
            self.source_port, self.destination_port = struct.unpack("!2H", self.payload[:4])
        if self.offset == 0 and self.protocol in (ICMP, ICMPV6) and len(self.payload) >= 6:
            self.source_port = self.destination_port = struct.unpack("!H", self.payload[4:6])[0]

    def checksum_is_right(self):
        """Of TCP, UDP or ICMP; None where the packet does not have all it is over, or has none."""
        if not self.is_whole or self.offset or self.more:
            return None
        if self.protocol == UDP and self.payload[6:8] == b"\0\0":
            return None if not is_ipv6(self.source) else False
        if self.protocol == ICMP:
            return checksum(self.payload) == 0
        pseudo = pseudo_header(self.source, self.destination, self.protocol, len(self.payload))
        return checksum(pseudo + self.payload) == 0

    def is_between(self, source, destination):
        """Whether it goes from one (address, port) to the other."""
        return (self.source, self.source_port, self.destination, self.destination_port) == (*source, *destination)


class Segment:
    """The TCP header of a packet, which has it whole."""

    def __init__(self, packet):
        self.sequence, self.acknowledged, place, self.flags = struct.unpack("!2I2B", packet.payload[4:14])
        self.data = packet.payload[(place >> 4) * 4 :]

    @property
    def next_sequence(self):
        """What its sender will send next: SYN and FIN count as a byte each."""
        counted = bool(self.flags & FLAGS["SYN"]) + bool(self.flags & FLAGS["FIN"])
        return (self.sequence + len(self.data) + counted) % 2**32


def flag_names(flags):
    return [name for name, bit in FLAGS.items() if flags & bit]


def packets_at(interface, seconds, quiet_seconds=0.3):
    """Yields what comes in and goes out at an interface for so long, and None whenever it has been quiet for a moment.

    It watches from the call on. What this machine sends itself may show with its checksums still to be made: the device
    does it.
    """
    watching = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # ETH_P_ALL
    watching.bind((interface, 3))
    watching.settimeout(quiet_seconds)
    return watched_packets(watching, time.monotonic() + seconds)


def watched_packets(watching, end):
    with watching:
        while time.monotonic() < end:
            try:
                octets, address = watching.recvfrom(65536)
            except TimeoutError:
                yield None
                continue
            if address[1] in (ETH_P_IP, ETH_P_IPV6):
                yield Packet(octets)
