"""`facts.conversations`: what became of each conversation."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from tests.oracle.figures import distinct, first_known, mean
from tests.oracle.money import first_completions, payments, total
from tests.oracle.tools import tool_calls
from tests.oracle.turns import turns
from tests.oracle.world import (
    Event,
    Row,
    World,
    actor,
    events_by_conversation,
    grouped,
    identity,
    is_answer,
    is_customers_message,
    is_message_to_customer,
    once,
)

OUTCOMES = {
    "conversation.resolved": "resolved",
    "conversation.escalated": "escalated",
    "conversation.abandoned": "abandoned",
}


@once
def conversations(world: World) -> list[Row]:
    """One row per conversation that exists."""
    asked = grouped(turns(world), _conversation)
    calls = grouped(tool_calls(world), _conversation)
    counted_orders = first_completions(world)
    values = {(row["tenant_id"], row["payment_id"]): row for row in payments(world)}
    rows = []
    for (tenant_id, conversation_id), events in events_by_conversation(world).items():
        key = (tenant_id, conversation_id)
        answered = [row for row in asked.get(key, []) if row["status"] == "answered"]
        durations = [row["wait_ms"] for row in sorted(answered, key=lambda row: (row["answered_at"], row["answer_id"]))]
        searches = [event["attributes"]["results_count"] for event in events if event["event_name"] == "kb.search"]
        received = sum(is_customers_message(event) for event in events)
        sent = [event for event in events if is_message_to_customer(event)]
        rows.append(
            {
                "tenant_id": tenant_id,
                "conversation_id": conversation_id,
                "user_id": first_known(event["user_id"] for event in events),
                "channel": first_known([*(event["source"] for event in events), "unknown"]),
                "agent": _said(events, "agent_name", "agent_id"),
                "agent_id": _said(events, "agent_id"),
                "team": _said(events, "team"),
                "inbox": _said(events, "inbox"),
                "labels": _labels(events),
                "started_at": events[0]["occurred_at"],
                "started_on": world.local_date(events[0]),
                "started_hour": world.local_hour(events[0]),
                **outcome(events, world.as_of, timedelta(hours=world.tenant(tenant_id).abandon_after_hours)),
                **resolution_times(events),
                "was_escalated": count(events, "conversation.escalated") > 0,
                "reopened_count": reopened_count(events),
                "messages_received": received,
                "messages_sent": len(sent),
                "messages": received + len(sent),
                "first_response_ms": first_known(durations),
                "avg_response_time_ms": mean(durations),
                "turns": len(asked.get(key, [])),
                "unanswered_turns": sum(row["status"] == "unanswered" for row in asked.get(key, [])),
                "sla_breaches": sum(row["is_breach"] for row in asked.get(key, [])),
                "tool_calls": len(calls.get(key, [])),
                "tool_failures": sum(row["success"] is False for row in calls.get(key, [])),
                "kb_searches": len(searches),
                "kb_misses": searches.count(0),
                "fallbacks": sum(event["attributes"].get("is_fallback") is True for event in sent),
                "bookings_requested": distinct(attributes(events, "booking.requested", "booking_id")),
                "bookings_confirmed": distinct(attributes(events, "booking.confirmed", "booking_id")),
                "revenue": total([values[identity(event)] for event in events if identity(event) in counted_orders]),
                "rating": first_known(reversed(ratings(events))),
                "ratings": len(ratings(events)),
                "has_error": count(events, "system.error") > 0,
                "events": len(events),
            }
        )
    return rows


def outcome(events: list[Event], as_of: datetime, abandon_after: timedelta) -> Row:
    """How the conversation ended: as its last outcome event says, else by silence, else not yet."""
    ends = [event for event in events if event["event_name"] in OUTCOMES]
    names = [event["event_name"] for event in events]
    said = OUTCOMES[ends[-1]["event_name"]] if ends else None
    talk = [event["occurred_at"] for event in events if is_talk(event)]
    until = [time for time in talk if said in (None, "escalated") or time <= ends[-1]["occurred_at"]]
    last_event_at = max(until) if until else events[-1]["occurred_at"]
    has_written = any(is_customers_message(event) for event in events) or "voice.turn_started" in names
    has_no_reply = any(is_message_to_customer(event) for event in events) and not has_written
    is_silent = not ends and not has_no_reply and last_event_at + abandon_after <= as_of
    default = "human" if "conversation.escalated" in names else "assistant"
    return {
        "last_event_at": last_event_at,
        "duration_seconds": (last_event_at - min([*talk, last_event_at])).total_seconds() if talk else 0.0,
        "outcome": "no_reply" if has_no_reply else "abandoned" if is_silent else said or "open",
        "outcome_inferred": is_silent,
        "ended_at": last_event_at if is_silent else ends[-1]["occurred_at"] if ends else None,
        "resolved_by": first_known([ends[-1]["attributes"].get("resolved_by"), default])
        if said == "resolved" and not has_no_reply
        else None,
    }


def is_talk(event: Event) -> bool:
    """Whether it is part of the conversation: somebody's doing, and no opinion of it."""
    return actor(event) != "system" and event["event_name"] not in ("conversation.rated", "conversation.scored")


