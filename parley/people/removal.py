"""Removes a tenant: its rows in every table, its part of the archives, its logins and keys, its rows in the seeds.

    archives ──► tables (one transaction) ──► logins ──► seeds ──► files are searched

No table mixes tenants, so that what is left is what a full refresh without the tenant would give. Killed at any moment,
the same command goes on: each step is done once it finds nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from parley.build import builds
from parley.config import seeds, tenants
from parley.errors import ParleyError
from parley.history import archives
from parley.landing import loads, partitions, subjects
from parley.landing.batches import OUTCOMES
from parley.people import residue
from parley.quality_gate import data_docs, validation
from parley.settings import Settings
from parley.warehouse import audit, migrate, tenant_roles
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT, UNKNOWN_TENANT

ACTION = "tenant.removed"
"""What the audit log calls it."""
KEPT = ("ops.audit_log", "ops.erasures", "raw.erased_subjects", "raw.loads")
"""What stays: who did what, and hashes of people who are to stay erased. Loads are recounted."""

_TABLES = """
    select nspname || '.' || relname
    from pg_class
    inner join pg_namespace on pg_namespace.oid = relnamespace
    inner join pg_attribute on attrelid = pg_class.oid and attname = 'tenant_id' and not attisdropped
    where
        relkind in ('r', 'p') and not relispartition and relpersistence <> 't'
        and nspname = any(%s)
    order by 1
"""
_SCHEMAS = ["raw", "ops", "seeds", "staging", "facts", "marts"]
# streams, which have no fingerprint, are at work for ever
_AT_WORK = """
    select distinct loads.load_id from raw.loads
    left join raw.load_batches on loads.load_id = load_batches.load_id
    where (load_batches.tenant_id = %(tenant)s or loads.tenant_id = %(tenant)s) and fingerprint is not null
"""
_OF_ALERTS = tuple(
    sql.SQL(
        "delete from ops.{} where alert_id in (select alert_id from ops.alerts where tenant_id = %(tenant)s)"
    ).format(sql.Identifier(table))
    for table in ("alert_transitions", "alert_deliveries")
)
_TAKE_LOADS = """
    create temporary table removed_from on commit drop as
    select load_id from raw.load_batches where tenant_id = %(tenant)s
    union
    select load_id from raw.loads where tenant_id = %(tenant)s
"""
_COUNTED = ("received", *OUTCOMES)
_RECOUNT_LOADS = f"""
    update raw.loads set
        {", ".join(f"{name} = found.{name}" for name in _COUNTED)},
        tenant_id = nullif(loads.tenant_id, %(tenant)s)
    from (
        select load_id, {", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in _COUNTED)}
        from removed_from
        left join raw.load_batches using (load_id)
        group by load_id
    ) as found
    where loads.load_id = found.load_id
"""
_DELETE_EMPTY_LOADS = """
    delete from raw.loads
    where
        load_id in (select load_id from removed_from)
        and load_id not in (select load_id from raw.load_batches)
        and load_id <> all(%(at_work)s)
"""


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal took out."""

    rows: Mapping[str, int]
    """By table, archive and seed."""
    logins: tuple[str, ...]
    files_left: Mapping[str, int]
    """Files that still name the tenant, which are not Parley's to delete, and how often."""


def remove(
    settings: Settings,
    tenant_id: str,
    *,
    by: str | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Removed:
    """Remove a tenant, for good. Waits for a build that is at work.

    Raises ParleyError where there is no such tenant, or a load of it is at work.
    """
    with migrate.connect(settings, autocommit=True) as connection, builds.only_one(connection, wait=True):
        _check(connection, settings, tenant_id)
        on_step("rewriting archives")
        rows = _from_archives(connection, settings, tenant_id)
        on_step("deleting rows")
        with connection.transaction():
            rows |= _delete(connection, tenant_id)
            audit.record(connection, ACTION, tenant_id=tenant_id, actor=by, details={"rows": rows})
        on_step("dropping logins")
        logins = tenant_roles.revoke(settings, tenant_id)
        on_step("searching files")
        data_docs.forget(settings.home / data_docs.FOLDER, tenant_id, validation.find(connection))
        rows |= seeds.without_tenant(settings.project / seeds.FOLDER, tenant_id)
        return Removed(dict(sorted(rows.items())), tuple(logins), residue.naming(settings, tenant_id))


def events_of(settings: Settings, tenant_id: str) -> int:
    """How many events of a tenant are held. Raises ParleyError where there is no such tenant."""
    with migrate.connect(settings) as connection:
        _check(connection, settings, tenant_id)
        row = connection.execute("select count(*) from raw.events where tenant_id = %s", [tenant_id]).fetchone()
    return int(str(row[0])) if row else 0


def _check(connection: Connection, settings: Settings, tenant_id: str) -> None:
    if tenant_id in (EVERY_TENANT, UNKNOWN_TENANT):
        raise ParleyError(f"{tenant_id} is no tenant: name one of `parley tenants list`.")
    if tenant_id not in tenants.read(settings.project / tenants.SEED) and not any(
        _holds(connection, table, tenant_id) for table in _tables(connection) if table not in KEPT
    ):
        raise ParleyError(f"There is no tenant {tenant_id!r}: `parley tenants list` shows them.")
    _none_at_work(connection, tenant_id)


def _none_at_work(connection: Connection, tenant_id: str) -> list[int]:
    """The loads that are at work, none of which is a file of the tenant's."""
    at_work = loads.at_work(connection)
    for (load_id,) in connection.execute(_AT_WORK, {"tenant": tenant_id}).fetchall():
        if load_id in at_work:
            raise ParleyError(f"Load {load_id} of {tenant_id} is still at work: stop it, or wait for its end.")
    return sorted(at_work)


def _tables(connection: Connection) -> list[str]:
    return [str(name) for (name,) in connection.execute(_TABLES, [_SCHEMAS])]


def _holds(connection: Connection, table: str, tenant_id: str) -> bool:
    query = sql.SQL("select exists (select from {} where tenant_id = %s)").format(subjects.identifier(table))
    return connection.execute(query, [tenant_id]).fetchone() == (True,)


def _delete(connection: Connection, tenant_id: str) -> dict[str, int]:
    """Delete a tenant's rows from every table; how many, by table. Nothing lands or builds meanwhile."""
    partitions.take_turn(connection)
    named = {"tenant": tenant_id, "at_work": _none_at_work(connection, tenant_id)}
    connection.execute("lock table ops.watermarks in exclusive mode")  # no model is built, by plain dbt neither
    connection.execute(_TAKE_LOADS, named)
    for statement in _OF_ALERTS:
        connection.execute(statement, named)
    deleted = {
        table: connection.execute(
            sql.SQL("delete from {} where tenant_id = %(tenant)s").format(subjects.identifier(table)), named
        ).rowcount
        for table in _tables(connection)
        if table not in KEPT
    }
    connection.execute(_RECOUNT_LOADS.encode(), named)
    deleted["raw.loads"] = connection.execute(_DELETE_EMPTY_LOADS, named).rowcount
    return {table: rows for table, rows in deleted.items() if rows}


def _from_archives(connection: Connection, settings: Settings, tenant_id: str) -> dict[str, int]:
    def keep(batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.not_equal(batch["tenant_id"], pa.scalar(tenant_id))

    removed: dict[str, int] = {}
    with archives.only_one(connection):
        for archive in archives.find(settings.home):
            if tenant_id in archive.manifest.rows_by_tenant:
                left, rows = archives.rewrite(archive, keep)
                if not left.manifest.rows:
                    archives.remove(left)
                removed[f"archive {archive.archive_id}"] = rows
    return removed
