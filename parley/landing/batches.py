"""Stores a batch: the events of a chunk, what was rejected of it, and the counts, in one short transaction."""

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import astuple, dataclass, fields
from typing import LiteralString

from parley.errors import ParleyError
from parley.landing import partitions
from parley.landing.validation import EVENT_COLUMNS, ID_LENGTH, REJECTED_COLUMNS, ValidatedChunk, cell
from parley.warehouse.database import Connection


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of lines; `received` is the sum of the others."""

    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    no_consent: int = 0
    erased_subject: int = 0

    @classmethod
    def of(cls, outcomes: Counter[str]) -> "Counts":
        """The counts of lines by outcome."""
        return cls(outcomes.total(), *(outcomes[name] for name in OUTCOMES))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


OUTCOMES = tuple(field.name for field in fields(Counts))[1:]

_STAMP = ("load_id", "batch_id", "received_at")  # what every row of a batch gets
_KEY_COLUMNS = EVENT_COLUMNS[:2]
_OCCURRED_AT = EVENT_COLUMNS.index("occurred_at")

_PREPARE = """
    set default_transaction_isolation = 'read committed'; -- who had to wait for his turn sees what others stored
    set enable_seqscan = off; -- keys are looked up in their index, whatever the planner thinks of its size
    set enable_bitmapscan = off
"""
_KNOWN = "select event_id::text from raw.event_keys where tenant_id = %s and event_id = any(%s::uuid[])"
_COUNT = f"""
    update raw.loads set lines_done = %s, fingerprint = %s, last_batch_id = %s,
    {", ".join(f"{name} = {name} + %s" for name in ("received", *OUTCOMES))}
    where load_id = %s
""".encode()


class SubjectsErased(Exception):
    """Subjects were erased since the batch was validated. Nothing of it is stored: it has to be validated again."""


def prepare(connection: Connection) -> None:
    """Make a connection, which must be in autocommit, ready for `store`."""
    connection.execute(_PREPARE)


def count_erased(connection: Connection) -> int:
    """How many subjects have been erased so far."""
    (count,) = _row(connection, "select count(*) from raw.erased_subjects")
    return int(str(count))


def store(
    connection: Connection,
    load_id: int,
    validated: ValidatedChunk,
    *,
    lines_done: int,
    fingerprint: str | None,
    erased: int,
) -> Counts:
    """Store a batch of a load, which is then done with so many lines, and return what became of those of the batch.

    `erased` is how many erased subjects it was validated with. Raises SubjectsErased where there are others by now, and
    ParleyError where the load has been taken back.
    """
    by_tenant: dict[str, Counter[str]] = {}
    for (tenant_id, outcome), lines in validated.counts.items():
        by_tenant.setdefault(tenant_id, Counter())[outcome] = lines
    with connection.transaction():
        partitions.take_turn(connection)
        if count_erased(connection) != erased:
            raise SubjectsErased
        batch_id, received_at = _row(connection, "select nextval('raw.batch_id'), clock_timestamp()::text")
        stamp = f"{load_id}\t{batch_id}\t{received_at}"
        keys, known = b"", set[bytes]()
        for tenant_id, ids in validated.ids.items():
            found = {str(event_id) for (event_id,) in connection.execute(_KNOWN, [tenant_id, f"{{{ids}}}"])}
            by_tenant[tenant_id].subtract({"accepted": len(found), "duplicate": -len(found)})
            prefix = f"{cell(tenant_id)}\t"
            keys += "".join(f"{prefix}{event_id}\n" for event_id in ids.split(",") if event_id not in found).encode()
            known.update(f"{prefix}{event_id}".encode() for event_id in found)
        events = _without(known, validated.events)
        if partitions.missing(connection, validated.months):
            partitions.ensure(connection, _months(events))  # one of an event known, and dropped since, is not needed
        _copy(connection, "raw.event_keys", _KEY_COLUMNS, keys)
        _copy(connection, "raw.events", (*EVENT_COLUMNS, *_STAMP), _stamped(events, stamp))
        _copy(connection, "raw.rejected_events", (*REJECTED_COLUMNS, *_STAMP), _stamped(validated.rejected, stamp))
        counts = {tenant_id: Counts.of(outcomes) for tenant_id, outcomes in by_tenant.items()}
        rows = "".join(
            "\t".join((cell(name), *map(str, astuple(c)), str(c.received - c.accepted if validated.is_resent else 0)))
            + "\n"
            for name, c in counts.items()
        )
        columns = ("tenant_id", "received", *OUTCOMES, "resent", *_STAMP)
        _copy(connection, "raw.load_batches", columns, _stamped(rows.encode(), stamp))
        total = sum(counts.values(), Counts())
        counted = connection.execute(_COUNT, [lines_done, fingerprint, batch_id, *astuple(total), load_id])
        if not counted.rowcount:
            raise ParleyError(
                f"Load {load_id} is no longer there: what is left of it lands as a new one when it is run again."
            )
    return total


def _without(known: Set[bytes], events: bytes) -> bytes:
    """The rows that do not begin with one of these keys: a tenant, a tab and an id."""
    if not known:
        return events
    return b"".join(
        row for row in events.splitlines(keepends=True) if row[: row.index(b"\t") + 1 + ID_LENGTH] not in known
    )


def _months(events: bytes) -> set[str]:
    return {row.split(b"\t", _OCCURRED_AT + 1)[_OCCURRED_AT][:7].decode() for row in events.splitlines()}


def _stamped(rows: bytes, stamp: str) -> bytes:
    """Rows of COPY's text format, in which a line end can only be the end of a row, with more columns at their ends."""
    return rows.replace(b"\n", f"\t{stamp}\n".encode())


def _copy(connection: Connection, table: str, columns: Iterable[str], rows: bytes) -> None:
    if rows:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy {table} ({', '.join(columns)}) from stdin".encode()) as copy,
        ):
            copy.write(rows)


def _row(connection: Connection, query: LiteralString) -> tuple[object, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