def resolution_times(events: list[Event]) -> Row:
    """Seconds to the first and last resolution, from a reopening to the next one, from hand-over to a person."""
    resolved = [place for place, event in enumerate(events) if event["event_name"] == "conversation.resolved"]
    reopened = reopenings(events)[:1]
    escalated = [place for place, event in enumerate(events) if event["event_name"] == "conversation.escalated"][:1]
    taken_over = [place for place, event in enumerate(events) if is_answer(event) and actor(event) == "agent"]

    def seconds(begins: list[int], ends: list[int]) -> float | None:
        if not begins or not ends:
            return None
        return (events[ends[0]]["occurred_at"] - events[begins[0]]["occurred_at"]).total_seconds()

    return {
        "first_resolution_seconds": seconds([0], resolved),
        "next_resolution_seconds": seconds(reopened, [place for place in resolved if reopened and place > reopened[0]]),
        "last_resolution_seconds": seconds([0], resolved[-1:]),
        "handover_seconds": seconds(escalated, [place for place in taken_over if escalated and place > escalated[0]]),
    }


def ratings(events: Iterable[Event]) -> list[float]:
    """The customer's ratings as 0 to 1."""
    found = []
    for event in events:
        if event["event_name"] == "conversation.rated":
            said = event["attributes"]
            high, low = said.get("rating_max"), said.get("rating_min", 1)
            found.append(said["rating"] if high is None else (said["rating"] - low) / (high - low))
    return found


def _labels(events: Iterable[Event]) -> str | None:
    """All labels, sorted."""
    return "|".join(sorted({label for event in events for label in event["attributes"].get("labels", [])})) or None


def _said(events: Iterable[Event], *names: str) -> str | None:
    """The last event's word for it, by the first of the names that it has."""
    said = (first_known(event["attributes"].get(name) for name in names) for event in reversed(list(events)))
    found = first_known(said)
    return None if found is None else str(found)


def reopened_count(events: list[Event]) -> int:
    """How many times the customer wrote again after the conversation was resolved or abandoned."""
    return len(reopenings(events))


def reopenings(events: list[Event]) -> list[int]:
    """The places of the messages with which the customer wrote again after an end."""
    found = []
    is_closed = False
    for place, event in enumerate(events):
        if event["event_name"] in OUTCOMES:
            is_closed = event["event_name"] != "conversation.escalated"
        elif is_customers_message(event) and is_closed:
            found.append(place)
            is_closed = False
    return found


def count(events: Iterable[Event], name: str) -> int:
    """How many of the events have that name."""
    return sum(event["event_name"] == name for event in events)


def attributes(events: Iterable[Event], name: str, attribute: str) -> list[Any]:
    """The attribute's value in each event of that name, null where it is absent."""
    return [event["attributes"].get(attribute) for event in events if event["event_name"] == name]


def _conversation(row: Row) -> tuple[str, str | None]:
    return row["tenant_id"], row["conversation_id"]
