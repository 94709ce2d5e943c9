"""TCP peers that end connections in their own way, open one from both sides, or forge segments of them.

    tcppeer.py serve PORT [--count N] [--reply N] [--abort-after N] [--silent]
        Says `ready`, takes connections one at a time, and reads each to its end. Then a line of JSON: from, to,
        received, sent, ended.
        --reply N        sends so many bytes after the client's FIN, for half-close
        --abort-after N  closes with a reset when it has so many bytes
        --silent         sends nothing; without it each byte is sent back
    tcppeer.py connect HOST PORT [--from IP:PORT] [--send N] [--close half|reset] [--seconds S] [--hold]
        Sends so many bytes (64), closes its side (half) and reads to the end; or waits for as many back and resets.
        --hold: says `connected` when it has sent them, and waits for a line on standard input.
        JSON: local, received, sent, ended.
    tcppeer.py simultaneous INTERFACE ADDRESS:PORT [--seconds S] [--send TEXT]
        Simultaneous open (RFC 9293, figure 8): answers a SYN by a SYN, as if that had been under way already,
        completes the handshake, sends a line, and takes one. Without a socket of the kernel: ADDRESS is routed to this
        machine, but none of its own, and nothing is forwarded. Says `ready`.
        JSON: remote, flags (of each segment that came), opened, received.
    tcppeer.py craft --from A:PORT --to B:PORT --flags RST[,ACK...] [OPTIONS]
        Sends one segment from any source. JSON: sequence, acknowledged, flags.
        --sequence N, --acknowledged N  as they are (0), or
        --watch INTERFACE               says `ready`, waits for segments between the two there and until there are no
                                        more, and begins from what A would send next and has of B: start it before the
                                        connection
        --offset N                      is added to the sequence number
        --payload TEXT, --count N, --bad-checksum, --wait S

`ended`: fin, reset, aborted (by this side), timeout, refused or unreachable.
"""

import argparse
import errno
import json
import socket
import struct
import sys
import time

import packets
from packets import FLAGS

CHUNK = 1 << 16
ENDS = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout"}
ENDS |= dict.fromkeys((errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN), "reset")


def end_of(error):
    return "timeout" if isinstance(error, TimeoutError) else ENDS.get(error.errno, "unreachable")


