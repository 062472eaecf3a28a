"""What the oracle starts from: landed events, the tenants' settings and the build's clock."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import wraps
from math import inf
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from parley.config import tracking_plan

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = {kind.event_name: kind for kind in tracking_plan.load(PROJECT / tracking_plan.FOLDER).types}
PLACEHOLDERS = {
    line.strip().lower() for line in (PROJECT / "seeds/placeholder_ids.csv").read_text().split("\n")[1:]
} - {""} | {"null"}
Row = dict[str, Any]
"""A row of a fact or a mart, by column name."""


class Event(TypedDict):
    """An accepted event, with the columns of `raw.events` that facts are made of."""

    tenant_id: str
    event_id: UUID
    event_name: str  # canonical
    occurred_at: datetime  # aware
    received_at: NotRequired[datetime]
    conversation_id: str | None
    session_id: str | None
    user_id: str | None
    source: str | None
    attributes: dict[str, Any]
    said_user_id: NotRequired[str | None]  # in a world, where user_id is the person found
    anonymous_id: NotRequired[str | None]
    context: NotRequired[dict[str, Any] | None]
    sequence: NotRequired[int | None]
    actor: NotRequired[str | None]


@dataclass(frozen=True)
class Tenant:
    """A tenant's settings, with the defaults of a tenant that the seed does not name."""

    tenant_id: str
    time_zone: str = "UTC"
    week_start: str = "monday"
    session_gap_minutes: int | None = 30
    session_gap_seconds: int | None = None
    abandon_after_hours: int = 24
    sla_ms: int = 3000
    currency: str | None = None
    good_rating: float = 0.75

    @property
    def session_gap(self) -> timedelta:
        """The longest silence within a session."""
        return timedelta(minutes=self.session_gap_minutes or 0, seconds=self.session_gap_seconds or 0)

    def local_date(self, moment: datetime) -> date:
        """The calendar date at the tenant's at that moment."""
        return moment.astimezone(ZoneInfo(self.time_zone)).date()

    def hour(self, moment: datetime) -> datetime:
        """The start, in UTC, of the hour of the tenant's clock in which the moment lies."""
        local = moment.astimezone(ZoneInfo(self.time_zone))
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)

    def midnight(self, day: date) -> datetime:
        """The moment, in UTC, at which that day begins at the tenant's."""
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)


@dataclass(frozen=True)
class Rate:
    """What a unit of one currency is in another, from that day on."""

    date: date
    from_currency: str
    to_currency: str
    rate: Decimal


@dataclass(frozen=True)
class Hours:
    """A span of a weekday in which a tenant is open, on its clock; `*` for tenants without their own."""

    tenant_id: str
    weekday: str
    opens: str
    closes: str


