"""How a report writes figures: with their units, after a space that does not break, and a dash for what is unknown."""

from datetime import date
from math import floor, log10

SPACE = "\u00a0"
UNKNOWN = "–"
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1000, 60_000, 3_600_000, 86_400_000


def count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """One digit after the point, but for nothing and all."""
    return UNKNOWN if value is None else f"{value * 100:.{0 if value in (0, 1) else 1}f}{SPACE}%"


def score(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def duration(milliseconds: float | None) -> str:
    """In milliseconds up to a second, seconds up to a minute, minutes up to two hours, hours up to two days."""
    if milliseconds is None:
        return UNKNOWN
    if round(milliseconds) < SECOND_MS:
        return f"{milliseconds:.0f}{SPACE}ms"
    if milliseconds < MINUTE_MS:
        return f"{milliseconds / SECOND_MS:.{2 if milliseconds < 10 * SECOND_MS else 0}f}{SPACE}s"
    if milliseconds < 2 * HOUR_MS:
        return f"{milliseconds / MINUTE_MS:.1f}{SPACE}min"
    if milliseconds < 2 * DAY_MS:
        return f"{milliseconds / HOUR_MS:.1f}{SPACE}h"
    return f"{milliseconds / DAY_MS:.1f}{SPACE}days"


def money(value: float | None, currency: str) -> str:
    """Whole units from a hundred on, hundredths below; of less than a hundredth, two digits that say something."""
    if value is None:
        return UNKNOWN
    amount = two_digits(value) if 0 < abs(value) < 0.01 else f"{value:,.{0 if value == 0 or abs(value) >= 100 else 2}f}"
    return f"{amount}{SPACE}{currency}"


def two_digits(value: float) -> str:
    """A small number by its first two digits that are not 0, and without an exponent."""
    return f"{value:.{1 - floor(log10(abs(value)))}f}"


def day(value: date) -> str:
    return f"{value.day} {value:%b}"


def change(now: float | None, before: float | None) -> str:
    """By how many per cent of what it was before."""
    if now is None or not before:
        return UNKNOWN
    return _signed((now - before) / abs(before) * 100, 0, f"{SPACE}%")


def points(now: float | None, before: float | None) -> str:
    """By how many points of a per cent, for rates."""
    return UNKNOWN if now is None or before is None else _signed((now - before) * 100, 1, f"{SPACE}points")


def difference(now: float | None, before: float | None) -> str:
    """By how much, for scores."""
    return UNKNOWN if now is None or before is None else _signed(now - before, 2, "")


def _signed(value: float, digits: int, unit: str) -> str:
    text = f"{abs(value):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return "the same"
    return f"{'+' if value > 0 else '−'}{text}{unit}"
