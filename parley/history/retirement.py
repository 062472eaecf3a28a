"""Retires what is due of a month: an archive takes the place of its events, and their days are frozen.

What is due is archived, read back, and only then, in one transaction, noted in `ops.archives`, frozen
(`ops.raw_horizon`) and taken out: the whole partition where nothing else is in it, else row by row in batches. Killed
at any moment, the next run goes on where this one was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg import sql

from parley.config import tenants
from parley.config.tenants import Tenant
from parley.errors import ParleyError
from parley.history import archives
from parley.history.archives import Archive
from parley.history.months import (
    delete_in_batches,
    end_of,
    explained_wait,
    frozen_before,
    partition,
    take_turn,
    until_settled,
)
from parley.landing import partitions
from parley.settings import Settings
from parley.warehouse import audit, database
from parley.warehouse.database import Connection

ATTEMPTS = 3  # at archiving a month into which late events keep coming

OnProgress = Callable[[str], None]
"""Called with what is being done, as a sentence."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is due of a month."""

    month: str
    """YYYY-MM, of UTC"""
    rows: dict[str, int]
    """Events that are due, by tenant."""
    kept: int
    """Events of the month that stay: their tenants have a longer term, or none."""


def retire(
    connection: Connection, settings: Settings, part: Part, actor: str | None, on_progress: OnProgress
) -> Archive:
    """Archive a part and take it out; an archive that a killed run left is used if it fits."""
    listed = tenants.read(settings.project / tenants.SEED)
    due = [listed[name] for name in part.rows]
    _check_built(connection, due, part.month)
    for _ in range(ATTEMPTS):
        archive = _unused(connection, settings, part)
        if archive is None:
            on_progress(f"archiving {sum(part.rows.values()):,} events of {part.month}")
            archive = _write(connection, settings, part)
        on_progress(f"taking {part.month} out of raw.events")
        if _take(connection, archive, due, actor):
            return archive
        archives.remove(archive)
    raise ParleyError(f"Events of {part.month} keep coming while it is archived: run the same command again later.")


def finish_emptying(connection: Connection, on_progress: OnProgress) -> None:
    """Delete, in batches, the rows that archives stand in for and that did not go with their partition."""
    pending = connection.execute(
        "select month, tenant_id, last_batch_id from ops.archives where emptied_at is null order by 1, 2, 3"
    ).fetchall()
    for month, tenant_id, last_batch_id in pending:
        on_progress(f"deleting what {tenant_id} had in {month}")
        table = partition(str(month))
        statement = sql.SQL(
            "delete from {} where ctid = any(array("
            "select ctid from {} where tenant_id = %s and batch_id <= %s limit %s))"
        ).format(table, table)
        delete_in_batches(connection, statement, [tenant_id, last_batch_id])
        connection.execute(
            "update ops.archives set emptied_at = clock_timestamp() where month = %s and tenant_id = %s",
            [month, tenant_id],
        )
    for month in sorted({str(month) for month, *_ in pending}):
        with explained_wait(month), connection.transaction():
            take_turn(connection)
            _drop_if_nothing_else_is_in_it(connection, month, [])


def _unused(connection: Connection, settings: Settings, part: Part) -> Archive | None:
    """An archive of the part, of which nothing has been taken out yet; damaged ones and others' are removed."""
    taken = {row[0] for row in connection.execute("select archive_id from ops.archives")}
    fitting = None
    for archive in archives.find(settings.home, part.month):
        if archive.archive_id in taken:
            continue
        try:
            archives.verify(archive)
            fits = fitting is None and archive.manifest.rows_by_tenant.keys() == part.rows.keys()
        except ParleyError:
            fits = False  # only a copy: what it should hold is still in raw.events
        if fits:
            fitting = archive
        else:
            archives.remove(archive)
    return fitting


def _write(connection: Connection, settings: Settings, part: Part) -> Archive:
    known = connection.execute("select archive_id from ops.archives where month = %s", [part.month])
    ids = {str(archive_id) for (archive_id,) in known}
    ids |= {archive.archive_id for archive in archives.find(settings.home, part.month)}
    number = max((int(archive_id.rpartition("/")[2]) for archive_id in ids), default=0) + 1
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        return archives.write(connection, settings.home, part.month, sorted(part.rows), number=number)


