"""Programs that run to their end, and programs that run beside us."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

COMMAND_SECONDS = 300.0  # what only sets up or takes away may also wait out that the machine stands still
START_SECONDS = 20.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.01
LOG_LINES = 15


class ProgramFailed(Exception):
    """A program that we depend on did not do its work; the message says which, and what it said."""


def run(*command: str | Path, timeout: float = COMMAND_SECONDS, text: str = "") -> str:
    """Runs a program to its end and returns its standard output. text: what it reads from standard input."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, input=text, timeout=timeout)
    except FileNotFoundError as missing:
        raise ProgramFailed(f"{words[0]} is not installed") from missing
    except subprocess.TimeoutExpired as expired:
        raise ProgramFailed(f"{' '.join(words)}: no end after {timeout:g} s") from expired
    if done.returncode != 0:
        raise ProgramFailed(f"{' '.join(words)}: {last_lines(done.stderr or done.stdout) or done.returncode}")
    return done.stdout


class Background:
    """A program that runs beside us; a context manager, which stops it."""

    def __init__(self, *command: str | Path):
        self.words = [str(word) for word in command]
        self.output = tempfile.TemporaryFile("w+")
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.words, stdin=subprocess.PIPE, stdout=self.output, stderr=self.log, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self) -> int:
        return self.process.pid

    def read(self, file) -> str:
        # pread, because the program writes at the offset that it shares with us.
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")

    def wait_until(self, condition, awaited: str):
        """Waits for a condition, and fails at once when the program ends before it holds."""
        # Counted in looks, not by the clock, which goes on while the machine stands still.
        for _ in range(round(START_SECONDS / POLL_SECONDS)):
            if condition():
                return
            self.require_running()
            time.sleep(POLL_SECONDS)
        raise ProgramFailed(
            f"{' '.join(self.words)}: {awaited} not seen in {START_SECONDS:g} s: {last_lines(self.read(self.log))}"
        )

    def wait_for_line(self, line: str):
        self.wait_until(lambda: line in (self.read(self.output) + self.read(self.log)).splitlines(), f"'{line}'")

    def signal(self, number: signal.Signals):
        """Does nothing when the program has ended."""
        self.process.send_signal(number)

    def require_running(self):
        if self.process.poll() is not None:
            raise ProgramFailed(f"{' '.join(self.words)} ended: {last_lines(self.read(self.log))}")

    def finish(self, timeout: float) -> str:
        """Waits for its end, which must be a success, and returns what it had written to standard output."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as expired:
            raise ProgramFailed(f"{' '.join(self.words)}: no end after {timeout:g} s") from expired
        if status != 0:
            raise ProgramFailed(f"{' '.join(self.words)}: {last_lines(self.read(self.log)) or status}")
        return self.read(self.output)

    def stop(self) -> str:
        """Ends the program by SIGTERM and returns what it had written to standard output."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.read(self.output)


def last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LOG_LINES:])
