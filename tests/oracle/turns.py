"""`facts.turns`: what customers waited for, and whether somebody answered."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.oracle.opening import open_milliseconds
from tests.oracle.world import (
    Event,
    Row,
    World,
    actor,
    grouped,
    is_answer,
    is_customers_message,
    is_message_to_customer,
    once,
    thread,
)

UNKNOWN = "unknown"
ENDS = ("conversation.resolved", "conversation.abandoned")
LONGEST = timedelta(days=365)
"""How far before a measurement its question may lie, where no message says when it was asked."""


@dataclass
class Turn:
    """What opened it, and what came of it."""

    opened_by: Event
    wait_for: str = "assistant"
    answer: Event | None = None
    end: Event | None = None
    measurements: list[Event] = field(default_factory=list)


@once
def turns(world: World) -> list[Row]:
    """One row per turn: those that the messages of a conversation tell, and measurements of no message."""
    rows = []
    for (tenant_id, conversation_id, _), events in grouped(world.events, _scope).items():
        seen = [event["occurred_at"] for event in events if actor(event) != "system"]
        silent_after = max(seen, default=events[-1]["occurred_at"])
        expires_at = silent_after + timedelta(hours=world.tenant(tenant_id).abandon_after_hours)
        asked, alone = told(events)
        started_on = world.local_date(events[0]) if conversation_id is not None else None
        for row in [
            *(_turn(world, turn, expires_at) for turn in asked),
            *(_measured(world, event) for event in alone),
        ]:
            rows.append({**row, "conversation_id": conversation_id, "conversation_started_on": started_on})
    for row in rows:
        answered_at = row["answered_at"]
        opened = answered_at and open_milliseconds(world, row["tenant_id"], row["asked_at"], answered_at)
        row["open_wait_ms"] = row["wait_ms"] if opened is None else opened
    return rows


def _scope(event: Event) -> tuple[str, str | None, Any]:
    """A conversation; an event of none is alone."""
    return event["tenant_id"], thread(event), event["event_id"] if thread(event) is None else None


def told(events: list[Event]) -> tuple[list[Turn], list[Event]]:
    """A conversation's turns, and the measurements that are turns of their own."""
    found: list[Turn] = []
    alone: list[Event] = []
    waiting: Turn | None = None
    latest: Turn | None = None  # the turn that a measurement belongs to
    heard = any(
        event["event_name"] in ("message.received", "voice.first_response") or is_message_to_customer(event)
        for event in events
    )
    for event in events:
        name = event["event_name"]
        if asks(event) or (name == "conversation.escalated" and thread(event) is not None):
            if waiting is None:
                waiting = latest = Turn(event)
                found.append(waiting)
            if name == "conversation.escalated":
                waiting.wait_for = "agent"
        elif name == "voice.turn_started" and waiting is None:
            latest = None
        elif name in ENDS:
            if waiting is not None:
                waiting.end = event
            waiting = latest = None
        elif is_answer(event) and waiting is not None and actor(event) in (waiting.wait_for, "agent"):
            waiting.answer = event
            waiting = None
        if measures(event):
            if (name == "ai.response" and not heard) or (name == "voice.first_response" and latest is None):
                alone.append(event)
            elif latest is not None:
                latest.measurements.append(event)
    return found, alone


def asks(event: Event) -> bool:
    """Whether it is a customer's message in a conversation."""
    return is_customers_message(event) and thread(event) is not None


def measures(event: Event) -> bool:
    """Whether it says how long something took."""
    duration_ms = event["attributes"].get("duration_ms")
    return (
        event["event_name"] in ("ai.response", "voice.first_response") and duration_ms is not None and duration_ms >= 0
    )


def _turn(world: World, turn: Turn, expires_at: datetime) -> Row:
    opened, answer, end = turn.opened_by, turn.answer, turn.end
    tenant = world.tenant(opened["tenant_id"])
    asked_at = opened["occurred_at"]
    basis = wait_ms = None
    if answer is not None:
        status = "answered"
        basis, wait_ms = "derived", milliseconds(answer["occurred_at"] - asked_at)
        measured = [float(event["attributes"]["duration_ms"]) for event in turn.measurements]
        if len(measured) == 1 and abs(measured[0] - wait_ms) <= 1000:
            basis, wait_ms = "measured", measured[0]
        is_breach = wait_ms > tenant.sla_ms
    else:
        status = "unanswered" if end is not None or expires_at <= world.as_of else "waiting"
        until = end["occurred_at"] if end is not None else min(expires_at, world.as_of)
        is_breach = until - asked_at > timedelta(milliseconds=tenant.sla_ms)
    last = answer or opened
    models = [event["attributes"].get("model") for event in turn.measurements]
    return {
        "tenant_id": opened["tenant_id"],
        "turn_id": opened["event_id"],
        "answer_id": answer["event_id"] if answer else None,
        "user_id": opened["user_id"] if opened["user_id"] is not None else last["user_id"],
        "asked_at": asked_at,
        "asked_on": world.local_date(opened),
        "answered_at": answer["occurred_at"] if answer else None,
        "ended_at": end["occurred_at"] if end else None,
        "wait_ms": wait_ms,
        "wait_for": turn.wait_for,
        "actor": actor(answer) if answer else None,
        "status": status,
        "basis": basis,
        "is_breach": is_breach,
        "model": _last_known(models) if answer and actor(answer) == "assistant" else UNKNOWN,
        "channel": last["source"] or UNKNOWN,
    }


def _measured(world: World, event: Event) -> Row:
    """The turn that nothing tells of but its measurement."""
    tenant = world.tenant(event["tenant_id"])
    wait_ms = float(event["attributes"]["duration_ms"])
    asked_at = event["occurred_at"] - min(timedelta(milliseconds=wait_ms), LONGEST)
    return {
        "tenant_id": event["tenant_id"],
        "turn_id": event["event_id"],
        "answer_id": event["event_id"],
        "user_id": event["user_id"],
        "asked_at": asked_at,
        "asked_on": tenant.local_date(asked_at),
        "answered_at": event["occurred_at"],
        "ended_at": None,
        "wait_ms": wait_ms,
        "wait_for": "assistant",
        "actor": "agent" if actor(event) == "agent" else "assistant",
        "status": "answered",
        "basis": "measured",
        "is_breach": wait_ms > tenant.sla_ms,
        "model": _last_known([event["attributes"].get("model")]),
        "channel": event["source"] or UNKNOWN,
    }


def _last_known(models: list[str | None]) -> str:
    return next((model for model in reversed(models) if model is not None), UNKNOWN)


def milliseconds(wait: timedelta) -> float:
    """A duration in milliseconds."""
    return wait / timedelta(milliseconds=1)
