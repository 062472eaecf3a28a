"""Sliding windows of what was just acknowledged, by any process.

Each process adds up what it acknowledged and tells the others by NOTIFY, some thirty times a second: sums, no events. A
process that starts reads the last half hour of raw.events. Numbers are per tenant; users and conversations are counted
by hashes. What a window costs does not grow with what it holds: a snapshot reads totals.
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from parley.config.tenants import DEFAULT_CURRENCY
from parley.landing.results import Accepted, EventResult

BUCKET = 5
"""Seconds that are added up together."""
WINDOWS = {"5m": 300, "30m": 1800}
TELL_SECONDS = 0.03
SECONDS_BETWEEN_SNAPSHOTS = 0.05
MOST_NOTIFIED = 7_500
"""Bytes of one NOTIFY; Postgres takes 8,000."""
MOST_EVENT_NAMES = 10
MOST_KEPT = 100_000
"""Users or conversations of a window that are kept one by one."""
ANSWER_BOUNDS = tuple(1.05**step for step in range(1, 260))
"""Upper ends, in milliseconds, of the classes that answers are counted in: within 5 % of the truth."""
_ANSWERS = ("ai.response", "voice.first_response")
_ORDER = "commerce.order_completed"
_ENDS = ("conversation.resolved", "conversation.escalated", "conversation.abandoned")
_LARGEST = 1e15
READ = frozenset((*_ANSWERS, _ORDER))
"""Events whose attributes count."""


@dataclass(slots=True)
class Sums:
    """What happened in a stretch of time, of one tenant. Adds up."""

    events: Counter[str] = field(default_factory=Counter)
    """By event name."""
    users: set[int] = field(default_factory=set)
    conversations: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    """Conversations that were resolved, escalated or abandoned."""
    answers: Counter[int] = field(default_factory=Counter)
    """By class of duration."""
    orders: int = 0
    revenue: Counter[str] = field(default_factory=Counter)
    """By currency; a blank one is the tenant's own. Thousandths, so that what is added can be taken away."""

    def add(self, name: str, user: str | None, conversation: str | None, attributes: Mapping[str, Any]) -> None:
        """Count an event. `attributes` are read of `READ` events only."""
        self.events[name] += 1
        if user:
            self.users.add(_short(user))
        if conversation:
            short = _short(conversation)
            self.conversations.add(short)
            if name in _ENDS:
                self.ended.add(short)
        if name in _ANSWERS:
            duration = attributes.get("duration_ms")
            if isinstance(duration, int | float):
                self.answers[_class_of(duration)] += 1
        elif name == _ORDER:
            self.orders += 1
            revenue, currency = attributes.get("revenue"), attributes.get("currency")
            if isinstance(revenue, int | float) and abs(revenue) < _LARGEST:
                self.revenue[currency if isinstance(currency, str) else ""] += round(revenue * 1000)

    def merge(self, other: "Sums") -> None:
        """Take in what another one counted."""
        self.events.update(other.events)
        self.users |= other.users
        self.conversations |= other.conversations
        self.ended |= other.ended
        self.answers.update(other.answers)
        self.orders += other.orders
        self.revenue.update(other.revenue)

    def take_away(self, other: "Sums") -> None:
        """Take the numbers of another one off again; sets stay."""
        self.events -= other.events
        self.answers -= other.answers
        self.orders -= other.orders
        self.revenue.subtract(other.revenue)

    def pack(self) -> list[Any]:
        """For a NOTIFY."""
        answers = [[number, count] for number, count in self.answers.items()]
        things = (sorted(self.users), sorted(self.conversations), sorted(self.ended))
        return [self.events, *things, answers, self.orders, self.revenue]

    @classmethod
    def unpack(cls, packed: list[Any]) -> "Sums":
        """What `pack` made."""
        events, users, conversations, ended, answers, orders, revenue = packed
        classes = Counter({int(number): int(count) for number, count in answers})
        return cls(Counter(events), set(users), set(conversations), set(ended), classes, orders, Counter(revenue))


