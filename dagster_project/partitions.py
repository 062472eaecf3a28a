"""The partitions: one a day, of the tenant's local dates."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from parley.build import freshness
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database

OLDEST = timedelta(days=3650)  # a clock that was wrong once is no reason for partitions since 1970


def first_day(settings: Settings) -> date:
    """PARLEY_FIRST_DAY, or the first day that the tables hold anything of, or today.

    Asked whenever the definitions are loaded: a late event's day is among them from then on.
    """
    today = datetime.now(UTC).date()
    if settings.first_day:
        return settings.first_day
    try:
        with database.connect(settings) as connection:
            found = freshness.first_day(connection)
    except ParleyError:
        found = None  # a database that is down is said to be so by whatever needs it
    return max(min(found or today, today), today - OLDEST)


def days_since(first: date) -> dg.DailyPartitionsDefinition:
    """Every day from the first to today (UTC), today included.

    A day before the first, or of a tenant whose tomorrow has begun, has no partition of its own; every build takes in
    what changed on it all the same.
    """
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=1)
