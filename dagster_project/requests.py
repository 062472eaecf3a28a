"""What a run asks of `parley.build.builds`, from its partitions and its choices. No Dagster here."""

from collections.abc import Iterable, Set
from datetime import date, datetime, timedelta

from parley.build.builds import BuildRequest
from parley.errors import ParleyError

MOST_DAYS_SHOWN = 31  # each is an event or two of every asset in Dagster's log


def days_to_show(shown: Iterable[Set[date]], first: date, today: date) -> tuple[date, date]:
    """The days that the next build is shown under: from the earliest on which an asset has none yet, to today.

    `shown` are each asset's days that a build is shown under. Days longer ago than `MOST_DAYS_SHOWN` do not count.
    """
    earliest = max(first, today - timedelta(days=MOST_DAYS_SHOWN - 1))
    candidates = [earliest + timedelta(days=number) for number in range((today - earliest).days)]
    everywhere = frozenset(candidates).intersection(*shown)
    return next((day for day in candidates if day not in everywhere), today), today


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
) -> BuildRequest:
    """The order of a run.

    `days` is the first and last day of its partitions: all between are built again, of all tenants or of one, besides
    whatever changed. Neither matters where only changes are to be taken in, nor to a full refresh, which builds
    everything again. Raises ParleyError where `as_of` has no offset.
    """
    if only_changes or full_refresh:
        return BuildRequest(as_of=as_of, full_refresh=full_refresh)
    first, last = map(date.fromisoformat, days)
    return BuildRequest(as_of=as_of, from_date=first, to_date=last, tenant=tenant)
