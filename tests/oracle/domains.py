"""The marts of one domain each: voice, tools, knowledge base, shop, bookings, errors."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from tests.oracle.commerce import bookings
from tests.oracle.conversations import attributes, count
from tests.oracle.days import every_day
from tests.oracle.figures import mean, percentile, ratio
from tests.oracle.money import REFUNDED, payments, total
from tests.oracle.tools import kb_searches, tool_calls
from tests.oracle.world import Event, Row, World, by_customer, grouped

SHOP = ("commerce.view", "commerce.add_to_cart", "commerce.checkout", "commerce.order_completed", REFUNDED)
SUGGESTIONS = ("service.suggested", "ai.suggestion_accepted", "service.added", "cart.confirmed")
Day = tuple[str, date]
"""A tenant and a local date there."""


@every_day(("turns", "barge_ins"))
def voice_metrics(world: World) -> list[Row]:
    """One row per tenant and local date with voice events."""
    rows = []
    for key, events in _events_by_day(world, "voice.").items():
        durations = attributes(events, "voice.first_response", "duration_ms")
        turns, barge_ins = count(events, "voice.turn_started"), count(events, "voice.barge_in")
        rate = ratio(barge_ins, turns)
        rows.append(
            {
                **_day(key),
                "turns": turns,
                "first_response_p50_ms": percentile(durations, 0.50),
                "first_response_p95_ms": percentile(durations, 0.95),
                "first_response_p99_ms": percentile(durations, 0.99),
                "barge_ins": barge_ins,
                "barge_in_rate": None if rate is None else min(rate, 1.0),
                "asr_partial_latency_p95_ms": percentile(attributes(events, "voice.asr_partial", "latency_ms"), 0.95),
            }
        )
    return rows


def tool_metrics(world: World) -> list[Row]:
    """One row per tenant, local date and tool that was called."""
    rows = []
    for (tenant_id, day, tool), calls in grouped(
        tool_calls(world), lambda call: (*_on(world, call, "called_at"), call["tool_name"])
    ).items():
        durations = _known(calls, "duration_ms")
        succeeded, failed = (sum(call["success"] is success for call in calls) for success in (True, False))
        rows.append(
            {
                **_day((tenant_id, day)),
                "tool_name": tool,
                "calls": len(calls),
                "succeeded": succeeded,
                "failed": failed,
                "unfinished": len(calls) - succeeded - failed,
                "success_rate": ratio(succeeded, succeeded + failed),
                "avg_ms": mean(durations),
                "p95_ms": percentile(durations, 0.95),
            }
        )
    return rows


@every_day(("chains", "navigation_calls"))
def tool_chain_metrics(world: World) -> list[Row]:
    """One row per tenant and local date with tool chains or completed calls of navigation tools."""
    chains = _events_by_day(world, "ai.tool_chain_completed")
    navigation = grouped(
        (call for call in tool_calls(world) if call["tool_kind"] == "navigation" and call["status"] == "completed"),
        lambda call: _on(world, call, "called_at"),
    )
    rows = []
    for key in {*chains, *navigation}:
        done = [event["attributes"] for event in chains.get(key, [])]
        calls = navigation.get(key, [])
        rows.append(
            {
                **_day(key),
                "chains": len(done),
                "tool_chain_length_avg": mean(chain["tool_count"] for chain in done),
                "chain_success_rate": ratio(sum(chain["success"] for chain in done), len(done)),
                "navigation_calls": len(calls),
                "navigation_optimism_rate": ratio(sum(call["optimistic"] is True for call in calls), len(calls)),
            }
        )
    return rows


@every_day(("searches", "searches_with_results", "used_results"))
def kb_metrics(world: World) -> list[Row]:
    """One row per tenant and local date with searches of the knowledge base."""
    rows = []
    for key, searches in grouped(kb_searches(world), lambda search: _on(world, search, "searched_at")).items():
        found = sum(search["results_count"] > 0 for search in searches)
        rows.append(
            {
                **_day(key),
                "searches": len(searches),
                "searches_with_results": found,
                "hit_rate": ratio(found, len(searches)),
                "used_results": sum(search["was_used"] for search in searches),
                "search_latency_p95_ms": percentile(_known(searches, "duration_ms"), 0.95),
                "avg_relevance_score": mean(_known(searches, "top_score")),
            }
        )
    return rows


@every_day(
    (
        *("views", "add_to_carts", "checkouts", "orders", "other_currency_orders", "other_currency_refunds"),
        *("shoppers", "buyers", "suggested", "suggestions_accepted", "services_added", "carts_confirmed"),
    ),
    "revenue",
    "refunds",
)
def commerce_metrics(world: World) -> list[Row]:
    """One row per tenant and local date; an order counts on its day, each refund on the refund's."""
    paid = grouped(payments(world), lambda row: (row["tenant_id"], row["paid_on"]))
    rows = []
    for key, events in _events_by_day(world, "").items():
        if not any(event["event_name"] in (*SHOP, *SUGGESTIONS) for event in events):
            continue
        completed = [row for row in paid.get(key, []) if row["kind"] == "order"]
        refunds = [row for row in paid.get(key, []) if row["kind"] == "refund"]
        shoppers = {event["user_id"] for event in events if event["event_name"] in SHOP and by_customer(event)}
        buyers = len({row["user_id"] for row in completed} & shoppers)
        rows.append(
            {
                **_day(key),
                "views": count(events, "commerce.view"),
                "add_to_carts": count(events, "commerce.add_to_cart"),
                "checkouts": count(events, "commerce.checkout"),
                "orders": len(completed),
                "revenue": total(completed),
                "refunds": total(refunds),
                "other_currency_orders": sum(row["is_other_currency"] for row in completed),
                "other_currency_refunds": sum(row["is_other_currency"] for row in refunds),
                "shoppers": len(shoppers),
                "buyers": buyers,
                "conversion_rate": ratio(buyers, len(shoppers)),
                "suggested": count(events, "service.suggested"),
                "suggestions_accepted": count(events, "ai.suggestion_accepted"),
                "services_added": count(events, "service.added"),
                "carts_confirmed": count(events, "cart.confirmed"),
            }
        )
    return rows


