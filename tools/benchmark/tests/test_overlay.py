import unittest
from pathlib import Path
from unittest.mock import patch

from ..contenders import Contender, contenders, overlays
from ..contenders.overlay import MartletEnd, MartletOverlay, Underlay, tunnel_commands
from ..loads import Delivery, RoundTrips
from ..metrics import Conditions, Goal, Metric, at_least, at_most
from ..namespaces import Host
from ..processes import ProgramFailed
from ..results import Entry, Results
from ..suites import SUITES
from ..suites import overlay as suite
from ..suites import paths
from ..suites.staged import Stage, StagedSuite

CONDITIONS = Conditions(1.0, "cubic", Path("martlet-load"))


class Recorder:
    """In place of a namespace: what it would have been told."""

    name = "far"

    def __init__(self):
        self.told: list[str] = []

    def batch(self, *commands: str):
        self.told += commands

    def run(self, *words: str):
        self.told.append(" ".join(words))


class Choice(unittest.TestCase):
    def test_the_kernel_is_the_base_and_martlet_beside_it(self):
        chosen = SUITES["overlay"].choose(list(contenders(Path(), Path()).values()))
        self.assertEqual(
            [contender.name for contender in chosen],
            ["kernel vxlan + bridge", "Martlet", "Martlet, tunnel-segmentation datagrams"],
        )
        self.assertFalse(any(contender.is_switch or contender.is_peer for contender in chosen))

    def test_namespaces_of_all_hosts_are_told_apart(self):
        stems = [end.stem for overlay in overlays(list(contenders(Path(), None).values())) for end in overlay.ends]
        self.assertEqual(len(set(stems)), 6)


    def test_only_who_splits_is_told_to(self):
        chosen = overlays(list(contenders(Path(), None).values()))
        settings = [[end.settings for end in overlay.ends] for overlay in chosen[1:]]
        self.assertEqual(settings, [[{}, {}], [{"tunnel-segmentation": "datagrams"}] * 2])

    def test_no_other_suite_takes_an_overlay(self):
        for name in ("l2", "nat", "docker", "scale", "mac"):
            chosen = SUITES[name].choose([MartletOverlay(Path())])
            self.assertEqual(chosen, [], name)


class Commands(unittest.TestCase):
    def test_the_wire_keeps_its_offloads(self):
        hosts = [Recorder(), Recorder()]
        Underlay(9000).join(hosts)
        self.assertEqual(
            hosts[0].told,
            [
                "link add u0 type veth peer name u0 netns far",
                "address add 192.0.2.1/24 dev u0",
                "link set u0 mtu 9000 up",
            ],
        )
        self.assertEqual(hosts[1].told, ["address add 192.0.2.2/24 dev u0", "link set u0 mtu 9000 up"])

    def test_a_wire_that_must_segment_has_none_at_either_end(self):
        hosts = [Recorder(), Recorder()]
        Underlay(1500, carries_offloads=False).join(hosts)
        for host in hosts:
            self.assertEqual(host.told[-1], "ethtool -K u0 tx off tso off gso off gro on")

    def test_the_kernels_tunnel(self):
        self.assertEqual(
            tunnel_commands("192.0.2.1", "192.0.2.2", 1450),
            [
                "link add vx0 type vxlan id 42 local 192.0.2.1 remote 192.0.2.2 dstport 4789",
                "link set vx0 mtu 1450 master br0 up",
            ],
        )

    def test_martlets_tunnel(self):
        told = []
        end = MartletEnd("martlet", Path(), print, {})
        end.command = lambda *words: told.append(" ".join(words))
        end.join_tunnel("192.0.2.1", "192.0.2.2", 1450)
        self.assertEqual(
            told,
            [
                "network create bench --driver overlay -o vni=42 -o local=192.0.2.1 -o port=4789 --no-gateway "
                "--subnet 10.77.0.0/16 --subnet fd77::/64",
                "overlay peer add bench 192.0.2.2",
            ],
        )


