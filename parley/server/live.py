"""Sliding windows of what was just acknowledged, by any process.

Each process adds up what it acknowledged and tells the others by NOTIFY, some twenty times a second: sums, no events. A
process that starts reads the last half hour of raw.events. Numbers are per tenant; users and conversations are counted
by hashes, exactly up to what a window holds.
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from parley.landing.rules import Accepted, Verdict

BUCKET = 5
"""Seconds that are added up together."""
WINDOWS = {"5m": 300, "30m": 1800}
TELL_SECONDS = 0.05
CHANNEL = "parley_live"
MOST_NOTIFIED = 7_500
"""Bytes of one NOTIFY; Postgres takes 8,000."""
MOST_EVENT_NAMES = 10
ANSWER_BOUNDS = tuple(1.05**step for step in range(1, 260))
"""Upper ends, in milliseconds, of the classes that answers are counted in: within 5 % of the truth."""


@dataclass(slots=True)
class Sums:
    """What happened in a stretch of time, of one tenant. Adds up."""

    events: Counter[str] = field(default_factory=Counter)
    """By event name."""
    users: set[int] = field(default_factory=set)
    conversations: set[int] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    """By class of duration."""
    orders: int = 0
    revenue: float = 0.0

    def add(self, name: str, user: str | None, conversation: str | None, attributes: Mapping[str, Any]) -> None:
        """Count an event."""
        self.events[name] += 1
        if user:
            self.users.add(_short(user))
        if conversation:
            self.conversations.add(_short(conversation))
        duration = attributes.get("duration_ms")
        if name in ("ai.response", "voice.first_response") and isinstance(duration, int | float):
            self.answers[_class_of(duration)] += 1
        if name == "commerce.order_completed":
            self.orders += 1
            revenue = attributes.get("revenue")
            self.revenue += float(revenue) if isinstance(revenue, int | float) else 0.0

    def merge(self, other: "Sums") -> None:
        """Take in what another one counted."""
        self.events.update(other.events)
        self.users |= other.users
        self.conversations |= other.conversations
        self.answers.update(other.answers)
        self.orders += other.orders
        self.revenue += other.revenue

    def pack(self) -> list[Any]:
        """For a NOTIFY."""
        answers = [[number, count] for number, count in self.answers.items()]
        return [self.events, sorted(self.users), sorted(self.conversations), answers, self.orders, self.revenue]

    @classmethod
    def unpack(cls, packed: list[Any]) -> "Sums":
        """What `pack` made."""
        events, users, conversations, answers, orders, revenue = packed
        classes = Counter({int(number): int(count) for number, count in answers})
        return cls(Counter(events), set(users), set(conversations), classes, orders, revenue)


class Live:
    """The windows of one process."""

    def __init__(self) -> None:
        self._buckets: dict[str, deque[tuple[int, Sums]]] = {}
        self._untold: dict[str, Sums] = {}
        self._changed: dict[str, asyncio.Event] = {}

    def acknowledge(self, verdicts: Iterable[Verdict]) -> None:
        """Count what this process has just acknowledged, here and for the others."""
        now = time.time()
        for verdict in verdicts:
            if isinstance(verdict, Accepted):
                sums = self._untold.setdefault(verdict.tenant_id, Sums())
                conversation = verdict.conversation_id or verdict.session_id
                of_event = Sums()
                of_event.add(verdict.event_name, verdict.user_id, conversation, orjson.loads(verdict.attributes))
                sums.merge(of_event)
                self._take(verdict.tenant_id, of_event, now)

    def untold(self) -> list[str]:
        """Payloads for the others, each within the limit of a NOTIFY; what is told once is forgotten."""
        told, self._untold = self._untold, {}
        return [payload for tenant_id, sums in told.items() for payload in _payloads(tenant_id, sums)]

    def hear(self, payload: str) -> None:
        """Count what another process has acknowledged."""
        tenant_id, packed = orjson.loads(payload)
        self._take(tenant_id, Sums.unpack(packed), time.time())

    def recall(self, tenant_id: str, sums: Sums, at: float) -> None:
        """Count what landed before this process began."""
        self._take(tenant_id, sums, at)

    def snapshot(self, tenant_id: str, names: Iterable[str] = ()) -> dict[str, Any]:
        """The numbers of now. With `names`, events a second of these event names alone."""
        now = time.time()
        windows = {label: self._window(tenant_id, now - seconds) for label, seconds in WINDOWS.items()}
        five, half_hour = windows["5m"], windows["30m"]
        wanted = frozenset(names)
        last = self._window(tenant_id, now - 2 * BUCKET)
        counted = sum(count for name, count in last.events.items() if not wanted or name in wanted)
        return {
            "at": now,
            "events_per_second": round(counted / (2 * BUCKET), 2),
            "events_5m": five.events.total(),
            "events_30m": half_hour.events.total(),
            **{f"active_users_{label}": len(sums.users) for label, sums in windows.items()},
            **{f"active_conversations_{label}": len(sums.conversations) for label, sums in windows.items()},
            **{
                f"{outcome}_conversations_30m": half_hour.events[f"conversation.{outcome}"]
                for outcome in ("started", "resolved", "escalated", "abandoned")
            },
            "answers_30m": half_hour.answers.total(),
            "answer_p95_ms_30m": _percentile(half_hour.answers, 0.95),
            "errors_30m": half_hour.events["system.error"],
            "orders_30m": half_hour.orders,
            "revenue_30m": round(half_hour.revenue, 2),
            "top_events_30m": [
                {"event_name": name, "events": count} for name, count in half_hour.events.most_common(MOST_EVENT_NAMES)
            ],
            "events_by_5s": self._series(tenant_id, now),
        }

    async def changes(self, tenant_id: str, names: Iterable[str] = ()) -> AsyncIterator[dict[str, Any]]:
        """A snapshot now, after each change (at most twenty a second), and at least every five seconds."""
        listed = tuple(names)
        while True:
            changed = self._changed.setdefault(tenant_id, asyncio.Event())
            yield self.snapshot(tenant_id, listed)
            try:
                await asyncio.wait_for(changed.wait(), BUCKET)
            except TimeoutError:
                continue
            await asyncio.sleep(TELL_SECONDS)

    def _take(self, tenant_id: str, sums: Sums, at: float) -> None:
        number = int(at // BUCKET)
        buckets = self._buckets.setdefault(tenant_id, deque())
        for found, kept in reversed(buckets):
            if found == number:
                kept.merge(sums)
                break
        else:
            fresh = Sums()
            fresh.merge(sums)
            buckets.append((number, fresh))
        oldest = int((time.time() - max(WINDOWS.values())) // BUCKET)
        while buckets and buckets[0][0] < oldest:
            buckets.popleft()
        changed = self._changed.pop(tenant_id, None)
        if changed:
            changed.set()

    def _window(self, tenant_id: str, since: float) -> Sums:
        total = Sums()
        for number, sums in self._buckets.get(tenant_id, ()):
            if (number + 1) * BUCKET > since:
                total.merge(sums)
        return total

    def _series(self, tenant_id: str, now: float) -> list[int]:
        """Events of each five seconds of the last five minutes, the oldest first."""
        last = int(now // BUCKET)
        counts = {number: sums.events.total() for number, sums in self._buckets.get(tenant_id, ())}
        return [counts.get(number, 0) for number in range(last - WINDOWS["5m"] // BUCKET + 1, last + 1)]


def _payloads(tenant_id: str, sums: Sums) -> Iterable[str]:
    payload = orjson.dumps([tenant_id, sums.pack()]).decode()
    if len(payload.encode()) <= MOST_NOTIFIED:
        yield payload
        return
    # too many users, conversations or names for one: the sums go first, the others in pieces
    yield orjson.dumps([tenant_id, [{}, [], [], *sums.pack()[3:]]]).decode()
    names, users, conversations = list(sums.events.items()), sorted(sums.users), sorted(sums.conversations)
    for start in range(0, max(len(names), len(users), len(conversations)), 100):
        piece = slice(start, start + 100)
        packed = [dict(names[piece]), users[piece], conversations[piece], [], 0, 0.0]
        yield orjson.dumps([tenant_id, packed]).decode()


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
