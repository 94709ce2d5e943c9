"""What a reader must know to compare a table with another."""

import os
import platform
from datetime import datetime, timezone
from pathlib import Path

from .contenders import KernelBridge
from .contenders.contender import MTU
from .cpu import busy_share
from .metrics import Conditions
from .processes import ProgramFailed, run

TREE = Path(__file__).resolve().parents[2]
QUIET_SECONDS = 1.0
BUSY_LIMIT = 0.1


def facts(conditions: Conditions) -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "kernel": platform.release(),
        "CPUs": f"{os.cpu_count()} x {models[0] if models else platform.machine()}",
        "memory": f"{gigabytes:.0f} GB",
        "congestion control": conditions.congestion_control,
        "MTU": str(MTU),
        "bridge-nf-call-iptables": "0 unless named" if KernelBridge.has_br_netfilter() else "absent",
    }


def commit() -> str:
    # The tree may belong to the person who called sudo.
    git = ("git", "-c", "safe.directory=*", "-C", TREE)
    try:
        return run(*git, "describe", "--always", "--dirty=, changed", "--abbrev=12").strip()
    except ProgramFailed:
        return "unknown"


def busy_remark() -> str | None:
    """A warning when other work spoils the figures; with two CPUs or so, any does."""
    share = busy_share(QUIET_SECONDS)
    if share <= BUSY_LIMIT:
        return None
    return f"Other programs kept the machine {share:.0%} busy when this began: these figures are not to be cited."