def _take(connection: Connection, archive: Archive, due: Sequence[Tenant], actor: str | None) -> bool:
    """Let an archive stand in for the rows that it holds: the moment from which on they are gone and their days frozen.

    Returns false, and does nothing, where they are not the rows of raw.events any more.
    """
    month, names = archive.manifest.month, [tenant.tenant_id for tenant in due]
    with explained_wait(month), connection.transaction():
        take_turn(connection)
        if archive.manifest.fingerprint != archives.fingerprint(connection, month, names):
            return False
        _check_built(connection, due, month)
        _note_too_late(connection, month, names)
        for tenant in due:
            connection.execute(
                "insert into ops.raw_horizon (tenant_id, frozen_before) values (%s, %s) on conflict (tenant_id)"
                " do update set frozen_before = greatest(raw_horizon.frozen_before, excluded.frozen_before)",
                [tenant.tenant_id, frozen_before(tenant, month)],
            )
            connection.execute(
                "insert into ops.archives (archive_id, tenant_id, month, last_batch_id, taken_at)"
                " values (%s, %s, %s, %s, clock_timestamp())",
                [archive.archive_id, tenant.tenant_id, month, archive.manifest.batch_ids[1]],
            )
        _drop_if_nothing_else_is_in_it(connection, month, names)
        audit.record(
            connection,
            "retention.archived",
            actor=actor,
            details={"archive": archive.archive_id, "rows": archive.manifest.rows_by_tenant},
        )
    return True


def _drop_if_nothing_else_is_in_it(connection: Connection, month: str, names: Sequence[str]) -> None:
    """Drop a month's partition if it holds nothing but what these tenants, whose archive is complete, have there."""
    others = connection.execute(
        sql.SQL("select exists (select from {} where tenant_id <> all(%s))").format(partition(month)), [list(names)]
    ).fetchone()
    if others == (False,):
        partitions.drop(connection, month)
        connection.execute(
            "update ops.archives set emptied_at = clock_timestamp() where month = %s and emptied_at is null", [month]
        )


def _check_built(connection: Connection, due: Sequence[Tenant], month: str) -> None:
    """Raises ParleyError where a table would still need what is about to go, or an outcome is not settled yet."""
    names = [tenant.tenant_id for tenant in due]
    settled = end_of(month) + max(map(until_settled, due))
    row = connection.execute(
        sql.SQL(
            """
            select
                not exists (select from ops.changes)
                and coalesce(
                    (select max(batch_id) from {} where tenant_id = any(%s))
                    <= (select position from ops.watermarks where model = 'stg_events' and upstream = 'raw'),
                    false
                )
                and exists (select from ops.builds where errors = 0 and skipped = 0 and as_of >= %s)
            """
        ).format(partition(month)),
        [names, settled],
    ).fetchone()
    has_view = database.has(connection, "staging.stg_blocked_events")
    blocked = (
        has_view
        and connection.execute(
            sql.SQL(
                "select exists (select from {} where (tenant_id, event_id) in"
                " (select tenant_id, event_id from staging.stg_blocked_events where tenant_id = any(%s)))"
            ).format(partition(month)),
            [names],
        ).fetchone()
    )
    if blocked == (True,):
        raise ParleyError(
            f"The input gate keeps events of {month} out of the tables, where they would be missing for good once they "
            "are archived: release their days (`parley inputs list`), or take their load back with `parley unload`."
        )
    # without the view, the tables are those of a version before it
    if row != (True,) or not has_view:
        raise ParleyError(
            f"The tables have not taken in all events of {month}, which cannot be done once they are archived: "
            "run `parley build`, then the same command again."
        )


def _note_too_late(connection: Connection, month: str, names: Sequence[str]) -> None:
    """Remember the events that are about to go and never were in a table: marts.event_reconciliation counts them."""
    connection.execute(
        sql.SQL(
            """
            insert into ops.too_late_events (tenant_id, event_id, event_name, occurred_at, received_at)
            select events.tenant_id, events.event_id, events.event_name, events.occurred_at, events.received_at
            from {} as events
            inner join ops.raw_horizon as horizon
                on events.tenant_id = horizon.tenant_id
                and events.occurred_at < horizon.frozen_before + interval '1 day' -- in any time zone
            where
                events.tenant_id = any(%s)
                and not exists (
                    select from staging.stg_events as staged
                    where staged.tenant_id = events.tenant_id and staged.event_id = events.event_id
                )
                and not exists (
                    select from staging.stg_excluded_events as excluded
                    where excluded.tenant_id = events.tenant_id and excluded.event_id = events.event_id
                )
            on conflict do nothing
            """
        ).format(partition(month)),
        [list(names)],
    )
