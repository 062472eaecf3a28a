"""The rows of `raw.loads`: how a load begins, is taken up again, ends, and what came of it."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg.rows import args_row

from parley.errors import ParleyError
from parley.landing.batches import OUTCOMES, Counts
from parley.warehouse import database
from parley.warehouse.database import Connection

_LOCK = 0x6C6F6164  # "load" in ASCII: with a load's id, held by the process that is at it

_BEGIN = """
    insert into raw.loads (source, fingerprint, dialect, tenant_id, loaded_by)
    values (%s, %s, %s, %s, %s) returning load_id
"""
_UNFINISHED = """
    select load_id from raw.loads
    where status <> 'complete' and starts_with(fingerprint, %s) and dialect = %s and tenant_id is not distinct from %s
    order by lines_done desc
"""
_COMPLETE = """
    select lines_done, fingerprint from raw.loads
    where status = 'complete' and starts_with(fingerprint, %s) and dialect = %s and tenant_id is not distinct from %s
    and lines_done > 0
    order by lines_done
"""
_STILL_UNFINISHED = "select load_id, lines_done, fingerprint from raw.loads where load_id = %s and status <> 'complete'"
_RESUME = """
    update raw.loads set status = 'running', finished_at = null, source = %s, loaded_by = %s where load_id = %s
"""
_AT_WORK = """
    select load_id from raw.loads
    join pg_locks on locktype = 'advisory' and objsubid = 2 and classid = %s and objid = load_id %% 2147483648
    join pg_database on pg_database.oid = pg_locks.database and datname = current_database()
    where status = 'running'
"""
_FINISH = "update raw.loads set status = %s, finished_at = now() where load_id = %s"
_COUNTS = f"select received, {', '.join(OUTCOMES)} from raw.loads where load_id = %s".encode()
_REASONS = """
    select reason, count(*), mode() within group (order by message) from raw.rejected_events
    where load_id = %s group by reason order by 2 desc, 1
"""
_LANDED = f"""
    select
        coalesce(max(load_id), 0), count(*),
        {", ".join(f"coalesce(sum({name}), 0)::bigint" for name in ("received", *OUTCOMES))}
    from raw.loads
    where
        load_id > %(after)s and status = 'complete' and fingerprint is not null
        and loaded_by is distinct from %(but_by)s
"""
_UNLISTED = """
    select distinct tenant_id from raw.load_batches
    where load_id = %s and accepted > 0 and tenant_id <> all(%s) order by 1
"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A load that was not read to its end."""

    load_id: int
    lines_done: int
    fingerprint: str
    """Of those lines."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why lines of a load were rejected."""

    reason: str
    lines: int
    example: str
    """The sentence that most of them got."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a load, earlier attempts included."""

    load_id: int
    counts: Counts
    reasons: tuple[Reason, ...]
    """The most frequent first."""
    unlisted_tenants: tuple[str, ...]
    """Those of accepted events that seeds/tenants.csv does not name: the defaults hold for them."""
    resumed_after: int = 0
    """Lines that earlier attempts had done."""
    unclear_consent: int = 0
    """Lines of this attempt whose consent said neither yes nor no, which counts as no."""
    source_format: str = ""
    unread: Mapping[str, int] = field(default_factory=dict)
    """Fields that this attempt did not read, and how often they came."""
    empty: Mapping[str, int] = field(default_factory=dict)
    """Documents in which this attempt found no event, by their kind."""

    @property
    def problem(self) -> str | None:
        """What is wrong with the load as a whole, and what to do; None where it is as it should be."""
        counts = self.counts
        if counts.rejected * 2 > counts.received:
            return (
                f"{counts.rejected:,} of {counts.received:,} events were rejected (mostly {self.reasons[0].reason}): "
                f"name another --format, or fix the source; `parley unload {self.load_id}` takes the load back."
            )
        if not counts.received and self.empty:
            return f"none of its {sum(self.empty.values()):,} documents holds an event: name another --format."
        return None


def begin(
    connection: Connection,
    *,
    source: str,
    source_format: str,
    fingerprint: str | None = None,
    tenant_id: str | None = None,
    loaded_by: str | None = None,
) -> int:
    """Begin a load, and return its id. It is this process's until the connection closes."""
    with connection.transaction():  # nobody sees it before it is held
        row = connection.execute(_BEGIN, [source, fingerprint, source_format, tenant_id, loaded_by]).fetchone()
        assert row
        load_id = int(str(row[0]))
        _hold(connection, load_id)
    return load_id


