"""`facts.bookings` and `facts.orders`: what customers reserved and bought."""

from tests.oracle.figures import amount, first_known
from tests.oracle.money import (
    COMPLETED,
    REFUNDED,
    in_own_currency,
    payments,
    stated,
    tenant_currency,
    total,
)
from tests.oracle.world import Event, Row, World, grouped, once, thread

HELD, REQUESTED, CONFIRMED = "booking.slot_hold", "booking.requested", "booking.confirmed"


@once
def bookings(world: World) -> list[Row]:
    """One row per booking, with the time of the first event of each kind."""
    events = [event for event in world.events if event["event_name"] in (HELD, REQUESTED, CONFIRMED)]
    rows = []
    for (tenant_id, booking_id), group in grouped(events, lambda event: _key(event, "booking_id")).items():
        requests = [event for event in group if event["event_name"] == REQUESTED]
        priced = next((event for event in requests if event["attributes"].get("estimated_total") is not None), None)
        rows.append(
            {
                "tenant_id": tenant_id,
                "booking_id": booking_id,
                "user_id": first_known(event["user_id"] for event in group),
                "conversation_id": first_known(thread(event) for event in group),
                "booked_on": world.local_date(group[0]),
                "held_at": first_known(_times(group, HELD)),
                "requested_at": first_known(_times(group, REQUESTED)),
                "confirmed_at": first_known(_times(group, CONFIRMED)),
                "services_count": first_known(event["attributes"].get("services_count") for event in requests),
                **_estimate(world, tenant_id, priced),
            }
        )
    return rows


def _estimate(world: World, tenant_id: str, priced: Event | None) -> Row:
    if priced is None:
        return dict.fromkeys(("estimated_total", "currency", "estimated_value")) | {"is_other_currency": False}
    own = tenant_currency(world, tenant_id)
    total, currency = amount(priced["attributes"]["estimated_total"]), stated(priced) or own
    value = in_own_currency(world, priced, total, currency, own)
    return {
        "estimated_total": total,
        "currency": currency,
        "is_other_currency": value is None,
        "estimated_value": value,
    }


@once
def orders(world: World) -> list[Row]:
    """One row per order; a completion sent again under a new event id adds no revenue."""
    events = [event for event in world.events if event["event_name"] in (COMPLETED, REFUNDED)]
    paid = grouped(payments(world), lambda row: (row["tenant_id"], row["order_id"]))
    rows = []
    for (tenant_id, order_id), group in grouped(events, lambda event: _key(event, "order_id")).items():
        refunds = [row for row in paid[tenant_id, order_id] if row["kind"] == "refund"]
        completion = next((row for row in paid[tenant_id, order_id] if row["kind"] == "order"), None)
        rows.append(
            {
                "tenant_id": tenant_id,
                "order_id": order_id,
                "user_id": first_known(event["user_id"] for event in group),
                "conversation_id": first_known(thread(event) for event in group),
                "ordered_at": completion["paid_at"] if completion else None,
                "ordered_on": world.local_date(group[0]),
                "revenue": completion["value"] if completion else None,
                "amount": completion["amount"] if completion else None,
                "currency": completion["currency"] if completion else None,
                "is_other_currency": completion is not None and completion["is_other_currency"],
                "refunded": total(refunds),
                "refunded_at": min((row["paid_at"] for row in refunds), default=None),
            }
        )
    return rows


def _key(event: Event, attribute: str) -> tuple[str, str]:
    return event["tenant_id"], event["attributes"][attribute]


def _times(events: list[Event], name: str) -> list[object]:
    return [event["occurred_at"] for event in events if event["event_name"] == name]
