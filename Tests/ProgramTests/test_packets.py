"""Golden bytes: what Linux 6.18 sent by a veth with its checksum offload off, and the samples of RFC 5769."""

import struct
import unittest

import programs  # noqa: F401: puts the programs on the path
import fragments
import packets
import stun

CONTENT = b"abcdefgh" * 200
# 1600 bytes from 198.51.100.2:5000 to 10.77.0.2:6000, and the same over IPv6, in two fragments each.
FRAGMENTS4 = (
    bytes.fromhex("450005dcd878200040114814c63364020a4d0002138817700648d707") + CONTENT[:1472],
    bytes.fromhex("45000094d87800b940116ca3c63364020a4d0002") + CONTENT[1472:],
)
FRAGMENTS6 = (
    bytes.fromhex(
        "60023d4305b02c40fd510000000000000000000000000002fd770000000000000000000000000002"
        "11000001c79ca11013881770064810bf"
    )
    + CONTENT[:1440],
    bytes.fromhex(
        "60023d4300a82c40fd510000000000000000000000000002fd770000000000000000000000000002110005a8c79ca110"
    )
    + CONTENT[1440:],
)
SYN = bytes.fromhex(
    "4500003c40c540004006c572c63364020a4d0002138917716458d56400000000a002faf068ae0000"
    "020405b40402080a276623bc000000000103030a"
)
RESET = bytes.fromhex("45000028000040003f06074c0a4d0002c633640217711389000000006458d5655014000016940000")
ECHO = bytes.fromhex("4500002ce6bc400040011f90c63364020a4d0002080064c2671d0001da57086b00000000405c090000000000")
ECHO6 = bytes.fromhex(
    "6004103400183a40fd510000000000000000000000000003fd770000000000000000000000000002"
    "8000208467220001da57086b000000001174090000000000"
)
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
XORED6 = bytes.fromhex("0002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


class Built(unittest.TestCase):
    def test_fragments_are_the_kernels(self):
        datagram = packets.udp("198.51.100.2", 5000, "10.77.0.2", 6000, CONTENT)
        for golden, offset in zip(FRAGMENTS4, (0, 1480)):
            piece = datagram[offset : offset + 1480]
            built = packets.ip("198.51.100.2", "10.77.0.2", packets.UDP, piece, 0xD878, offset, offset == 0)
            self.assertEqual(built, golden)

    def test_ipv6_fragments_are_the_kernels_but_for_the_flow_label(self):
        datagram = packets.udp("fd51::2", 5000, "fd77::2", 6000, CONTENT)
        for golden, offset in zip(FRAGMENTS6, (0, 1448)):
            piece = datagram[offset : offset + 1448]
            built = packets.ip("fd51::2", "fd77::2", packets.UDP, piece, 0xC79CA110, offset, offset == 0)
            self.assertEqual(built, b"\x60\0\0\0" + golden[4:])

    def test_a_reset_is_the_kernels(self):
        flags = packets.FLAGS["RST"] | packets.FLAGS["ACK"]
        segment = packets.tcp("10.77.0.2", 6001, "198.51.100.2", 5001, flags, 0, 0x6458D565, window=0)
        built = packets.ip("10.77.0.2", "198.51.100.2", packets.TCP, segment, dont_fragment=True, hops=63)
        self.assertEqual(built, RESET)

    def test_an_echo_is_the_kernels(self):
        for golden, source, destination, kind, header in (
            (ECHO, "198.51.100.2", "10.77.0.2", 8, 20),
            (ECHO6, "fd51::3", "fd77::2", 128, 40),
        ):
            message = golden[header:]
            self.assertEqual(packets.icmp(source, destination, kind, 0, message[4:8], message[8:]), message)


    def test_a_udp_checksum_of_zero_goes_as_its_other_form(self):
        ends = ("198.51.100.2", 5000, "10.77.0.2", 6000)
        datagram = packets.udp(*ends, packets.udp(*ends, b"\0\0")[6:8])
        self.assertEqual(datagram[6:8], b"\xff\xff")
        whole = packets.ip(ends[0], ends[2], packets.UDP, datagram)
        self.assertTrue(packets.Packet(whole).checksum_is_right())


class TakenApart(unittest.TestCase):
    def test_places_of_fragments(self):
        for fragments_of in (FRAGMENTS4, FRAGMENTS6):
            first, last = map(packets.Packet, fragments_of)
            self.assertEqual((first.offset, first.more, first.source_port), (0, True, 5000))
            self.assertEqual((last.more, last.source_port), (False, None))
            self.assertEqual(last.offset, len(first.payload))

    def test_a_segment(self):
        packet = packets.Packet(SYN)
        segment = packets.Segment(packet)
        self.assertTrue(packet.is_between(("198.51.100.2", 5001), ("10.77.0.2", 6001)))
        self.assertEqual((segment.sequence, segment.data), (0x6458D564, b""))
        self.assertEqual(segment.next_sequence, packets.Segment(packets.Packet(RESET)).acknowledged)
        self.assertEqual(packets.flag_names(segment.flags), ["SYN"])

    def test_checksums(self):
        for golden in (SYN, RESET, ECHO, ECHO6):
            self.assertTrue(packets.Packet(golden).checksum_is_right())
            wrong = golden[:-1] + bytes([golden[-1] ^ 1])
            self.assertFalse(packets.Packet(wrong).checksum_is_right())
            self.assertIsNone(packets.Packet(golden[:-4]).checksum_is_right())
        self.assertFalse(packets.Packet(SYN[:8] + b"\x3f" + SYN[9:]).header_is_right)


class Content(unittest.TestCase):
    def test_tells_its_number(self):
        for number, size in ((0, 4000), (7, 100), (65_536, 1501)):
            content = fragments.payload(number, size)
            self.assertEqual((len(content), fragments.number_of(content)), (size, number))
            self.assertIsNone(fragments.number_of(content[:-1] + bytes([content[-1] ^ 1])))


class STUN(unittest.TestCase):
    def test_reads_the_sample_response(self):
        kind, transaction, attributes = stun.parse(RESPONSE)
        self.assertEqual((kind, transaction), (stun.SUCCESS, TRANSACTION))
        found = stun.address_of(attributes[stun.XOR_MAPPED_ADDRESS], transaction)
        self.assertEqual(found, ("192.0.2.1", 32853))

    def test_writes_as_the_samples_are(self):
        attributes = list(stun.parse(RESPONSE)[2].items())
        # The samples pad with spaces (RFC 5769, section 2).
        written = stun.message(stun.SUCCESS, TRANSACTION, attributes).replace(b"vector\0", b"vector ")
        self.assertEqual(written, RESPONSE)
        self.assertEqual(stun.address_value("2001:db8:1234:5678:11:2233:4455:6677", 32853, TRANSACTION), XORED6)
        self.assertEqual(stun.address_value("192.0.2.1", 32853), struct.pack("!xBH4B", 1, 32853, 192, 0, 2, 1))

    def test_refuses_what_is_malformed(self):
        for broken in (RESPONSE[:19], RESPONSE[:-1], b"\0" * 20, RESPONSE[:20] + b"\0\x20\0\xff" + RESPONSE[24:]):
            with self.assertRaises(stun.Malformed):
                stun.parse(broken)


if __name__ == "__main__":
    unittest.main()