def unfinished(connection: Connection, head: str, source_format: str, tenant_id: str | None) -> Iterator[Unfinished]:
    """The unfinished loads of sources that begin like this one, the most advanced first, but not those that another
    process is at. One that is not taken by ending the iteration there is let go."""
    for (load_id,) in connection.execute(_UNFINISHED, [head, source_format, tenant_id]).fetchall():
        if _hold(connection, int(str(load_id))):
            with connection.cursor(row_factory=args_row(Unfinished)) as cursor:
                found = cursor.execute(_STILL_UNFINISHED, [load_id]).fetchone()
            if found:
                yield found
            connection.execute("select pg_advisory_unlock(%s, %s)", _key(int(str(load_id))))


def complete(connection: Connection, head: str, source_format: str, tenant_id: str | None) -> list[tuple[int, str]]:
    """Lines and fingerprint of the complete loads of sources that begin like this one, the shortest first."""
    found = connection.execute(_COMPLETE, [head, source_format, tenant_id])
    return [(int(str(lines)), str(fingerprint)) for lines, fingerprint in found]


def resume(connection: Connection, load_id: int, *, source: str, loaded_by: str | None) -> None:
    """Take up an unfinished load again, under the name that its source has now."""
    connection.execute(_RESUME, [source, loaded_by, load_id])


@contextmanager
def held(connection: Connection, load_id: int) -> Iterator[None]:
    """Keep everybody from a load. Raises ParleyError where a process is at it."""
    if not _hold(connection, load_id):
        raise ParleyError(f"Load {load_id} is still at work: stop it, or wait for its end.")
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # of a connection that is no more: its end let go
            connection.execute("select pg_advisory_unlock(%s, %s)", _key(load_id))


def at_work(connection: Connection) -> set[int]:
    """The loads that some process is at now."""
    held = connection.execute(_AT_WORK, [_LOCK])
    return {int(str(load_id)) for (load_id,) in held}


@contextmanager
def ending(connection: Connection, load_id: int) -> Iterator[None]:
    """Notes how the load ends: complete, or failed with any exception."""
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):  # without Postgres it goes on being called running, and is resumed all the same
            connection.execute(_FINISH, ["failed", load_id])
        raise
    connection.execute(_FINISH, ["complete", load_id])


def explained(source: str) -> AbstractContextManager[None]:
    """Turns what Postgres may say in the middle of a load into one sentence, with nothing of an event in it."""
    return database.explained(
        f"the load of {source}", "correct that and run the same command again, and it goes on where it stopped."
    )


def report(
    connection: Connection,
    load_id: int,
    listed: Collection[str],
    resumed_after: int = 0,
    unclear_consent: int = 0,
) -> Report:
    """What came of a load; `listed` are the tenants of the seed."""
    with connection.cursor(row_factory=args_row(Counts)) as cursor:
        counts = cursor.execute(_COUNTS, [load_id]).fetchone()
    with connection.cursor(row_factory=args_row(Reason)) as cursor:
        reasons = cursor.execute(_REASONS, [load_id]).fetchall()
    unlisted = connection.execute(_UNLISTED, [load_id, list(listed)]).fetchall()
    assert counts
    return Report(
        load_id, counts, tuple(reasons), tuple(str(name) for (name,) in unlisted), resumed_after, unclear_consent
    )


def landed_since(connection: Connection, load_id: int, *, but_by: str = "dagster") -> tuple[int, int, Counts]:
    """What files landed after a load, but those that `but_by` loaded: the last load, how many, and counts."""
    row = connection.execute(_LANDED.encode(), {"after": load_id, "but_by": but_by}).fetchone()
    assert row
    last, loads, *counts = (int(str(number)) for number in row)
    return last, loads, Counts(*counts)


def _hold(connection: Connection, load_id: int) -> bool:
    """Make a load this process's until the connection closes; false where it is another's."""
    row = connection.execute("select pg_try_advisory_lock(%s, %s)", _key(load_id)).fetchone()
    return row == (True,)


def _key(load_id: int) -> tuple[int, int]:
    return _LOCK, load_id % 2**31
