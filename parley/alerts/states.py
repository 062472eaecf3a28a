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

Verdict = Literal["breach", "good", "no_data"]
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
    verdict: Verdict
    days: int = 1
    """Days in a row, up to the last, of which the same can be said; days that say nothing are passed over."""


@dataclass(frozen=True, slots=True)
class Standing:
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


def step(standing: Standing, seen: Seen, terms: Terms) -> tuple[Standing, Notice | None]:
    """What an alert becomes by what was seen, and what is to be said."""
    match seen.verdict:
        case "breach" if standing.state in RAISED:
            return _still_firing(standing, seen.at, terms)
        case "breach" if seen.days >= terms.for_days:
            return _fire(standing, seen.at), "fired"
        case "breach":
            return _move(standing, State.PENDING, seen.at), None
        case "good" if standing.state in RAISED:
            held = HELD_FOR_DAYS if standing.is_flapping(seen.at) else 0
            if seen.days >= max(terms.resolve_after_days, held):
                return _move(standing, State.RESOLVED, seen.at), "resolved"
            return _still_firing(standing, seen.at, terms)
        case "good":
            is_fresh = standing.state is State.RESOLVED and standing.since and seen.at - standing.since < RESOLVED_FOR
            return (standing if is_fresh else _move(standing, State.OK, seen.at)), None
        case _ if standing.state in RAISED:
            return _still_firing(standing, seen.at, terms)
        case _:
            return _move(standing, State.NO_DATA, seen.at), None


def acknowledge(standing: Standing, at: datetime) -> Standing:
    """Somebody has it in hand: nothing more is said of it until it is resolved."""
    return _move(standing, State.ACKNOWLEDGED, at)


def withdraw(standing: Standing, at: datetime) -> Standing:
    """Its rule no longer holds: nothing is said."""
    return _move(standing, State.OK, at)


def _move(standing: Standing, state: State, at: datetime) -> Standing:
    return standing if standing.state is state else replace(standing, state=state, since=at)


def _fire(standing: Standing, at: datetime) -> Standing:
    recent = tuple(fired for fired in standing.firings if at - fired < FLAPPING_WITHIN)
    return Standing(
        state=State.FIRING,
        since=at,
        incident=standing.incident + 1,
        fired_at=at,
        told_at=at,
        firings=(*recent, at),
    )


def _still_firing(standing: Standing, at: datetime, terms: Terms) -> tuple[Standing, Notice | None]:
    if standing.state is State.ACKNOWLEDGED or standing.fired_at is None or standing.told_at is None:
        return standing, None
    if terms.escalate_after and not standing.escalated_at and at - standing.fired_at >= terms.escalate_after:
        return replace(standing, escalated_at=at, told_at=at), "escalated"
    if terms.remind_after and at - standing.told_at >= terms.remind_after:
        return replace(standing, told_at=at), "reminder"
    return standing, None