class Stages(unittest.TestCase):
    def setUp(self):
        self.stages = SUITES["overlay"].stages()

    def test_each_has_its_underlay_and_the_inner_mtu_follows(self):
        overlay = MartletOverlay(Path())
        found = []
        for stage in self.stages:
            stage.prepare(overlay)
            found.append((stage.title, overlay.underlay.carries_offloads, overlay.underlay.mtu, overlay.mtu))
        self.assertEqual(
            found,
            [
                ("offloads, MTU 1500", True, 1500, 1450),
                ("offloads, MTU 9000", True, 9000, 8950),
                ("must segment, MTU 1500", False, 1500, 1450),
                ("must segment, MTU 9000", False, 9000, 8950),
            ],
        )
        self.assertEqual(SUITES["overlay"].facts, {"MTU": "1450 over 1500, 8950 over 9000"})

    def test_measurements_are_told_apart(self):
        titles = [measurement.title for stage in self.stages for measurement in stage.measurements]
        self.assertEqual(len(titles), 16)
        self.assertEqual(len(set(titles)), len(titles))

    @patch.object(paths, "tcp_bulk", return_value=(10.0, 1.0))
    @patch.object(paths, "small_frames", return_value=Delivery(9, 9.0, 9, 9.0, 1.0))
    @patch.object(paths, "round_trips", return_value=RoundTrips(1.0, 2.0, 3.0, 4.0))
    def test_the_goals(self, trips, frames, bulk):
        overlay = MartletOverlay(Path())
        overlay.hosts = [Host(Recorder(), "eth0", "10.77.0.2", ""), Host(Recorder(), "eth0", "10.77.0.3", "")]
        figures: dict[Metric, float] = {}
        for stage in self.stages:
            for measurement in stage.measurements:
                figures |= measurement.run(overlay, CONDITIONS)
        for load in (trips, frames, bulk):
            self.assertEqual([call.args[:2] for call in load.call_args_list], [tuple(overlay.hosts)] * load.call_count)
        expected: dict[str, tuple[Goal, ...]] = {}
        for mtu in (1500, 9000):
            for underlay, bounds in (("offloads", (0.8, 0.5, 2.0, 0.95)), ("must segment", (1.0, 1.0, 1.3, 0.7))):
                names = ("TCP, 1 stream", "TCP, 4 streams", "UDP, sink blocks")
                prefix = f"{underlay}, MTU {mtu}:"
                expected |= {f"{prefix} {name}": (at_least(bound),) for name, bound in zip(names, bounds)}
                expected[f"{prefix} round trip, p50"] = (at_most(bounds[-1]),)
        self.assertEqual({metric.name: metric.goals for metric in figures if metric.goals}, expected)
        self.assertEqual(len(figures), 40)  # with the CPU of each, p99 and p99.9


class Absence(unittest.TestCase):
    class Broken(Contender):
        name = stem = "broken"

        def start(self):
            raise ProgramFailed("no such device")

    def test_says_in_which_stage(self):
        results = Results("overlay", "", 1, 1.0, {}, [Entry("base", False)])
        failing = StagedSuite("overlay", "", lambda: [Stage(2, [], title="MTU 9000"), Stage(2, [])])
        failing.run([self.Broken()], CONDITIONS, results)
        self.assertEqual(
            [(absence.what, absence.reason) for absence in results.absences],
            [("MTU 9000", "no such device"), ("2 hosts", "no such device")],
        )

    def test_the_suites_facts_are_in_its_results(self):
        results = Results("overlay", "", 1, 1.0, {"MTU": "1500", "kernel": "6.18"})
        StagedSuite("overlay", "", lambda: [], facts={"MTU": suite.MTU_FACT}).run([], CONDITIONS, results)
        self.assertEqual(results.machine, {"MTU": suite.MTU_FACT, "kernel": "6.18"})
