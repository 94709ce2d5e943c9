import unittest
from pathlib import Path

from ..contenders import contenders, routers, switches
from ..contenders.kernel_router import map_commands, rule_commands
from ..contenders.martlet_router import specifications
from ..metrics import Metric
from ..suites import SUITES
from ..suites.nat import FLAT, Curves

PORTS = (("tcp", 5201), ("udp", 7000), ("tcp", 7000), ("tcp", 5202))


class Commands(unittest.TestCase):
    def test_nftables_gets_one_command_for_each_protocol(self):
        self.assertEqual(
            map_commands("add", PORTS),
            [
                "add element ip bench tcp_ports { 5201 : 10.77.0.2 . 5201, 7000 : 10.77.0.2 . 7000, "
                "5202 : 10.77.0.2 . 5202 }",
                "add element ip bench udp_ports { 7000 : 10.77.0.2 . 7000 }",
            ],
        )

    def test_nftables_gets_no_command_for_a_protocol_without_ports(self):
        commands = map_commands("delete", (("udp", 1),))
        self.assertEqual(commands, ["delete element ip bench udp_ports { 1 : 10.77.0.2 . 1 }"])

    def test_docker_has_a_rule_to_translate_and_one_to_let_pass(self):
        translate, let_pass = rule_commands((("udp", 53),))
        self.assertRegex(translate, "docker_nat .* udp dport 53 dnat to 10.77.0.2:53$")
        self.assertRegex(let_pass, "docker_filter ip daddr 10.77.0.2 .* udp dport 53 accept$")

    def test_martlet_gets_ranges(self):
        self.assertEqual(specifications(PORTS), ["0.0.0.0:5201-5202:5201-5202/tcp", "0.0.0.0:7000:7000/tcp", "0.0.0.0:7000:7000/udp"])
        many = tuple(("tcp", number) for number in range(20_000, 30_000))
        self.assertEqual(specifications(many), ["0.0.0.0:20000-29999:20000-29999/tcp"])


class Choice(unittest.TestCase):
    def setUp(self):
        self.every = list(contenders(Path(), None).values())

    def test_the_base_comes_first_and_martlet_next(self):
        names = [router.name for router in routers(self.every)]
        self.assertEqual(names[:2], ["kernel bridge + nftables", "Martlet"])
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len({router.stem for router in routers(self.every)}), len(names))

    def test_switches_and_routers_are_not_mixed(self):
        for suite in ("l2", "scale", "mac"):
            self.assertTrue(all(c.is_switch for c in SUITES[suite].choose(self.every)), suite)
        self.assertFalse(any(c.is_switch for c in SUITES["nat"].choose(self.every)))
        self.assertEqual(set(switches(self.every)) & set(routers(self.every)), set())

    def test_docker_is_measured_on_its_own_bridge_and_on_martlet(self):
        chosen = SUITES["docker"].choose(self.every)
        self.assertEqual([engine.name for engine in chosen], ["Docker's bridge network", "Martlet"])
        self.assertFalse(any(engine.is_switch for engine in chosen))


class Growth(unittest.TestCase):
    def setUp(self):
        self.curves = Curves("sessions", (1, 10), "Sessions", {"cost": FLAT})

    def figures(self, router: str, count: int, value: float) -> dict[Metric, float]:
        class Named:
            name = router

        return self.curves.with_growth(Named(), count, {self.curves.metric("cost", "", "s", count): value})

    def test_is_the_last_by_the_first_of_the_same_router(self):
        self.figures("a", 1, 2.0)
        self.figures("b", 1, 4.0)
        found = {metric.name: value for metric, value in self.figures("a", 10, 3.0).items()}
        self.assertEqual(found, {"cost, 10 sessions": 3.0, "cost, 10 sessions by 1": 1.5})

    def test_is_not_taken_across_rounds(self):
        self.figures("a", 1, 2.0)
        self.figures("a", 10, 3.0)
        self.assertEqual(len(self.figures("a", 10, 3.0)), 1)
