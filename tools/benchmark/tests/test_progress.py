import unittest

from ..progress import OVERHEAD_SECONDS, Remaining


class RemainingTime(unittest.TestCase):
    def test_goes_by_what_pieces_of_the_same_kind_took(self):
        remaining = Remaining(["short", "long", "short", "long"], guess=3)
        self.assertEqual(remaining.seconds(), 4 * (3 + OVERHEAD_SECONDS))
        remaining.finished("short", 1)
        remaining.finished("long", 100)
        self.assertEqual(str(remaining), "1 min 41 s left")
        remaining.finished("long", 100)
        self.assertEqual(str(remaining), "1 s left")
