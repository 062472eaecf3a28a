"""Who calls: the key of a request, what it may do, and how often."""

import base64
import binascii
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import psycopg
from starlette.requests import HTTPConnection

from parley.errors import ParleyError
from parley.server import keys
from parley.server.keys import Key
from parley.server.problems import Problem
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection

FRESH_SECONDS = 5.0
"""How long a key is believed in without a look at the database: so soon a revoked one ends."""
MOST_REMEMBERED = 10_000
_DAY = 86_400


def key_of(request: HTTPConnection) -> str | None:
    """The key that a request carries: as bearer token, as user name of HTTP Basic, or as `?key=`."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return request.query_params.get("key") or None


class KeyRing:
    """The keys of the database, remembered for seconds; while Postgres is down, for as long as it is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, tuple[Key | None, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._used: set[str] = set()

    def remembered(self, key: str) -> tuple[Key | None, bool]:
        """What is known of a key, and whether that is fresh."""
        found, checked_at = self._known.get(key, (None, 0.0))
        return found, time.monotonic() - checked_at < FRESH_SECONDS

    def look_up(self, key: str) -> Key | None:
        """Ask the database. Raises Problem where it cannot be asked and nothing is known of the key."""
        with self._lock:
            try:
                found = keys.find(self._connected(), key)
            except (psycopg.Error, ParleyError):
                self._connection = None
                known, _ = self._known.get(key, (None, 0.0))
                if known is None:
                    raise Problem(
                        HTTPStatus.SERVICE_UNAVAILABLE, "Keys cannot be looked up now: try again.", {"Retry-After": "5"}
                    ) from None
                found = known
            self._known[key] = (found, time.monotonic())
            self._known.move_to_end(key)
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
            if found:
                self._used.add(found.key_id)
            return found

    def note_used(self, connection: Connection) -> None:
        """Write down which keys were used since the last time."""
        used, self._used = self._used, set()
        if used:
            keys.note_used(connection, used)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = database.connect(self._settings, autocommit=True)
        return self._connection


def check(key: Key | None, scope: str, origin: str | None) -> Key:
    """The key, if it may do that. Raises Problem with 401 or 403 where not."""
    challenge = {"WWW-Authenticate": "Bearer"}
    if key is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "The key is unknown or revoked: `parley keys create` makes one.", challenge
        )
    if key.is_expired(datetime.now(UTC)):
        raise Problem(HTTPStatus.UNAUTHORIZED, "The key has expired: `parley keys rotate` makes a new one.", challenge)
    if not key.may(scope):
        raise Problem(HTTPStatus.FORBIDDEN, f"The key has no scope `{scope}`: use one that has it.")
    if key.origins and origin is not None and origin not in key.origins:
        raise Problem(HTTPStatus.FORBIDDEN, "The key is bound to other web origins: add this one to a new key.")
    return key


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float
    day: int = 0
    events: int = 0


@dataclass(slots=True)
class Limits:
    """Requests a second and events a day, by key, in this process: each of several processes gives out its share."""

    processes: int = 1
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def take(self, key: Key) -> Mapping[str, str]:
        """Count a request, and return the RateLimit headers. Raises Problem with 429 where it is one too many."""
        if key.rate_per_second is None and key.daily_quota is None:
            return {}
        now = time.time()
        bucket = self._bucket(key, now)
        if key.daily_quota is not None and bucket.events * self.processes >= key.daily_quota:
            wait = str(int(_DAY - now % _DAY) + 1)
            headers = _headers(key.daily_quota, 0, wait)
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "The key's events of today are used up: wait until midnight UTC, or raise its quota.",
                {**headers, "Retry-After": wait},
            )
        if key.rate_per_second is None:
            left = (key.daily_quota or 0) - bucket.events * self.processes
            return _headers(key.daily_quota or 0, left, str(int(_DAY - now % _DAY) + 1))
        share = max(key.rate_per_second / self.processes, 1.0)
        bucket.tokens = min(share, bucket.tokens + (now - bucket.filled_at) * share)
        bucket.filled_at = now
        if bucket.tokens < 1:
            headers = _headers(key.rate_per_second, 0, "1")
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"More than {key.rate_per_second} requests a second: send fewer, with more events each.",
                {**headers, "Retry-After": "1"},
            )
        bucket.tokens -= 1
        return _headers(key.rate_per_second, int(bucket.tokens), "1")

    def count(self, key: Key, events: int) -> None:
        """Count events against the day's quota."""
        if key.daily_quota is not None:
            self._bucket(key, time.time()).events += events

    def _bucket(self, key: Key, now: float) -> _Bucket:
        share = max((key.rate_per_second or 0) / self.processes, 1.0)
        bucket = self._buckets.setdefault(key.key_id, _Bucket(share, now))
        if bucket.day != int(now // _DAY):
            bucket.day, bucket.events = int(now // _DAY), 0
        return bucket


def _headers(limit: int, remaining: int, reset: str) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(max(remaining, 0)),
        "RateLimit-Reset": reset,
    }
