import unittest
from unittest import mock

from .. import stalls
from ..processes import ProgramFailed


class Unstalled(unittest.TestCase):
    def measure(self, longest: list[float], outcomes: list) -> float:
        """What comes of measurements during which the machine stood still for so long."""
        watches = iter(longest)
        watch = mock.MagicMock()
        watch.__enter__.side_effect = lambda: mock.Mock(longest_seconds=next(watches))
        watch.__exit__.return_value = False
        with mock.patch.object(stalls, "StallWatch", return_value=watch), mock.patch.object(stalls, "progress"):
            return stalls.unstalled(mock.Mock(side_effect=outcomes))

    def test_measures_once_when_nothing_stood_still(self):
        self.assertEqual(self.measure([0.1], [1.0]), 1.0)

    def test_measures_again_after_a_stall(self):
        self.assertEqual(self.measure([5.0, 0.1], [1.0, 2.0]), 2.0)

    def test_a_failure_during_a_stall_is_forgiven(self):
        self.assertEqual(self.measure([5.0, 0.1], [ProgramFailed("no end"), 2.0]), 2.0)

    def test_a_failure_without_a_stall_is_not(self):
        with self.assertRaises(ProgramFailed):
            self.measure([0.1], [ProgramFailed("no end")])

    def test_gives_up_when_it_stands_still_each_time(self):
        self.assertEqual(self.measure([5.0] * stalls.TRIES, [1.0] * stalls.TRIES), 1.0)
