"""Sends UDP datagrams that the kernel is to cut from larger ones (UDP_SEGMENT), and tells which of them arrive.

    segments.py receive PORT COUNT          says `ready`, then waits for COUNT datagrams, or for one second of silence after the first
    segments.py send HOST PORT COUNT SIZE   COUNT datagrams of SIZE bytes each, the last of each 40 shorter

Prints JSON: received, lost, doubled, reordered, corrupted.
"""

import hashlib
import json
import socket
import struct
import sys
import time

# linux/udp.h, asm-generic/socket.h.
UDP_SEGMENT, SO_RCVBUFFORCE = 103, 33
DATAGRAMS_AT_ONCE = 40
# What stands in front: number and length, and their hash with all that follows.
HEADER = struct.Struct("!II16s")


def datagram(number, size):
    payload = hashlib.shake_128(b"%d" % number).digest(size - HEADER.size)
    digest = hashlib.md5(struct.pack("!II", number, size) + payload).digest()
    return HEADER.pack(number, size, digest) + payload


def send(host, port, count, size):
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as sender:
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        for first in range(0, count, DATAGRAMS_AT_ONCE):
            last = min(count, first + DATAGRAMS_AT_ONCE) - 1
            whole = b"".join(datagram(number, size) for number in range(first, last))
            sender.sendto(whole + datagram(last, size - 1 - first % 100), address)
            time.sleep(0.002)


def receive(port, count):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        receiver.bind(("::", port))
        print("ready", flush=True)
        seen, told = set(), dict.fromkeys(("received", "doubled", "reordered", "corrupted"), 0)
        highest = -1
        try:
            while len(seen) < count:
                octets = receiver.recv(65536)
                receiver.settimeout(1)
                told["received"] += 1
                number, size, _ = HEADER.unpack_from(octets) if len(octets) >= HEADER.size else (-1, 0, b"")
                if number not in range(count) or size != len(octets) or datagram(number, size) != octets:
                    told["corrupted"] += 1
                    continue
                told["doubled"] += number in seen
                told["reordered"] += number < highest
                highest = max(highest, number)
                seen.add(number)
        except TimeoutError:
            pass
        print(json.dumps(told | {"lost": count - len(seen)}), flush=True)


if sys.argv[1] == "receive":
    receive(int(sys.argv[2]), int(sys.argv[3]))
else:
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
