"""Sends UDP datagrams and ICMP echo requests as IP fragments, and tells what arrives.

    fragments.py udp SOURCE DESTINATION [OPTIONS]       each is 192.0.2.1:7000 or [2001:db8::1]:7000
    fragments.py icmp SOURCE DESTINATION [OPTIONS]      addresses without port; --identifier N (1)
    fragments.py receive PORT [--seconds S] [--count N]
        UDP on every address. Says `ready`, then for each datagram a line of JSON: from, bytes, sha256, number (of the
        datagram that was sent; null: content differs)

    --bytes N           of payload in each datagram (4000); its content belongs to its number, 0, 1...
    --size N            of payload in each fragment, a multiple of eight (1000)
    --count N           datagrams (1)
    --order ORDER       in-order, reversed, shuffled (by --seed), interleaved (the fragments of all datagrams in turn),
                        overlapping (each fragment but the first begins eight bytes early, with other content there),
                        tiny-first (the first has eight bytes), duplicated (each twice)
    --omit INDEX        leaves this fragment of each datagram out; may be given again
    --identification N  of the first datagram (1)
    --pause MS          after each fragment (0)
    --no-checksum       UDP without one (IPv4)
    --wait S            ICMP: how long to wait for replies (1)

IPv6 where the addresses are (--ipv6 is accepted, and says the same). Prints one line of JSON: datagrams, fragments,
sha256 of each payload, and for icmp `replies`, the numbers of the datagrams whose content came back.
The source need not be an address of this machine: but then replies go elsewhere.
"""

import argparse
import hashlib
import json
import random
import socket
import struct
import sys
import time

import packets

EIGHT = 8
ECHO = {False: (packets.ICMP, 8, 0), True: (packets.ICMPV6, 128, 129)}  # IPv6 or not: protocol, request, reply


def payload(number, size):
    """Tells its number, and differs everywhere from that of another number."""
    return struct.pack("!I", number)[:size] + random.Random(number).randbytes(max(0, size - 4))


def number_of(content):
    """Of the datagram that was sent with this content; None when there is no such."""
    number = int.from_bytes(content[:4], "big")
    return number if len(content) >= 4 and content == payload(number, len(content)) else None


def cut(whole, options):
    """Pairs of an offset and a piece, in order."""
    starts = list(range(0, len(whole), options.size))
    if options.order == "tiny-first":
        starts = [0, *range(EIGHT, len(whole), options.size)]
    pieces = [(start, whole[start:end]) for start, end in zip(starts, [*starts[1:], len(whole)])]
    if options.order == "overlapping":
        inverted = [bytes(octet ^ 0xFF for octet in whole[start - EIGHT : start]) for start, _ in pieces[1:]]
        pieces[1:] = [(start - EIGHT, early + piece) for (start, piece), early in zip(pieces[1:], inverted)]
    return pieces


def fragments(whole, protocol, identification, options):
    """Packets, in order."""
    source, destination = options.source[0], options.destination[0]
    built = []
    for offset, piece in cut(whole, options):
        more = offset + len(piece) < len(whole)
        built.append(packets.ip(source, destination, protocol, piece, identification, offset, more))
    return [packet for index, packet in enumerate(built) if index not in options.omit]


def ordered(datagrams, options):
    """One list of what is sent, from a list of fragments for each datagram."""
    if options.order == "interleaved":
        longest = max(map(len, datagrams))
        return [of[index] for index in range(longest) for of in datagrams if index < len(of)]
    chosen = random.Random(options.seed)
    result = []
    for of in datagrams:
        if options.order == "reversed":
            of = of[::-1]
        elif options.order == "shuffled":
            of = chosen.sample(of, len(of))
        elif options.order == "duplicated":
            of = [packet for packet in of for _ in range(2)]
        result += of
    return result


