"""Processors: which there are for the ends, and how busy all of them are."""

import os
import time
from pathlib import Path


def end_cpus() -> tuple[int, int]:
    """A CPU for each end; the same where there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def busy_cpu_seconds() -> float:
    """Of all CPUs since boot: all but idle, waiting for a disk, and stolen by the hypervisor (proc(5), /proc/stat)."""
    user, nice, system, _, _, interrupt, soft_interrupt = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + interrupt + soft_interrupt) / os.sysconf("SC_CLK_TCK")


def busy_share(seconds: float) -> float:
    """Of all CPUs over the next seconds, 0 to 1."""
    before = busy_cpu_seconds()
    time.sleep(seconds)
    return (busy_cpu_seconds() - before) / seconds / os.cpu_count()
