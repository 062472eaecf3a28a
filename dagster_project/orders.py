"""What a run asks of `parley.build`, from its partitions and its choices. No Dagster here."""

from datetime import date, datetime

from parley.build import Order
from parley.errors import ParleyError


def parse_as_of(text: str) -> datetime:
    """A time that somebody wrote. Raises ParleyError where it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ParleyError(f"as_of {text!r} is no time: write it as 2026-01-31T18:00:00Z.") from None


def order(
    *,
    as_of: datetime,
    days: tuple[str, str],
    only_changes: bool = False,
    tenant: str | None = None,
    full_refresh: bool = False,
) -> Order:
    """The order of a run.

    `days` is the first and last day of its partitions: all between are built again, of all tenants or of one, besides
    whatever changed. Neither matters where only changes are to be taken in, nor to a full refresh, which builds
    everything anew. Raises ParleyError where `as_of` has no offset.
    """
    if only_changes or full_refresh:
        return Order(as_of=as_of, full_refresh=full_refresh)
    first, last = map(date.fromisoformat, days)
    return Order(as_of=as_of, from_date=first, to_date=last, tenant=tenant)
