"""`facts.bookings` and `facts.orders`: what customers reserved and bought."""

from decimal import Decimal
from uuid import UUID

from tests.oracle.figures import amount, first_known
from tests.oracle.world import Event, Row, World, grouped, identity, thread

COMPLETED, REFUNDED = "commerce.order_completed", "commerce.order_refunded"
HELD, REQUESTED, CONFIRMED = "booking.slot_hold", "booking.requested", "booking.confirmed"


def bookings(world: World) -> list[Row]:
    """One row per booking, with the time of the first event of each kind."""
    events = [event for event in world.events if event["event_name"] in (HELD, REQUESTED, CONFIRMED)]
    rows = []
    for (tenant_id, booking_id), group in grouped(events, lambda event: _key(event, "booking_id")).items():
        requests = [event["attributes"] for event in group if event["event_name"] == REQUESTED]
        estimated_total = first_known(request.get("estimated_total") for request in requests)
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
                "services_count": first_known(request.get("services_count") for request in requests),
                "estimated_total": None if estimated_total is None else amount(estimated_total),
            }
        )
    return rows


def orders(world: World) -> list[Row]:
    """One row per order; a completion sent again under a new event id adds no revenue."""
    events = [event for event in world.events if event["event_name"] in (COMPLETED, REFUNDED)]
    first = first_completions(world)
    rows = []
    for (tenant_id, order_id), group in grouped(events, lambda event: _key(event, "order_id")).items():
        completion = next((event for event in group if identity(event) in first), None)
        refunds = [event for event in group if event["event_name"] == REFUNDED]
        rows.append(
            {
                "tenant_id": tenant_id,
                "order_id": order_id,
                "user_id": first_known(event["user_id"] for event in group),
                "conversation_id": first_known(thread(event) for event in group),
                "ordered_at": completion["occurred_at"] if completion else None,
                "ordered_on": world.local_date(group[0]),
                "revenue": amount(completion["attributes"]["revenue"]) if completion else None,
                "currency": completion["attributes"].get("currency") if completion else None,
                "refunded": total(refunds),
                "refunded_at": first_known(_times(refunds, REFUNDED)),
            }
        )
    return rows


def first_completions(world: World) -> set[tuple[str, UUID]]:
    """The event that completed each order: the only one of its completions that counts."""
    completions = [event for event in world.events if event["event_name"] == COMPLETED]
    return {identity(group[0]) for group in grouped(completions, lambda event: _key(event, "order_id")).values()}


def total(events: list[Event]) -> Decimal:
    """The sum of the events' revenue."""
    return sum((amount(event["attributes"]["revenue"]) for event in events), Decimal(0))


def _key(event: Event, attribute: str) -> tuple[str, str]:
    return event["tenant_id"], event["attributes"][attribute]


def _times(events: list[Event], name: str) -> list[object]:
    return [event["occurred_at"] for event in events if event["event_name"] == name]
