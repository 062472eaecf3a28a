"""A crowd of random customers whose events land late, in three loads, under random cohorts, segments and assumptions:
after every build the marts must say what the oracle says, and in the end what a full refresh says.

`PARLEY_SEED` makes another crowd.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from parley.build.builds import BuildRequest
from parley.settings import Settings
from tests.oracle import TABLES, Event, Row, Tenant, World, differences
from tests.oracle.cohorts import (
    ACTIVITY_KEY,
    COHORT_KEY,
    LIFECYCLE_KEY,
    Activity,
    Cohort,
    activity_lifecycle,
    activity_users,
    anything,
    cohort_retention,
)
from tests.oracle.customers import Assumptions, Segment, roi, roi_days, segment_members, segment_sizes
from tests.oracle.histories import HARD_MOMENTS, HOLIDAYS, HOURS, RATES, TENANTS
from tests.support.seeds import write_seed
from tests.support.warehouse import Warehouse, copy_project

pytestmark = [pytest.mark.slow, pytest.mark.builds]
SEED = int(os.environ.get("PARLEY_SEED", "1"))
USERS = 30  # of each tenant
PAUSES = (0, 0, 1, 60, 1199, 1200, 1800, 3600, 86399, 86400, 86400, 2 * 86400, 7 * 86400, 30 * 86400, 31 * 86400)

RANDOM_ATTRIBUTES: dict[str, Callable[[Random], dict[str, Any]]] = {
    "user.registered": lambda random: {},
    "message.received": lambda random: {},
    "message.sent": lambda random: {},
    "conversation.resolved": lambda random: some(random, resolved_by=random.choice(("assistant", "human"))),
    "conversation.escalated": lambda random: {},
    "ai.tool_call_started": lambda random: {"tool_name": random.choice("ab")},
    "ai.tool_call_completed": lambda random: {
        "tool_name": random.choice("ab"),
        "success": random.random() < 0.5,
        **some(random, duration_ms=random.randint(1, 9), tool_kind="navigation", optimistic=random.random() < 0.5),
    },
    "ai.tool_chain_completed": lambda random: {"tool_count": random.randint(1, 4), "success": random.random() < 0.5},
    "ai.suggestion_accepted": lambda random: {},
    "kb.search": lambda random: {
        "query": "hours",
        "results_count": random.randint(0, 2),
        **some(random, duration_ms=random.randint(1, 9), top_score=random.random()),
    },
    "kb.hit": lambda random: {},
    "voice.turn_started": lambda random: {},
    "voice.first_response": lambda random: {"duration_ms": random.randint(1, 5000)},
    "voice.barge_in": lambda random: {},
    "voice.asr_partial": lambda random: {"latency_ms": random.randint(1, 500)},
    "service.suggested": lambda random: {"service_name": "cut", "confidence_score": 0.5},
    "service.added": lambda random: {"service_name": "cut"},
    "cart.confirmed": lambda random: {},
    "commerce.view": lambda random: {},
    "commerce.add_to_cart": lambda random: {},
    "commerce.checkout": lambda random: {},
    "commerce.order_completed": lambda random: an_order(random),
    "commerce.order_refunded": lambda random: an_order(random),
    "booking.slot_hold": lambda random: a_booking(random),
    "booking.requested": lambda random: {
        **a_booking(random),
        **some(random, estimated_total=random.randint(1, 90) / 4, currency=random.choice(("EUR", "usd", "JPY"))),
    },
    "booking.confirmed": lambda random: a_booking(random),
    "system.error": lambda random: some(random, error_class=random.choice(("Timeout", "Refused"))),
}
NAMES = (*RANDOM_ATTRIBUTES, "message.received", "commerce.view", *["commerce.order_completed"] * 4)

COHORT_EVENTS = ("", "", "message.received", "commerce.order_completed", "message.received|commerce.view")
CONDITIONS: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("", anything),
    ("", anything),
    ("$.revenue > 50", lambda attributes: attributes.get("revenue", 0) > 50),
    ('$.plan == "pro"', lambda attributes: attributes.get("plan") == "pro"),
)
ASSUMPTIONS = {
    "*": Assumptions(),
    "berlin": Assumptions(minutes=(1, 2, 3), hourly_cost=(10, 12, 60), cost_each=(0, 0, 0.5)),
    "kolkata": Assumptions(minutes=(0, 0, 1), hourly_cost=(1, 1, 1), cost_each=(0.5, 1, 2)),
}
SEGMENTS = (
    Segment(
        "fresh",
        "first_seen_at > as_of - interval '7 days'",
        lambda customer, as_of: customer["first_seen_at"] > as_of - timedelta(7),
    ),
    Segment(
        "lapsed",
        "last_seen_at <= as_of - interval '10 days'",
        lambda customer, as_of: customer["last_seen_at"] <= as_of - timedelta(10),
    ),
    Segment(
        "worth it",
        "lifetime_value_to_date >= 100 or orders > 2",
        lambda customer, as_of: customer["lifetime_value_to_date"] >= 100 or customer["orders"] > 2,
    ),
    Segment(
        "talker",
        "conversations > sessions and segment <> 'new'",
        lambda customer, as_of: customer["conversations"] > customer["sessions"] and customer["segment"] != "new",
    ),
    Segment("all of Berlin's", "true", lambda customer, as_of: True, tenant_id="berlin"),
)
ACTIVITIES = (
    Activity("buying", ("commerce.order_completed",), *CONDITIONS[2]),
    Activity("pro", (), *CONDITIONS[3]),
    Activity("talk", ("message.received", "kb.search"), tenant_id="berlin"),
)
DEFINED = (
    *("marts.cohort_retention", "marts.activity_lifecycle", "marts.activity_users"),
    *("marts.segment_members", "marts.segment_sizes", "marts.roi"),
)


def some(random: Random, **attributes: object) -> dict[str, object]:
    """Some of the attributes: each may be absent."""
    return {name: value for name, value in attributes.items() if random.random() < 0.7}


def an_order(random: Random) -> dict[str, object]:
    return {
        "order_id": f"o{random.randint(1, 60)}",
        "revenue": random.randint(0, 9999) / 100,
        **some(random, currency=random.choice(("EUR", "usd", "JPY"))),
    }


def a_booking(random: Random) -> dict[str, object]:
    return {"booking_id": f"b{random.randint(1, 30)}"}


def a_cohort(random: Random, number: int) -> Cohort:
    cohort_where, cohort_holds = random.choice(CONDITIONS)
    returning_where, returning_holds = random.choice(CONDITIONS)
    breakdown = random.choice(("", "", "channel", "$.plan", "$.plan|channel"))
    return Cohort(
        cohort_id=f"c:{number}",
        kind=("first_time", "recurring")[number % 2],
        cohort_event=random.choice(COHORT_EVENTS),
        cohort_where=cohort_where,
        cohort_holds=cohort_holds,
        returning_event=random.choice(COHORT_EVENTS),
        returning_where=returning_where,
        returning_holds=returning_holds,
        returning_minimum=random.choice((1, 1, 2)),
        breakdown=breakdown,
        breakdown_limit=random.choice((None, 1, 2)) if breakdown else None,
        tenant_id=random.choice(("*", "*", "auckland")),
        hour_columns=random.choice((0, 0, 3, 26)),
        day_columns=random.choice((0, 2, 31)),
        week_columns=random.choice((0, 1, 6)),
        month_columns=random.choice((0, 1, 4)),
    )


def some_events(random: Random, tenant: Tenant, user_id: str) -> list[Event]:
    moment = random.choice(HARD_MOMENTS) - timedelta(seconds=random.choice(PAUSES))
    events = []
    for _ in range(random.choice((1, 2, 3, 6, 14))):
        moment += timedelta(seconds=random.choice(PAUSES))
        name = random.choice(NAMES)
        events.append(
            Event(
                tenant_id=tenant.tenant_id,
                event_id=UUID(int=random.getrandbits(128), version=4),
                event_name=name,
                occurred_at=moment,
                conversation_id=random.choice((None, f"{user_id}-a", f"{user_id}-b")),
                session_id=random.choice((None, f"{user_id}-s")),
                user_id=random.choice((user_id, user_id, user_id, user_id, None)),
                source=random.choice(("web", None)),
                attributes={
                    **RANDOM_ATTRIBUTES[name](random),
                    **some(random, plan=random.choice(("pro", "free", "", None))),
                },
            )
        )
    return events


def write_definitions(project: Path, cohorts: list[Cohort]) -> None:
    write_seed(project, "cohort_definitions", ({"name": cohort.cohort_id, **vars(cohort)} for cohort in cohorts))
    write_seed(project, "activity_definitions", ({"name": "Doing it", **activity.row()} for activity in ACTIVITIES))
    write_seed(project, "segment_definitions", ({"name": segment.segment_id, **vars(segment)} for segment in SEGMENTS))
    write_seed(project, "roi_assumptions", (assumptions_row(*named) for named in ASSUMPTIONS.items()))


def assumptions_row(tenant_id: str, assumed: Assumptions) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        **dict(zip(("minutes_low", "minutes_per_conversation", "minutes_high"), assumed.minutes, strict=True)),
        **dict(zip(("hourly_cost_low", "hourly_cost", "hourly_cost_high"), assumed.hourly_cost, strict=True)),
        **dict(
            zip(
                ("cost_per_conversation_low", "cost_per_conversation", "cost_per_conversation_high"),
                assumed.cost_each,
                strict=True,
            )
        ),
    }


def assert_the_oracle_agrees(warehouse: Warehouse, world: World, cohorts: list[Cohort]) -> None:
    expected: dict[str, tuple[list[Row], tuple[str, ...]]] = {
        **{name: (table.rows(world), table.key) for name, table in TABLES.items()},
        "marts.cohort_retention": (cohort_retention(world, cohorts), COHORT_KEY),
        "marts.activity_lifecycle": (activity_lifecycle(world, ACTIVITIES), LIFECYCLE_KEY),
        "marts.activity_users": (activity_users(world, ACTIVITIES), ACTIVITY_KEY),
        "marts.segment_members": (segment_members(world, SEGMENTS), ("tenant_id", "segment_id", "user_id")),
        "marts.segment_sizes": (segment_sizes(world, SEGMENTS), ("tenant_id", "segment_id", "date")),
        "marts.roi": (roi(world, ASSUMPTIONS), ("tenant_id", "period", "period_start")),
        "marts.roi_days": (roi_days(world, ASSUMPTIONS), ("tenant_id", "date")),
    }
    found = {
        name: wrong for name, (rows, key) in expected.items() if (wrong := differences(rows, warehouse.read(name), key))
    }
    assert not {name: wrong[:5] for name, wrong in found.items()}


def test_marts_are_as_the_oracle_says_after_every_load(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(SEED)
    cohorts = [a_cohort(random, number) for number in range(16)]
    events = [event for tenant in TENANTS for user in range(USERS) for event in some_events(random, tenant, f"u{user}")]
    project = copy_project(tmp_path / "project", TENANTS)
    write_definitions(project, cohorts)
    write_seed(project, "exchange_rates", map(vars, RATES))
    write_seed(project, "opening_hours", map(vars, HOURS))
    write_seed(project, "holidays", ({"tenant_id": name, "date": day, "name": "closed"} for name, day in HOLIDAYS))
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    warehouse = Warehouse(Settings.load(), tmp_path)

    landed: list[Event] = []
    random.shuffle(events)
    for part in (events[: len(events) // 2], events[len(events) // 2 : -20], events[-20:]):
        warehouse.land(part)
        landed += part
        as_of = a_clock(random, events)
        warehouse.build(BuildRequest(as_of=as_of))
        assert_the_oracle_agrees(warehouse, World.of(landed, as_of, TENANTS, RATES, HOURS, HOLIDAYS), cohorts)

    incremental = warehouse.contents()
    warehouse.build(BuildRequest(as_of=as_of, full_refresh=True))
    assert warehouse.contents() == incremental


def a_clock(random: Random, events: list[Event]) -> datetime:
    """A time among the events, or when days, weeks and months after one of them are over."""
    return random.choice(events)["occurred_at"] + timedelta(days=random.choice((0, 1, 7, 31)))