@every_day(("holds", "requested", "confirmed", "other_currency_requests"), "estimated_total")
def booking_metrics(world: World) -> list[Row]:
    """One row per tenant and local date on which a booking reached a stage for the first time."""
    stages = ("held_at", "requested_at", "confirmed_at")
    reached = {stage: _bookings_by_day(world, stage) for stage in stages}
    rows = []
    for key in {key for days in reached.values() for key in days}:
        held, requested, confirmed = (reached[stage].get(key, []) for stage in stages)
        rows.append(
            {
                **_day(key),
                "holds": len(held),
                "requested": len(requested),
                "confirmed": len(confirmed),
                "hold_to_confirm_rate": ratio(len(_known(held, "confirmed_at")), len(held)),
                "request_to_confirm_rate": ratio(len(_known(requested, "confirmed_at")), len(requested)),
                "other_currency_requests": sum(booking["is_other_currency"] for booking in requested),
                "estimated_total": sum(_known(requested, "estimated_value"), Decimal(0)),
            }
        )
    return rows


def _bookings_by_day(world: World, stage: str) -> dict[Day, list[Row]]:
    known = (booking for booking in bookings(world) if booking[stage] is not None)
    return grouped(known, lambda booking: _on(world, booking, stage))


def error_metrics(world: World) -> list[Row]:
    """One row per tenant, local date and class of error."""
    rows = []
    for key, events in _events_by_day(world, "").items():
        classes = Counter(error_class or "unknown" for error_class in attributes(events, "system.error", "error_class"))
        rows += [
            {
                **_day(key),
                "error_class": error_class,
                "errors": errors,
                "events": len(events),
                "error_rate": ratio(errors, len(events)),
            }
            for error_class, errors in classes.items()
        ]
    return rows


def _events_by_day(world: World, prefix: str) -> dict[Day, list[Event]]:
    """The events of some name or domain, by tenant and local date."""
    return grouped(
        (event for event in world.events if event["event_name"].startswith(prefix)),
        lambda event: (event["tenant_id"], world.local_date(event)),
    )


def _on(world: World, row: Row, column: str) -> Day:
    return row["tenant_id"], world.tenant(row["tenant_id"]).local_date(row[column])


def _day(key: Day) -> Row:
    return {"tenant_id": key[0], "date": key[1]}


def _known(rows: Iterable[Row], column: str) -> list[Any]:
    return [row[column] for row in rows if row[column] is not None]
