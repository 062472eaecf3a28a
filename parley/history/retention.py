"""Retention: events that are past their tenant's term leave `raw.events` for an archive, and their days are frozen.

The unit is a month of UTC. It is due for a tenant when all of it is older than the tenant's retention period, so
that events are kept for the period and up to a month more. What is due of a month is archived, read back, and only
then, in one transaction, noted in `ops.archives`, frozen (`ops.raw_horizon`) and taken out: the whole partition where
nothing else is in it, else row by row in batches. Killed at any moment, the next run goes on where this one was.

What retention leaves of the figures is in docs/decisions/frozen-history.md.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from parley.build import builds
from parley.config import tenants
from parley.config.retention_periods import (
    ARCHIVE,
    BUILDS,
    REJECTED,
    SEED,
    Terms,
    period_of,
    read_terms,
    term_of,
)
from parley.config.tenants import Tenant
from parley.errors import ParleyError
from parley.history import archives, streams
from parley.history.archives import Archive
from parley.landing import partitions, subjects
from parley.landing.privacy import Erased
from parley.settings import Settings
from parley.warehouse import audit, database, migrate
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT, UNKNOWN_TENANT

ATTEMPTS = 3  # at archiving a month into which late events keep coming
BATCH = 20_000  # rows deleted at once
LOCK_TIMEOUT = "30s"  # for those who read raw.events while a partition goes
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Part:
    """What is due of a month."""

    month: str
    """YYYY-MM, of UTC"""
    rows: dict[str, int]
    """Events that are due, by tenant."""
    kept: int
    """Events of the month that stay: their tenants have a longer term, or none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has done."""

    archived: int
    """Events that left raw.events."""
    archives: tuple[str, ...]
    """Ids of the archives that hold them."""
    dropped: tuple[str, ...]
    """Months whose partition is gone."""
    deleted: dict[str, int]
    """Rows that were past their term in the tables of `parley.config.retention_periods`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An archive, and what has become of the rows that it holds."""

    archive_id: str
    month: str
    tenants: tuple[str, ...]
    """Whose rows are no longer in raw.events."""
    archive: Archive | None
    """None where its files are missing."""
    is_emptied: bool
    """Whether all its rows have left raw.events."""

    @property
    def state(self) -> str:
        """In a few words."""
        if self.archive is None:
            return "files missing"
        if not self.tenants:
            return "a copy, nothing taken out yet"
        return "in place of raw.events" if self.is_emptied else "being taken out"


OnProgress = Callable[[str], None]
"""Called with what is being done, as a sentence."""


def plan(connection: Connection, settings: Settings, now: datetime) -> list[Part]:
    """What is due, the earliest month first. Raises ParleyError where a seed is wrong."""
    listed = tenants.read(settings.project / tenants.SEED, connection)
    terms = read_terms(settings.project / SEED)
    parts = []
    default = Tenant(EVERY_TENANT, EVERY_TENANT)
    for month in partitions.attached(connection):
        if any(_is_due(tenant, terms, month, now) for tenant in (default, *listed.values())):
            counts = connection.execute(
                sql.SQL("select tenant_id, count(*) from {} group by 1 order by 1").format(_partition(month))
            ).fetchall()
            rows = {str(tenant_id): int(str(count)) for tenant_id, count in counts}
            taken = {
                name: count
                for name, count in rows.items()
                if _is_due(listed.get(name) or Tenant(name, name), terms, month, now)
            }
            if taken:
                parts.append(Part(month, taken, sum(rows.values()) - sum(taken.values())))
    return parts


def plan_elsewhere(connection: Connection, settings: Settings, now: datetime) -> dict[str, int]:
    """Rows past their retention period in the tables of that seed. Raises ParleyError where the seed is wrong."""
    terms = read_terms(settings.project / SEED)

    def count(what: str, parameters: list[object]) -> int:
        (rows,) = connection.execute(f"select count(*) {what}".encode(), parameters).fetchone() or (0,)
        return int(str(rows))

    return {
        REJECTED: sum(count(_OLD_REJECTED, old) for old in _old_rejected(connection, terms, now)),
        ARCHIVE: sum(
            standing.archive.manifest.rows_by_tenant.get(name, 0)
            for standing, due in _old_archives(connection, settings, terms, now)
            if standing.archive
            for name in due
        ),
        BUILDS: count(_OLD_BUILDS, _old_builds(terms, now)),
    }


def run(
    settings: Settings, now: datetime, *, actor: str | None = None, on_progress: OnProgress = lambda message: None
) -> Outcome:
    """Archive what is due and take it out. Waits for a build that is at work.

    Raises ParleyError where tables have not taken in what is due, the disk is full, or somebody else is at work on the
    archives; what was done until then stays done, and the next run goes on.
    """
    terms = read_terms(settings.project / SEED)
    with migrate.connect(settings, autocommit=True) as connection, archives.only_one(connection):
        archives.tidy(settings.home)
        before = partitions.attached(connection)
        _finish_emptying(connection, on_progress)  # what a run that was killed had begun
        done = []
        for part in plan(connection, settings, now):
            done.append(_retire(connection, settings, part, actor, on_progress))
            _finish_emptying(connection, on_progress)
        dropped = set(before) - set(partitions.attached(connection))
        deleted = {
            REJECTED: _delete_rejected(connection, terms, now),
            ARCHIVE: _expire_archives(connection, settings, terms, now, actor, on_progress),
            BUILDS: _delete_builds(connection, terms, now),
        }
    return Outcome(
        archived=sum(archive.manifest.rows for archive in done),
        archives=tuple(archive.archive_id for archive in done),
        dropped=tuple(sorted(dropped)),
        deleted=deleted,
    )


def standings(connection: Connection, settings: Settings) -> list[Standing]:
    """The archives that are on disk or should be, in the order of their ids."""
    on_disk = {found.archive_id: found for found in archives.find(settings.home)}
    taken: list[tuple[Any, ...]] = connection.execute(
        "select archive_id, month, array_agg(tenant_id order by tenant_id), bool_and(emptied_at is not null)"
        " from ops.archives where expired_at is null group by 1, 2"
    ).fetchall()
    found = [
        Standing(archive_id, month, tuple(names), on_disk.pop(archive_id, None), is_emptied)
        for archive_id, month, names, is_emptied in taken
    ]
    found += [Standing(name, archive.manifest.month, (), archive, False) for name, archive in on_disk.items()]
    return sorted(found, key=lambda standing: standing.archive_id)


def files_of(standing: Standing) -> Archive:
    """The files of an archive. Raises ParleyError where they are missing."""
    if standing.archive is None:
        raise ParleyError(f"The files of archive {standing.archive_id} are missing: restore them from a backup.")
    return standing.archive


def restore(
    settings: Settings, month: str, *, actor: str | None = None, on_progress: OnProgress = lambda message: None
) -> int:
    """Bring a month back into raw.events, thaw its days, and delete its archives; returns the number of rows.

    Rows of people who were erased stay out, where the archive is from a backup that still has them.

    The next build takes in what came late meanwhile, and rebuilds what it touches: everything of the tenants is read
    again. Raises ParleyError, and changes nothing, where there is no such archive, it is damaged or missing, or a later
    month of one of its tenants is still archived: history is frozen up to one day, without holes.
    """
    with migrate.connect(settings, autocommit=True) as connection, archives.only_one(connection):
        of_month = [standing for standing in standings(connection, settings) if standing.month == month]
        found = [standing for standing in of_month if standing.tenants]
        _check_restorable(connection, found, month)
        held = [files_of(standing) for standing in found]
        for archive in held:
            on_progress(f"verifying {archive.archive_id}")
            archives.verify(archive)
        listed = tenants.read(settings.project / tenants.SEED)
        names = sorted({name for standing in found for name in standing.tenants})
        with connection.transaction():
            _take_turn(connection)
            partitions.ensure(connection, [month])
            erased = subjects.erased(connection, settings)
            restored = 0
            for archive in held:
                on_progress(f"restoring {archive.archive_id}")
                restored += _copy_back(connection, archive, erased)
            connection.execute("delete from ops.archives where month = %s and tenant_id = any(%s)", [month, names])
            connection.execute(
                sql.SQL(
                    "delete from ops.too_late_events as known using {} as back"
                    " where back.tenant_id = known.tenant_id and back.event_id = known.event_id"
                ).format(_partition(month))
            )
            for name in names:
                _thaw(connection, listed.get(name) or Tenant(name, name))
            audit.record(
                connection,
                "retention.restored",
                actor=actor,
                details={"month": month, "tenants": names, "rows": restored},
            )
        for archive in held:
            archives.remove(archive)
        return restored


def _is_due(tenant: Tenant, terms: Terms, month: str, now: datetime) -> bool:
    """Whether all of a month is past a tenant's term, and so old that the outcomes of its conversations are known."""
    period = period_of(tenant, terms)
    return period is not None and _end_of(month) + max(period, _until_settled(tenant)) <= now


