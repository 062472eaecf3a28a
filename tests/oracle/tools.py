"""`facts.tool_calls` and `facts.kb_searches`: what the assistant did to find its answers."""

from typing import Any

from tests.oracle.world import Event, Row, World, events_by_conversation, grouped, identity, once, thread

STARTED, COMPLETED = "ai.tool_call_started", "ai.tool_call_completed"


@once
def tool_calls(world: World) -> list[Row]:
    """One row per call: each completion, with the start of the same rank, and each start left over."""
    events = [event for event in world.events if event["event_name"] in (STARTED, COMPLETED)]
    rows = []
    for group in grouped(events, _scope).values():
        started = [event for event in group if event["event_name"] == STARTED]
        completed = [event for event in group if event["event_name"] == COMPLETED]
        for rank, event in enumerate(completed):
            starts = [start["occurred_at"] for start in started[rank : rank + 1]]
            rows.append(_call(event, called_at=min([*starts, event["occurred_at"]])))
        rows += [_call(event, called_at=event["occurred_at"]) for event in started[len(completed) :]]
    return rows


def _scope(event: Event) -> tuple[Any, ...]:
    """What a start and a completion must share to be of one call. An event of no conversation is alone."""
    name = thread(event)
    alone = event["event_id"] if name is None else None
    call_id = event["attributes"].get("tool_call_id")
    return event["tenant_id"], name, alone, call_id, event["attributes"]["tool_name"] if call_id is None else None


def _call(event: Event, called_at: Any) -> Row:
    attributes = event["attributes"]
    success = attributes["success"] if event["event_name"] == COMPLETED else None
    return {
        "tenant_id": event["tenant_id"],
        "call_id": event["event_id"],
        "conversation_id": thread(event),
        "tool_name": attributes["tool_name"],
        "called_at": called_at,
        "status": "unfinished" if success is None else "completed",
        "success": success,
        "duration_ms": attributes.get("duration_ms"),
        "tool_kind": attributes.get("tool_kind"),
        "optimistic": attributes.get("optimistic"),
    }


@once
def kb_searches(world: World) -> list[Row]:
    """One row per search of the knowledge base; used if a result was, before the conversation's next search."""
    used = {
        identity(search)
        for events in events_by_conversation(world).values()
        for search, following in _searches(events)
        if any(event["event_name"] in ("kb.hit", "kb.citation_clicked") for event in following)
    }
    return [
        {
            "tenant_id": event["tenant_id"],
            "search_id": event["event_id"],
            "conversation_id": thread(event),
            "searched_at": event["occurred_at"],
            "query": event["attributes"]["query"],
            "results_count": event["attributes"]["results_count"],
            "duration_ms": event["attributes"].get("duration_ms"),
            "top_score": event["attributes"].get("top_score"),
            "was_used": identity(event) in used,
        }
        for event in world.events
        if event["event_name"] == "kb.search"
    ]


def _searches(events: list[Event]) -> list[tuple[Event, list[Event]]]:
    """Each search of a conversation, with the events from it up to the next search."""
    found: list[tuple[Event, list[Event]]] = []
    for event in events:
        if event["event_name"] == "kb.search":
            found.append((event, []))
        elif found:
            found[-1][1].append(event)
    return found
