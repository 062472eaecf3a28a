"""Random histories: few names and many ties, around the moments at which calendars are hard.

A history is what a warehouse lives through: files of events, in any order and with much sent twice, and builds
in between. Its tenants are always the same, so that a test can set them up once.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from hypothesis import strategies as st

from tests.oracle.world import Event, Hours, Rate, Tenant, World, identity

TENANTS = (
    Tenant("utc"),
    Tenant("berlin", time_zone="Europe/Berlin", session_gap_minutes=20, currency="EUR"),
    Tenant("new-york", time_zone="America/New_York", week_start="sunday", abandon_after_hours=1),
    Tenant(
        "kolkata",
        time_zone="Asia/Kolkata",
        session_gap_minutes=None,
        session_gap_seconds=1695,
        sla_ms=1000,
        currency="USD",
        good_rating=0.5,
    ),
    Tenant("auckland", time_zone="Pacific/Auckland", week_start="saturday"),
)

RATES = tuple(
    Rate(date.fromisoformat(day), source, target, Decimal(rate))
    for day, source, target, rate in (
        ("2023-12-31", "USD", "EUR", "0.9"),
        ("2024-01-01", "USD", "EUR", "0.91234567"),
        ("2024-03-31", "USD", "EUR", "0.93"),
        ("2024-03-31", "JPY", "EUR", "0.0061"),
        ("2024-02-29", "EUR", "USD", "1.08"),
        ("2024-06-30", "EUR", "USD", "1.1"),
    )
)

HOURS = (
    Hours("berlin", "sunday", "01:00", "04:30"),  # in which the clock changes
    Hours("berlin", "monday", "00:00", "08:00"),
    Hours("berlin", "monday", "22:30", "24:00"),
    Hours("berlin", "thursday", "09:00", "17:00"),
)
HOLIDAYS = (("berlin", date(2024, 1, 1)), ("*", date(2024, 2, 29)))

HARD_MOMENTS = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "2024-03-31 01:00",  # Berlin goes to summer time
        "2024-10-27 01:00",  # and back
        "2024-03-10 07:00",  # New York
        "2024-11-03 06:00",
        "2024-09-28 14:00",  # Auckland
        "2024-04-06 14:00",
        "2023-12-31 11:00",  # New Year in Auckland
        "2023-12-31 18:30",  # in Kolkata
        "2024-01-01 00:00",
        "2024-01-01 05:00",  # in New York
        "2024-02-29 23:00",  # a leap February ends in Berlin
        "2024-06-30 22:00",  # a quarter ends in Berlin
    )
)

_NAMES = UUID("00000000-0000-4000-8000-000000000000")
_INSTANT = timedelta(microseconds=1)

_durations = st.sampled_from([0, 250, 999.5, 1000, 1000.5, 3000, 3001, 12345.678])
_shares = st.sampled_from([0, 0.125, 0.5, 1])
_texts = st.sampled_from(
    [
        "Where is my order?",
        "my order, where is it",
        "Thanks!",
        "You idiot",
        "Sorry, no…",
        "Tyvärr",
        "ありがとうね",
        "",
        " ",
    ]
)
_money = st.integers(0, 100_000).map(lambda cents: cents / 100)
_models = st.sampled_from(["small", "aurora-large"])
_tools = {"tool_name": st.sampled_from(["search", "book"])}
_call_ids = st.sampled_from(["call-1", "call-2"])
_currencies = st.sampled_from(["EUR", "usd", "JPY", " gbp "])
_service: dict[str, st.SearchStrategy[Any]] = {
    "agent_id": st.sampled_from(["a1", 7]),
    "agent_name": st.just("Ann"),
    "team": st.sampled_from(["sales", "support"]),
    "inbox": st.just("mail"),
    "labels": st.lists(st.sampled_from(["vip", "bug"]), max_size=2),
}
_orders = st.sampled_from(["o1", "o2", "o3"])
_bookings = {"booking_id": st.sampled_from(["b1", "b2"])}

KINDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "message.received": st.fixed_dictionaries({}, optional={"text": _texts}),
    "message.sent": st.fixed_dictionaries(
        {},
        optional={
            "is_fallback": st.booleans(),
            "is_private": st.booleans(),
            "text": _texts,
            "actor": st.sampled_from(["assistant", "human"]),
            **_service,
        },
    ),
    "message.noted": st.just({}),
    "page.viewed": st.just({}),
    "user.identified": st.just({}),
    "conversation.started": st.just({}),
    "conversation.resolved": st.fixed_dictionaries(
        {}, optional={"resolved_by": st.sampled_from(["assistant", "human"])}
    ),
    "conversation.escalated": st.fixed_dictionaries({}, optional=_service),
    "conversation.abandoned": st.just({}),
    "conversation.scored": st.fixed_dictionaries(
        {"judge": st.sampled_from(["gpt", "Human:ann"]), "rubric": st.just("support"), "overall": _shares},
        optional={"helpfulness": _shares, "politeness": _shares, "rubric_version": st.sampled_from(["1", "2"])},
    ),
    "conversation.rated": st.one_of(
        st.fixed_dictionaries({"rating": st.sampled_from([0, 0.25, 0.5, 1])}),
        st.fixed_dictionaries({"rating": st.sampled_from([1, 4, 5]), "rating_max": st.just(5)}),
        st.fixed_dictionaries({"rating": st.integers(0, 10), "rating_max": st.just(10), "rating_min": st.just(0)}),
    ),
    "ai.response": st.fixed_dictionaries(
        {"duration_ms": _durations, "model": _models},
        optional={
            "input_tokens": st.integers(0, 5000),
            "output_tokens": st.integers(0, 5000),
            "cost": _money,
            "currency": st.sampled_from(["USD", "EUR"]),
            "is_error": st.booleans(),
            "error_class": st.just("timeout"),
        },
    ),
    "ai.tool_call_started": st.fixed_dictionaries(_tools, optional={"tool_call_id": _call_ids}),
    "ai.tool_call_completed": st.fixed_dictionaries(
        {**_tools, "success": st.booleans()},
        optional={
            "duration_ms": _durations,
            "tool_kind": st.just("navigation"),
            "optimistic": st.booleans(),
            "tool_call_id": _call_ids,
        },
    ),
    "kb.search": st.fixed_dictionaries(
        {"query": st.sampled_from(["opening hours", "refund"]), "results_count": st.integers(0, 2)},
        optional={"duration_ms": _durations, "top_score": st.sampled_from([0.1, 0.9])},
    ),
    "kb.hit": st.just({}),
    "kb.citation_clicked": st.just({}),
    "voice.turn_started": st.just({}),
    "voice.first_response": st.fixed_dictionaries({"duration_ms": _durations}),
    "service.suggested": st.just({"service_name": "cut", "confidence_score": 0.5}),
    "service.added": st.just({"service_name": "cut"}),
    "cart.confirmed": st.just({}),
    "commerce.view": st.just({}),
    "commerce.order_completed": st.fixed_dictionaries(
        {"order_id": _orders, "revenue": _money}, optional={"currency": _currencies}
    ),
    "commerce.order_refunded": st.fixed_dictionaries(
        {"order_id": _orders, "revenue": _money}, optional={"currency": _currencies}
    ),
    "booking.slot_hold": st.fixed_dictionaries(_bookings),
    "booking.requested": st.fixed_dictionaries(
        _bookings, optional={"services_count": st.integers(1, 3), "estimated_total": _money, "currency": _currencies}
    ),
    "booking.confirmed": st.fixed_dictionaries(_bookings),
    "system.error": st.just({}),
}
_kinds = st.sampled_from(["message.received", "message.sent"] * 4 + list(KINDS))


@dataclass(frozen=True)
class Step:
    """A file that lands, and the clock of the build after it, if there is one."""

    load: tuple[Event, ...]
    as_of: datetime | None


@dataclass(frozen=True)
class History:
    """What a warehouse lives through, and the clock of the build at its end."""

    steps: tuple[Step, ...]
    as_of: datetime

    def world(self, events: Sequence[Event] | None = None) -> World:
        """What the tables are to be made of in the end: all that landed, or these events of it."""
        if events is None:
            events = landed(step.load for step in self.steps)
        return World.of(events, self.as_of, TENANTS, RATES, HOURS, HOLIDAYS)


def landed(loads: Iterable[Iterable[Event]]) -> list[Event]:
    """The events that are accepted: of two with one identity, the one that came first."""
    kept: dict[tuple[str, UUID], Event] = {}
    for load in loads:
        for event in load:
            kept.setdefault(identity(event), event)
    return list(kept.values())


@st.composite
def histories(draw: st.DrawFn, min_events: int = 1, max_events: int = 40, max_steps: int = 4) -> History:
    """Histories of up to so many events, landing in up to so many files."""
    events = draw(stories(min_events, max_events))
    step = st.integers(0, draw(st.integers(0, max_steps - 1)))
    loads: list[list[Event]] = [[] for _ in range(max_steps)]
    for event in events:
        loads[draw(step)].append(event)
    for event, late in draw(st.lists(st.tuples(st.sampled_from(events), st.sampled_from([0, 0, 26])), max_size=4)):
        again = event.copy()
        again["occurred_at"] += timedelta(hours=late)
        loads[draw(step)].append(again)  # it is the first where it lands in an earlier file
    clocks = draw(st.lists(_clocks(events), min_size=len(loads) + 1, max_size=len(loads) + 1))  # also back in time
    if draw(st.booleans()):
        clocks.sort()
    steps = [
        Step(tuple(load), draw(st.sampled_from([clock, None]))) for load, clock in zip(loads, clocks, strict=False)
    ]
    return History(tuple(step for step in steps if step.load), clocks[-1])


@st.composite
def stories(draw: st.DrawFn, min_events: int, max_events: int) -> list[Event]:
    """Events, each some time after the one before it of its tenant."""
    start = draw(st.sampled_from(HARD_MOMENTS)) - draw(st.sampled_from([0, 5, 20, 300])) * timedelta(minutes=1)
    clock = dict.fromkeys(TENANTS, start)
    told = draw(st.sampled_from([1, 2, len(TENANTS)]))
    pauses = draw(st.sampled_from([_quick_pauses, _pauses]))
    numbers: Counter[Tenant] = Counter()
    events = []
    for _ in range(draw(st.integers(min_events, max_events))):
        tenant = draw(st.sampled_from(TENANTS[-told:]))
        clock[tenant] += draw(pauses(tenant))
        numbers[tenant] += 1
        name = draw(_kinds)
        events.append(
            Event(
                tenant_id=tenant.tenant_id,
                event_id=uuid5(_NAMES, str(numbers[tenant])),  # tenants share ids, and ids know no time
                event_name=name,
                occurred_at=clock[tenant],
                conversation_id=draw(st.sampled_from(["a", "b", None])),
                session_id=draw(st.sampled_from([None, "a", "s"])),
                user_id=draw(st.sampled_from(["ann", "bob", None, None, "undefined"])),
                anonymous_id=draw(st.sampled_from([None, None, "a1", "a2", "a3", "ann", "0"])),
                source=draw(st.sampled_from(["web", "voice_ws", None])),
                attributes=draw(KINDS[name]),
                sequence=draw(st.sampled_from([None, None, None, 0, 1, -1])),
                actor=draw(st.sampled_from([None] * 6 + ["customer", "agent", "system"])),
            )
        )
    return events


_OFTEN = [timedelta(0), timedelta(seconds=1), timedelta(seconds=3.5), _INSTANT, timedelta(minutes=7)]


def _quick_pauses(tenant: Tenant) -> st.SearchStrategy[timedelta]:
    """Those of a busy hour."""
    return st.sampled_from([*_OFTEN, tenant.session_gap])


def _pauses(tenant: Tenant) -> st.SearchStrategy[timedelta]:
    gap = tenant.session_gap
    silence = timedelta(hours=tenant.abandon_after_hours)
    seldom = [gap - _INSTANT, gap, gap + _INSTANT, timedelta(hours=5), silence, timedelta(days=1)]
    rarely = [timedelta(days=6), timedelta(days=29), timedelta(days=30)]
    return st.sampled_from(_OFTEN * 3 + seldom * 2 + rarely)


def _clocks(events: Sequence[Event]) -> st.SearchStrategy[datetime]:
    """Times to build at: when silence becomes abandonment, when a month is over, long after."""
    later = [timedelta(0), timedelta(hours=1), timedelta(hours=24) - _INSTANT, timedelta(hours=24), timedelta(days=45)]
    return st.builds(lambda event, wait: event["occurred_at"] + wait, st.sampled_from(events), st.sampled_from(later))
