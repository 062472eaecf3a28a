"""Deletes what is past its term outside `raw.events`: rejected lines, what is known of old builds, archives."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from parley.config.retention_periods import ARCHIVE, BUILDS, REJECTED, Terms, term_of
from parley.history import archive_states, archives
from parley.history.archive_states import ArchiveState
from parley.history.months import delete_in_batches, end_of
from parley.history.retirement import OnProgress
from parley.settings import Settings
from parley.warehouse import audit
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT, UNKNOWN_TENANT

_OLD_REJECTED = "from raw.rejected_events where tenant_id is not distinct from %s and received_at < %s"
_OLD_BUILDS = "from ops.builds where finished_at < %s and finished_at < (select max(finished_at) from ops.builds)"


def past_their_term(connection: Connection, settings: Settings, terms: Terms, now: datetime) -> dict[str, int]:
    """Rows that are past their term, by what they are of (`parley.config.retention_periods`)."""

    def count(what: str, parameters: list[object]) -> int:
        (rows,) = connection.execute(f"select count(*) {what}".encode(), parameters).fetchone() or (0,)
        return int(str(rows))

    return {
        REJECTED: sum(count(_OLD_REJECTED, old) for old in _old_rejected(connection, terms, now)),
        ARCHIVE: sum(
            state.archive.manifest.rows_by_tenant.get(name, 0)
            for state, due in _old_archives(connection, settings, terms, now)
            if state.archive
            for name in due
        ),
        BUILDS: count(_OLD_BUILDS, _old_builds(terms, now)),
    }


def delete(
    connection: Connection,
    settings: Settings,
    terms: Terms,
    now: datetime,
    actor: str | None,
    on_progress: OnProgress,
) -> dict[str, int]:
    """Delete them; returns their numbers in the same way."""
    return {
        REJECTED: _delete_rejected(connection, terms, now),
        ARCHIVE: _expire_archives(connection, settings, terms, now, actor, on_progress),
        BUILDS: _delete_builds(connection, terms, now),
    }


def _old_rejected(connection: Connection, terms: Terms, now: datetime) -> Iterator[list[object]]:
    """The parameters of `_OLD_REJECTED`, of every tenant with a term."""
    for (tenant_id,) in connection.execute("select distinct tenant_id from raw.rejected_events").fetchall():
        term = term_of(terms, REJECTED, str(tenant_id or UNKNOWN_TENANT))
        if term is not None:
            yield [tenant_id, now - term]


def _delete_rejected(connection: Connection, terms: Terms, now: datetime) -> int:
    """Delete rejected lines that are past their tenant's term; the counts of their loads stay."""
    statement = sql.SQL(
        f"delete from raw.rejected_events where rejected_id = any(array(select rejected_id {_OLD_REJECTED} limit %s))"
    )
    return sum(delete_in_batches(connection, statement, old) for old in _old_rejected(connection, terms, now))


def _old_builds(terms: Terms, now: datetime) -> list[object]:
    """The parameter of `_OLD_BUILDS`, null where they are kept for ever; the last build always stays."""
    term = term_of(terms, BUILDS, EVERY_TENANT)
    return [now - term if term else None]


def _delete_builds(connection: Connection, terms: Terms, now: datetime) -> int:
    """Delete what is known of old builds."""
    deleted = connection.execute(f"delete {_OLD_BUILDS}".encode(), _old_builds(terms, now)).rowcount
    connection.execute("delete from ops.rebuilds where rebuilt_at < (select min(started_at) from ops.builds)")
    return deleted


def _old_archives(
    connection: Connection, settings: Settings, terms: Terms, now: datetime
) -> Iterator[tuple[ArchiveState, list[str]]]:
    """Archives, and the tenants that are past their term there."""
    for state in archive_states.find(connection, settings):
        due = [name for name in state.tenants if _is_past(term_of(terms, ARCHIVE, name), state.month, now)]
        if due and state.is_emptied:
            yield state, due


def _expire_archives(
    connection: Connection,
    settings: Settings,
    terms: Terms,
    now: datetime,
    actor: str | None,
    on_progress: OnProgress,
) -> int:
    """Take out of archives what is past its tenant's term there too: it cannot be restored any more."""
    deleted = 0
    for state, due in _old_archives(connection, settings, terms, now):
        on_progress(f"deleting {', '.join(due)} from {state.archive_id}")
        gone = 0
        if state.archive:
            left, gone = archives.rewrite(state.archive, _others_than(due))
            if not left.manifest.rows:
                archives.remove(left)
        with connection.transaction():
            connection.execute(
                "update ops.archives set expired_at = clock_timestamp() where archive_id = %s and tenant_id = any(%s)",
                [state.archive_id, due],
            )
            details = {"archive": state.archive_id, "tenants": due, "rows": gone}
            audit.record(connection, "retention.expired", actor=actor, details=details)
        deleted += gone
    return deleted


def _is_past(term: timedelta | None, month: str, now: datetime) -> bool:
    return term is not None and end_of(month) + term <= now


def _others_than(tenants_due: Sequence[str]) -> archives.Keep:
    def keep(batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.invert(pc.is_in(batch["tenant_id"], pa.array(tenants_due, pa.string())))

    return keep
