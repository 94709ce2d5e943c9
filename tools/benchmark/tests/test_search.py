import unittest

from ..search import highest_passing, highest_passing_from, repeated


def limit(of: float):
    return lambda value: value if value <= of else None


class HighestPassing(unittest.TestCase):
    def test_finds_the_limit_to_the_resolution(self):
        for of in (1, 37, 499, 730, 999):
            found = highest_passing(1000, 5, limit(of))
            self.assertLessEqual(found, of)
            self.assertGreater(found, of - 5)

    def test_takes_the_upper_end_when_it_passes(self):
        tried = []

        def trial(value: float) -> float:
            tried.append(value)
            return value

        self.assertEqual(highest_passing(1000, 5, trial), 1000)
        self.assertEqual(tried, [1000])

    def test_finds_nothing_when_nothing_passes(self):
        self.assertEqual(highest_passing(1000, 5, lambda _: None), 0)

    def test_reports_what_was_reached_rather_than_what_was_asked_for(self):
        found = highest_passing(1000, 5, lambda value: min(value, 200) if value <= 600 else None)
        self.assertEqual(found, 200)


class HighestPassingFrom(unittest.TestCase):
    def test_finds_the_limit_to_a_share_of_it(self):
        for of in (3, 37, 499, 730, 4000):
            found = highest_passing_from(4, 4096, 64, limit(of))
            self.assertLessEqual(found, of)
            self.assertGreater(found, of * (1 - 2 / 64) - 0.1)

    def test_tries_nothing_far_beyond_the_limit(self):
        tried = []

        def trial(value: float) -> float | None:
            tried.append(value)
            return limit(100)(value)

        highest_passing_from(4, 4096, 64, trial)
        self.assertEqual(max(tried), 128)

    def test_ends_at_the_upper_end(self):
        self.assertEqual(highest_passing_from(4, 1000, 64, lambda value: value), 1000)

    def test_finds_nothing_when_nothing_passes(self):
        self.assertEqual(highest_passing_from(4, 1000, 64, lambda _: None), 0)


class Repeated(unittest.TestCase):
    def test_passes_when_one_of_the_tries_does(self):
        outcomes = iter([None, 7.0])
        self.assertEqual(repeated(2, lambda _: next(outcomes))(1.0), 7.0)

    def test_stops_at_the_first_that_passes(self):
        outcomes = iter([7.0])
        self.assertEqual(repeated(2, lambda _: next(outcomes))(1.0), 7.0)

    def test_fails_when_none_does(self):
        self.assertIsNone(repeated(2, lambda _: None)(1.0))
