"""The life of an alert, as a pure function: what it becomes when something is seen, and what is to be said of it.

    OK ─► PENDING ─► FIRING ─► ACKNOWLEDGED ─► RESOLVED ─► OK
             (long enough)  (a person)    (good, long enough)

A lack of data does not resolve an alert that fires: it takes `resolve_after_days` good days, and more while it flaps.
NO_DATA is where it stands when nothing can be said and nothing fires.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

Result = Literal["breach", "good", "no_data"]
Notice = Literal["fired", "reminder", "escalated", "resolved"]

FLAPPING = 3
"""Firings within `FLAPPING_WITHIN` from which on an alert is held."""
FLAPPING_WITHIN = timedelta(days=14)
HELD_FOR_DAYS = 3
"""Good days that a held alert takes to resolve."""
RESOLVED_FOR = timedelta(days=1)
"""How long an alert stands as resolved before it is simply OK."""


class State(StrEnum):
    """Where an alert stands."""

    OK = "OK"
    PENDING = "PENDING"
    FIRING = "FIRING"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    NO_DATA = "NO_DATA"


RAISED = (State.FIRING, State.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule says of time."""

    for_days: int = 1
    resolve_after_days: int = 1
    remind_after: timedelta | None = None
    escalate_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What an evaluation saw."""

    at: datetime
    result: Result
    days: int = 1
    """Days in a row, up to the last, of which the same can be said; days that say nothing are passed over."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where an alert stands, and what led there."""

    state: State = State.OK
    since: datetime | None = None
    incident: int = 0
    """How often it has fired."""
    fired_at: datetime | None = None
    told_at: datetime | None = None
    escalated_at: datetime | None = None
    firings: tuple[datetime, ...] = ()
    """Those within `FLAPPING_WITHIN`."""

    def is_flapping(self, at: datetime) -> bool:
        """Whether it has fired so often lately that one good day proves nothing."""
        return sum(at - fired < FLAPPING_WITHIN for fired in self.firings) >= FLAPPING


def step(status: Status, seen: Seen, terms: Terms) -> tuple[Status, Notice | None]:
    """What an alert becomes by what was seen, and what is to be said."""
    match seen.result:
        case "breach" if status.state in RAISED:
            return _still_firing(status, seen.at, terms)
        case "breach" if seen.days >= terms.for_days:
            return _fire(status, seen.at), "fired"
        case "breach":
            return _move(status, State.PENDING, seen.at), None
        case "good" if status.state in RAISED:
            held = HELD_FOR_DAYS if status.is_flapping(seen.at) else 0
            if seen.days >= max(terms.resolve_after_days, held):
                return _move(status, State.RESOLVED, seen.at), "resolved"
            return _still_firing(status, seen.at, terms)
        case "good":
            is_fresh = status.state is State.RESOLVED and status.since and seen.at - status.since < RESOLVED_FOR
            return (status if is_fresh else _move(status, State.OK, seen.at)), None
        case _ if status.state in RAISED:
            return _still_firing(status, seen.at, terms)
        case _:
            return _move(status, State.NO_DATA, seen.at), None


def acknowledge(status: Status, at: datetime) -> Status:
    """Somebody has it in hand: nothing more is said of it until it is resolved."""
    return _move(status, State.ACKNOWLEDGED, at)


def withdraw(status: Status, at: datetime) -> Status:
    """Its rule no longer holds: nothing is said."""
    return _move(status, State.OK, at)


def _move(status: Status, state: State, at: datetime) -> Status:
    return status if status.state is state else replace(status, state=state, since=at)


def _fire(status: Status, at: datetime) -> Status:
    recent = tuple(fired for fired in status.firings if at - fired < FLAPPING_WITHIN)
    return Status(
        state=State.FIRING,
        since=at,
        incident=status.incident + 1,
        fired_at=at,
        told_at=at,
        firings=(*recent, at),
    )


def _still_firing(status: Status, at: datetime, terms: Terms) -> tuple[Status, Notice | None]:
    if status.state is State.ACKNOWLEDGED or status.fired_at is None or status.told_at is None:
        return status, None
    if terms.escalate_after and not status.escalated_at and at - status.fired_at >= terms.escalate_after:
        return replace(status, escalated_at=at, told_at=at), "escalated"
    if terms.remind_after and at - status.told_at >= terms.remind_after:
        return replace(status, told_at=at), "reminder"
    return status, None
