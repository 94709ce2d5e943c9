"""STUN messages (RFC 5389, RFC 5780), for stunserver.py and stunprobe.py. It is no program itself."""

import os
import struct

from packets import is_ipv6, packed, unpacked

MAGIC = 0x2112A442
REQUEST, SUCCESS, ERROR = 0x0001, 0x0101, 0x0111
MAPPED_ADDRESS, CHANGE_REQUEST, ERROR_CODE, UNKNOWN_ATTRIBUTES = 0x0001, 0x0003, 0x0009, 0x000A
XOR_MAPPED_ADDRESS, RESPONSE_PORT, RESPONSE_ORIGIN, OTHER_ADDRESS = 0x0020, 0x0027, 0x802B, 0x802C
CHANGE_ADDRESS, CHANGE_PORT = 4, 2
OPTIONAL = 0x8000  # attributes from here on need not be understood


class Malformed(Exception):
    """What came is no STUN message; the text says why."""


def message(kind, transaction, attributes=()):
    """transaction: 12 bytes. attributes: pairs of a type and bytes."""
    body = b"".join(
        struct.pack("!2H", of, len(value)) + value + b"\0" * (-len(value) % 4) for of, value in attributes
    )
    return struct.pack("!2HI", kind, len(body), MAGIC) + transaction + body


def parse(octets):
    """The kind, the transaction, and the attributes by type."""
    if len(octets) < 20:
        raise Malformed("shorter than a header")
    kind, length, magic = struct.unpack("!2HI", octets[:8])
    if magic != MAGIC or length != len(octets) - 20 or length % 4:
        raise Malformed("another magic cookie, or a length that is not its own")
    attributes, offset = {}, 20
    while offset < len(octets):
        of, size = struct.unpack("!2H", octets[offset : offset + 4])
        if offset + 4 + size > len(octets):
            raise Malformed("an attribute that goes past the end")
        attributes.setdefault(of, octets[offset + 4 : offset + 4 + size])
        offset += 4 + size + -size % 4
    return kind, octets[8:20], attributes


def new_transaction():
    return os.urandom(12)


def address_value(address, port, transaction=None):
    """Of MAPPED-ADDRESS and its like; of XOR-MAPPED-ADDRESS where a transaction is given (RFC 5389, section 15.2)."""
    octets, family = packed(address), 2 if is_ipv6(address) else 1
    if transaction is not None:
        port ^= MAGIC >> 16
        octets = exclusive_or(octets, transaction)
    return struct.pack("!xBH", family, port) + octets


def address_of(value, transaction=None):
    """The address and the port."""
    if len(value) not in (8, 20):
        raise Malformed("an address of another length")
    port, octets = struct.unpack("!H", value[2:4])[0], value[4:]
    if transaction is not None:
        port ^= MAGIC >> 16
        octets = exclusive_or(octets, transaction)
    return unpacked(octets), port


def exclusive_or(octets, transaction):
    return bytes(one ^ other for one, other in zip(octets, struct.pack("!I", MAGIC) + transaction))
