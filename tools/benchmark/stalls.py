"""Notices when the whole machine stood still: a virtual machine that is moved or saved, processes that are stopped.

A figure from such a moment says nothing about a switch.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .processes import ProgramFailed
from .progress import progress

BEAT_SECONDS = 0.25
STALL_SECONDS = 1.0  # far more than a busy machine keeps a thread waiting


TRIES = 3


class StallWatch:
    """Looks at the clock from a thread of its own, while it is entered."""

    def __init__(self):
        self.longest_seconds = 0.0

    def __enter__(self):
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        before = time.monotonic()
        while not self._ended.wait(BEAT_SECONDS):
            now = time.monotonic()
            self.longest_seconds = max(self.longest_seconds, now - before - BEAT_SECONDS)
            before = now


Result = TypeVar("Result")


def unstalled(measure: Callable[[], Result]) -> Result:
    """What `measure` returns or raises, from a time in which the machine did not stand still."""
    for _ in range(TRIES):
        failure = None
        with StallWatch() as watch:
            try:
                result = measure()
            except ProgramFailed as failed:
                failure = failed
        if watch.longest_seconds < STALL_SECONDS:
            break
        progress(f"the machine stood still for {watch.longest_seconds:.1f} s: once more")
    if failure:
        raise failure
    return result
