"""`facts.conversations`: what became of each conversation."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from tests.oracle.commerce import first_completions, total
from tests.oracle.figures import distinct, first_known, mean
from tests.oracle.tools import tool_calls
from tests.oracle.turns import turns
from tests.oracle.world import Event, Row, World, events_by_conversation, grouped, identity

OUTCOMES = {
    "conversation.resolved": "resolved",
    "conversation.escalated": "escalated",
    "conversation.abandoned": "abandoned",
}


def conversations(world: World) -> list[Row]:
    """One row per conversation that exists."""
    asked = grouped(turns(world), _conversation)
    calls = grouped(tool_calls(world), _conversation)
    counted_orders = first_completions(world)
    rows = []
    for (tenant_id, conversation_id), events in events_by_conversation(world).items():
        started_at, last_event_at = events[0]["occurred_at"], events[-1]["occurred_at"]
        key = (tenant_id, conversation_id)
        answered = [row for row in asked.get(key, []) if row["status"] == "answered"]
        durations = [row["wait_ms"] for row in sorted(answered, key=lambda row: (row["answered_at"], row["answer_id"]))]
        searches = [event["attributes"]["results_count"] for event in events if event["event_name"] == "kb.search"]
        received, sent = count(events, "message.received"), count(events, "message.sent")
        rows.append(
            {
                "tenant_id": tenant_id,
                "conversation_id": conversation_id,
                "user_id": first_known(event["user_id"] for event in events),
                "channel": first_known([*(event["source"] for event in events), "unknown"]),
                "started_at": started_at,
                "started_on": world.local_date(events[0]),
                "started_hour": world.local_hour(events[0]),
                "last_event_at": last_event_at,
                **outcome(events, world.as_of, timedelta(hours=world.tenant(tenant_id).abandon_after_hours)),
                "was_escalated": count(events, "conversation.escalated") > 0,
                "reopened_count": reopened_count(events),
                "messages_received": received,
                "messages_sent": sent,
                "messages": received + sent,
                "first_response_ms": first_known(durations),
                "avg_response_time_ms": mean(durations),
                "turns": len(asked.get(key, [])),
                "unanswered_turns": sum(row["status"] == "unanswered" for row in asked.get(key, [])),
                "sla_breaches": sum(row["is_breach"] for row in asked.get(key, [])),
                "duration_seconds": (last_event_at - started_at).total_seconds(),
                "tool_calls": len(calls.get(key, [])),
                "tool_failures": sum(row["success"] is False for row in calls.get(key, [])),
                "kb_searches": len(searches),
                "kb_misses": searches.count(0),
                "fallbacks": sum(value is True for value in attributes(events, "message.sent", "is_fallback")),
                "bookings_requested": distinct(attributes(events, "booking.requested", "booking_id")),
                "bookings_confirmed": distinct(attributes(events, "booking.confirmed", "booking_id")),
                "revenue": total([event for event in events if identity(event) in counted_orders]),
                "rating": first_known(reversed(attributes(events, "conversation.rated", "rating"))),
                "has_error": count(events, "system.error") > 0,
                "events": len(events),
            }
        )
    return rows


def outcome(events: list[Event], as_of: datetime, abandon_after: timedelta) -> Row:
    """How the conversation ended: as its last outcome event says, else by silence, else not yet."""
    last_event_at = events[-1]["occurred_at"]
    ends = [event for event in events if event["event_name"] in OUTCOMES]
    if not ends:
        is_silent = last_event_at + abandon_after <= as_of
        return {
            "outcome": "abandoned" if is_silent else "open",
            "outcome_inferred": is_silent,
            "ended_at": last_event_at if is_silent else None,
            "resolved_by": None,
        }
    said = OUTCOMES[ends[-1]["event_name"]]
    default = "human" if count(events, "conversation.escalated") else "assistant"
    return {
        "outcome": said,
        "outcome_inferred": False,
        "ended_at": ends[-1]["occurred_at"],
        "resolved_by": first_known([ends[-1]["attributes"].get("resolved_by"), default])
        if said == "resolved"
        else None,
    }


def reopened_count(events: Iterable[Event]) -> int:
    """How many times the customer wrote again after the conversation was resolved or abandoned."""
    reopened = 0
    is_closed = False
    for event in events:
        if event["event_name"] in OUTCOMES:
            is_closed = event["event_name"] != "conversation.escalated"
        elif event["event_name"] == "message.received" and is_closed:
            reopened += 1
            is_closed = False
    return reopened


def count(events: Iterable[Event], name: str) -> int:
    """How many of the events have that name."""
    return sum(event["event_name"] == name for event in events)


def attributes(events: Iterable[Event], name: str, attribute: str) -> list[Any]:
    """The attribute's value in each event of that name, null where it is absent."""
    return [event["attributes"].get(attribute) for event in events if event["event_name"] == name]


def _conversation(row: Row) -> tuple[str, str | None]:
    return row["tenant_id"], row["conversation_id"]
