"""A STUN server that lets a client find out how the NAT before it behaves (RFC 5780, over UDP).

    stunserver.py ADDRESS OTHER_ADDRESS [PORT OTHER_PORT]       ports: 3478 and 3479

Listens on both ports of both addresses, which are this machine's, of one family and different. Answers Binding
requests with MAPPED-ADDRESS, XOR-MAPPED-ADDRESS, RESPONSE-ORIGIN and OTHER-ADDRESS; understands CHANGE-REQUEST and
RESPONSE-PORT; refuses what it does not understand with 420. Says `ready` when it listens, then a line of JSON for each
request: where it came from and to.
"""

import json
import select
import socket
import struct
import sys

import stun

UNDERSTOOD = {stun.CHANGE_REQUEST, stun.RESPONSE_PORT}


class Server:
    def __init__(self, addresses, ports):
        self.sockets = {(address, port): bound(address, port) for address in addresses for port in ports}
        self.addresses, self.ports = addresses, ports

    def other(self, address, port, flags):
        """Where it answers from when the request that came to `address` and `port` wants these changed."""
        if flags & stun.CHANGE_ADDRESS:
            address = self.addresses[1 - self.addresses.index(address)]
        if flags & stun.CHANGE_PORT:
            port = self.ports[1 - self.ports.index(port)]
        return address, port

    def serve(self):
        places = {listener: place for place, listener in self.sockets.items()}
        while True:
            for listener in select.select(list(places), [], [])[0]:
                request, source = listener.recvfrom(2048)
                self.answer(request, source, places[listener])

    def answer(self, request, source, place):
        try:
            kind, transaction, attributes = stun.parse(request)
        except stun.Malformed:
            return
        if kind != stun.REQUEST:
            return
        print(json.dumps({"from": list(source[:2]), "to": list(place)}), flush=True)
        unknown = [of for of in attributes if of < stun.OPTIONAL and of not in UNDERSTOOD]
        if unknown:
            listed = b"".join(struct.pack("!H", of) for of in unknown)
            refusal = [(stun.ERROR_CODE, b"\0\0\4\x14Unknown Attribute"), (stun.UNKNOWN_ATTRIBUTES, listed)]
            self.sockets[place].sendto(stun.message(stun.ERROR, transaction, refusal), source)
            return
        flags = int.from_bytes(attributes.get(stun.CHANGE_REQUEST, b"\0"), "big")
        origin = self.other(*place, flags)
        found = [
            (stun.MAPPED_ADDRESS, stun.address_value(*source[:2])),
            (stun.XOR_MAPPED_ADDRESS, stun.address_value(*source[:2], transaction)),
            (stun.RESPONSE_ORIGIN, stun.address_value(*origin)),
            (stun.OTHER_ADDRESS, stun.address_value(*self.other(*place, stun.CHANGE_ADDRESS | stun.CHANGE_PORT))),
        ]
        port = int.from_bytes(attributes.get(stun.RESPONSE_PORT, b"")[:2], "big") or source[1]
        self.sockets[origin].sendto(stun.message(stun.SUCCESS, transaction, found), (source[0], port, *source[2:]))


def bound(address, port):
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((address, port))
    return listener


if __name__ == "__main__":
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    server = Server(sys.argv[1:3], [int(port) for port in sys.argv[3:5]] or [3478, 3479])
    print("ready", flush=True)
    server.serve()
