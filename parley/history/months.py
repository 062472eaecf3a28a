"""What retiring a month of `raw.events` and restoring it share: when it ends, its partition, and whose turn it is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from parley.build import builds
from parley.config.tenants import Tenant
from parley.errors import ParleyError
from parley.landing import partitions
from parley.warehouse.database import Connection

BATCH = 20_000  # rows deleted at once
LOCK_TIMEOUT = "30s"  # for those who read raw.events while a partition goes
_ONE_DAY = timedelta(days=1)


def end_of(month: str) -> datetime:
    """The first instant after a month (YYYY-MM) of UTC."""
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def until_settled(tenant: Tenant) -> timedelta:
    """How long after a month of UTC its last local day is over, and every conversation of it has an outcome."""
    return _ONE_DAY + timedelta(hours=tenant.abandon_after_hours)


def frozen_before(tenant: Tenant, month: str) -> date:
    """The first local date of which nothing was in that month: days before it lack events once the month is gone."""
    last = end_of(month) - timedelta(microseconds=1)
    return last.astimezone(ZoneInfo(tenant.time_zone)).date() + _ONE_DAY


def partition(month: str) -> sql.Identifier:
    """The table that holds a month's events."""
    return sql.Identifier("raw", partitions.name_of(month))


def take_turn(connection: Connection) -> None:
    """Wait for builds, then for landing, and keep both away until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s)", [builds.LOCK])
    partitions.take_turn(connection)
    connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")


@contextmanager
def explained_wait(month: str) -> Iterator[None]:
    """Turns a lock that was not to be had into a sentence."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise ParleyError(
            f"Somebody reads raw.events, so that {month} could not be dropped: let that end, and run this again."
        ) from error


def delete_in_batches(connection: Connection, statement: sql.SQL | sql.Composed, parameters: Sequence[object]) -> int:
    """Run a statement that deletes at most so many rows as its last parameter says, until it has none left."""
    total, deleted = 0, BATCH
    while deleted == BATCH:
        with connection.transaction():
            partitions.take_turn(connection)
            deleted = connection.execute(statement, [*parameters, BATCH]).rowcount
            total += deleted
    return total
