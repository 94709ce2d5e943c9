"""The programs beside the system tests: where they are, and a bed in which they are tried on the kernel."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parents[1] / "SystemTests" / "Programs"
sys.path.insert(0, str(PROGRAMS))

PATIENCE_SECONDS = 60.0
OUTSIDE, OUTSIDE_TOO, OUTSIDE6, OUTSIDE6_TOO = "198.51.100.2", "198.51.100.3", "fd51::2", "fd51::3"
ROUTED_OUTSIDE = "203.0.113.5"  # routed to the machine outside, but no address of its own
HOST, INSIDE, INSIDE6 = "198.51.100.1", "10.77.0.2", "fd77::2"
MASQUERADE = "add rule ip nat postrouting oifname up0 masquerade"


class Bed:
    """Namespaces `outside`, `host` and `inside`; a veth pair from each end to the host, which routes. For `with`."""

    def __enter__(self):
        self.stack = ExitStack()
        suffix = os.urandom(4).hex()
        self.names = {place: f"{place}-{suffix}" for place in ("outside", "host", "inside")}
        with ExitStack() as undo:
            undo.push(self.stack)
            for name in self.names.values():
                run("ip", "netns", "add", name)
                undo.callback(run, "ip", "netns", "delete", name)
            self.join()
            self.stack = undo.pop_all()
        return self

    def __exit__(self, *raised):
        return self.stack.__exit__(*raised)

    def join(self):
        for place in self.names:
            self.batch(place, "link set lo up")
        for place, device in (("outside", "up0"), ("inside", "in0")):
            self.batch("host", f"link add {device} type veth peer name eth0 netns {self.names[place]}")
            self.batch("host", f"link set {device} up")
            self.batch(place, "link set eth0 up")
        self.batch("host", f"address add {HOST}/24 dev up0", "address add fd51::1/64 dev up0 nodad")
        self.batch("host", "address add 10.77.0.1/24 dev in0", "address add fd77::1/64 dev in0 nodad")
        self.batch("host", f"route add {ROUTED_OUTSIDE}/32 via {OUTSIDE}")
        for address in (OUTSIDE, OUTSIDE_TOO):
            self.batch("outside", f"address add {address}/24 dev eth0")
        for address in (OUTSIDE6, OUTSIDE6_TOO):
            self.batch("outside", f"address add {address}/64 dev eth0 nodad")
        self.batch("inside", f"address add {INSIDE}/24 dev eth0", f"address add {INSIDE6}/64 dev eth0 nodad")
        self.batch("outside", f"route add 10.77.0.0/24 via {HOST}", "route add fd77::/64 via fd51::1")
        self.batch("inside", "route add default via 10.77.0.1", "route add default via fd77::1")
        run(*self.words("host", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"))
        for address in (OUTSIDE, OUTSIDE6):
            # The kernel takes a moment to see that a pair is whole.
            run(*self.words("inside", "ping", "-n", "-c", 1, "-i", "0.1", "-w", int(PATIENCE_SECONDS), address))

    def translate(self, rule):
        chain = "add chain ip nat postrouting { type nat hook postrouting priority srcnat; }"
        run(*self.words("host", "nft", f"add table ip nat; {chain}; flush chain ip nat postrouting; {rule}"))

    def words(self, place, *command):
        return ["nsenter", f"--net=/run/netns/{self.names[place]}", "--", *map(str, command)]

    def batch(self, place, *commands):
        run(*self.words(place, "ip", "-batch", "-"), text="\n".join(commands) + "\n")

    def run(self, place, name, *arguments, text=""):
        """A program's lines of JSON; text is what it reads."""
        return lines(run(*self.words(place, sys.executable, PROGRAMS / name, *arguments), text=text))

    def start(self, place, name, *arguments):
        """A program that says `ready`, once it has. It ends with the bed."""
        words = self.words(place, sys.executable, "-u", PROGRAMS / name, *arguments)
        return self.stack.enter_context(Running(words, "ready"))

    def hold(self, place, *arguments):
        """A connection of tcppeer.py that stays open until its `end`."""
        words = self.words(place, sys.executable, "-u", PROGRAMS / "tcppeer.py", "connect", *arguments, "--hold")
        return self.stack.enter_context(Running(words, "connected"))


class Running:
    """A program that has said its word, and ends when it likes, or with the context."""

    def __init__(self, words, word):
        # One pipe for both: some say `ready` on standard output, those with one line of figures on standard error.
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if (said := self.process.stdout.readline()) != word + "\n":
            self.process.kill()
            raise AssertionError(f"{' '.join(words)}: {said}{self.process.communicate()[0]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def end(self):
        """Gives it a line to read, and returns its lines of JSON when it has ended."""
        return lines(self.process.communicate("\n", timeout=PATIENCE_SECONDS)[0])


def run(*words, text=""):
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: {done.stderr}{done.stdout}")
    return done.stdout


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
