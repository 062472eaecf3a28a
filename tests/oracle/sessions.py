"""`facts.sessions` and `marts.session_metrics`: stretches of one user's activity."""

from datetime import timedelta

from tests.oracle.days import every_day
from tests.oracle.figures import distinct, mean, percentile, ratio
from tests.oracle.world import Event, Row, World, by_customer, conversations_in, grouped, once

CONVERSIONS = ("booking.confirmed", "commerce.order_completed", "cart.confirmed")


@once
def sessions(world: World) -> list[Row]:
    """One row per session: what one user did with no gap longer than the tenant's limit."""
    known = [event for event in world.events if by_customer(event)]
    rows = []
    for (tenant_id, user_id), events in grouped(known, lambda e: (e["tenant_id"], e["user_id"])).items():
        for session in split_at_gaps(events, world.tenant(tenant_id).session_gap):
            first, last = session[0], session[-1]
            rows.append(
                {
                    "tenant_id": tenant_id,
                    "session_id": first["event_id"],
                    "user_id": user_id,
                    "started_at": first["occurred_at"],
                    "started_on": world.local_date(first),
                    "ended_at": last["occurred_at"],
                    "duration_seconds": (last["occurred_at"] - first["occurred_at"]).total_seconds(),
                    "events": len(session),
                    "conversations": conversations_in(session),
                    "entry_event": first["event_name"],
                    "exit_event": last["event_name"],
                    "converted": any(event["event_name"] in CONVERSIONS for event in session),
                }
            )
    return rows


def split_at_gaps(events: list[Event], limit: timedelta) -> list[list[Event]]:
    """The events cut wherever more than the limit lies between two neighbours."""
    stretches: list[list[Event]] = []
    for event in events:
        if stretches and event["occurred_at"] - stretches[-1][-1]["occurred_at"] <= limit:
            stretches[-1].append(event)
        else:
            stretches.append([event])
    return stretches


@every_day(("sessions", "users"))
def session_metrics(world: World) -> list[Row]:
    """One row per tenant and local date on which a session started."""
    rows = []
    for (tenant_id, day), group in grouped(sessions(world), lambda row: (row["tenant_id"], row["started_on"])).items():
        durations = [row["duration_seconds"] for row in group]
        rows.append(
            {
                "tenant_id": tenant_id,
                "date": day,
                "sessions": len(group),
                "users": distinct(row["user_id"] for row in group),
                "avg_duration_seconds": mean(durations),
                "median_duration_seconds": percentile(durations, 0.5),
                "events_per_session": mean(row["events"] for row in group),
                "bounce_rate": ratio(sum(row["events"] == 1 for row in group), len(group)),
            }
        )
    return rows
