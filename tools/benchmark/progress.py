"""What the person at the terminal is told meanwhile."""

import sys
from collections import Counter, defaultdict

OVERHEAD_SECONDS = 0.5  # of starting and ending programs, before anything is known


def progress(text: str):
    print(text, file=sys.stderr, flush=True)


class Remaining:
    """Estimates what is left from how long pieces of the same kind have taken."""

    def __init__(self, pieces: list[str], guess: float):
        self.left = Counter(pieces)
        self.spent: dict[str, list[float]] = defaultdict(list)
        self.guess = guess + OVERHEAD_SECONDS

    def finished(self, piece: str, seconds: float):
        self.left[piece] -= 1
        self.spent[piece].append(seconds)

    def seconds(self) -> float:
        def mean(piece: str) -> float:
            spent = self.spent[piece]
            return sum(spent) / len(spent) if spent else self.guess

        return sum(count * mean(piece) for piece, count in self.left.items())

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds()), 60)
        return f"{minutes} min {seconds:02} s left" if minutes else f"{seconds} s left"