def _until_settled(tenant: Tenant) -> timedelta:
    """How long after a month of UTC its last local day is over, and every conversation of it has an outcome."""
    return _ONE_DAY + timedelta(hours=tenant.abandon_after_hours)


def _end_of(month: str) -> datetime:
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _frozen_before(tenant: Tenant, month: str) -> date:
    """The first local date of which nothing was in that month: days before it lack events once the month is gone."""
    last = _end_of(month) - timedelta(microseconds=1)
    return last.astimezone(ZoneInfo(tenant.time_zone)).date() + _ONE_DAY


def _partition(month: str) -> sql.Identifier:
    return sql.Identifier("raw", partitions.name_of(month))


def _take_turn(connection: Connection) -> None:
    """Wait for builds, then for landing, and keep both away until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s)", [builds.LOCK])
    partitions.take_turn(connection)
    connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")


def _retire(
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
    with _explained_wait(month), connection.transaction():
        _take_turn(connection)
        if archive.manifest.fingerprint != archives.fingerprint(connection, month, names):
            return False
        _check_built(connection, due, month)
        _note_too_late(connection, month, names)
        for tenant in due:
            connection.execute(
                "insert into ops.raw_horizon (tenant_id, frozen_before) values (%s, %s) on conflict (tenant_id)"
                " do update set frozen_before = greatest(raw_horizon.frozen_before, excluded.frozen_before)",
                [tenant.tenant_id, _frozen_before(tenant, month)],
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


def _finish_emptying(connection: Connection, on_progress: OnProgress) -> None:
    """Delete, in batches, the rows that archives stand in for and that did not go with their partition."""
    pending = connection.execute(
        "select month, tenant_id, last_batch_id from ops.archives where emptied_at is null order by 1, 2, 3"
    ).fetchall()
    for month, tenant_id, last_batch_id in pending:
        on_progress(f"deleting what {tenant_id} had in {month}")
        table = _partition(str(month))
        statement = sql.SQL(
            "delete from {} where ctid = any(array("
            "select ctid from {} where tenant_id = %s and batch_id <= %s limit %s))"
        ).format(table, table)
        _delete_in_batches(connection, statement, [tenant_id, last_batch_id])
        connection.execute(
            "update ops.archives set emptied_at = clock_timestamp() where month = %s and tenant_id = %s",
            [month, tenant_id],
        )
    for month in sorted({str(month) for month, *_ in pending}):
        with _explained_wait(month), connection.transaction():
            _take_turn(connection)
            _drop_if_nothing_else_is_in_it(connection, month, [])


def _drop_if_nothing_else_is_in_it(connection: Connection, month: str, names: Sequence[str]) -> None:
    """Drop a month's partition if it holds nothing but what these tenants, whose archive is complete, have there."""
    others = connection.execute(
        sql.SQL("select exists (select from {} where tenant_id <> all(%s))").format(_partition(month)), [list(names)]
    ).fetchone()
    if others == (False,):
        partitions.drop(connection, month)
        connection.execute(
            "update ops.archives set emptied_at = clock_timestamp() where month = %s and emptied_at is null", [month]
        )


