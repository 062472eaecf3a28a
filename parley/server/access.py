"""Who calls: the key of a request, what it may do, and how often."""

import asyncio
import base64
import binascii
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
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
"""How long an unknown key is taken for one without another look at the database."""
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
    """The keys of the database, remembered. Known ones are looked up again every few seconds, but not by requests:
    these do not wait for Postgres, and while it is down the known keys go on. Unknown ones are asked for one after the
    other, in a thread of their own: however long Postgres takes, nothing else waits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, Key] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._asking = ThreadPoolExecutor(1, "keys")
        self._failed_at = -FRESH_SECONDS
        self._used: set[str] = set()

    def remembered(self, given: str) -> tuple[Key | None, bool]:
        """What is known of a key, and whether anything is."""
        if not keys.is_shaped(given):
            return None, True
        if key := self._known.get(given):
            self._used.add(key.key_id)
            return key, True
        return None, time.monotonic() - self._unknown.get(given, -FRESH_SECONDS) < FRESH_SECONDS

    async def find(self, given: str) -> Key | None:
        """The key, asked of the database where it is not known yet. Raises Problem where it cannot be asked."""
        key, is_known = self.remembered(given)
        if is_known:
            return key
        return await asyncio.get_running_loop().run_in_executor(self._asking, self._look_up, given)

    def close(self) -> None:
        """Ask no more."""
        self._asking.shutdown(wait=False, cancel_futures=True)

    def _look_up(self, given: str) -> Key | None:
        key, is_known = self.remembered(given)
        if is_known:
            return key  # a request before this one has asked
        is_away = time.monotonic() - self._failed_at < FRESH_SECONDS  # who waits meanwhile need not try again
        try:
            found = None if is_away else keys.find(self._connected(), given)
        except (psycopg.Error, ParleyError):
            is_away, self._failed_at, self._connection = True, time.monotonic(), None
        if is_away:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "Keys cannot be looked up now: try again.", {"Retry-After": "5"}
            )
        with self._lock:
            if found:
                self._known[given] = found
                self._used.add(found.key_id)
                self._unknown.pop(given, None)
            else:
                self._unknown[given] = time.monotonic()
            for remembered in (self._known, self._unknown):
                while len(remembered) > MOST_REMEMBERED:
                    remembered.popitem(last=False)
            return found

    def refresh(self, connection: Connection) -> None:
        """Look all known keys up again, and write down which were used since the last time."""
        used, self._used = self._used, set()
        if used:
            keys.note_used(connection, used)
        asked = list(self._known)
        if not asked:
            return
        found = keys.find_many(connection, asked)
        self._failed_at = -FRESH_SECONDS
        with self._lock:
            for given in asked:
                if given in found:
                    self._known[given] = found[given]
                else:
                    self._known.pop(given, None)
                    self._unknown[given] = time.monotonic()

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = database.connect(self._settings, autocommit=True)
            self._connection.execute(f"set statement_timeout = '{FRESH_SECONDS:.0f}s'".encode())
        return self._connection


def check(key: Key | None) -> Key:
    """The key, if it is one that holds now. Raises Problem with 401 where not."""
    challenge = {"WWW-Authenticate": "Bearer"}
    if key is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED, "The key is unknown or revoked: `parley keys create` makes one.", challenge
        )
    if key.is_expired(datetime.now(UTC)):
        raise Problem(HTTPStatus.UNAUTHORIZED, "The key has expired: `parley keys rotate` makes a new one.", challenge)
    return key


def check_may(key: Key, scope: str, origin: str | None) -> None:
    """Raises Problem with 403 where the key may not do that."""
    if not key.may(scope):
        raise Problem(HTTPStatus.FORBIDDEN, f"The key has no scope `{scope}`: use one that has it.")
    if key.origins and origin not in key.origins and (origin is not None or scope == "write"):
        raise Problem(HTTPStatus.FORBIDDEN, "The key is bound to web origins, and this is none of them: use another.")


@dataclass(slots=True)
class _Bucket:
    """Requests that may still come now, of so many a second."""

    rate: float
    tokens: float
    filled_at: float

    def fill(self, now: float) -> None:
        self.tokens = min(self.rate, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit that a request is under, and what is left of it."""

    limit: int
    remaining: int
    reset: int
    """Seconds until there is more."""

    def headers(self) -> Mapping[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(self.remaining, 0)),
            "RateLimit-Reset": str(self.reset),
        }