def abort(connection):
    """SO_LINGER with no time: close sends a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def serve(options):
    with socket.create_server(("::", options.port), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        print("ready", flush=True)
        for _ in range(options.count):
            connection, source = listener.accept()
            place = connection.getsockname()
            told = {"from": plain(source), "to": plain(place)}
            print(json.dumps(told | serve_one(connection, options)), flush=True)


def serve_one(connection, options):
    received = sent = 0
    connection.settimeout(options.seconds)
    with connection:
        try:
            while chunk := connection.recv(CHUNK):
                received += len(chunk)
                if options.abort_after is not None and received >= options.abort_after:
                    abort(connection)
                    return {"received": received, "sent": sent, "ended": "aborted"}
                if not options.silent:
                    connection.sendall(chunk)
                    sent += len(chunk)
            connection.sendall(bytes(options.reply))
            return {"received": received, "sent": sent + options.reply, "ended": "fin"}
        except OSError as error:
            return {"received": received, "sent": sent, "ended": end_of(error)}


def connect(options):
    received = sent = 0
    local = None
    try:
        with socket.create_connection((options.host, options.port), options.seconds, options.source) as connection:
            local = plain(connection.getsockname())
            connection.sendall(bytes(options.send))
            sent = options.send
            if options.hold:
                print("connected", flush=True)
                sys.stdin.readline()
            if options.close == "half":
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(CHUNK):
                received += len(chunk)
                if options.close == "reset" and received >= sent:
                    abort(connection)
                    return {"local": local, "received": received, "sent": sent, "ended": "aborted"}
            return {"local": local, "received": received, "sent": sent, "ended": "fin"}
    except OSError as error:
        return {"local": local, "received": received, "sent": sent, "ended": end_of(error)}


class SimultaneousPeer:
    """One connection, by hand, of an address that the kernel does not know for its own."""

    FIRST_SEQUENCE = 1000

    def __init__(self, options):
        self.local, self.line = options.local, f"{options.send}\n".encode()
        self.remote = None
        self.sender = packets.RawSender(packets.is_ipv6(self.local[0]))
        self.flags, self.received, self.opened = [], b"", False
        self.next, self.expected = self.FIRST_SEQUENCE, 0

    def send(self, flags, sequence, payload=b""):
        bits = sum(FLAGS[name] for name in flags)
        acknowledged = self.expected if "ACK" in flags else 0
        segment = packets.tcp(*self.local, *self.remote, bits, sequence, acknowledged, payload)
        self.sender.send(packets.ip(self.local[0], self.remote[0], packets.TCP, segment))

    def take(self, packet):
        """Returns whether all is done."""
        segment = packets.Segment(packet)
        names = set(packets.flag_names(segment.flags))
        self.flags.append(sorted(names))
        self.remote = (packet.source, packet.source_port)
        if "RST" in names:
            return True
        if "SYN" in names:
            self.expected = segment.next_sequence
            if "ACK" not in names:
                self.send({"SYN"}, self.FIRST_SEQUENCE)  # the crossing SYN: it acknowledges nothing
                return False
            # The other side is in SYN-RECEIVED; so would we be.
            self.send({"SYN", "ACK"}, self.FIRST_SEQUENCE)
            self.next = self.FIRST_SEQUENCE + 1
            self.send({"ACK", "PSH"}, self.next, self.line)
            return False
        self.opened = self.opened or segment.acknowledged > self.FIRST_SEQUENCE
        if segment.sequence == self.expected and (segment.data or "FIN" in names):
            self.received += segment.data
            self.expected = segment.next_sequence
            self.send({"ACK"}, self.next + len(self.line))
        return self.received.endswith(b"\n")


def simultaneous(options):
    peer = SimultaneousPeer(options)
    watching = packets.packets_at(options.interface, options.seconds)
    print("ready", file=sys.stderr, flush=True)
    for packet in watching:
        if packet and packet.protocol == packets.TCP and (packet.destination, packet.destination_port) == options.local:
            if peer.take(packet):
                break
    remote = list(peer.remote) if peer.remote else None
    received = peer.received.decode(errors="replace").strip()
    return {"remote": remote, "flags": peer.flags, "opened": peer.opened, "received": received}


def craft(options):
    sequence, acknowledged = options.sequence, options.acknowledged
    if options.watch:
        sequence, acknowledged = watched(options)
    sequence = (sequence + options.offset) % 2**32
    bits = sum(FLAGS[name] for name in options.flags)
    segment = packets.tcp(*options.source, *options.to, bits, sequence, acknowledged, options.payload.encode())
    if options.bad_checksum:
        segment = segment[:16] + bytes([segment[16] ^ 0x55]) + segment[17:]
    sender = packets.RawSender(packets.is_ipv6(options.source[0]))
    for _ in range(options.count):
        sender.send(packets.ip(options.source[0], options.to[0], packets.TCP, segment))
    return {"sequence": sequence, "acknowledged": acknowledged, "flags": options.flags}


def watched(options):
    """What the source sends next, and what it has acknowledged, once both are quiet."""
    watching = packets.packets_at(options.watch, options.wait)
    print("ready", file=sys.stderr, flush=True)
    found = None
    for packet in watching:
        if packet is None and found:
            return found
        if packet is None or packet.protocol != packets.TCP or len(packet.payload) < 20:
            continue
        segment = packets.Segment(packet)
        if packet.is_between(options.source, options.to):
            found = segment.next_sequence, segment.acknowledged
        elif packet.is_between(options.to, options.source) and segment.flags & FLAGS["ACK"]:
            found = segment.acknowledged, segment.next_sequence
    sys.exit(f"tcppeer.py: no segment between the two was seen at {options.watch}")


def plain(place):
    return [place[0].removeprefix("::ffff:"), place[1]]


def flag_list(text):
    return [name for name in text.split(",") if name]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seconds", type=float, default=30)

    serving = commands.add_parser("serve", parents=[common])
    serving.add_argument("port", type=int)
    serving.add_argument("--count", type=int, default=1)
    serving.add_argument("--reply", type=int, default=0)
    serving.add_argument("--abort-after", type=int)
    serving.add_argument("--silent", action="store_true")

    connecting = commands.add_parser("connect", parents=[common])
    connecting.add_argument("host")
    connecting.add_argument("port", type=int)
    connecting.add_argument("--from", dest="source", type=packets.endpoint)
    connecting.add_argument("--send", type=int, default=64)
    connecting.add_argument("--close", choices=["half", "reset"], default="half")
    connecting.add_argument("--hold", action="store_true")

    crossing = commands.add_parser("simultaneous", parents=[common])
    crossing.add_argument("interface")
    crossing.add_argument("local", type=packets.endpoint)
    crossing.add_argument("--send", default="from the other side")

    crafting = commands.add_parser("craft")
    crafting.add_argument("--from", dest="source", type=packets.endpoint, required=True)
    crafting.add_argument("--to", type=packets.endpoint, required=True)
    crafting.add_argument("--flags", type=flag_list, required=True)
    for name, default in (("sequence", 0), ("acknowledged", 0), ("offset", 0), ("count", 1)):
        crafting.add_argument(f"--{name}", type=int, default=default)
    crafting.add_argument("--watch")
    crafting.add_argument("--wait", type=float, default=10)
    crafting.add_argument("--payload", default="")
    crafting.add_argument("--bad-checksum", action="store_true")

    options = parser.parse_args()
    if options.command == "serve":
        return serve(options)
    run = {"connect": connect, "simultaneous": simultaneous, "craft": craft}[options.command]
    print(json.dumps(run(options)), flush=True)


if __name__ == "__main__":
    main()
