"""`facts.model_calls` and `marts.model_usage`: what models did, and what it cost."""

import csv
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from tests.oracle.figures import percentile
from tests.oracle.money import in_own_currency, stated, tenant_currency
from tests.oracle.world import Event, Row, World, grouped, thread

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
MILLION = Decimal(1_000_000)
TEN_PLACES = Decimal("1e-10")


@cache
def shipped_prices() -> tuple[Row, ...]:
    """The rows of the seed."""
    with (SEEDS / "model_prices.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def model_calls(world: World, prices: Sequence[Row] | None = None) -> list[Row]:
    """One row per call of a model."""
    known = shipped_prices() if prices is None else prices
    return [_call(world, event, known) for event in world.events if event["event_name"] == "ai.response"]


def _call(world: World, event: Event, prices: Sequence[Row]) -> Row:
    attributes = event["attributes"]
    called_on = world.local_date(event)
    model = attributes.get("model") or "unknown"
    read, written = attributes.get("input_tokens"), attributes.get("output_tokens")
    cost: Any = attributes.get("cost")
    own = tenant_currency(world, event["tenant_id"])
    currency: str | None = None
    value: Decimal | None = None
    if cost is not None:
        cost, currency = Decimal(str(cost)), stated(event) or own
    elif (price := _price(prices, event["tenant_id"], model, called_on)) and (read, written) != (None, None):
        cost = (Decimal(price["input_price"]) * (read or 0) + Decimal(price["output_price"]) * (written or 0)) / MILLION
        currency = price["currency"].upper() or own
    if currency is not None:
        value = in_own_currency(world, event, cost, currency, own, TEN_PLACES)
    return {
        "tenant_id": event["tenant_id"],
        "call_id": event["event_id"],
        "conversation_id": thread(event),
        "user_id": event["user_id"],
        "model": model,
        "called_at": event["occurred_at"],
        "called_on": called_on,
        "duration_ms": attributes.get("duration_ms"),
        "is_error": attributes.get("is_error", "error_class" in attributes),
        "input_tokens": read,
        "output_tokens": written,
        "cost": cost,
        "currency": currency,
        "is_other_currency": cost is not None and value is None,
        "value": value,
    }


def _price(prices: Sequence[Row], tenant_id: str, model: str, day: date) -> Row | None:
    """The tenant's own latest price on or before the day, else that for all."""
    valid = [row for row in prices if row["model"] == model and date.fromisoformat(row["valid_from"]) <= day]
    for owner in (tenant_id, "*"):
        if own := [row for row in valid if row["tenant_id"] == owner]:
            return max(own, key=lambda row: date.fromisoformat(row["valid_from"]))
    return None


def model_usage(world: World, prices: Sequence[Row] | None = None) -> list[Row]:
    """One row per tenant, local date and model; costs in a currency without a rate are not added."""
    calls = grouped(model_calls(world, prices), lambda row: (row["tenant_id"], row["called_on"], row["model"]))
    rows = []
    for (tenant_id, day, model), group in calls.items():
        durations = [row["duration_ms"] for row in group if row["duration_ms"] is not None]
        costs = [row["value"] for row in group if row["value"] is not None]
        rows.append(
            {
                "tenant_id": tenant_id,
                "date": day,
                "model": model,
                "calls": len(group),
                "errors": sum(row["is_error"] for row in group),
                "input_tokens": _sum([row["input_tokens"] for row in group]),
                "output_tokens": _sum([row["output_tokens"] for row in group]),
                "cost": sum(costs, Decimal(0)) if costs else None,
                "other_currency_calls": sum(row["is_other_currency"] for row in group),
                "p50_ms": percentile(durations, 0.50),
                "p95_ms": percentile(durations, 0.95),
            }
        )
    return rows


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
