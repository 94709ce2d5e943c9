"""The programs on the kernel's own router, whose behaviour is known: without NAT, and with nftables' masquerade."""

import os
import unittest

from programs import HOST, INSIDE, INSIDE6, MASQUERADE, OUTSIDE, OUTSIDE6, OUTSIDE6_TOO, OUTSIDE_TOO, ROUTED_OUTSIDE
from programs import Bed, run

INDEPENDENT, ADDRESS_AND_PORT = "endpoint-independent", "address-and-port-dependent"
# Long past what a machine that is busy needs; nothing waits for it where all goes well.
LISTEN_SECONDS = 60


@unittest.skipUnless(os.geteuid() == 0, "namespaces need root")
class OnKernel(unittest.TestCase):
    def setUp(self):
        self.bed = self.enterContext(Bed())

    def expect(self, found, **expected):
        self.assertEqual({key: found[key] for key in expected}, expected, found)

    def reached_fragments(self, source, destination, order, count):
        """Numbers of the datagrams that reach a receiver; then one that is whole, which says that no more will come."""
        limits = ("--seconds", LISTEN_SECONDS, "--count", count + 1)
        receiver = self.bed.start("inside", "fragments.py", "receive", 7000, *limits)
        sending = ("fragments.py", "udp", f"{source}:1234", f"{destination}:7000")
        self.bed.run("outside", *sending, "--count", 3, "--order", order)
        self.bed.run("outside", *sending, "--bytes", 100)
        *found, last = receiver.end()
        self.expect(last, bytes=100)
        for one in found:
            self.expect(one, bytes=4000)
            self.assertEqual(one["from"], [source.strip("[]"), 1234])
        return sorted(one["number"] for one in found)


class STUN(OnKernel):
    def probe(self, first=OUTSIDE, other=OUTSIDE_TOO):
        self.bed.start("outside", "stunserver.py", first, other)
        (found,) = self.bed.run("inside", "stunprobe.py", first)
        return found

    def test_without_nat_all_is_independent(self):
        for servers, own in (((OUTSIDE, OUTSIDE_TOO), INSIDE), ((OUTSIDE6, OUTSIDE6_TOO), INSIDE6)):
            found = self.probe(*servers)
            self.expect(found, mapping=INDEPENDENT, filtering=INDEPENDENT, port_preserved=True, parity_kept=True)
            self.expect(found, mapped=found["local"], hairpinning=True)
            self.assertEqual(found["mapped"][0], own)

    def test_masquerade_keeps_ports_and_filters_by_address_and_port(self):
        self.bed.translate(MASQUERADE)
        found = self.probe()
        self.expect(found, mapping=INDEPENDENT, filtering=ADDRESS_AND_PORT, port_preserved=True, parity_kept=True)
        self.expect(found, hairpinning=False, hairpin_source=None)
        self.assertEqual(found["mapped"], [HOST, found["local"][1]])

    def test_masquerade_at_random_maps_by_address_and_port(self):
        self.bed.translate(MASQUERADE + " random")
        self.expect(self.probe(), mapping=ADDRESS_AND_PORT, filtering=ADDRESS_AND_PORT, port_preserved=False)


class Fragments(OnKernel):
    def test_arrive_whole_in_any_order(self):
        for source, destination in ((OUTSIDE, INSIDE), (f"[{OUTSIDE6}]", f"[{INSIDE6}]")):
            for order in ("in-order", "reversed", "shuffled", "interleaved", "tiny-first", "duplicated"):
                with self.subTest(order=order, destination=destination):
                    self.assertEqual(self.reached_fragments(source, destination, order, 3), [0, 1, 2])

    def test_that_overlap_do_not_arrive(self):
        for source, destination in ((OUTSIDE, INSIDE), (f"[{OUTSIDE6}]", f"[{INSIDE6}]")):
            self.assertEqual(self.reached_fragments(source, destination, "overlapping", 0), [])

    def test_of_echo_requests_are_answered_when_none_is_missing(self):
        for source, destination in ((OUTSIDE, INSIDE), (OUTSIDE6, INSIDE6)):
            sending = ("fragments.py", "icmp", source, destination, "--count", 2)
            (found,) = self.bed.run("outside", *sending, "--order", "reversed", "--wait", LISTEN_SECONDS)
            self.expect(found, replies=[0, 1])
            (found,) = self.bed.run("outside", *sending, "--omit", 1, "--identification", 9, "--wait", 0.3)
            self.expect(found, replies=[])


