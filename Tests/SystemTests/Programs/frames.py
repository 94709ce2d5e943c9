"""Sends Ethernet frames as they are: one for each line of hexadecimal digits on standard input.

    frames.py INTERFACE
"""

import socket
import sys

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
    packet.bind((sys.argv[1], 0))
    for line in sys.stdin:
        packet.send(bytes.fromhex(line))
