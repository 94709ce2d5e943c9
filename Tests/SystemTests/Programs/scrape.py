"""Reads metrics as Prometheus' own client library does, which is strict about OpenMetrics.

    scrape.py [--openmetrics] PLACE
        PLACE: `-` (standard input), the path of a Unix socket, or ADDRESS:PORT (IPv6 in brackets), of which it gets /metrics.
        Prints {"type": the content type, "metrics": [{"name", "labels", "value", "kind"}...]}. Exit status 1: what was read is
        no exposition of that kind, or the answer is not 200.
"""

import argparse
import http.client
import json
import os
import socket
import sys

SYSTEM_PYTHON = "/usr/bin/python3"

try:
    from prometheus_client import parser as text_parser
    from prometheus_client.openmetrics import parser as open_parser
except ImportError:
    # Debian's package is for Debian's own Python, which need not be the first there is.
    if sys.executable == SYSTEM_PYTHON:
        raise
    os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, "-B"] + sys.argv)

ACCEPTED = {
    False: "text/plain;version=0.0.4",
    # As Prometheus 2.50 asks.
    True: "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
}
TIMEOUT_SECONDS = 10


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self.path)


def get(place, is_open):
    if place.startswith("/"):
        connection = UnixConnection(place)
    else:
        host, _, port = place.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT_SECONDS)
    connection.request("GET", "/metrics", headers={"Accept": ACCEPTED[is_open]})
    answer = connection.getresponse()
    body = answer.read().decode()
    if answer.status != 200:
        sys.exit(f"{answer.status}: {body}")
    return answer.headers["content-type"], body


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--openmetrics", action="store_true")
    arguments.add_argument("place")
    options = arguments.parse_args()
    if options.place == "-":
        kind, body = None, sys.stdin.read()
    else:
        kind, body = get(options.place, options.openmetrics)
    parser = open_parser if options.openmetrics else text_parser
    samples = [
        {"name": sample.name, "labels": sample.labels, "value": sample.value, "kind": family.type}
        for family in parser.text_string_to_metric_families(body)
        for sample in family.samples
    ]
    print(json.dumps({"type": kind, "metrics": samples}))


main()
