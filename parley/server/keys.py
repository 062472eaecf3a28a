"""API keys: made by `parley keys`, shown once, stored as a hash. A key says the tenant and what its holder may do."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from psycopg.rows import args_row

from parley.config.tenants import check_id
from parley.errors import ParleyError
from parley.warehouse import audit
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

CHANNEL = "parley_keys"
"""Where servers are told that keys have changed."""
SCOPES = ("write", "read", "admin")
_ID_BYTES, _SECRET_BYTES = 6, 32
_PREFIX = "parley"
_SHAPE = re.compile(rf"{_PREFIX}_[0-9a-f]{{{2 * _ID_BYTES}}}_[A-Za-z0-9_-]{{43}}")

_COLUMNS = (
    "key_id, tenant_id, scopes, name, origins, rate_per_second, daily_quota, created_at, expires_at, last_used_at"
)
_LIST = f"select {_COLUMNS} from ops.api_keys where revoked_at is null order by created_at, key_id"
_FIND = f"select {_COLUMNS} from ops.api_keys where revoked_at is null and key_hash = %s"
_FIND_MANY = f"select key_hash, {_COLUMNS} from ops.api_keys where revoked_at is null and key_hash = any(%s)"
_CREATE = """
    insert into ops.api_keys (
        key_id, key_hash, tenant_id, scopes, name, origins, rate_per_second, daily_quota, expires_at
    )
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_REVOKE = "update ops.api_keys set revoked_at = clock_timestamp() where key_id = %s and revoked_at is null returning 1"
_COUNT_USAGE = """
    insert into ops.api_usage as known (date, key_id, tenant_id, events) values (%s, %s, %s, %s)
    on conflict (date, key_id) do update set events = known.events + excluded.events
"""
_USAGE = "select key_id, tenant_id, events from ops.api_usage where date = %s"
_FORGET_USAGE = "delete from ops.api_usage where date < %s - 31"
_USED = "update ops.api_keys set last_used_at = clock_timestamp() where key_id = any(%s)"


@dataclass(frozen=True, slots=True)
class Key:
    """One row of ops.api_keys."""

    key_id: str
    """The part that is shown in lists; no secret."""
    tenant_id: str
    """`*`: a server that sends for many tenants, each event naming its own."""
    scopes: Sequence[str]
    name: str | None
    origins: Sequence[str]
    """Web origins that may use it; none listed: any."""
    rate_per_second: int | None
    """Requests; none: no limit."""
    daily_quota: int | None
    """Events a day (UTC); none: no limit."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def may(self, scope: str) -> bool:
        """Whether the key has a scope; `admin` includes `read`, and nothing includes `write`."""
        return scope in self.scopes or (scope == "read" and "admin" in self.scopes)

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


def create(
    connection: Connection,
    tenant_id: str,
    scopes: Iterable[str],
    *,
    name: str | None = None,
    origins: Iterable[str] = (),
    rate_per_second: int | None = None,
    daily_quota: int | None = None,
    expires_at: datetime | None = None,
    actor: str | None = None,
) -> str:
    """Make a key and return it: the only time that it is seen. Raises ParleyError where a value makes no sense."""
    if tenant_id != EVERY_TENANT:
        check_id(tenant_id)
    listed = list(dict.fromkeys(scopes))
    if not listed or not set(listed) <= set(SCOPES):
        raise ParleyError(f"--scope takes {', '.join(SCOPES)}, several with commas between: correct it.")
    if tenant_id == EVERY_TENANT and listed != ["write"]:
        raise ParleyError("A key of tenant * may only write: give a tenant to read or administrate.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise ParleyError("--expires is in the past: give a later time.")
    key_id = secrets.token_hex(_ID_BYTES)
    key = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    with connection.transaction():
        connection.execute(
            _CREATE,
            [key_id, _hash(key), tenant_id, listed, name, list(origins), rate_per_second, daily_quota, expires_at],
        )
        audit.record(
            connection, "key.created", actor=actor, tenant_id=tenant_id, details={"key": key_id, "scopes": listed}
        )
    return key


def find(connection: Connection, key: str) -> Key | None:
    """The key's row, where there is one that is not revoked; expired ones too."""
    with connection.cursor(row_factory=args_row(Key)) as cursor:
        return cursor.execute(_FIND, [_hash(key)]).fetchone()


