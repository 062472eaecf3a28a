"""Who did what that people must be able to look up later: erasures, exports, releases, statuses set by hand.

Each entry of `ops.audit_log` carries the SHA-256 of the one before it, so that an entry changed, removed or put in
between shows: `verify`. A cut tail shows only to whoever kept the last entry's hash elsewhere.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from psycopg.rows import args_row, class_row
from psycopg.types.json import Jsonb

from parley.errors import ParleyError
from parley.warehouse.database import Connection

LOCK = 0x6175646974  # "audit" in ASCII: entries are written one after the other
NO_ENTRY = "0" * 64  # what the first entry names as the one before it


class _Last(NamedTuple):
    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of `ops.audit_log`."""

    number: int
    """Counts from 1 without a gap."""
    recorded_at: datetime
    action: str
    """A short dotted name, such as `gap.status_set`."""
    tenant_id: str | None
    actor: str | None
    details: dict[str, Any]
    """No personal data: people who are not users of Parley appear as an HMAC only."""
    previous_hash: str
    hash: str

    def computed_hash(self) -> str:
        """SHA-256 of everything the entry says, as canonical JSON, with the hash of the entry before it."""
        said = [
            self.number,
            self.recorded_at.astimezone(UTC).isoformat(),
            self.action,
            self.tenant_id,
            self.actor,
            self.details,
            self.previous_hash,
        ]
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def last_numbers(connection: Connection, action: str) -> dict[str, int]:
    """By tenant, the number of the last entry of an action."""
    found = connection.execute(
        "select tenant_id, max(number) from ops.audit_log where action = %s and tenant_id is not null group by 1",
        [action],
    )
    return {str(tenant_id): int(str(number)) for tenant_id, number in found}


def record(
    connection: Connection,
    action: str,
    *,
    tenant_id: str | None = None,
    actor: str | None = None,
    details: Mapping[str, Any],
) -> None:
    """Add an entry, in the caller's transaction: it stands if what it tells of does. `details` are plain JSON."""
    with connection.transaction() if connection.autocommit else nullcontext():  # the latter has one, or begins it
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        with connection.cursor(row_factory=args_row(_Last)) as cursor:
            last = cursor.execute("select number, hash from ops.audit_log order by number desc limit 1").fetchone()
        number, previous_hash = last or _Last(0, NO_ENTRY)
        entry = Entry(
            number=number + 1,
            recorded_at=datetime.now(UTC),
            action=action,
            tenant_id=tenant_id,
            actor=actor,
            details=orjson.loads(orjson.dumps(details)),  # as it will be read back
            previous_hash=previous_hash,
            hash="",
        )
        connection.execute(
            "insert into ops.audit_log (number, recorded_at, action, tenant_id, actor, details, previous_hash, hash)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                entry.number,
                entry.recorded_at,
                entry.action,
                entry.tenant_id,
                entry.actor,
                Jsonb(entry.details),
                entry.previous_hash,
                entry.computed_hash(),
            ],
        )


def latest(connection: Connection, most: int, action: str | None = None, tenant_id: str | None = None) -> list[Entry]:
    """The newest entries first, of one action and tenant or of all."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            "select number, recorded_at, action, tenant_id, actor, details, previous_hash, hash from ops.audit_log"
            " where (%(action)s::text is null or action = %(action)s)"
            " and (%(tenant)s::text is null or tenant_id = %(tenant)s)"
            " order by number desc limit %(most)s",
            {"action": action, "tenant": tenant_id, "most": most},
        ).fetchall()


def verify(connection: Connection, last_hash: str | None = None) -> tuple[int, str]:
    """The number of entries and the hash of the last one, once each has been found to be as it was written.

    Raises ParleyError at the first entry that is not, or where the log no longer holds an entry of `last_hash`.
    """
    count, previous_hash, found = 0, NO_ENTRY, last_hash in (None, NO_ENTRY)
    for entry in _all(connection):
        count += 1
        if entry.number != count:
            raise ParleyError(f"Entry {count} of the audit log is missing: restore ops.audit_log from a backup.")
        if entry.previous_hash != previous_hash or entry.hash != entry.computed_hash():
            raise ParleyError(
                f"Entry {count} of the audit log is not as it was written: compare ops.audit_log with a backup."
            )
        previous_hash = entry.hash
        found = found or entry.hash == last_hash
    if not found:
        raise ParleyError(
            "The audit log holds no entry of the hash given: its end was cut off, or it was written again; "
            "restore ops.audit_log from a backup."
        )
    return count, previous_hash


def _all(connection: Connection) -> Iterator[Entry]:
    """Every entry, streamed."""
    with connection.transaction(), connection.cursor("audit", row_factory=class_row(Entry)) as cursor:
        yield from cursor.execute(
            "select number, recorded_at, action, tenant_id, actor, details, previous_hash, hash"
            " from ops.audit_log order by number"
        )
