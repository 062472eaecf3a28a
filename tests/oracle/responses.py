"""`facts.responses` and `marts.response_times`: how long customers waited for an answer."""

from datetime import timedelta

from tests.oracle.figures import mean, percentile
from tests.oracle.world import Event, Row, World, events_by_conversation, grouped, thread

MEASURED = ("ai.response", "voice.first_response")
UNKNOWN = "unknown"


def responses(world: World) -> list[Row]:
    """One row per answer: each one measured, and one derived per answered turn in which nothing was measured."""
    conversations = events_by_conversation(world)
    started_on = {key: world.local_date(events[0]) for key, events in conversations.items()}
    rows = [measured(event) for event in world.events if event["event_name"] in MEASURED]
    for events in conversations.values():
        rows += [derived(question, answer) for question, answer in unmeasured_turns(events)]
    for row in rows:
        row["conversation_started_on"] = started_on.get((row["tenant_id"], row["conversation_id"]))
    return rows


def measured(event: Event) -> Row:
    """The row of an event that says how long the answer took."""
    return _row(event, event["attributes"]["duration_ms"], event["attributes"].get("model"), "measured")


def derived(question: Event, answer: Event) -> Row:
    """The row of an answer that was timed by nothing but its message."""
    duration_ms = (answer["occurred_at"] - question["occurred_at"]) / timedelta(milliseconds=1)
    return _row(answer, duration_ms, None, "derived")


def _row(event: Event, duration_ms: float, model: str | None, basis: str) -> Row:
    return {
        "tenant_id": event["tenant_id"],
        "response_id": event["event_id"],
        "conversation_id": thread(event),
        "responded_at": event["occurred_at"],
        "duration_ms": float(duration_ms),
        "model": UNKNOWN if model is None else model,
        "channel": UNKNOWN if event["source"] is None else event["source"],
        "basis": basis,
    }


def turns(events: list[Event]) -> list[list[Event]]:
    """A conversation's turns. One opens at a message received that is the first, or the first after one sent."""
    found: list[list[Event]] = []
    waiting = False
    for event in events:
        if event["event_name"] == "message.received" and not waiting:
            waiting = True
            found.append([])
        elif event["event_name"] == "message.sent":
            waiting = False
        if found:
            found[-1].append(event)
    return found


def unmeasured_turns(events: list[Event]) -> list[tuple[Event, Event]]:
    """The opening message and the first answer of each answered turn in which no response was measured."""
    pairs = []
    for turn in turns(events):
        answers = [event for event in turn if event["event_name"] == "message.sent"]
        if answers and not any(event["event_name"] in MEASURED for event in turn):
            pairs.append((turn[0], answers[0]))
    return pairs


def response_times(world: World) -> list[Row]:
    """One row per tenant, hour of its clock, model and channel in which an answer was given."""
    groups = grouped(
        responses(world),
        lambda row: (
            row["tenant_id"],
            world.tenant(row["tenant_id"]).hour(row["responded_at"]),
            row["model"],
            row["channel"],
        ),
    )
    rows = []
    for (tenant_id, hour, model, channel), group in groups.items():
        durations = [row["duration_ms"] for row in group]
        rows.append(
            {
                "tenant_id": tenant_id,
                "hour": hour,
                "model": model,
                "channel": channel,
                "responses": len(group),
                "avg_ms": mean(durations),
                "p50_ms": percentile(durations, 0.50),
                "p95_ms": percentile(durations, 0.95),
                "p99_ms": percentile(durations, 0.99),
                "sla_breaches": sum(duration > world.tenant(tenant_id).sla_ms for duration in durations),
            }
        )
    return rows