class Limits:
    """Requests a second and events a day, of keys and of their tenants.

    Rates are kept by this process: each of several gives out its share. Quotas are counted in Postgres every few
    seconds (`exchange`), so that they hold across processes, servers and restarts.
    """

    def __init__(self, processes: int = 1, tenant_rate: int = 5000, tenant_quota: int = 0) -> None:
        self._processes = processes
        self._tenant_rate = tenant_rate
        self._tenant_quota = tenant_quota
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._day = _today()
        self._sent: Counter[str] = Counter()
        """Events of the day by `key KEY` and `tenant TENANT`, by all servers as far as known, and by this process."""
        self._unwritten: Counter[tuple[str, str]] = Counter()

    def take(self, key: Key) -> Mapping[str, str]:
        """Count a request, and return the RateLimit headers. Raises Problem with 429 where it is one too many."""
        self._turn_day()
        midnight = int(_DAY - time.time() % _DAY) + 1
        quotas = ((f"key {key.key_id}", key.daily_quota), (f"tenant {key.tenant_id}", self._tenant_quota))
        limits = [_Limit(quota, quota - self._sent[name], midnight) for name, quota in quotas if quota]
        for limit in limits:
            if limit.remaining <= 0:
                raise Problem(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "The day's quota of events is used up: wait until midnight UTC, or have it raised.",
                    {**limit.headers(), "Retry-After": str(midnight)},
                )
        now = time.monotonic()  # whatever is done to the clock
        rates = ((f"key {key.key_id}", key.rate_per_second), (f"tenant {key.tenant_id}", self._tenant_rate))
        buckets = [(rate, self._bucket(name, rate, now)) for name, rate in rates if rate]
        for rate, bucket in buckets:
            if bucket.tokens < 1:
                raise Problem(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    f"More than {rate} requests a second: send fewer, with more events each.",
                    {**_Limit(rate, 0, 1).headers(), "Retry-After": "1"},
                )
        for rate, bucket in buckets:
            bucket.tokens -= 1
            limits.append(_Limit(rate, int(bucket.tokens), 1))
        return min(limits, key=lambda limit: limit.remaining / limit.limit).headers()

    def count(self, key: Key, events: int) -> None:
        """Count events against the day's quotas."""
        self._turn_day()
        self._sent.update({f"key {key.key_id}": events, f"tenant {key.tenant_id}": events})
        self._unwritten[key.key_id, key.tenant_id] += events

    def exchange(self, connection: Connection) -> None:
        """Write down what this process has counted, and take in what others have."""
        day, unwritten = self._day, self._unwritten
        self._unwritten = Counter()
        try:
            used = [keys.Usage(key_id, tenant_id, events) for (key_id, tenant_id), events in unwritten.items()]
            found = keys.count_usage(connection, day, used)
        except psycopg.Error:
            self._unwritten.update(unwritten)
            raise
        sent: Counter[str] = Counter()
        for one in found:
            sent.update({f"key {one.key_id}": one.events, f"tenant {one.tenant_id}": one.events})
        for (key_id, tenant_id), events in self._unwritten.copy().items():
            sent.update({f"key {key_id}": events, f"tenant {tenant_id}": events})
        if day == self._day:
            self._sent = sent

    def _turn_day(self) -> None:
        if (today := _today()) != self._day:
            self._day = today
            self._sent = Counter()
            self._unwritten = Counter()

    def _bucket(self, name: str, rate: int, now: float) -> _Bucket:
        share = max(rate / self._processes, 1.0)
        bucket = self._buckets.get(name)
        if bucket is None or bucket.rate != share:
            bucket = self._buckets[name] = _Bucket(share, share, now)
            while len(self._buckets) > MOST_REMEMBERED:
                self._buckets.popitem(last=False)
        bucket.fill(now)
        return bucket


def _today() -> date:
    return datetime.now(UTC).date()
