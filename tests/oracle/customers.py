"""`marts.customers`, its segments, and `marts.roi`: who the customers are and what the assistant saves."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tests.oracle.conversations import conversations
from tests.oracle.days import tenant_days
from tests.oracle.metrics import next_start, period_start
from tests.oracle.money import payments, total
from tests.oracle.sessions import sessions
from tests.oracle.users import user_days
from tests.oracle.world import Row, World, by_customer, grouped

ALL_TIME = date(1970, 1, 1)


def customers(world: World) -> list[Row]:
    """One row per tenant and user, over everything that the user ever did."""
    return _customers_until(world, {})


def _customers_until(world: World, last_days: dict[str, date]) -> list[Row]:
    """The customers as of the end of a day of each tenant; where none is named, as of now."""

    def by_then(row: Row, column: str) -> bool:
        last_day = last_days.get(row["tenant_id"])
        return last_day is None or row[column] <= last_day

    def of_user(row: Row) -> tuple[str, str]:
        return row["tenant_id"], row["user_id"]

    begun = Counter(of_user(row) for row in sessions(world) if by_then(row, "started_on"))
    talked = Counter(of_user(row) for row in conversations(world) if by_then(row, "started_on"))
    moments = grouped((event for event in world.events if by_customer(event)), lambda event: of_user(dict(event)))
    paid = grouped((row for row in payments(world) if by_then(row, "paid_on")), of_user)
    rows = []
    for key, days in grouped((row for row in user_days(world) if by_then(row, "date")), of_user).items():
        seen = [
            event["occurred_at"]
            for event in moments[key]
            if by_then({**event, "date": world.local_date(event)}, "date")
        ]
        events = sum(row["events"] for row in days)
        orders = [row for row in paid.get(key, []) if row["kind"] == "order"]
        revenue = total(orders)
        refunds = total([row for row in paid.get(key, []) if row["kind"] == "refund"])
        rows.append(
            {
                "tenant_id": key[0],
                "user_id": key[1],
                "first_seen_at": min(seen),
                "last_seen_at": max(seen),
                "events": events,
                "sessions": begun[key],
                "conversations": talked[key],
                "orders": len(orders),
                "revenue": revenue,
                "refunds": refunds,
                "lifetime_value_to_date": revenue - refunds,
                "segment": "new" if events <= 2 else "engaged" if events <= 10 else "returning",
            }
        )
    return rows


@dataclass(frozen=True)
class Segment:
    """A segment as the seed has it: a SQL condition on a customer and `as_of`, and the same in Python."""

    segment_id: str
    predicate: str
    holds: Callable[[Row, datetime], bool]
    tenant_id: str = "*"

    def has(self, customer: Row, as_of: datetime) -> bool:
        """Whether the customer is in it at that time."""
        return self.tenant_id in ("*", customer["tenant_id"]) and self.holds(customer, as_of)


def segment_members(world: World, segments: Iterable[Segment]) -> list[Row]:
    """One row per segment and customer that is in it at the build's clock."""
    everyone = customers(world)
    return [
        {"tenant_id": customer["tenant_id"], "segment_id": segment.segment_id, "user_id": customer["user_id"]}
        for segment in segments
        for customer in everyone
        if segment.has(customer, world.as_of)
    ]


def segment_sizes(world: World, segments: Iterable[Segment], history_days: int = 30) -> list[Row]:
    """One row per segment, tenant and local date with any member at its end; today's as of the build's clock."""
    segments = list(segments)
    tenants = {event["tenant_id"]: world.tenant(event["tenant_id"]) for event in world.events}
    sizes: Counter[tuple[str, str, date]] = Counter()
    for back in range(history_days):
        dates = {name: tenant.local_date(world.as_of) - timedelta(back) for name, tenant in tenants.items()}
        for customer in _customers_until(world, dates):
            day = dates[customer["tenant_id"]]
            ends_at = tenants[customer["tenant_id"]].midnight(day + timedelta(1))
            for segment in segments:
                if segment.has(customer, min(ends_at, world.as_of)):
                    sizes[customer["tenant_id"], segment.segment_id, day] += 1
    return [
        {"tenant_id": tenant_id, "segment_id": segment_id, "date": day, "customers": size}
        for (tenant_id, segment_id, day), size in sizes.items()
    ]


