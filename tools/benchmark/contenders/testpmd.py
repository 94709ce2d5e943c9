"""DPDK's testpmd over AF_PACKET. It switches nothing: what comes in at one port goes out at the other."""

import os

from ..processes import run
from .veth import VethContender

MEMORY_MEGABYTES = 512
BUFFERS = 16384
READY = "Checking link statuses..."


class TestPMD(VethContender):
    name = "DPDK testpmd, AF_PACKET"
    stem = "testpmd"
    packages = ("dpdk-dev",)
    programs = ("dpdk-testpmd",)
    most_hosts = 2
    connects_one_by_one = False
    notes = (
        VethContender.NO_OFFLOADS,
        "one thread that polls without pause, while it is measured",
        "forwards between two ports; no address is looked up",
    )

    def version(self) -> str:
        return run("dpkg-query", "-W", "-f", "${Version}", "dpdk-dev")

    def complete(self):
        # Two lcores: one for the command line, which sleeps, and one that forwards.
        usable = sorted(os.sched_getaffinity(0))
        cores = f"0@{usable[0]},1@{usable[-1]}"
        ring = "blocksz=65536,framesz=2048,framecnt=512,qdisc_bypass=1"
        ports = [f"--vdev=net_af_packet{index},iface=port{index + 2},{ring}" for index in range(len(self.hosts))]
        process = self.switch.start(
            *("dpdk-testpmd", "--no-huge", "-m", str(MEMORY_MEGABYTES), "--no-pci", "--lcores", cores, *ports),
            *("--", "--forward-mode=io", "--auto-start", "--nb-cores=1", f"--total-num-mbufs={BUFFERS}"),
        )
        self.processes.append(process)
        process.wait_for_line(READY)
