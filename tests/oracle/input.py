"""What came in on a day, and which fields it carried."""

from collections import Counter
from collections.abc import Iterable
from math import atan2, cos, hypot, pi, sin
from statistics import median
from zoneinfo import ZoneInfo

from tests.oracle.world import Event, Row, World, grouped

JSON_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}


def input_days(world: World) -> list[Row]:
    """Each day of each event type, and of all types together. When it landed is not known here: no `late_events`."""
    by_type = grouped(world.events, lambda event: (event["tenant_id"], world.local_date(event), event["event_name"]))
    together = grouped(world.events, lambda event: (event["tenant_id"], world.local_date(event), "(all)"))
    return [
        {
            "tenant_id": tenant_id,
            "date": date,
            "event_name": event_name,
            "events": len(events),
            "users": len({event["user_id"] for event in events} - {None}),
            "without_user": sum(event["user_id"] is None for event in events),
            "without_conversation": sum(event["conversation_id"] is None for event in events),
            "without_session": sum(event["session_id"] is None for event in events),
            "median_duration_ms": _median(events, "duration_ms"),
            "median_revenue": _median(events, "revenue"),
            **_times(events, world.tenant(tenant_id).time_zone),
        }
        for (tenant_id, date, event_name), events in {**by_type, **together}.items()
    ]


def event_fields(world: World) -> list[Row]:
    """Each field of each day's events of a type, with its JSON type."""
    carried = Counter(
        (event["tenant_id"], world.local_date(event), event["event_name"], field, JSON_TYPES[type(value)])
        for event in world.events
        for field, value in _fields(event)
        if value is not None
    )
    names = ("tenant_id", "date", "event_name", "field", "json_type")
    return [{**dict(zip(names, key, strict=True)), "events": events} for key, events in carried.items()]


def _fields(event: Event) -> Iterable[tuple[str, object]]:
    yield "user_id", event.get("said_user_id")
    yield "conversation_id", event["conversation_id"]
    yield "session_id", event["session_id"]
    for name, value in event["attributes"].items():
        yield f"attributes.{name}", value


def _median(events: list[Event], attribute: str) -> float | None:
    values = [float(event["attributes"][attribute]) for event in events if attribute in event["attributes"]]
    return median(values) if values else None


def _times(events: list[Event], time_zone: str) -> Row:
    """Silent hours and the mean time; hours that cancel each other out have no mean that could be compared."""
    hours = [event["occurred_at"].astimezone(ZoneInfo(time_zone)).hour for event in events]
    angles = [(hour + 0.5) * pi / 12 for hour in hours]
    x, y = sum(map(cos, angles)), sum(map(sin, angles))
    mean = {"mean_hour": round(atan2(y, x) * 12 / pi, 9) % 24} if hypot(x, y) > 1e-6 else {}
    return {"silent_hours": 24 - len(set(hours)), **mean}