def _check_built(connection: Connection, due: Sequence[Tenant], month: str) -> None:
    """Raises ParleyError where a table would still need what is about to go, or an outcome is not judged yet."""
    names = [tenant.tenant_id for tenant in due]
    settled = _end_of(month) + max(map(_until_settled, due))
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
        ).format(_partition(month)),
        [names, settled],
    ).fetchone()
    has_view = database.has(connection, "staging.stg_blocked_events")
    blocked = (
        has_view
        and connection.execute(
            sql.SQL(
                "select exists (select from {} where (tenant_id, event_id) in"
                " (select tenant_id, event_id from staging.stg_blocked_events where tenant_id = any(%s)))"
            ).format(_partition(month)),
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
        ).format(_partition(month)),
        [list(names)],
    )


def _check_restorable(connection: Connection, found: Sequence[Standing], month: str) -> None:
    if not found:
        raise ParleyError(f"No archive of {month} stands in for events: `parley archive list` shows those there are.")
    if not all(standing.is_emptied for standing in found):
        raise ParleyError(f"{month} is only half taken out: run `parley retention` to its end, then this again.")
    names = [name for standing in found for name in standing.tenants]
    later = connection.execute(
        "select max(month) from ops.archives where month > %s and tenant_id = any(%s)", [month, names]
    ).fetchone()
    if later and later[0]:
        raise ParleyError(
            f"{later[0]} of the same tenants is archived too, and history is frozen without holes: restore that first."
        )


