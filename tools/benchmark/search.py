"""The binary search that RFC 2544 (section 26.1) and RFC 2889 (sections 5.7 and 5.8) look for a limit with."""

from collections.abc import Callable

from .stalls import unstalled


Trial = Callable[[float], float | None]


def highest_passing(upper: float, resolution: float, trial: Trial) -> float:
    """What the best trial that passed has reached; 0 when none passed.

    trial takes a value from 0 to upper and returns what it has really reached (a sender may fall behind its rate), or
    None when it did not pass. upper itself is tried first. The search ends when passed and failed values are no further
    than `resolution` apart.
    """
    reached = trial(upper)
    return between(0, upper, resolution, trial) if reached is None else reached


def highest_passing_from(lower: float, upper: float, parts: int, trial: Trial) -> float:
    """The same for trials that take the longer the larger the value: doubles from `lower` until one fails.

    The resolution is the failed value by `parts`.
    """
    best, value = 0.0, min(lower, upper)
    while (reached := trial(value)) is not None:
        best = reached
        if value == upper:
            return best
        value = min(value * 2, upper)
    return max(best, between(best, value, value / parts, trial))


def between(low: float, high: float, resolution: float, trial: Trial) -> float:
    """0 when none passed; low has passed, high has not."""
    best = 0.0
    while high - low > resolution:
        middle = (low + high) / 2
        reached = trial(middle)
        if reached is None:
            high = middle
        else:
            low, best = middle, max(best, reached)
    return best


def repeated(times: int, trial: Trial) -> Trial:
    """A trial that passes when one of several does: a hiccup of the machine is not the switch's limit."""

    def attempt(value: float) -> float | None:
        results = (unstalled(lambda: trial(value)) for _ in range(times))
        return next((reached for reached in results if reached is not None), None)

    return attempt
