"""A TCP transfer that tells what arrived.

    stream.py receive PORT          takes one connection to its end; prints the bytes so far, line by line, then their hash
    stream.py send HOST PORT BYTES [BYTES_PER_SECOND]     prints the hash of what it sent
"""

import hashlib
import random
import socket
import sys
import time

CHUNK = 1 << 16
REPORT = 1 << 20


def receive(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    connection, _ = listener.accept()
    digest, count, told = hashlib.sha256(), 0, 0
    while chunk := connection.recv(CHUNK):
        digest.update(chunk)
        count += len(chunk)
        if count - told >= REPORT:
            told = count
            print(count, flush=True)
    print("done", count, digest.hexdigest(), flush=True)


def send(host, port, count, rate):
    block = random.Random(1).randbytes(CHUNK + 251)
    digest, sent, start = hashlib.sha256(), 0, time.monotonic()
    with socket.create_connection((host, port)) as connection:
        while sent < count:
            # No two chunks are the same.
            place = sent // CHUNK % 251
            chunk = block[place : place + min(CHUNK, count - sent)]
            connection.sendall(chunk)
            digest.update(chunk)
            sent += len(chunk)
            if rate and (ahead := sent / rate - (time.monotonic() - start)) > 0:
                time.sleep(ahead)
    print("done", sent, digest.hexdigest(), flush=True)


if sys.argv[1] == "receive":
    receive(int(sys.argv[2]))
else:
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]) if len(sys.argv) > 5 else 0)
