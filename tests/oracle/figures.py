"""The arithmetic of the marts: each figure is null where there is nothing to work it out from."""

from collections.abc import Iterable
from decimal import Decimal
from math import ceil, floor, fsum
from typing import Any


def mean(values: Iterable[float]) -> float | None:
    """The arithmetic mean."""
    values = list(values)
    return fsum(values) / len(values) if values else None


def percentile(values: Iterable[float], fraction: float) -> float | None:
    """The percentile by linear interpolation between the two nearest ranks, as SQL's `percentile_cont`."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = fraction * (len(ordered) - 1)
    low, high = ordered[floor(rank)], ordered[ceil(rank)]
    return low + (high - low) * (rank - floor(rank))


def ratio(part: float, whole: float) -> float | None:
    """The share that a part is of the whole, null where there is no whole."""
    return part / whole if whole else None


def amount(value: Any) -> Decimal:
    """A sum of money as written in an event's JSON, exactly."""
    return Decimal(str(value))


def first_known(values: Iterable[Any]) -> Any:
    """The first value that is not null, or null."""
    return next((value for value in values if value is not None), None)


def distinct(values: Iterable[Any]) -> int:
    """How many different values there are, nulls aside."""
    return len({value for value in values if value is not None})