def find_many(connection: Connection, given: Iterable[str]) -> dict[str, Key]:
    """Of these keys, the rows of those that are not revoked."""
    by_hash = {_hash(key): key for key in given}
    found = connection.execute(_FIND_MANY.encode(), [list(by_hash)]).fetchall()
    return {by_hash[bytes(row[0])]: Key(*row[1:]) for row in found}  # type: ignore[call-overload,arg-type]


def is_shaped(given: str) -> bool:
    """Whether a text could be a key at all."""
    return _SHAPE.fullmatch(given) is not None


@dataclass(frozen=True, slots=True)
class Usage:
    """Events that keys have sent on a day."""

    key_id: str
    tenant_id: str
    events: int


def count_usage(connection: Connection, day: date, used: Iterable[Usage]) -> list[Usage]:
    """Add to what was sent on a day, and return all that was sent on it, by whichever server."""
    with connection.transaction():
        for one in sorted(used, key=lambda one: one.key_id):  # in one order: no server waits for one that waits for it
            connection.execute(_COUNT_USAGE, [day, one.key_id, one.tenant_id, one.events])
        connection.execute(_FORGET_USAGE, [day])
    with connection.cursor(row_factory=args_row(Usage)) as cursor:
        return cursor.execute(_USAGE, [day]).fetchall()


def listed(connection: Connection) -> list[Key]:
    """Every key that is not revoked."""
    with connection.cursor(row_factory=args_row(Key)) as cursor:
        return cursor.execute(_LIST.encode()).fetchall()


def revoke(connection: Connection, key_id: str, *, actor: str | None = None) -> None:
    """End a key, on every server that hears of it. Raises ParleyError where there is none of that id."""
    key_id = _id_of(key_id)
    with connection.transaction():
        if connection.execute(_REVOKE, [key_id]).fetchone() is None:
            raise ParleyError(f"There is no key {key_id!r} in use: `parley keys list` shows them.")
        audit.record(connection, "key.revoked", actor=actor, details={"key": key_id})
        tell(connection)


def rotate(connection: Connection, key_id: str, *, actor: str | None = None) -> str:
    """A new key with the same rights; the old one ends. Returns the new one. It ends when the old one was to end, and
    where that is over already, it holds for as long as the old one did."""
    key_id = _id_of(key_id)
    old = next((key for key in listed(connection) if key.key_id == key_id), None)
    if old is None:
        raise ParleyError(f"There is no key {key_id!r} in use: `parley keys list` shows them.")
    now, expires_at = datetime.now(UTC), old.expires_at
    if expires_at and old.is_expired(now):
        expires_at = now + (expires_at - old.created_at)
    with connection.transaction():
        made = create(
            connection,
            old.tenant_id,
            old.scopes,
            name=old.name,
            origins=old.origins,
            rate_per_second=old.rate_per_second,
            daily_quota=old.daily_quota,
            expires_at=expires_at,
            actor=actor,
        )
        revoke(connection, key_id, actor=actor)
    return made


def tell(connection: Connection) -> None:
    """Let servers look at the keys again, once the transaction is over."""
    connection.execute("select pg_notify(%s, '')", [CHANNEL])


def note_used(connection: Connection, key_ids: Iterable[str]) -> None:
    """Remember that these keys were used now."""
    connection.execute(_USED, [sorted(key_ids)])


def _id_of(given: str) -> str:
    """The id of a key; the whole key is understood too."""
    parts = given.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == _PREFIX else given


def _hash(key: str) -> bytes:
    """A key is 256 random bits, so that a fast hash is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
