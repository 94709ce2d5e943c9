"""Sends Ethernet frames as they are: one for each line of hexadecimal digits on standard input.

    frames.py INTERFACE
"""

import errno
import socket
import sys
import time


def send(packet, frame):
    """Waits while the interface's queue is full."""
    while True:
        try:
            return packet.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(0.001)


with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
    packet.bind((sys.argv[1], 0))
    for line in sys.stdin:
        send(packet, bytes.fromhex(line))
