"""Many random units pass through many random funnels at once, and the tables must say what the oracle says.

Ties are dense, events serve several steps, windows end at the very instant of an event, and calendars are hard. The
events land in three loads; `PARLEY_SEED` makes another crowd.
"""

import os
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from parley.build.builds import BuildRequest
from parley.serving.funnels import steps
from parley.settings import Settings
from parley.warehouse import database as postgres
from tests.oracle import Event, Tenant, World, differences
from tests.oracle.funnels import (
    Exclusion,
    Funnel,
    Matcher,
    funnel_attempts,
    funnel_of_days,
    funnel_paths,
    funnel_times,
    funnels_mart,
)
from tests.oracle.histories import HARD_MOMENTS, TENANTS
from tests.oracle.world import grouped
from tests.support.seeds import write_funnels
from tests.support.warehouse import Warehouse, copy_project

SEED = int(os.environ.get("PARLEY_SEED", "1"))
USERS, FUNNELS = 50, 36  # users of each tenant
NAMES = ("commerce.view", "commerce.add_to_cart", "commerce.checkout", "cart.confirmed")
NEVER_A_STEP = "conversation.abandoned"
WINDOWS = (1, 60, 120, 3600, 86400, 7 * 86400)
PAUSES = (0, 0, 0, 60, 60, 120, 600, 1800, 1801, 3600, 86400, 7 * 86400)
PREDICATES = (
    ("$.n > 1", lambda attributes: attributes.get("n", 0) > 1),
    ('$.plan == "pro"', lambda attributes: attributes.get("plan") == "pro"),
    ("exists($.plan)", lambda attributes: "plan" in attributes),
)
ATTEMPTS_KEY = ("tenant_id", "funnel_id", "unit_id", "entry_event_id")
PATHS_KEY = ("tenant_id", "funnel_id", "path")
MART_KEY = ("tenant_id", "funnel_id", "period", "period_start", "breakdown_kind", "breakdown_value", "step")
TIMES_KEY = (*MART_KEY[:-1], "bucket")


def a_matcher(random: Random, names: tuple[str, ...] = NAMES) -> Matcher:
    some = tuple(random.sample(names, random.choice((1, 1, 2))))
    return Matcher(some, *random.choice(PREDICATES)) if random.random() < 0.25 else Matcher(some)


