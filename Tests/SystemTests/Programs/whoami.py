"""Tells a client the address and port that it is seen by, over HTTP and over UDP.

    whoami.py serve [PORT|FIRST-LAST]... [--address IP]
        TCP and UDP on each port of every address, or of one. Says `ready`. Answers each HTTP request, and each datagram,
        by the client's address and port, as 192.0.2.1:4321 or [2001:db8::1]:4321, and the server's port.
    whoami.py ask HOST PORT [--from IP:PORT] [--tries N]
        One datagram, and again after half a second without an answer (3 tries). Prints the answer; exit status 1: there is
        none, 2: the port is refused.
    whoami.py hold HOST PORT [--from IP:PORT] [--udp] [--seconds S]
        A connection, or a UDP socket that is connected. Says `ready`. At each SIGUSR1 asks once, and prints the answer, or
        `closed`, `timeout` (after 5 seconds), `reset` or `refused`.
"""

import argparse
import selectors
import signal
import socket
import sys

import packets
from datagrams import Answering

TRY_SECONDS = 0.5


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def place(address):
    host, port = address[0].removeprefix("::ffff:"), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Server:
    def __init__(self, ports, address):
        self.selector = selectors.DefaultSelector()
        for port in ports:
            self.listen(address, port)

    def listen(self, address, port):
        listener = socket.create_server((address, port), family=family(address), dualstack_ipv6=address == "::", backlog=128)
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, self.accept)
        datagrams = Answering(address, port)
        self.selector.register(datagrams, selectors.EVENT_READ, self.datagram)

    def serve(self):
        print("ready", flush=True)
        while True:
            for key, _ in self.selector.select():
                try:
                    key.data(key.fileobj)
                except OSError:
                    self.forget(key.fileobj)

    def forget(self, opened):
        """A connection; those that listen stay, whatever error came for them."""
        if isinstance(opened, socket.socket) and not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self.selector.unregister(opened)
            opened.close()

    def accept(self, listener):
        connection, _ = listener.accept()
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ, self.request)

    def request(self, connection):
        if not connection.recv(65536):
            return self.forget(connection)
        body = f"{place(connection.getpeername())} {connection.getsockname()[1]}\n".encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def datagram(self, opened):
        _, source, reply = opened.receive()
        reply(f"{place(source)} {opened.port}\n".encode())


def ports(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def opened(options, kind):
    made = socket.socket(family(options.host), kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.source:
        made.bind(options.source)
    made.settimeout(TRY_SECONDS)
    return made


def ask(options):
    asking = opened(options, socket.SOCK_DGRAM)
    asking.connect((options.host, options.port))
    for _ in range(options.tries):
        try:
            asking.send(b"who am I?")
            print(asking.recv(65536).decode(), end="")
            return 0
        except ConnectionRefusedError:
            return 2
        except TimeoutError:
            pass
    return 1


def hold(options):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    held = opened(options, socket.SOCK_DGRAM if options.udp else socket.SOCK_STREAM)
    held.settimeout(10)
    held.connect((options.host, options.port))
    print("ready", flush=True)
    held.settimeout(options.seconds)
    while signal.sigwait({signal.SIGUSR1}):
        try:
            held.sendall(b"who am I?")
            answer = held.recv(65536).decode().rpartition("\r\n\r\n")[2].strip()
            print(answer or "closed", flush=True)
        except OSError as error:
            print(error_name(error), flush=True)


def error_name(error):
    names = {TimeoutError: "timeout", ConnectionResetError: "reset", ConnectionRefusedError: "refused"}
    return names.get(type(error), str(error))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("ports", type=ports, nargs="+")
    serving.add_argument("--address", default="::")
    for name in ("ask", "hold"):
        asking = commands.add_parser(name)
        asking.add_argument("host")
        asking.add_argument("port", type=int)
        asking.add_argument("--from", dest="source", type=packets.endpoint)
        asking.add_argument("--tries", type=int, default=3)
        asking.add_argument("--seconds", type=float, default=5)
        asking.add_argument("--udp", action="store_true")
    options = parser.parse_args()
    if options.command == "serve":
        Server([port for some in options.ports for port in some], options.address).serve()
    sys.exit({"ask": ask, "hold": hold}[options.command](options))


if __name__ == "__main__":
    main()