def _copy_back(connection: Connection, archive: Archive, erased: Erased) -> int:
    """Put an archive's rows back into raw.events as they were; an old backup may hold some of people erased since."""
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in archive.manifest.schema)
    statement = sql.SQL("copy raw.events ({}) from stdin").format(columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        count = 0
        for batch in archives.rows(archive):
            kept = batch.filter(subjects.is_of_nobody(batch, erased))
            for row in streams.rows(kept):
                copy.write_row(row)
            count += kept.num_rows
    return count


def _thaw(connection: Connection, tenant: Tenant) -> None:
    """Freeze of a tenant only what is still archived, and let the next build read everything of it again."""
    row = connection.execute("select max(month) from ops.archives where tenant_id = %s", [tenant.tenant_id]).fetchone()
    if row and row[0]:
        connection.execute(
            "update ops.raw_horizon set frozen_before = %s where tenant_id = %s",
            [_frozen_before(tenant, str(row[0])), tenant.tenant_id],
        )
    else:
        connection.execute("delete from ops.raw_horizon where tenant_id = %s", [tenant.tenant_id])
    # the models that read raw, then those that read models
    connection.execute("delete from ops.definitions where tenant_id = %s", [tenant.tenant_id])
    connection.execute(
        "insert into ops.changes (model, kind, tenant_id) select distinct model, 'all', %s from ops.watermarks",
        [tenant.tenant_id],
    )


@contextmanager
def _explained_wait(month: str) -> Iterator[None]:
    """Turns a lock that was not to be had into a sentence."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise ParleyError(
            f"Somebody reads raw.events, so that {month} could not be dropped: let that end, and run this again."
        ) from error


_OLD_REJECTED = "from raw.rejected_events where tenant_id is not distinct from %s and received_at < %s"
_OLD_BUILDS = "from ops.builds where finished_at < %s and finished_at < (select max(finished_at) from ops.builds)"


def _old_rejected(connection: Connection, terms: Terms, now: datetime) -> Iterator[list[object]]:
    """The parameters of `_OLD_REJECTED`, of every tenant with a term."""
    for (tenant_id,) in connection.execute("select distinct tenant_id from raw.rejected_events").fetchall():
        term = term_of(terms, REJECTED, str(tenant_id or UNKNOWN_TENANT))
        if term is not None:
            yield [tenant_id, now - term]


def _delete_rejected(connection: Connection, terms: Terms, now: datetime) -> int:
    """Delete refused lines that are past their tenant's term; the counts of their loads stay."""
    statement = sql.SQL(
        f"delete from raw.rejected_events where rejected_id = any(array(select rejected_id {_OLD_REJECTED} limit %s))"
    )
    return sum(_delete_in_batches(connection, statement, old) for old in _old_rejected(connection, terms, now))


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
) -> Iterator[tuple[Standing, list[str]]]:
    """Archives, and the tenants that are past their term there."""
    for standing in standings(connection, settings):
        due = [name for name in standing.tenants if _is_past(term_of(terms, ARCHIVE, name), standing.month, now)]
        if due and standing.is_emptied:
            yield standing, due


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
    for standing, due in _old_archives(connection, settings, terms, now):
        on_progress(f"deleting {', '.join(due)} from {standing.archive_id}")
        gone = 0
        if standing.archive:
            left, gone = archives.rewrite(standing.archive, _others_than(due))
            if not left.manifest.rows:
                archives.remove(left)
        with connection.transaction():
            connection.execute(
                "update ops.archives set expired_at = clock_timestamp() where archive_id = %s and tenant_id = any(%s)",
                [standing.archive_id, due],
            )
            details = {"archive": standing.archive_id, "tenants": due, "rows": gone}
            audit.record(connection, "retention.expired", actor=actor, details=details)
        deleted += gone
    return deleted


def _is_past(term: timedelta | None, month: str, now: datetime) -> bool:
    return term is not None and _end_of(month) + term <= now


def _others_than(tenants_due: Sequence[str]) -> archives.Keep:
    def keep(batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.invert(pc.is_in(batch["tenant_id"], pa.array(tenants_due, pa.string())))

    return keep


def _delete_in_batches(connection: Connection, statement: sql.SQL | sql.Composed, parameters: Sequence[object]) -> int:
    """Run a statement that deletes at most so many rows as its last parameter says, until it has none left."""
    total, deleted = 0, BATCH
    while deleted == BATCH:
        with connection.transaction():
            partitions.take_turn(connection)
            deleted = connection.execute(statement, [*parameters, BATCH]).rowcount
            total += deleted
    return total
