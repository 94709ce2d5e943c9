import json
import unittest

from ..results import Results, verdicts
from .sample import IDLE, TCP, sample


class Ratios(unittest.TestCase):
    def test_are_taken_round_by_round(self):
        self.assertEqual(sample().ratios(TCP, "Martlet"), [0.95, 1.0, 0.8])

    def test_leave_out_rounds_without_a_figure(self):
        results = sample()
        results.series[TCP]["Martlet"][1] = None
        self.assertEqual(results.ratios(TCP, "Martlet"), [0.95, 0.8])

    def test_of_a_metric_that_the_base_does_not_have(self):
        self.assertEqual(sample().ratios(IDLE, "Martlet"), [])


class Verdicts(unittest.TestCase):
    def found(self, results: Results) -> dict[tuple[str, str], bool]:
        return {(verdict.metric.name, verdict.against): verdict.is_met for verdict in verdicts(results, "Martlet")}

    def test_one_for_each_goal_and_each_peer(self):
        expected = {
            ("TCP, 1 stream", "kernel bridge"): True,
            ("TCP, 1 stream", "vde_switch"): True,
            ("idle CPU", ""): True,
        }
        self.assertEqual(self.found(sample()), expected)

    def test_a_goal_is_missed_by_its_median(self):
        results = sample()
        results.series[TCP]["Martlet"] = [10, 8, 30]  # ratios 0.5, 0.8, 1
        results.series[IDLE]["Martlet"] = [0.1, 0.6, 0.7]
        found = self.found(results)
        self.assertFalse(found["TCP, 1 stream", "kernel bridge"])
        self.assertFalse(found["idle CPU", ""])

    def test_a_goal_without_a_figure_is_missed(self):
        results = sample()
        results.series[TCP]["Martlet"] = [None, None, None]
        self.assertFalse(self.found(results)["TCP, 1 stream", "kernel bridge"])

    def test_none_without_the_subject(self):
        self.assertEqual(verdicts(sample(), "another switch"), [])


class AsJSON(unittest.TestCase):
    def test_comes_back_as_it_was(self):
        results = sample()
        text = json.dumps(results.as_json())
        self.assertEqual(Results.from_json(json.loads(text)), results)

    def test_another_format_is_refused(self):
        with self.assertRaises(ValueError):
            Results.from_json(sample().as_json() | {"format": 0})
