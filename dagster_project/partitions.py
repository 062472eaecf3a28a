"""The partitions: one a day, of the tenant's local dates."""

import dagster as dg

from parley.settings import Settings


def days_since(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Every day from PARLEY_FIRST_DAY to today (UTC), today included.

    A day before the first, or of a tenant whose tomorrow has begun, has no partition of its own; every build takes in
    what changed on it all the same.
    """
    return dg.DailyPartitionsDefinition(start_date=settings.first_day.isoformat(), end_offset=1)
