"""Finds out how the NAT before this machine behaves, as RFC 5780 (sections 4.3 and 4.4) has it, by a stunserver.py.

    stunprobe.py ADDRESS [PORT] [--local IP]

Prints one line of JSON:
    mapping         endpoint-independent, address-dependent or address-and-port-dependent (RFC 4787, section 4.1)
    filtering       the same words (section 5)
    hairpinning     whether one socket reaches the other at its mapped address (section 6)
    hairpin_source  external or internal: what the other sees as the source; null without hairpinning
    port_preserved  of several sockets each has its own port outside
    parity_kept     of several sockets each has a port outside that is even where its own is, and odd where its own is
    mapped, local   the first socket's address and port outside and inside
Exit status 1 when the server does not answer at all.
"""

import argparse
import json
import select
import socket
import sys
import time

import stun

INDEPENDENT, ADDRESS, ADDRESS_AND_PORT = (
    "endpoint-independent",
    "address-dependent",
    "address-and-port-dependent",
)
TRIES, TRY_SECONDS = 3, 0.5
PRESERVATION_SOCKETS = 8


class Unanswered(Exception):
    """The server did not answer a request that asks for nothing special."""


class Prober:
    def __init__(self, server, local):
        self.server = server
        self.local = local
        self.other = None

    def socket(self):
        family = socket.AF_INET6 if ":" in self.server[0] else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.bind((self.local, 0))
        return opened

    def ask(self, opened, target, flags=0):
        """The mapped address and port; None without an answer from where it must come."""
        transaction = stun.new_transaction()
        attributes = [(stun.CHANGE_REQUEST, flags.to_bytes(4, "big"))] if flags else []
        for _ in range(TRIES):
            opened.sendto(stun.message(stun.REQUEST, transaction, attributes), target)
            if (answer := receive(opened, transaction, TRY_SECONDS)) is not None:
                self.other = stun.address_of(answer[stun.OTHER_ADDRESS])
                return stun.address_of(answer[stun.XOR_MAPPED_ADDRESS], transaction)
        return None

    def mapped(self, opened, target=None):
        target = target or self.server
        found = self.ask(opened, target)
        if found is None:
            raise Unanswered(f"{target[0]} port {target[1]} does not answer")
        return found

    def mapping(self):
        """Also the first socket's mapped and own address."""
        with self.socket() as opened:
            first = self.mapped(opened)
            local = own_address(opened, self.server)
            other = self.other
            second = self.mapped(opened, (other[0], self.server[1]))
            if second == first:
                return INDEPENDENT, first, local
            third = self.mapped(opened, other)
            return ADDRESS if third == second else ADDRESS_AND_PORT, first, local

    def filtering(self):
        with self.socket() as opened:  # which has sent nothing to the other address
            self.mapped(opened)
            if self.ask(opened, self.server, stun.CHANGE_ADDRESS | stun.CHANGE_PORT):
                return INDEPENDENT
            return ADDRESS if self.ask(opened, self.server, stun.CHANGE_PORT) else ADDRESS_AND_PORT

    def hairpin(self):
        """Whether there is hairpinning, and the source that shows."""
        with self.socket() as one, self.socket() as other:
            outside = {opened: self.mapped(opened) for opened in (one, other)}
            transaction = stun.new_transaction()
            request = stun.message(stun.REQUEST, transaction)
            for _ in range(TRIES):
                # Each way, so that filtering lets the second one pass.
                one.sendto(request, outside[other])
                other.sendto(request, outside[one])
                for opened in select.select([one, other], [], [], TRY_SECONDS)[0]:
                    octets, source = opened.recvfrom(2048)
                    if octets == request:
                        sender = outside[other if opened is one else one]
                        return True, "external" if source[:2] == sender else "internal"
        return False, None

    def preservation(self):
        """Whether ports are kept, and whether their parity is."""
        opened = [self.socket() for _ in range(PRESERVATION_SOCKETS)]
        pairs = [(one.getsockname()[1], self.mapped(one)[1]) for one in opened]
        for one in opened:
            one.close()
        return all(own == seen for own, seen in pairs), all((own - seen) % 2 == 0 for own, seen in pairs)


def receive(opened, transaction, seconds):
    """The attributes of a success with this transaction, from wherever it comes; None when there is none in time."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not select.select([opened], [], [], left)[0]:
            return None
        try:
            kind, of, attributes = stun.parse(opened.recv(2048))
        except (stun.Malformed, ConnectionError):
            continue
        if kind == stun.SUCCESS and of == transaction:
            return attributes
    return None


def own_address(opened, server):
    with socket.socket(opened.family, socket.SOCK_DGRAM) as routed:
        routed.connect(server)
        return routed.getsockname()[0], opened.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int, nargs="?", default=3478)
    parser.add_argument("--local", default="")
    options = parser.parse_args()
    prober = Prober((options.address, options.port), options.local)
    try:
        mapping, mapped, local = prober.mapping()
        filtering = prober.filtering()
        hairpinning, hairpin_source = prober.hairpin()
        port_preserved, parity_kept = prober.preservation()
    except Unanswered as failure:
        sys.exit(f"stunprobe.py: {failure}")
    found = {"mapping": mapping, "filtering": filtering, "hairpinning": hairpinning, "hairpin_source": hairpin_source}
    found |= {"port_preserved": port_preserved, "parity_kept": parity_kept}
    print(json.dumps(found | {"mapped": list(mapped), "local": list(local)}))


if __name__ == "__main__":
    main()
