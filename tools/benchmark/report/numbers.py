"""How a figure is written."""

from statistics import median


def number(value: float, digits: int | None = None) -> str:
    """Three significant digits, unless told how many after the point."""
    if digits is None:
        digits = 0 if value >= 100 or value == 0 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def spread(values: list[float], digits: int | None = None) -> str:
    """median [min..max]; nothing when there are no values."""
    if not values:
        return ""
    middle = number(median(values), digits)
    if len(values) == 1:
        return middle
    return f"{middle} [{number(min(values), digits)}..{number(max(values), digits)}]"
