"""`facts.payments`: what was paid and paid back, and what it is in the tenant's currency."""

from decimal import ROUND_HALF_UP, Decimal

from tests.oracle.figures import amount, first_known
from tests.oracle.world import Event, Row, World, grouped, identity, once

COMPLETED, REFUNDED = "commerce.order_completed", "commerce.order_refunded"
FOUR_PLACES = Decimal("0.0001")


@once
def payments(world: World) -> list[Row]:
    """One row per order that was completed, and per refund."""
    first = first_completions(world)
    paid = [event for event in world.events if event["event_name"] in (COMPLETED, REFUNDED)]
    own = {tenant_id: tenant_currency(world, tenant_id) for tenant_id in {event["tenant_id"] for event in paid}}
    rows = []
    for group in grouped(
        paid,
        lambda event: (event["tenant_id"], event["attributes"]["order_id"]),
    ).values():
        completion = next((event for event in group if identity(event) in first), None)
        for event in group:
            if event is completion:
                rows.append(_payment(world, own, event, "order", event["user_id"], stated(event)))
            elif event["event_name"] == REFUNDED:
                buyer = completion["user_id"] if completion else None
                its_order = stated(completion) if completion else None
                user_id = event["user_id"] if buyer is None else buyer
                rows.append(_payment(world, own, event, "refund", user_id, first_known([stated(event), its_order])))
    return rows


def _payment(
    world: World, own: dict[str, str], event: Event, kind: str, user_id: str | None, currency: str | None
) -> Row:
    reported = own[event["tenant_id"]]
    paid = amount(event["attributes"]["revenue"])
    currency = currency or reported
    value = in_own_currency(world, event, paid, currency, reported)
    return {
        "tenant_id": event["tenant_id"],
        "payment_id": event["event_id"],
        "order_id": event["attributes"]["order_id"],
        "kind": kind,
        "user_id": user_id,
        "paid_at": event["occurred_at"],
        "paid_on": world.local_date(event),
        "amount": paid,
        "currency": currency,
        "is_other_currency": value is None,
        "value": value,
    }


def in_own_currency(
    world: World, event: Event, paid: Decimal, currency: str, own: str, places: Decimal = FOUR_PLACES
) -> Decimal | None:
    """An amount that an event states, in the tenant's currency; None where no rate is known."""
    rate = Decimal(1) if currency == own else _rate(world, event, currency, own)
    return None if rate is None else (paid * rate).quantize(places, ROUND_HALF_UP)


def _rate(world: World, event: Event, currency: str, own: str) -> Decimal | None:
    """The latest rate on or before the event's local date."""
    fitting = [
        rate
        for rate in world.rates
        if (rate.from_currency, rate.to_currency) == (currency, own) and rate.date <= world.local_date(event)
    ]
    return max(fitting, key=lambda rate: rate.date).rate if fitting else None


def tenant_currency(world: World, tenant_id: str) -> str:
    """The tenant's own, else that of its first order that states one, else US dollars."""
    stating = (
        stated(event)
        for event in sorted(
            (event for event in world.events if event["tenant_id"] == tenant_id and event["event_name"] == COMPLETED),
            key=lambda event: (event["occurred_at"], stated(event) or ""),
        )
    )
    return first_known([world.tenant(tenant_id).currency, *stating, "USD"])


def stated(event: Event) -> str | None:
    """The currency that an event states, in capitals."""
    return (event["attributes"].get("currency") or "").strip().upper() or None


@once
def first_completions(world: World) -> set[tuple[str, object]]:
    """The event that completed each order: the only one of its completions that counts."""
    completions = [event for event in world.events if event["event_name"] == COMPLETED]
    groups = grouped(completions, lambda event: (event["tenant_id"], event["attributes"]["order_id"]))
    return {identity(group[0]) for group in groups.values()}


def total(rows: list[Row]) -> Decimal:
    """The sum of payments in the tenant's currency, those aside that have no rate."""
    return sum((row["value"] for row in rows if row["value"] is not None), Decimal(0))