def transport(number, options):
    """The protocol, and the datagram or message that is to be cut."""
    source, destination = options.source, options.destination
    content = payload(number, options.bytes)
    if options.kind == "icmp":
        protocol, request, _ = ECHO[packets.is_ipv6(source[0])]
        rest = struct.pack("!2H", options.identifier, number)
        return protocol, packets.icmp(source[0], destination[0], request, 0, rest, content)
    datagram = packets.udp(*source, *destination, content)
    if options.no_checksum:
        datagram = datagram[:6] + b"\0\0" + datagram[8:]
    return packets.UDP, datagram


def send(options):
    ipv6 = packets.is_ipv6(options.source[0])
    listener = None
    if options.kind == "icmp":
        protocol = socket.IPPROTO_ICMPV6 if ipv6 else socket.IPPROTO_ICMP
        listener = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_RAW, protocol)
    datagrams = []
    for number in range(options.count):
        protocol, whole = transport(number, options)
        datagrams.append(fragments(whole, protocol, options.identification + number, options))
    sender = packets.RawSender(ipv6)
    everything = ordered(datagrams, options)
    for packet in everything:
        sender.send(packet)
        time.sleep(options.pause / 1000)
    hashes = [hashlib.sha256(payload(number, options.bytes)).hexdigest() for number in range(options.count)]
    told = {"datagrams": options.count, "fragments": len(everything), "sha256": hashes}
    if listener:
        told["replies"] = replies(listener, ipv6, options)
    print(json.dumps(told))


def replies(listener, ipv6, options):
    """Numbers of the datagrams that came back as they were sent."""
    found, end = set(), time.monotonic() + options.wait
    while len(found) < options.count and (left := end - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            octets = listener.recv(65536)
        except TimeoutError:
            break
        message = octets if ipv6 else packets.Packet(octets).payload
        kind, identifier = message[0], struct.unpack("!H", message[4:6])[0]
        if kind == ECHO[ipv6][2] and identifier == options.identifier:
            found.add(number_of(message[8:]))
    return sorted(found - {None})


def receive(options):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", options.port))
        print("ready", flush=True)
        end, count = time.monotonic() + options.seconds, 0
        while count < options.count and (left := end - time.monotonic()) > 0:
            listener.settimeout(left)
            try:
                content, source = listener.recvfrom(65536)
            except TimeoutError:
                break
            count += 1
            told = {"from": [source[0].removeprefix("::ffff:"), source[1]], "bytes": len(content)}
            told |= {"sha256": hashlib.sha256(content).hexdigest(), "number": number_of(content)}
            print(json.dumps(told), flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    receiving = kinds.add_parser("receive")
    receiving.add_argument("port", type=int)
    receiving.add_argument("--seconds", type=float, default=60)
    receiving.add_argument("--count", type=int, default=sys.maxsize)
    for kind, place in (("udp", packets.endpoint), ("icmp", lambda address: (address.strip("[]"), None))):
        sending = kinds.add_parser(kind)
        sending.add_argument("source", type=place)
        sending.add_argument("destination", type=place)
        for name, default in (("bytes", 4000), ("size", 1000), ("count", 1), ("seed", 1), ("identification", 1)):
            sending.add_argument(f"--{name}", type=int, default=default)
        sending.add_argument("--identifier", type=int, default=1)
        sending.add_argument("--omit", type=int, action="append", default=[])
        orders = ["in-order", "reversed", "shuffled", "interleaved", "overlapping", "tiny-first", "duplicated"]
        sending.add_argument("--order", choices=orders, default="in-order")
        sending.add_argument("--pause", type=float, default=0)
        sending.add_argument("--wait", type=float, default=1)
        sending.add_argument("--no-checksum", action="store_true")
        sending.add_argument("--ipv6", action="store_true")
    options = parser.parse_args()
    if options.kind != "receive" and options.size % EIGHT:
        parser.error("--size must be a multiple of eight")
    receive(options) if options.kind == "receive" else send(options)


if __name__ == "__main__":
    main()
