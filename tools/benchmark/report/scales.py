"""From figures to places in a plot."""

import math
from dataclasses import dataclass

LOGARITHMIC_FROM = 30.0  # the largest figure by the smallest, beyond which the small ones would not be seen
TICKS = 4
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Scale:
    """An axis of figures, from `low` to `high`, over `length` pixels."""

    low: float
    high: float
    length: float
    is_logarithmic: bool

    @classmethod
    def over(cls, values: list[float], length: float, is_rate: bool) -> "Scale":
        """Linear from 0; logarithmic over whole powers of ten for times and costs that lie far apart.

        Rates are always linear: there the small ones are those that need not be read to the digit.
        """
        positive = [value for value in values if value > 0]
        largest = max(positive, default=1.0)
        is_wide = len(positive) == len(values) and largest / min(positive, default=1.0) > LOGARITHMIC_FROM
        if is_wide and not is_rate:
            low = 10.0 ** math.floor(math.log10(min(positive)))
            return cls(low, 10.0 ** math.ceil(math.log10(largest)), length, True)
        step = nice_step(largest)
        return cls(0.0, step * math.ceil(largest / step - 1e-9), length, False)

    def place(self, value: float) -> float:
        if self.is_logarithmic:
            share = math.log10(max(value, self.low) / self.low) / math.log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return share * self.length

    def ticks(self) -> list[float]:
        if not self.is_logarithmic:
            step = nice_step(self.high)
            return [index * step for index in range(round(self.high / step) + 1)]
        decades = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
        every = math.ceil(len(decades) / (TICKS + 2))
        return [10.0**exponent for exponent in decades[::every]]


def nice_step(largest: float) -> float:
    """Between ticks: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(largest / TICKS))
    return next(step * power for step in STEPS if step * power * TICKS >= largest * 0.999)


def tick_label(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else f"{value:g}"
