"""Runs a program on a terminal of its own (pty(7)) and types, as a person would.

    screen.py COLUMNS ROWS -- PROGRAM... < STEPS
        STEPS, one a line: `see TEXT` waits until TEXT has been written since the last step, `type TEXT` (Python escapes),
        `resize COLUMNS ROWS`, `signal NUMBER`, `run` a command, `forget` what was seen. Prints {"status": the exit status, negative for a signal,
        "restored": the terminal is set as before, "output": all that was written}. Exit status 1: a step took over ten seconds.
"""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

PATIENCE_SECONDS = 10


def size(descriptor, columns, rows):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Screen:
    def __init__(self, columns, rows, words):
        self.master, terminal = pty.openpty()
        size(self.master, columns, rows)
        self.terminal = terminal
        self.before = termios.tcgetattr(terminal)
        self.output, self.unseen = b"", b""
        # Its own session, whose terminal this is: SIGWINCH goes to it.
        self.process = subprocess.Popen(
            words, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def take(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        part = os.read(self.master, 65536)
        self.output += part
        self.unseen += part
        return True

    def see(self, text):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.unseen:
            if time.monotonic() > deadline:
                self.process.kill()
                sys.exit(f"{text!r} was not written; this was: {self.output[-2000:]!r}")
            self.take(0.1)
        self.unseen = self.unseen.split(text, 1)[1]

    def end(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.kill()
                sys.exit(f"it did not end; this was written: {self.output[-2000:]!r}")
            self.take(0.05)
        while self.take(0):
            pass
        return {
            "status": self.process.returncode,
            "restored": termios.tcgetattr(self.terminal) == self.before,
            "output": self.output.decode(errors="replace"),
        }


def main():
    screen = Screen(int(sys.argv[1]), int(sys.argv[2]), sys.argv[4:])
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "see":
            screen.see(rest.encode())
        elif word == "type":
            os.write(screen.master, rest.encode().decode("unicode_escape").encode("latin-1"))
        elif word == "resize":
            size(screen.master, *map(int, rest.split()))
        elif word == "signal":
            screen.process.send_signal(int(rest))
        elif word == "run":
            subprocess.run(rest.split(), check=True)
        elif word == "forget":
            screen.unseen = b""
    print(json.dumps(screen.end()))


main()
