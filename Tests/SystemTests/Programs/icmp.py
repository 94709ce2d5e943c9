"""Sends ICMP and ICMPv6 errors that quote a packet, and tells of those that arrive.

    icmp.py send FROM TO KIND [OPTIONS]
        KIND                    network-unreachable, host-unreachable, port-unreachable, prohibited, time-exceeded,
                                fragmentation-needed (ICMPv6: packet too big)
        --packet HEX            what is quoted: a packet from its IP header on, or
        --udp A:PORT B:PORT, --tcp A:PORT B:PORT, --icmp A:IDENTIFIER B:IDENTIFIER
                                one that is made up, with --bytes N of payload (32), or
        --watch INTERFACE       with one of the three: the first such packet that is seen there; says `ready` before
        --mtu N                 of fragmentation-needed (1280)
        --truncate N            bytes of the quote, its IP header included (576; RFC 792 has 28 at least)
        --bad-checksum          of the error itself
        --wait S                for --watch (10)
    icmp.py listen [--ipv6] [--seconds S] [--count N]
        Says `ready`, then for each error (no echo, no neighbour discovery) a line of JSON: from, to, type, code, mtu,
        checksum_right (null for IPv6: the kernel drops wrong ones), quote {source, destination, protocol, source_port,
        destination_port, hops, header_checksum_right, checksum_right (null where it is cut short), bytes, hex}.
        The checksum of a quoted TCP or UDP packet is wrong where it was still to be made by a device: between veth with
        offloads.

FROM need not be an address of this machine. `send` prints what it sent as JSON: type, code, quote.
"""

import argparse
import json
import socket
import struct
import sys
import time

import packets

# By kind: type and code of ICMP (RFC 792, RFC 1812) and of ICMPv6 (RFC 4443).
KINDS = {
    "network-unreachable": ((3, 0), (1, 0)),
    "host-unreachable": ((3, 1), (1, 3)),
    "port-unreachable": ((3, 3), (1, 4)),
    "fragmentation-needed": ((3, 4), (2, 0)),
    "prohibited": ((3, 13), (1, 1)),
    "time-exceeded": ((11, 0), (3, 0)),
}
ICMP_ERRORS, ICMPV6_ERRORS_BELOW = {3, 4, 5, 11, 12}, 128
ECHO_REQUEST = {False: 8, True: 128}
PROTOCOLS = {"tcp": packets.TCP, "udp": packets.UDP, "icmp": packets.ICMP}


def described(quote):
    """The quoted packet, as far as it is there."""
    try:
        packet = packets.Packet(quote)
    except (IndexError, struct.error, ValueError):
        return {"bytes": len(quote), "hex": quote.hex()}
    return {
        "source": packet.source,
        "destination": packet.destination,
        "protocol": packet.protocol,
        "source_port": packet.source_port,
        "destination_port": packet.destination_port,
        "hops": quote[7] if packets.is_ipv6(packet.source) else quote[8],
        "header_checksum_right": packet.header_is_right,
        "checksum_right": packet.checksum_is_right(),
        "bytes": len(quote),
        "hex": quote.hex(),
    }


def made_up(protocol, source, destination, size):
    content = bytes(size)
    if protocol == packets.TCP:
        body = packets.tcp(*source, *destination, packets.FLAGS["ACK"], 1, 1, content)
    elif protocol == packets.UDP:
        body = packets.udp(*source, *destination, content)
    else:
        ipv6 = packets.is_ipv6(source[0])
        rest = struct.pack("!2H", source[1], 1)
        body = packets.icmp(source[0], destination[0], ECHO_REQUEST[ipv6], 0, rest, content)
        protocol = packets.ICMPV6 if ipv6 else packets.ICMP
    return packets.ip(source[0], destination[0], protocol, body, dont_fragment=True)


