"""Takes a load back: its events, its rejected lines and its counts, as if the file had never been sent.

The tables follow by the next build: rows that are made of one event go at once, and the tenants of the load are
rebuilt as a whole. A duplicate of an event of the load is not kept anywhere, so a file that sent some
of the same events has to be sent again; docs/inbox.md says so.
"""

from collections import Counter
from dataclasses import dataclass

from psycopg import sql

from parley.build import builds
from parley.errors import ParleyError
from parley.landing import loads, partitions, subjects
from parley.people.erasure import delete_rows
from parley.settings import Settings
from parley.warehouse import audit, migrate
from parley.warehouse.database import Connection

_LOAD = "select source, accepted, rejected from raw.loads where load_id = %s"
_STORED = "select count(*) from raw.events where load_id = %s"
_FROZEN = """
    select count(*) from raw.events inner join ops.raw_horizon using (tenant_id)
    where load_id = %s and occurred_at < frozen_before + interval '1 day'
"""
_REPLAYED = """
    select distinct replayed_by from raw.rejected_events where load_id = %s and replayed_by is not null order by 1
"""
_LATER = """
    select load_id from raw.loads where load_id > %(load)s and duplicate > 0 and load_id in (
        select later.load_id from raw.load_batches as later
        inner join raw.load_batches as taken on later.tenant_id = taken.tenant_id and taken.load_id = %(load)s
        where later.duplicate > 0
    ) order by load_id
"""
_TAKE = """
    create temporary table taken_events on commit drop as
    select tenant_id, event_id from raw.events where load_id = %s
"""
_IS_TAKEN = sql.SQL("(tenant_id, event_id) in (select tenant_id, event_id from taken_events)")
_PUBLISH_ARRIVALS = """
    insert into ops.changes (model, kind, tenant_id, date)
    select distinct 'stg_events', 'arrival', tenant_id, received_on from staging.stg_load_batches
    where batch_id in (select batch_id from raw.load_batches where load_id = %s)
"""
_PUBLISH_TENANTS = """
    insert into ops.changes (model, kind, tenant_id)
    select distinct 'stg_events', 'all', tenant_id from taken_events
"""
_DELETE = (
    "delete from raw.event_keys where (tenant_id, event_id) in (select tenant_id, event_id from taken_events)",
    "delete from raw.events where load_id = %(load)s",
    "update raw.rejected_events set replayed_by = null where replayed_by = %(load)s",
    "delete from raw.rejected_events where load_id = %(load)s",
    "delete from raw.load_batches where load_id = %(load)s",
    "delete from raw.loads where load_id = %(load)s",
)


@dataclass(frozen=True, slots=True)
class Unloaded:
    """What an unload took back."""

    source: str
    events: int
    rejected: int
    later: tuple[int, ...]
    """Later loads with duplicates for the same tenants, which may have been of this load's events."""


def unload(settings: Settings, load_id: int, *, by: str | None = None) -> Unloaded:
    """Take a load back, whole or not at all. Waits for a build that is at work.

    Raises ParleyError where there is no such load, where it is at work, and where it cannot be taken back exactly:
    some of its events are frozen history or archived, or its rejected lines have landed by a replay.
    """
    with (
        migrate.connect(settings, autocommit=True) as connection,
        builds.only_one(connection, wait=True),
        loads.held(connection, load_id),
    ):
        specs = builds.rebuilt_models(settings) if subjects.is_built(connection) else {}
        with connection.transaction():
            partitions.take_turn(connection)
            source, events, rejected = _check(connection, load_id)
            connection.execute("lock table ops.watermarks in exclusive mode")  # no model is built meanwhile
            connection.execute(_TAKE, [load_id])
            later = tuple(int(str(found)) for (found,) in connection.execute(_LATER, {"load": load_id}))
            if specs:
                connection.execute(_PUBLISH_ARRIVALS, [load_id])
                deleted: Counter[str] = Counter()
                for table, columns in subjects.personal_tables(connection).items():
                    if "event_id" in columns:
                        deleted[table] = delete_rows(connection, table, _IS_TAKEN, {}, specs.get(table))
                # keys that follow from an event in a way its row does not say (a visitor's user) are rebuilt too
                connection.execute(_PUBLISH_TENANTS)
            for statement in _DELETE:
                connection.execute(statement, {"load": load_id})
            audit.record(connection, "load.unloaded", actor=by, details={"load_id": load_id, "events": events})
    return Unloaded(source, events, rejected, later)


def _check(connection: Connection, load_id: int) -> tuple[str, int, int]:
    found = connection.execute(_LOAD, [load_id]).fetchone()
    if found is None:
        raise ParleyError(f"There is no load {load_id}: `select load_id, source from raw.loads` lists them.")
    source, accepted, rejected = str(found[0]), int(str(found[1])), int(str(found[2]))
    if replays := [str(each) for (each,) in connection.execute(_REPLAYED, [load_id])]:
        raise ParleyError(f"Rejected lines of load {load_id} landed by a replay: unload {', '.join(replays)} first.")
    (stored,) = connection.execute(_STORED, [load_id]).fetchone() or (0,)
    (frozen,) = connection.execute(_FROZEN, [load_id]).fetchone() or (0,)
    if stored != accepted or frozen:
        raise ParleyError(
            f"Events of load {load_id} are history that is kept as it is (retention or an archive): "
            "it cannot be taken back exactly."
        )
    return source, accepted, rejected