@dataclass(frozen=True)
class World:
    """Everything a table is a function of. Build one with `World.of()`."""

    events: Sequence[Event]  # by `order`
    as_of: datetime
    tenants: dict[str, Tenant] = field(default_factory=dict)
    rates: Sequence[Rate] = ()
    hours: Sequence[Hours] = ()
    holidays: frozenset[tuple[str, date]] = frozenset()
    known: dict[Callable[["World"], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What is computed of it (`once`)."""

    @classmethod
    def of(
        cls,
        events: Iterable[Event],
        as_of: datetime,
        tenants: Iterable[Tenant] = (),
        rates: Sequence[Rate] = (),
        hours: Sequence[Hours] = (),
        holidays: Iterable[tuple[str, date]] = (),
    ) -> "World":
        """The world of these events, given in any order and any zone, each of the person it is found to be of."""
        # Datetimes that share a zone compare and subtract by the clock on the wall, so all are in UTC.
        in_utc = (Event(**{**event, "occurred_at": event["occurred_at"].astimezone(UTC)}) for event in events)
        return cls(
            events=identified(sorted(in_utc, key=order)),
            as_of=as_of.astimezone(UTC),
            tenants={tenant.tenant_id: tenant for tenant in tenants},
            rates=rates,
            hours=hours,
            holidays=frozenset(holidays),
        )

    def tenant(self, tenant_id: str) -> Tenant:
        """The tenant's settings, the defaults for one without any."""
        return self.tenants.get(tenant_id, Tenant(tenant_id))

    def local_date(self, event: Event) -> date:
        """The tenant's calendar date on which the event happened."""
        return self.tenant(event["tenant_id"]).local_date(event["occurred_at"])

    def local_hour(self, event: Event) -> int:
        """The hour of the tenant's clock, 0 to 23, in which the event happened."""
        return event["occurred_at"].astimezone(ZoneInfo(self.tenant(event["tenant_id"]).time_zone)).hour


def once(computed: Callable[[World], T]) -> Callable[[World], T]:
    """As a decorator of what many tables are made of: computed once a world. Whoever reads it leaves it as it is."""

    @wraps(computed)
    def known(world: World) -> T:
        if computed not in world.known:
            world.known[computed] = computed(world)
        found: T = world.known[computed]
        return found

    return known


def order(event: Event) -> tuple[datetime, float, int, UUID]:
    """What events are put in order by: time, the producer's number, the place of the type in the plan, then the id."""
    number = event.get("sequence")
    return event["occurred_at"], inf if number is None else number, rank(event), event["event_id"]


def rank(event: Event) -> int:
    """The place of the event's type within an instant, from 1: starts, the customer's, answers, ends, afterwards."""
    kind = SHIPPED.get(event["event_name"])
    return 1 + tracking_plan.RANKS.index(kind.rank if kind else "customer")


def identified(events: Sequence[Event]) -> list[Event]:
    """Events in order, each with the person it is of in the place of its user_id."""
    ties: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        if is_id(event["user_id"]) and is_id(event.get("anonymous_id")):
            ties[event["tenant_id"], str(event.get("anonymous_id"))].append(event)
    return [Event(**{**event, "user_id": _person(event, ties), "said_user_id": event["user_id"]}) for event in events]


def _person(event: Event, ties: Mapping[tuple[str, str], Sequence[Event]]) -> str | None:
    visitor = event.get("anonymous_id")
    if is_id(event["user_id"]):
        return event["user_id"]
    if not is_id(visitor):
        return None
    known = ties.get((event["tenant_id"], str(visitor)), ())
    before = [tie for tie in known if order(tie) <= order(event)]
    if known:
        return (before[-1] if before else known[0])["user_id"]
    return f"visitor:{visitor}"


def is_id(text: str | None) -> bool:
    """Whether it names anybody."""
    return text is not None and text.strip() != "" and text.strip().lower() not in PLACEHOLDERS


def by_customer(event: Event) -> bool:
    """Whether it is what a customer known by an id did."""
    return event["user_id"] is not None and actor(event) == "customer"


def actor(event: Event) -> str:
    """Whose doing it is: as the event says, else its type."""
    said = event.get("actor")
    if said is None and event["event_name"] == "message.sent":
        said = {"human": "agent", "assistant": "assistant"}.get(event["attributes"].get("actor", ""))
    kind = SHIPPED.get(event["event_name"])
    return said or (kind.actor if kind else "customer")


def is_customers_message(event: Event) -> bool:
    """Whether the customer wrote it; one that somebody else put in is not theirs."""
    return event["event_name"] == "message.received" and actor(event) == "customer"


def is_message_to_customer(event: Event) -> bool:
    """Whether the customer can read it; a private note they cannot."""
    return event["event_name"] == "message.sent" and event["attributes"].get("is_private") is not True


def is_answer(event: Event) -> bool:
    """Whether it is something that the customer sees or hears of the assistant or an agent; a private note is not."""
    is_seen = is_message_to_customer(event) or event["event_name"] == "voice.first_response"
    return is_seen and actor(event) in ("assistant", "agent")


def identity(event: Event) -> tuple[str, UUID]:
    """What makes it the same event: two tenants may use the same event id."""
    return event["tenant_id"], event["event_id"]


def thread(event: Event) -> str | None:
    """The conversation that the event belongs to: its own, else that of its session. It need not exist."""
    return event["conversation_id"] if event["conversation_id"] is not None else event["session_id"]


def is_conversational(event: Event) -> bool:
    """Whether the event alone makes its thread a conversation."""
    domain = event["event_name"].split(".")[0]
    return (
        event["conversation_id"] is not None
        or domain in ("conversation", "message", "ai", "kb", "voice")
        or event["event_name"] == "service.suggested"
    )


@once
def events_by_conversation(world: World) -> dict[tuple[str, str], list[Event]]:
    """The events of every conversation that exists, by tenant and conversation, in order."""
    threads: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in world.events:
        name = thread(event)
        if name is not None:
            threads[event["tenant_id"], name].append(event)
    return {key: events for key, events in threads.items() if any(is_conversational(event) for event in events)}


def conversations_in(events: Iterable[Event]) -> int:
    """How many conversations some events of one tenant took part in: a shop's event alone takes part in none."""
    return len({thread(event) for event in events if is_conversational(event)} - {None})


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """The items of each key, in the order given."""
    groups: dict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def without(tenant_id: str, user_id: str, erased_from: list[Event], later: Iterable[Event]) -> list[Event]:
    """The events that are left of those landed before a person was erased, and of those landed later: neither theirs,
    nor those of nobody in conversations, or of visitors, that were, when they were erased, theirs alone."""
    persons = {identity(event): event["user_id"] for event in identified(sorted(erased_from, key=order))}
    in_threads: dict[str | None, set[str | None]] = {}
    users_of: dict[str | None, set[str | None]] = {}
    for event in erased_from:
        if event["tenant_id"] == tenant_id:
            in_threads.setdefault(thread(event), set()).add(persons[identity(event)])
            if is_id(event["user_id"]) and is_id(event.get("anonymous_id")):
                users_of.setdefault(event.get("anonymous_id"), set()).add(event["user_id"])
    threads = {name for name, found in in_threads.items() if name is not None and found - {None} == {user_id}}
    visitors = {name for name, found in users_of.items() if found == {user_id}}

    def is_theirs(event: Event) -> bool:
        if event["tenant_id"] != tenant_id:
            return False
        if is_id(event["user_id"]):
            return event["user_id"] == user_id
        if is_id(event.get("anonymous_id")):
            return event.get("anonymous_id") in visitors
        return thread(event) in threads

    left = [
        event
        for event in erased_from
        if event["tenant_id"] != tenant_id or not (is_theirs(event) or persons[identity(event)] == user_id)
    ]
    return [*left, *(event for event in later if not is_theirs(event))]