def chosen(options):
    """The packet that is quoted."""
    if options.packet:
        return bytes.fromhex(options.packet)
    kind, source, destination = options.flow
    if not options.watch:
        return made_up(PROTOCOLS[kind], source, destination, options.bytes)
    watching = packets.packets_at(options.watch, options.wait)
    print("ready", file=sys.stderr, flush=True)
    for packet in watching:
        if packet and packet.is_between(source, destination) and packet.protocol in (PROTOCOLS[kind], packets.ICMPV6):
            return packet.octets
    sys.exit(f"icmp.py: no such packet was seen at {options.watch}")


def send(options):
    quote = chosen(options)[: options.truncate]
    ipv6 = packets.is_ipv6(options.source)
    kind, code = KINDS[options.kind][ipv6]
    rest = b"\0" * 4
    if options.kind == "fragmentation-needed":
        rest = struct.pack("!I", options.mtu)  # RFC 1191: the low half; RFC 4443: all of it
    message = packets.icmp(options.source, options.destination, kind, code, rest, quote)
    if options.bad_checksum:
        message = message[:2] + bytes([message[2] ^ 0x55]) + message[3:]
    protocol = packets.ICMPV6 if ipv6 else packets.ICMP
    packets.RawSender(ipv6).send(packets.ip(options.source, options.destination, protocol, message))
    print(json.dumps({"type": kind, "code": code, "quote": described(quote)}))


def listen(options):
    protocol = socket.IPPROTO_ICMPV6 if options.ipv6 else socket.IPPROTO_ICMP
    with socket.socket(socket.AF_INET6 if options.ipv6 else socket.AF_INET, socket.SOCK_RAW, protocol) as listener:
        print("ready", flush=True)
        end, count = time.monotonic() + options.seconds, 0
        while count < options.count and (left := end - time.monotonic()) > 0:
            listener.settimeout(left)
            try:
                octets, source = listener.recvfrom(65536)
            except TimeoutError:
                break
            if told := error(octets, source[0], options.ipv6):
                count += 1
                print(json.dumps(told), flush=True)


def error(octets, source, ipv6):
    """None when it is none."""
    packet = None if ipv6 else packets.Packet(octets)
    message = octets if ipv6 else packet.payload
    kind, code = message[:2]
    if kind >= ICMPV6_ERRORS_BELOW if ipv6 else kind not in ICMP_ERRORS:
        return None
    is_about_size = (kind, code) == KINDS["fragmentation-needed"][ipv6]
    return {
        "from": source,
        "to": None if ipv6 else packet.destination,
        "type": kind,
        "code": code,
        "mtu": struct.unpack("!I", message[4:8])[0] if is_about_size else None,
        "checksum_right": None if ipv6 else packet.checksum_is_right(),
        "quote": described(message[8:]),
    }


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sending = commands.add_parser("send")
    sending.add_argument("source")
    sending.add_argument("destination")
    sending.add_argument("kind", choices=list(KINDS))
    sending.add_argument("--packet")
    for kind in PROTOCOLS:
        sending.add_argument(f"--{kind}", nargs=2, type=packets.endpoint)
    sending.add_argument("--watch")
    for name, default in (("bytes", 32), ("mtu", 1280), ("truncate", 576)):
        sending.add_argument(f"--{name}", type=int, default=default)
    sending.add_argument("--wait", type=float, default=10)
    sending.add_argument("--bad-checksum", action="store_true")
    listening = commands.add_parser("listen")
    listening.add_argument("--ipv6", action="store_true")
    listening.add_argument("--seconds", type=float, default=60)
    listening.add_argument("--count", type=int, default=sys.maxsize)
    options = parser.parse_args()
    if options.command == "listen":
        return listen(options)
    flows = [(kind, *getattr(options, kind)) for kind in PROTOCOLS if getattr(options, kind)]
    if len(flows) + bool(options.packet) != 1:
        parser.error("one of --packet, --udp, --tcp and --icmp says what is quoted")
    options.flow = flows[0] if flows else None
    send(options)


if __name__ == "__main__":
    main()