class Distinct:
    """How many different things were seen in a window: exactly, and beyond MOST_KEPT by a sample of them."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, int] = OrderedDict()  # thing to bucket, the longest unseen first
        self._mask = 0

    def __len__(self) -> int:
        return len(self._seen) * (self._mask + 1)

    def see(self, things: Iterable[int], bucket: int) -> None:
        """Note that these were there in a bucket."""
        seen, mask = self._seen, self._mask
        for thing in things:
            if not thing & mask and seen.get(thing) != bucket:
                seen[thing] = bucket
                seen.move_to_end(thing)
        while len(self._seen) > MOST_KEPT:
            self._mask = 2 * self._mask + 1
            self._seen = OrderedDict((thing, at) for thing, at in self._seen.items() if not thing & self._mask)

    def discard(self, things: Iterable[int]) -> None:
        """Count these no more."""
        for thing in things:
            self._seen.pop(thing, None)

    def has(self, thing: int) -> bool:
        """Whether it is among those that are kept."""
        return thing in self._seen

    def forget_before(self, bucket: int) -> None:
        """Leave out what was last seen earlier."""
        while self._seen and next(iter(self._seen.values())) < bucket:
            self._seen.popitem(last=False)
        if not self._seen:
            self._mask = 0


class Window:
    """The last so many seconds of a tenant, as running totals: what comes is added, what leaves is taken away."""

    def __init__(self, seconds: int) -> None:
        self._length = seconds // BUCKET
        self.buckets: deque[tuple[int, Sums]] = deque()
        self.totals = Sums()
        self.users, self.conversations, self.open, self._ended = Distinct(), Distinct(), Distinct(), Distinct()

    def take(self, bucket: int, sums: Sums) -> None:
        """Add what happened."""
        numbers = Sums(events=sums.events, answers=sums.answers, orders=sums.orders, revenue=sums.revenue)
        self.totals.merge(numbers)
        for found, kept in reversed(self.buckets):
            if found == bucket:
                kept.merge(numbers)
                break
        else:
            kept = Sums()
            kept.merge(numbers)
            self.buckets.append((bucket, kept))
        self.users.see(sums.users, bucket)
        self.conversations.see(sums.conversations, bucket)
        self._ended.see(sums.ended, bucket)
        self.open.see((one for one in sums.conversations if not self._ended.has(one)), bucket)
        self.open.discard(sums.ended)

    def move(self, now: int) -> None:
        """Leave out what is too long ago."""
        oldest = now - self._length
        while self.buckets and self.buckets[0][0] < oldest:
            self.totals.take_away(self.buckets.popleft()[1])
        for things in (self.users, self.conversations, self.open, self._ended):
            things.forget_before(oldest)


class Live:
    """The windows of one process."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        """`now` is the time that windows go by: seconds since 1970 that never go back, though the clock may."""
        self._now = now or _steady()
        self._windows: dict[str, dict[str, Window]] = {}
        self._untold: dict[str, Sums] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._alerts: dict[str, list[dict[str, Any]]] = {}
        self.currencies: Mapping[str, str] = {}
        """Of the tenants that the seed names."""

    def acknowledge(self, results: Iterable[EventResult]) -> None:
        """Count what this process has just acknowledged, here and for the others."""
        by_tenant: dict[str, Sums] = {}
        for result in results:
            if isinstance(result, Accepted):
                sums = by_tenant.get(result.tenant_id)
                if sums is None:
                    sums = by_tenant[result.tenant_id] = Sums()
                conversation = result.conversation_id or result.session_id
                attributes = orjson.loads(result.attributes) if result.event_name in READ else {}
                sums.add(result.event_name, result.user_id, conversation, attributes)
        for tenant_id, sums in by_tenant.items():
            self._untold.setdefault(tenant_id, Sums()).merge(sums)
            self._take(tenant_id, sums, self._now())

    def untold(self) -> list[str]:
        """Payloads for the others, each within the limit of a NOTIFY; what is told once is forgotten."""
        told, self._untold = self._untold, {}
        return [payload for tenant_id, sums in told.items() for payload in _payloads(tenant_id, sums)]

    def tell_again(self, payloads: Iterable[str]) -> None:
        """Keep for the next time what could not be told."""
        for payload in payloads:
            tenant_id, packed = orjson.loads(payload)
            self._untold.setdefault(tenant_id, Sums()).merge(Sums.unpack(packed))

    def hear(self, payload: str) -> None:
        """Count what another process has acknowledged; of a tenant that was removed, forget what was counted."""
        tenant_id, packed = orjson.loads(payload)
        if packed is None:
            for by_tenant in (self._windows, self._untold, self._alerts):
                by_tenant.pop(tenant_id, None)
            self._wake(tenant_id)
            return
        self._take(tenant_id, Sums.unpack(packed), self._now())

    def recall(self, tenant_id: str, sums: Sums, at: float) -> None:
        """Count what landed before this process began; the oldest first."""
        self._take(tenant_id, sums, min(at, self._now()))

    def note_alerts(self, alerts: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """The alerts that are raised now, each with its tenant. Who listens is told where they changed."""
        found: dict[str, list[dict[str, Any]]] = {}
        for tenant_id, alert in alerts:
            found.setdefault(tenant_id, []).append(alert)
        before, self._alerts = self._alerts, found
        for tenant_id in before.keys() | found.keys():
            if before.get(tenant_id) != found.get(tenant_id):
                self._wake(tenant_id)

    def snapshot(self, tenant_id: str, names: Iterable[str] = ()) -> dict[str, Any]:
        """The numbers of now. With `names`, events a second of these event names alone."""
        now = self._now()
        windows = self._windows_of(tenant_id, now)
        half_hour = windows["30m"]
        totals = half_hour.totals
        own = self.currencies.get(tenant_id, DEFAULT_CURRENCY)
        revenue: Counter[str] = Counter()
        for currency, amount in totals.revenue.items():
            revenue[currency or own] += amount
        return {
            "at": time.time(),
            "tenant_id": tenant_id,
            "events_per_second": _rate(half_hour, now, frozenset(names)),
            **{f"events_{label}": window.totals.events.total() for label, window in windows.items()},
            **{f"active_users_{label}": len(window.users) for label, window in windows.items()},
            **{f"active_conversations_{label}": len(window.conversations) for label, window in windows.items()},
            **{
                f"{outcome}_conversations_30m": totals.events[f"conversation.{outcome}"]
                for outcome in ("started", "resolved", "escalated", "abandoned")
            },
            "open_conversations_30m": len(half_hour.open),
            "answers_30m": totals.answers.total(),
            "answer_p95_ms_30m": _percentile(totals.answers, 0.95),
            "errors_30m": totals.events["system.error"],
            "orders_30m": totals.orders,
            "revenue_30m": revenue[own] / 1000,
            "currency": own,
            "revenue_in_other_currencies_30m": {
                currency: amount / 1000 for currency, amount in sorted(revenue.items()) if currency != own and amount
            },
            "top_events_30m": [
                {"event_name": name, "events": count} for name, count in totals.events.most_common(MOST_EVENT_NAMES)
            ],
            "events_by_5s": _series(half_hour, now),
            "alerts": self._alerts.get(tenant_id, []),
        }

    async def changes(self, tenant_id: str, names: Iterable[str] = ()) -> AsyncIterator[dict[str, Any]]:
        """A snapshot now, after each change (at most twenty a second), and at least every five seconds."""
        listed = tuple(names)
        while True:
            changed = self._changed.setdefault(tenant_id, asyncio.Event())
            shown_at = time.monotonic()
            yield self.snapshot(tenant_id, listed)
            try:
                await asyncio.wait_for(changed.wait(), BUCKET)
            except TimeoutError:
                continue
            await asyncio.sleep(shown_at + SECONDS_BETWEEN_SNAPSHOTS - time.monotonic())

    def _take(self, tenant_id: str, sums: Sums, at: float) -> None:
        for window in self._windows_of(tenant_id, self._now()).values():
            window.take(int(at // BUCKET), sums)
        self._wake(tenant_id)

    def _wake(self, tenant_id: str) -> None:
        if changed := self._changed.pop(tenant_id, None):
            changed.set()

    def _windows_of(self, tenant_id: str, now: float) -> dict[str, Window]:
        windows = self._windows.get(tenant_id)
        if windows is None:
            windows = {label: Window(seconds) for label, seconds in WINDOWS.items()}
            self._windows[tenant_id] = windows
        for window in windows.values():
            window.move(int(now // BUCKET))
        return windows


def _steady() -> Callable[[], float]:
    """The time by a clock that nobody sets."""
    difference = time.time() - time.monotonic()
    return lambda: time.monotonic() + difference


def _rate(window: Window, now: float, wanted: frozenset[str]) -> float:
    """Events a second since the bucket before the last began: of 10 to 15 seconds."""
    first = int(now // BUCKET) - 2
    counted = 0
    for number, sums in reversed(window.buckets):
        if number < first:
            break
        counted += sum(count for name, count in sums.events.items() if not wanted or name in wanted)
    return round(counted / (now - first * BUCKET), 2)


def _series(window: Window, now: float) -> list[int]:
    """Events of each five seconds of the last five minutes, the oldest first."""
    last = int(now // BUCKET)
    first = last - WINDOWS["5m"] // BUCKET + 1
    counts = {number: sums.events.total() for number, sums in window.buckets if number >= first}
    return [counts.get(number, 0) for number in range(first, last + 1)]


def _payloads(tenant_id: str, sums: Sums) -> Iterable[str]:
    payload = orjson.dumps([tenant_id, sums.pack()]).decode()
    if len(payload.encode()) <= MOST_NOTIFIED:
        yield payload
        return
    # too many users, conversations or names for one: the sums go first, the others in pieces
    yield orjson.dumps([tenant_id, [{}, [], [], [], *sums.pack()[4:]]]).decode()
    names = list(sums.events.items())
    things = [sorted(sums.users), sorted(sums.conversations), sorted(sums.ended)]
    for start in range(0, max(len(names), *map(len, things)), 50):
        piece = slice(start, start + 50)
        packed = [dict(names[piece]), *(one[piece] for one in things), [], 0, {}]
        yield orjson.dumps([tenant_id, packed]).decode()


@lru_cache(50_000)  # users and conversations come again and again
def _short(text: str) -> int:
    """53 bits of a hash: a number that every JSON reader keeps."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).digest()) >> 3


def _class_of(milliseconds: float) -> int:
    return bisect_left(ANSWER_BOUNDS, milliseconds)


def _percentile(classes: Counter[int], share: float) -> float | None:
    total = classes.total()
    if not total:
        return None
    seen = 0
    for number in sorted(classes):
        seen += classes[number]
        if seen >= share * total:
            return round(ANSWER_BOUNDS[min(number, len(ANSWER_BOUNDS) - 1)])
    return None
