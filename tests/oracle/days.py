"""`facts.tenant_days`: the days that marts by date have a row for."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from functools import wraps
from typing import ParamSpec

from tests.oracle.world import Row, World, once

P = ParamSpec("P")


@once
def tenant_days(world: World) -> list[Row]:
    """One row per tenant and local date from that of its first event to that of `as_of`."""
    first: dict[str, date] = {}
    for event in world.events:
        first.setdefault(event["tenant_id"], world.local_date(event))
    return [
        {"tenant_id": tenant_id, "date": begin + timedelta(number)}
        for tenant_id, begin in first.items()
        for number in range((world.tenant(tenant_id).local_date(world.as_of) - begin).days + 1)
    ]


def on_each_day(world: World, rows: Iterable[Row], *amounts: str, counts: Iterable[str]) -> list[Row]:
    """The rows, and one for each of the tenant's other days: counts and amounts are 0 there, the rest null."""
    found = {(row["tenant_id"], row["date"]): row for row in rows}
    unknown: Row = dict.fromkeys(next(iter(found.values()), {}))
    zeros = unknown | dict.fromkeys(counts, 0) | dict.fromkeys(amounts, Decimal(0))
    empty = [zeros | day for day in tenant_days(world) if (day["tenant_id"], day["date"]) not in found]
    return [*found.values(), *empty]


def every_day(counts: Iterable[str], *amounts: str) -> Callable[[Callable[P, list[Row]]], Callable[P, list[Row]]]:
    """As a decorator of a mart by tenant and date, whose first argument is the world."""

    def decorated(mart: Callable[P, list[Row]]) -> Callable[P, list[Row]]:
        @wraps(mart)
        def rows(*args: P.args, **kwargs: P.kwargs) -> list[Row]:
            world = args[0]
            assert isinstance(world, World)
            return on_each_day(world, mart(*args, **kwargs), *amounts, counts=counts)

        return rows

    return decorated
