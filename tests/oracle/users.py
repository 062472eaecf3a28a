"""`facts.user_days` and `marts.active_users`: who was there on which day."""

from collections import Counter
from datetime import timedelta

from tests.oracle.conversations import conversations, count
from tests.oracle.days import tenant_days
from tests.oracle.figures import distinct, ratio
from tests.oracle.money import payments, total
from tests.oracle.sessions import sessions
from tests.oracle.world import (
    Row,
    World,
    by_customer,
    conversations_in,
    grouped,
    is_customers_message,
    is_message_to_customer,
    once,
)


@once
def user_days(world: World) -> list[Row]:
    """One row per tenant, user and local date on which they did something."""
    bought = grouped(
        (row for row in payments(world) if row["kind"] == "order"),
        lambda row: (row["tenant_id"], row["user_id"], row["paid_on"]),
    )
    known = [event for event in world.events if event["user_id"] is not None]
    rows = []
    for (tenant_id, user_id, day), events in grouped(
        known, lambda event: (event["tenant_id"], event["user_id"], world.local_date(event))
    ).items():
        done = [event for event in events if by_customer(event)]
        if not done:
            continue
        orders = bought.get((tenant_id, user_id, day), [])
        rows.append(
            {
                "tenant_id": tenant_id,
                "user_id": user_id,
                "date": day,
                "events": len(done),
                "conversations": conversations_in(done),
                "messages_received": count(done, "message.received"),
                "messages": sum(is_customers_message(event) or is_message_to_customer(event) for event in events),
                "orders": len(orders),
                "revenue": total(orders),
            }
        )
    return rows


def active_users(world: World) -> list[Row]:
    """One row per tenant and local date from its first event's to today's."""
    there = grouped(user_days(world), lambda row: (row["tenant_id"], row["date"]))
    events = Counter((event["tenant_id"], world.local_date(event)) for event in world.events)
    started = Counter((row["tenant_id"], row["started_on"]) for row in sessions(world))
    begun = Counter((row["tenant_id"], row["started_on"]) for row in conversations(world))
    rows = []
    for tenant_id, day in ((row["tenant_id"], row["date"]) for row in tenant_days(world)):
        dau, wau, mau = (
            distinct(row["user_id"] for ago in range(days) for row in there.get((tenant_id, day - timedelta(ago)), []))
            for days in (1, 7, 30)
        )
        rows.append(
            {
                "tenant_id": tenant_id,
                "date": day,
                "dau": dau,
                "wau": wau,
                "mau": mau,
                "stickiness": ratio(dau, mau),
                "sessions": started[tenant_id, day],
                "events": events[tenant_id, day],
                "conversations": begun[tenant_id, day],
            }
        )
    return rows
