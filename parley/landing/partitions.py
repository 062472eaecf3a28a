"""The monthly partitions of `raw.events`, made ahead and on demand.

A new partition is made as a table of its own and then attached: that waits for no reader and no writer of the others.
"""

from collections.abc import Collection
from datetime import date

from psycopg import sql

from parley.warehouse.database import Connection

AHEAD = 3  # months
LOCK = 0x6C616E64696E67  # "landing" in ASCII


def take_turn(connection: Connection) -> None:
    """Wait until nobody else changes what is in `raw`, and keep others from it until the transaction ends.

    Batches, new partitions and erasures take turns: so batches commit in the order of their ids.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])


def name_of(month: str) -> str:
    """The partition of a month (YYYY-MM), a table of schema `raw`."""
    return f"events_{month.replace('-', '_')}"


def missing(connection: Connection, months: Collection[str]) -> list[str]:
    """Those of these months (YYYY-MM, of UTC) that have no partition, the earliest first."""
    return sorted(set(months) - set(attached(connection)))


def ensure(connection: Connection, months: Collection[str]) -> list[str]:
    """Make the partitions of these months (YYYY-MM, of UTC) that are not there, and return their months."""
    if not missing(connection, months):
        return []
    with connection.transaction():
        take_turn(connection)
        made = missing(connection, months)  # again, now that nobody else makes any
        for month in made:
            _make(connection, month)
        return made


def ensure_ahead(connection: Connection, today: date, months: int = AHEAD) -> list[str]:
    """Make the partitions of this month and so many that follow, and return the months of those that were made."""
    first = today.year * 12 + today.month - 1
    return ensure(connection, [_month(first + ahead) for ahead in range(months + 1)])


def attached(connection: Connection) -> list[str]:
    """The months that have a partition, the earliest first."""
    names = connection.execute(
        "select relname from pg_inherits join pg_class on pg_class.oid = inhrelid"
        " where inhparent = 'raw.events'::regclass order by relname"
    )
    return [str(name).removeprefix("events_").replace("_", "-") for (name,) in names]


def drop(connection: Connection, month: str) -> None:
    """Drop a month's partition with all that is in it; landing makes it again where it is needed.

    Waits for whoever reads raw.events. For those who hold their turn.
    """
    table = sql.Identifier("raw", name_of(month))
    connection.execute(sql.SQL("alter table raw.events detach partition {}").format(table))
    connection.execute(sql.SQL("drop table {}").format(table))


def _month(number: int) -> str:
    """The month that many months after the year 0 began."""
    return f"{number // 12:04}-{number % 12 + 1:02}"


def _make(connection: Connection, month: str) -> None:
    year, number = map(int, month.split("-"))
    first = sql.Literal(f"{month}-01 00:00:00+00")
    following = sql.Literal(f"{_month(year * 12 + number)}-01 00:00:00+00")
    table = sql.Identifier("raw", name_of(month))
    connection.execute(sql.SQL("create table {} (like raw.events including all)").format(table))
    connection.execute(
        sql.SQL("alter table raw.events attach partition {} for values from ({}) to ({})").format(
            table, first, following
        )
    )