def a_funnel(random: Random, number: int) -> Funnel:
    steps = tuple(a_matcher(random) for _ in range(random.randint(1, 5)))
    step_order = ("ordered", "strict", "unordered")[number % 3]
    exclusions = []
    for _ in range(random.choice((0, 0, 1, 2)) if len(steps) > 1 else 0):
        after, before = sorted(random.sample(range(1, len(steps) + 1), 2))
        # an event that a strict attempt goes through voids it or not by the order of ties: nobody says by which
        names = (NEVER_A_STEP, "cart.confirmed") if step_order != "strict" else (NEVER_A_STEP, "conversation.rated")
        exclusions.append(Exclusion(a_matcher(random, names), after, before))
    touch = random.choice(("", "first", "last", "step", "all_events"))
    optional = {step for step in range(2, len(steps)) if step_order == "ordered" and random.random() < 0.3}
    return Funnel(
        funnel_id=f"f{number}",
        steps=steps,
        window=timedelta(seconds=random.choice(WINDOWS)),
        step_order=step_order,
        ties=random.choice(("any", "any", "after")),
        optional=frozenset(optional),
        unit=("user", "conversation", "session")[number // 3 % 3],
        tenant_id=random.choice(["*", "*", "*", TENANTS[0].tenant_id]),
        exclusions=tuple(exclusions),
        breakdown=random.choice(("channel", "$.plan", "$.plan|channel", "$.n")) if touch else "",
        breakdown_touch=touch,
        breakdown_step=random.randint(1, len(steps)) if touch == "step" else None,
        breakdown_limit=random.choice((None, 1, 2)) if touch else None,
    )


def some_events(random: Random, tenant: Tenant, user_id: str) -> list[Event]:
    moment = random.choice(HARD_MOMENTS) - timedelta(seconds=random.choice(PAUSES))
    events = []
    for _ in range(random.randint(1, 7)):
        moment += timedelta(seconds=random.choice(PAUSES))
        attributes = {"n": random.randint(0, 3), "plan": random.choice(("pro", "free", "", None))}
        events.append(
            Event(
                tenant_id=tenant.tenant_id,
                event_id=UUID(int=random.getrandbits(128), version=4),
                event_name=random.choice((*NAMES, *NAMES, NEVER_A_STEP, "user.registered")),
                occurred_at=moment,
                conversation_id=random.choice((None, f"{user_id}-a", f"{user_id}-b")),
                session_id=random.choice((None, f"{user_id}-a", f"{user_id}-s")),
                user_id=random.choice((user_id, user_id, user_id, None)),
                source=random.choice(("web", "telegram", None)),
                attributes={name: value for name, value in attributes.items() if random.random() < 0.6},
            )
        )
    return events


def assert_the_oracle_agrees(warehouse: Warehouse, world: World, funnels: list[Funnel]) -> None:
    attempts = funnel_attempts(world, funnels)
    assert not differences(attempts, warehouse.read("facts.funnel_attempts"), ATTEMPTS_KEY)[:20]
    assert not differences(funnels_mart(world, funnels), warehouse.read("marts.funnels"), MART_KEY)[:20]
    assert not differences(funnel_times(world, funnels), warehouse.read("marts.funnel_times"), TIMES_KEY)[:20]
    assert not differences(funnel_paths(world, funnels, attempts), warehouse.read("marts.funnel_paths"), PATHS_KEY)[:20]


def assert_any_days_are_right(
    random: Random, warehouse: Warehouse, world: World, funnels: list[Funnel], asked: int
) -> None:
    """Random ranges as the oracle says, and the mart's own periods as the mart has them."""
    attempts = funnel_attempts(world, funnels)
    days = sorted({row["entered_on"] for row in attempts})
    key = ("breakdown_kind", "breakdown_value", "step")
    of_period = grouped(
        (row for row in warehouse.read("marts.funnels") if row["period"] != "all"),
        lambda row: (row["tenant_id"], row["funnel_id"], row["period_start"], row["last_day"]),
    )
    compared = 0
    with postgres.connect(warehouse.settings) as connection:
        for _ in range(asked):
            funnel, tenant = random.choice(funnels), random.choice(TENANTS)
            if funnel.tenant_id not in ("*", tenant.tenant_id):
                continue
            first, last = sorted(random.choices(days, k=2))
            found = [asdict(step) for step in steps(connection, funnel.funnel_id, tenant.tenant_id, first, last)]
            expected = funnel_of_days(world, funnel, attempts, tenant.tenant_id, first, last)
            assert not differences(expected, found, key)[:20], (funnel, tenant.tenant_id, first, last)
            compared += len(found)
        for tenant_id, funnel_id, first, last in random.sample(sorted(of_period), min(asked, len(of_period))):
            found = [asdict(step) for step in steps(connection, funnel_id, tenant_id, first, last)]
            mart = [{name: row[name] for name in found[0]} for row in of_period[tenant_id, funnel_id, first, last]]
            assert not differences(mart, found, key)[:20], (funnel_id, tenant_id, first, last)
    assert compared > asked


@pytest.mark.builds
def test_funnels_are_as_the_oracle_says_after_every_load(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(SEED)
    funnels = [a_funnel(random, number) for number in range(FUNNELS)]
    events = [event for tenant in TENANTS for user in range(USERS) for event in some_events(random, tenant, f"u{user}")]
    project = copy_project(tmp_path / "project", TENANTS)
    write_funnels(project, funnels)
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    warehouse = Warehouse(Settings.load(), tmp_path)

    landed: list[Event] = []
    random.shuffle(events)
    for part in (events[: len(events) // 2], events[len(events) // 2 : -20], events[-20:]):
        warehouse.land(part)
        landed += part
        as_of = a_clock(random, events, funnels)
        warehouse.build(BuildRequest(as_of=as_of))
        assert_the_oracle_agrees(warehouse, World.of(landed, as_of, TENANTS), funnels)

    assert_any_days_are_right(random, warehouse, World.of(landed, as_of, TENANTS), funnels, asked=150)
    incremental = warehouse.contents()
    warehouse.build(BuildRequest(as_of=as_of, full_refresh=True))
    assert warehouse.contents() == incremental


def a_clock(random: Random, events: list[Event], funnels: list[Funnel]) -> datetime:
    """A time at which some attempt's window has just ended."""
    return random.choice(events)["occurred_at"] + random.choice(funnels).window
