"""Starts a program as a service manager does: sockets handed over (sd_listen_fds(3)), notifications taken (sd_notify(3)).

    activator.py [--socket NAME=PATH]... [--wait] [--watchdog SECONDS] DIRECTORY -- PROGRAM ARGUMENT...

Prints `listening` when the sockets listen. Without --wait the program starts then; with it, when somebody connects. Its output
goes where this program's goes. Prints each notification as a line of JSON: {"at": seconds, "lines": ["READY=1", ...]}. SIGTERM is passed on. Ends with the program's status.
"""

import argparse
import json
import os
import select
import signal
import socket
import sys
import time


def say(text):
    print(text, flush=True)


def listen(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(16)
    return listener


def hand_over(sockets):
    """In the child: the sockets become 3, 4, ... and are told of by the child's own process id."""
    # Out of the way first: one of them may have another's number.
    copies = [os.dup2(one.fileno(), 100 + index) for index, (_, one) in enumerate(sockets)]
    for index, copy in enumerate(copies):
        os.dup2(copy, 3 + index, inheritable=True)
    os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--socket", action="append", default=[], metavar="NAME=PATH")
    options.add_argument("--wait", action="store_true")
    options.add_argument("--watchdog", type=float)
    options.add_argument("directory")
    options.add_argument("program", nargs="+")
    options = options.parse_args()

    sockets = [(name, listen(path)) for name, _, path in (one.partition("=") for one in options.socket)]
    path = options.directory + "/notify"
    notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notifications.bind(path)
    say("listening")
    if options.wait:
        select.select([listener for _, listener in sockets], [], [])

    os.environ["NOTIFY_SOCKET"] = path
    if sockets:
        os.environ["LISTEN_FDS"] = str(len(sockets))
        os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in sockets)
    if options.watchdog:
        os.environ["WATCHDOG_USEC"] = str(int(options.watchdog * 1_000_000))
    pid = os.fork()
    if pid == 0:
        hand_over(sockets)
        # It ends with this program, however that ends.
        os.execvp("setpriv", ["setpriv", "--pdeathsig", "KILL", "--", *options.program])
    # Whoever starts this may have blocked it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))

    notifications.settimeout(0.05)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        try:
            while True:
                lines = notifications.recv(4096).decode().splitlines()
                say(json.dumps({"at": time.monotonic(), "lines": lines}))
        except TimeoutError:
            pass
        if ended:
            sys.exit(os.waitstatus_to_exitcode(status) % 256)


if __name__ == "__main__":
    main()
