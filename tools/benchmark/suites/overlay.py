"""Two hosts joined by VXLAN, a container on each, over an underlay with offloads and one without.

The design that splits is Martlet's own for kernels that segment nothing within a tunnel: each segmented frame leaves as
one or two datagrams that the kernel cuts apart (USO; UDP_SEGMENT, for a TAP). It joins again what arrives uncut, and
nothing else. There is no other program to start that splits; the C prototype of --prototype hands its frames over in
one piece.
"""

from dataclasses import dataclass

from ..contenders import Overlay, overlays
from ..contenders.overlay import OVERHEAD, Underlay
from ..cpu import end_cpus
from ..metrics import at_least, at_most
from .paths import Path, latency, tcp, udp
from .staged import Stage, StagedSuite

MTUS = (1500, 9000)


@dataclass(frozen=True)
class Bounds:
    """What Martlet is to reach, as ratios to the kernel: rates at least, the round trip's median at most."""

    one_stream: float
    four_streams: float
    small_frames: float
    round_trip: float


BOUNDS = {
    True: Bounds(one_stream=0.8, four_streams=0.5, small_frames=2.0, round_trip=0.95),
    False: Bounds(one_stream=1.0, four_streams=1.0, small_frames=1.3, round_trip=0.7),
}  # by whether the underlay carries offloads
METHODS = {
    True: "The underlay takes segmented packets whole.",
    False: "The underlay takes single packets with checksums.",
}


def stage(underlay: Underlay) -> Stage:
    name = f"{'offloads' if underlay.carries_offloads else 'must segment'}, MTU {underlay.mtu}"
    path = Path(name, METHODS[underlay.carries_offloads], lambda overlay: (overlay.hosts[0], overlay.hosts[1]))
    bounds = BOUNDS[underlay.carries_offloads]

    def prepare(overlay: Overlay):
        overlay.underlay = underlay

    measurements = [
        tcp(path, 1, at_least(bounds.one_stream)),
        tcp(path, 4, at_least(bounds.four_streams)),
        udp(path, False, at_least(bounds.small_frames)),
        latency(path, end_cpus(), at_most(bounds.round_trip)),
    ]
    return Stage(2, measurements, title=name, prepare=prepare)


def stages() -> list[Stage]:
    return [stage(Underlay(mtu, carries_offloads)) for carries_offloads in (True, False) for mtu in MTUS]


MTU_FACT = ", ".join(f"{mtu - OVERHEAD} over {mtu}" for mtu in MTUS)
SUITE = StagedSuite("overlay", "containers of two hosts, joined by VXLAN", stages, overlays, facts={"MTU": MTU_FACT})
