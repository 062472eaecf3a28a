"""Whether the tables hold what has landed."""

from datetime import date, datetime

from parley.warehouse import database
from parley.warehouse.database import Connection


def waiting(connection: Connection) -> dict[str, datetime]:
    """The incremental tables that have something to take in, and since when at the earliest.

    Of what landed that is when it did; of changes in other tables, when the table was last built: they came after it.
    """
    found = connection.execute(
        """
        select watermarks.model, min(coalesce(arrivals.received_at, watermarks.built_at))
        from (
            select model, upstream, position, built_at from ops.watermarks
            union all
            select 'stg_events', 'raw', 0, null  -- before the first build
            where not exists (select from ops.watermarks where model = 'stg_events')
        ) as watermarks
        left join lateral (
            select min(received_at) as received_at
            from raw.load_batches
            where watermarks.upstream = 'raw' and batch_id > watermarks.position
        ) as arrivals on true
        where
            arrivals.received_at is not null
            or exists (
                select from ops.changes
                where changes.model = watermarks.upstream and changes.change_id > watermarks.position
            )
        group by watermarks.model
        """
    )
    return {str(model): since for model, since in found if isinstance(since, datetime)}


def first_day(connection: Connection) -> date | None:
    """The first tenant-local day that anything is of; None before the first build."""
    if not database.has(connection, "facts.event_days"):
        return None
    row = connection.execute("select min(date) from facts.event_days").fetchone()
    return row[0] if row and isinstance(row[0], date) else None
