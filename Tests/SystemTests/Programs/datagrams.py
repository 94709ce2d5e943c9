"""A UDP socket of all addresses that answers from the one that was asked, as a server must where there are several."""

import socket
import struct


class Answering:
    def __init__(self, address, port):
        """Of one address, or :: for all of both families."""
        self.port = port
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self.socket.bind((address, port))

    def fileno(self):
        return self.socket.fileno()

    def receive(self):
        """What came, from where, and how to answer it: a function of bytes."""
        octets, control, _, source = self.socket.recvmsg(65536, socket.CMSG_SPACE(20))
        # struct in6_pktinfo: the address, and the interface, which is left to the routes.
        back = [(level, kind, asked[:16] + struct.pack("I", 0)) for level, kind, asked in control]
        return octets, source, lambda answer: self.socket.sendmsg([answer], back, 0, source)