class ICMP(OnKernel):
    def session(self, port):
        """A session of the inside's port with port 9000 outside."""
        sending = f"import socket; s = socket.socket(2, 2); s.bind(('', {port})); s.sendto(b'x', ('{OUTSIDE}', 9000))"
        run(*self.bed.words("inside", "python3", "-c", sending))

    def test_an_error_about_a_session_is_translated(self):
        self.bed.translate(MASQUERADE)
        listener = self.bed.start("inside", "icmp.py", "listen", "--seconds", LISTEN_SECONDS, "--count", 3)
        self.session(6000)  # to which the machine outside answers with the first error
        quoting = ("--udp", f"{HOST}:6000", f"{OUTSIDE}:9000", "--truncate", 28)
        unknown = ("--udp", f"{HOST}:6001", f"{OUTSIDE}:9000")
        sending = ("icmp.py", "send", OUTSIDE_TOO, HOST)
        self.bed.run("outside", *sending, "host-unreachable", *unknown)
        self.bed.run("outside", *sending, "host-unreachable", *quoting, "--bad-checksum")
        self.bed.run("outside", *sending, "fragmentation-needed", *quoting, "--mtu", 1300)
        self.bed.run("outside", *sending, "time-exceeded", *quoting)
        unreachable, too_big, exceeded = listener.end()
        self.expect(unreachable, type=3, code=3, mtu=None)
        self.expect(too_big, type=3, code=4, mtu=1300, to=INSIDE, checksum_right=True)
        self.expect(too_big["quote"], source=INSIDE, source_port=6000, header_checksum_right=True, bytes=28)
        self.expect(exceeded, type=11, code=0)
        self.assertEqual(exceeded["from"], OUTSIDE_TOO)

    def test_ipv6_errors_arrive_with_their_checksum(self):
        listener = self.bed.start("inside", "icmp.py", "listen", "--ipv6", "--seconds", LISTEN_SECONDS, "--count", 1)
        sending = ("icmp.py", "send", OUTSIDE6_TOO, INSIDE6, "fragmentation-needed")
        quoting = ("--tcp", f"[{INSIDE6}]:6000", f"[{OUTSIDE6}]:9000", "--mtu", 1400)
        self.bed.run("outside", *sending, *quoting, "--bad-checksum")
        self.bed.run("outside", *sending, *quoting)
        (found,) = listener.end()
        self.expect(found, type=2, mtu=1400)
        self.expect(found["quote"], source_port=6000, checksum_right=True)

    def test_quotes_a_packet_that_it_sees(self):
        flow = ("--udp", f"{INSIDE}:6003", f"{OUTSIDE}:9000")
        sender = self.bed.start("outside", "icmp.py", "send", OUTSIDE, INSIDE, "prohibited", "--watch", "eth0", *flow)
        self.session(6003)
        (found,) = sender.end()
        self.expect(found["quote"], source=INSIDE, source_port=6003, hops=63)


class TCP(OnKernel):
    def setUp(self):
        super().setUp()
        self.bed.translate(MASQUERADE)

    def talk(self, serving=(), connecting=()):
        """What the server and the client say of one connection."""
        server = self.bed.start("outside", "tcppeer.py", "serve", 7000, *serving)
        (client,) = self.bed.run("inside", "tcppeer.py", "connect", OUTSIDE, 7000, *connecting)
        return server.end()[0], client

    def test_half_close(self):
        server, client = self.talk(["--reply", 100_000])
        self.expect(server, received=64, ended="fin")
        self.expect(client, received=100_064, ended="fin")

    def test_aborts(self):
        server, client = self.talk(connecting=["--close", "reset"])
        self.assertEqual((server["ended"], client["ended"]), ("reset", "aborted"))
        server, client = self.talk(["--abort-after", 1])
        self.assertEqual((server["ended"], client["ended"]), ("aborted", "reset"))

    def test_simultaneous_open(self):
        peer = self.bed.start("outside", "tcppeer.py", "simultaneous", "eth0", f"{ROUTED_OUTSIDE}:80")
        connecting = ("connect", ROUTED_OUTSIDE, 80, "--send", 0, "--close", "reset")
        (client,) = self.bed.run("inside", "tcppeer.py", *connecting)
        self.expect(client, received=len("from the other side\n"))
        (found,) = peer.end()
        self.expect(found, opened=True)
        # SYN-SENT to SYN-RECEIVED to ESTABLISHED.
        self.assertEqual(found["flags"][:3], [["SYN"], ["ACK", "SYN"], ["ACK"]])

    def crafted(self, port, *segment):
        """How a connection ended in the midst of which the server seemed to send such a segment."""
        server = self.bed.start("outside", "tcppeer.py", "serve", port)
        between = ("--from", f"{OUTSIDE}:{port}", "--to", f"{HOST}:{port - 1000}")
        watching = ("--watch", "eth0", "--wait", LISTEN_SECONDS)
        forger = self.bed.start("outside", "tcppeer.py", "craft", *between, *watching, *segment)
        connection = self.bed.hold("inside", OUTSIDE, port, "--from", f"{INSIDE}:{port - 1000}")
        self.assertEqual(len(forger.end()), 1)
        (client,) = connection.end()
        if client["ended"] == "fin":
            server.end()
        return client["ended"]

    def test_a_reset_ends_a_connection_only_where_it_is_in_the_window(self):
        self.assertEqual(self.crafted(7001, "--flags", "RST", "--offset", 1_000_000_000), "fin")
        self.assertEqual(self.crafted(7002, "--flags", "RST,ACK", "--bad-checksum"), "fin")
        self.assertEqual(self.crafted(7003, "--flags", "SYN"), "fin")
        self.assertEqual(self.crafted(7004, "--flags", "RST"), "reset")


if __name__ == "__main__":
    unittest.main()
