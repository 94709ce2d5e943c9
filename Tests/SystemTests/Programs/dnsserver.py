"""A name server for one name, over UDP and TCP (RFC 1035, section 4).

    dnsserver.py NAME ADDRESS [PORT]        port 53

Says `ready`. Answers whoever asks for the name's A record by the address; any other question by NXDOMAIN.
"""

import selectors
import socket
import struct
import sys

from datagrams import Answering

RESPONSE, NO_SUCH_NAME, TYPE_A, CLASS_IN, LIFE_SECONDS = 0x8400, 3, 1, 1, 60
POINTER_TO_QUESTION = 0xC00C


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answer(query, name, address):
    """Only the question is given back: a query's additional records (EDNS) are left out."""
    (identifier,) = struct.unpack("!H", query[:2])
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    if question != encoded(name) + struct.pack("!2H", TYPE_A, CLASS_IN):
        return struct.pack("!6H", identifier, RESPONSE | NO_SUCH_NAME, 1, 0, 0, 0) + question
    record = struct.pack("!3HIH", POINTER_TO_QUESTION, TYPE_A, CLASS_IN, LIFE_SECONDS, 4) + socket.inet_aton(address)
    return struct.pack("!6H", identifier, RESPONSE, 1, 1, 0, 0) + question + record


def main():
    name, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 53
    datagrams = Answering("::", port)
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    with selectors.DefaultSelector() as selector:
        selector.register(datagrams, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is datagrams:
                    query, _, reply = datagrams.receive()
                    reply(answer(query, name, address))
                else:
                    connection, _ = listener.accept()
                    with connection, connection.makefile("rb") as stream:
                        (length,) = struct.unpack("!H", stream.read(2))
                        told = answer(stream.read(length), name, address)
                        connection.sendall(struct.pack("!H", len(told)) + told)


if __name__ == "__main__":
    main()
