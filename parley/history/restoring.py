"""Brings a retired month back into `raw.events`, and thaws its days."""

from collections.abc import Sequence

from psycopg import sql

from parley.config import tenants
from parley.config.tenants import Tenant
from parley.errors import ParleyError
from parley.history import archive_states, archives, streams
from parley.history.archive_states import ArchiveState, files_of
from parley.history.archives import Archive
from parley.history.months import frozen_before, partition, take_turn
from parley.history.retirement import OnProgress
from parley.landing import partitions, subjects
from parley.landing.privacy import Erased
from parley.settings import Settings
from parley.warehouse import audit, migrate
from parley.warehouse.database import Connection


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
        of_month = [state for state in archive_states.find(connection, settings) if state.month == month]
        found = [state for state in of_month if state.tenants]
        _check_restorable(connection, found, month)
        held = [files_of(state) for state in found]
        for archive in held:
            on_progress(f"verifying {archive.archive_id}")
            archives.verify(archive)
        listed = tenants.read(settings.project / tenants.SEED)
        names = sorted({name for state in found for name in state.tenants})
        with connection.transaction():
            take_turn(connection)
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
                ).format(partition(month))
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


def _check_restorable(connection: Connection, found: Sequence[ArchiveState], month: str) -> None:
    if not found:
        raise ParleyError(f"No archive of {month} stands in for events: `parley archive list` shows those there are.")
    if not all(state.is_emptied for state in found):
        raise ParleyError(f"{month} is only half taken out: run `parley retention` to its end, then this again.")
    names = [name for state in found for name in state.tenants]
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
            [frozen_before(tenant, str(row[0])), tenant.tenant_id],
        )
    else:
        connection.execute("delete from ops.raw_horizon where tenant_id = %s", [tenant.tenant_id])
    # the models that read raw, then those that read models
    connection.execute("delete from ops.definitions where tenant_id = %s", [tenant.tenant_id])
    connection.execute(
        "insert into ops.changes (model, kind, tenant_id) select distinct model, 'all', %s from ops.watermarks",
        [tenant.tenant_id],
    )