@dataclass(frozen=True)
class Assumptions:
    """What a conversation costs with and without the assistant, each as (low, expected, high)."""

    minutes: tuple[float, float, float] = (6, 8, 10)
    hourly_cost: tuple[float, float, float] = (20, 25, 30)
    cost_each: tuple[float, float, float] = (0.03, 0.05, 0.10)


def roi(world: World, assumptions: dict[str, Assumptions]) -> list[Row]:
    """One row per tenant, period and period start with a conversation; `*` is for tenants without assumptions."""
    rows = []
    for period in ("month", "quarter", "year", "all"):

        def key(row: Row, period: str = period) -> tuple[str, date]:
            tenant = world.tenant(row["tenant_id"])
            return row["tenant_id"], ALL_TIME if period == "all" else period_start(tenant, period, row["started_on"])

        for (tenant_id, start), group in grouped(conversations(world), key).items():
            resolved = sum(row["outcome"] == "resolved" and row["resolved_by"] == "assistant" for row in group)
            assumed = assumptions.get(tenant_id, assumptions["*"])
            low, expected, high = (
                _return(len(group), resolved, minutes, hourly, each)
                for minutes, hourly, each in zip(
                    assumed.minutes, assumed.hourly_cost, reversed_ends(assumed.cost_each), strict=True
                )
            )
            tenant = world.tenant(tenant_id)
            rows.append(
                {
                    "tenant_id": tenant_id,
                    "period": period,
                    "period_start": start,
                    "total_conversations": len(group),
                    "ai_resolved_conversations": resolved,
                    **expected,
                    "minutes_per_conversation": assumed.minutes[1],
                    "hourly_cost": assumed.hourly_cost[1],
                    "cost_per_conversation": assumed.cost_each[1],
                    "savings_low": low["savings"],
                    "savings_high": high["savings"],
                    "roi_percentage_low": low["roi_percentage"],
                    "roi_percentage_high": high["roi_percentage"],
                    "is_complete": period != "all" and tenant.midnight(next_start(period, start)) <= world.as_of,
                }
            )
    return rows


def roi_days(world: World, assumptions: dict[str, Assumptions]) -> list[Row]:
    """One row per tenant and date: its days so far, and later ones with a conversation."""
    started = grouped(conversations(world), lambda row: (row["tenant_id"], row["started_on"]))
    days = {(day["tenant_id"], day["date"]) for day in tenant_days(world)} | started.keys()
    rows = []
    for tenant_id, day in sorted(days):
        group = started.get((tenant_id, day), [])
        resolved = sum(row["outcome"] == "resolved" and row["resolved_by"] == "assistant" for row in group)
        assumed = assumptions.get(tenant_id, assumptions["*"])
        low, expected, high = (
            _return(len(group), resolved, minutes, hourly, each)
            for minutes, hourly, each in zip(
                assumed.minutes, assumed.hourly_cost, reversed_ends(assumed.cost_each), strict=True
            )
        )
        rows.append(
            {
                "tenant_id": tenant_id,
                "date": day,
                "total_conversations": len(group),
                "ai_resolved_conversations": resolved,
                **{name: value for name, value in expected.items() if name != "roi_percentage"},
                "savings_low": low["savings"],
                "savings_high": high["savings"],
                "is_complete": world.tenant(tenant_id).midnight(day + timedelta(1)) <= world.as_of,
            }
        )
    return rows


def reversed_ends(costs: tuple[float, float, float]) -> tuple[float, float, float]:
    """Highest first: what speaks against the assistant is what it costs most."""
    return costs[2], costs[1], costs[0]


def _return(
    conversations: int, resolved: int, minutes: float, hourly_cost: float, cost_each: float
) -> dict[str, float]:
    person = minutes / 60 * hourly_cost
    ai_cost, savings = conversations * cost_each, resolved * (person - cost_each)
    return {
        "human_agent_cost": conversations * person,
        "ai_cost": ai_cost,
        "savings": savings,
        "roi_percentage": savings / ai_cost * 100 if ai_cost else 0.0,
    }
