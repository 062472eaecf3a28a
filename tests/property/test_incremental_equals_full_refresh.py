"""The promise of the rebuild strategy, on real Postgres: whatever lands and is built in whatever order, an incremental
build leaves every fact and mart as a full refresh would, row for row, and as the oracle says.

`PARLEY_EXAMPLES` says how many histories are tried (each takes several builds).
"""

import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from parley.build.builds import BuildRequest
from parley.history import archive_states, restoring, retention
from parley.people import erasure
from parley.quality_gate.expectations import COLUMNS, SEED
from parley.settings import Settings
from parley.warehouse import database
from tests.oracle import TABLES, Event, World, differences
from tests.oracle.cohorts import (
    ACTIVITY_KEY,
    COHORT_KEY,
    LIFECYCLE_KEY,
    Activity,
    Cohort,
    activity_lifecycle,
    activity_users,
    cohort_retention,
)
from tests.oracle.histories import TENANTS, History, histories, landed
from tests.oracle.world import without
from tests.support.lives import Change, Life, TenantDay, release_some
from tests.support.seeds import write_seed
from tests.support.warehouse import MODELS, Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.builds, pytest.mark.timeout(3600)]  # a history takes many builds
COHORTS = (
    Cohort("any", hour_columns=2, breakdown="channel", breakdown_limit=1, returning_minimum=2),
    Cohort(
        "dear",
        kind="recurring",
        cohort_event="commerce.order_completed",
        cohort_where="$.revenue > 300",
        cohort_holds=lambda attributes: attributes["revenue"] > 300,
        returning_event="message.received|kb.hit",
        breakdown="$.order_id",
    ),
)
ACTIVITIES = (Activity("asking", ("message.received", "kb.search")),)
EXAMPLES = int(os.environ.get("PARLEY_EXAMPLES", "4"))
Choice = dict[str, Any]


def tried(examples: int) -> settings:
    """As often as that, and not made smaller where one fails: shrinking would take hours."""
    return settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


builds = st.sampled_from(
    [
        *[{}] * 2,
        {"days": 3},
        {"days": 3, "tenant": "berlin"},
        {"tenant": "auckland"},
        *[{"killed_after": statements} for statements in (5, 80, 250)],
        *[{"select": (f"{MODELS},+{part}",)} for part in ("path:models/facts", "daily_metrics")],
        {"select": (f"{MODELS},+responses",), "full_refresh": True},
        {"full_refresh": True},
        {"select": (MODELS,)},
        {"select": ("resource_type:seed",)},
    ]
)
"""What a build between two loads builds: what changed, some days or a tenant once more, all until it is killed,
everything again, without dbt; by dbt a part, a part in full, or everything."""


changes = st.lists(st.sampled_from([None] * 20 + [*Life.CHANGES]), min_size=4, max_size=4)
"""What befalls the warehouse after each load."""


@pytest.fixture
def life(database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """A warehouse of the histories' tenants, with what may befall it."""
    life = Life(
        tmp_path,
        cohort_definitions=[{"name": cohort.cohort_id, **vars(cohort)} for cohort in COHORTS],
        activity_definitions=[{"name": "Doing it", **activity.row()} for activity in ACTIVITIES],
    )
    monkeypatch.setenv("PARLEY_PROJECT", str(life.project))
    life.warehouse = Warehouse(Settings.load(), tmp_path)
    return life


@pytest.fixture
def warehouse(life: Life) -> Warehouse:
    return life.warehouse


def order(as_of: datetime, choice: Choice) -> BuildRequest:
    """The build of that choice; its days are those before `as_of`."""
    days = choice.get("days")
    return BuildRequest(
        as_of=as_of,
        select=choice.get("select", ()),
        tenant=choice.get("tenant"),
        full_refresh=choice.get("full_refresh", False),
        from_date=as_of.date() - timedelta(days=days) if days else None,
        to_date=as_of.date() if days else None,
    )


def assert_the_oracle_agrees(warehouse: Warehouse, world: World) -> None:
    expected = {
        **{name: (table.rows(world), table.key) for name, table in TABLES.items()},
        "marts.cohort_retention": (cohort_retention(world, COHORTS), COHORT_KEY),
        "marts.activity_lifecycle": (activity_lifecycle(world, ACTIVITIES), LIFECYCLE_KEY),
        "marts.activity_users": (activity_users(world, ACTIVITIES), ACTIVITY_KEY),
    }
    found = {
        name: wrong
        for name, (rows, key) in expected.items()
        if (wrong := differences(rows, warehouse.read(name), key)[:10])
    }
    assert not found


@tried(EXAMPLES)
@given(
    history=histories(min_events=40, max_events=160),
    choices=st.lists(builds, min_size=4, max_size=4),
    changes=changes,
    data=st.data(),
)
def test_an_incremental_build_leaves_every_table_as_a_full_refresh_would(
    life: Life, history: History, choices: list[Choice], changes: list[Change | None], data: st.DataObject
) -> None:
    """Whether dbt has built it or `parley.build.quick`, in whatever order the two take turns; whatever befalls it."""
    warehouse = life.warehouse
    life.begin_again()
    for step, choice, change in zip(history.steps, choices, changes, strict=False):
        life.land(step.load)
        if change:
            change(life, data.draw)
        if step.as_of and "killed_after" in choice:
            warehouse.build_in_part(step.as_of, choice["killed_after"])
        elif step.as_of:
            warehouse.build(order(step.as_of, choice))
    event(f"of days that were blocked some were released: {life.released > 0}, healed by a load: {life.fixed > 0}")
    if data.draw(st.booleans(), label="with the oracle's definitions in the end"):
        life.restore_definitions()

    warehouse.build(BuildRequest(as_of=history.as_of))
    incremental = warehouse.contents()
    if world := life.world(history.as_of):
        assert_the_oracle_agrees(warehouse, world)
    assert all(row["is_accounted_for"] for row in warehouse.read("marts.event_reconciliation"))

    warehouse.build(BuildRequest(as_of=history.as_of, full_refresh=True))
    full = warehouse.contents()
    assert incremental.keys() == full.keys()
    wrong = {
        table: {"too much": state - set(full[table]), "missing": set(full[table]) - state}
        for table in full
        if (state := set(incremental[table])) != set(full[table]) or len(incremental[table]) != len(full[table])
    }
    assert not wrong


@tried(max(1, EXAMPLES // 4))
@given(history=histories(min_events=40, max_events=120, max_steps=3), data=st.data())
def test_after_an_erasure_every_table_is_as_if_the_person_had_never_been_there(
    warehouse: Warehouse, history: History, data: st.DataObject
) -> None:
    warehouse.empty()
    before = data.draw(st.integers(1, len(history.steps)), label="files landed before the erasure")
    tenant_id = history.steps[0].load[0]["tenant_id"]
    loads = [step.load for step in history.steps]
    for load in loads[:before]:
        warehouse.land(load)
    if data.draw(st.booleans(), label="built before the erasure"):
        warehouse.build(BuildRequest(as_of=history.as_of))
    with database.connect(warehouse.settings, autocommit=True) as connection:
        erasure.request(connection, warehouse.settings, tenant_id, "ann")
    erasure.work_off(warehouse.settings, as_of=history.as_of)
    for load in loads[before:]:
        warehouse.land(load)

    warehouse.build(BuildRequest(as_of=history.as_of))
    incremental = warehouse.contents()
    events = landed([without(tenant_id, "ann", landed(loads[:before]), chain.from_iterable(loads[before:]))])
    assert_the_oracle_agrees(warehouse, history.world(events))
    assert not [row for row in warehouse.read("marts.event_reconciliation") if not row["is_accounted_for"]]

    warehouse.build(BuildRequest(as_of=history.as_of, full_refresh=True))
    assert warehouse.contents() == incremental


@tried(max(1, EXAMPLES // 4))
@given(history=histories(min_events=40, max_events=120, max_steps=3), data=st.data())
def test_blocked_days_of_tenants_are_left_out_and_released_ones_are_built_as_by_a_full_refresh(
    warehouse: Warehouse, history: History, data: st.DataObject
) -> None:
    warehouse.empty()
    few = "few,*,events,,2,,block,No tenant has more than two events in a day"
    (warehouse.settings.project / SEED).write_text(f"{','.join(COLUMNS)}\n{few}\n")
    released: set[TenantDay] = set()
    for step in history.steps:
        warehouse.land(step.load)
        if step.as_of:
            warehouse.build(BuildRequest(as_of=step.as_of))
            released |= release_some(warehouse.settings, data.draw)
    released |= release_some(warehouse.settings, data.draw)
    warehouse.build(BuildRequest(as_of=history.as_of))
    incremental = warehouse.contents()
    events = landed(step.load for step in history.steps)
    built = without_blocked(events, released)
    assert_the_oracle_agrees(warehouse, history.world(built))
    reconciled = warehouse.read("marts.event_reconciliation")
    assert all(row["is_accounted_for"] for row in reconciled)
    assert sum(row["blocked_events"] for row in reconciled) == len(events) - len(built)

    warehouse.build(BuildRequest(as_of=history.as_of, full_refresh=True))
    assert warehouse.contents() == incremental

    release_some(warehouse.settings, data.draw, everything=True)
    warehouse.build(BuildRequest(as_of=history.as_of))
    assert_the_oracle_agrees(warehouse, history.world())


def without_blocked(events: list[Event], released: set[TenantDay]) -> list[Event]:
    """The events of days on which the tenant has no more than two, and of released days."""
    days = Counter(map(utc_day, events))
    return [event for event in events if days[utc_day(event)] <= 2 or utc_day(event) in released]


def utc_day(event: Event) -> TenantDay:
    return str(event["tenant_id"]), event["occurred_at"].astimezone(UTC).date()


@settings(max_examples=1, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(min_events=40, max_events=80))
def test_a_build_with_nothing_new_changes_nothing_nor_does_retention(warehouse: Warehouse, history: History) -> None:
    warehouse.empty()
    for step in history.steps:
        warehouse.land(step.load)
    again = BuildRequest(as_of=history.as_of + LONG)
    warehouse.build(again)
    before = warehouse.contents()
    warehouse.build(again)
    assert warehouse.contents() == before
    assert warehouse.read("ops.changes") == []

    raw = sorted(map(str, warehouse.read("raw.events")))
    set_terms(warehouse.settings.project)
    assert retention.run(warehouse.settings, again.as_of).archived == len(raw)
    full = replace(again, full_refresh=True)
    warehouse.build(full)
    assert warehouse.contents() == before, "all of it is frozen"

    with database.connect(warehouse.settings) as connection:
        months = {state.month for state in archive_states.find(connection, warehouse.settings)}
    for month in sorted(months, reverse=True):
        restoring.restore(warehouse.settings, month)
    assert sorted(map(str, warehouse.read("raw.events"))) == raw
    warehouse.build(full)
    assert warehouse.contents() == before


LONG = timedelta(days=100)  # after which every month of a history is past a term of one day


def set_terms(project: Path) -> None:
    write_seed(
        project,
        "tenants",
        [{"name": tenant.tenant_id, "raw_retention_days": 1, **vars(tenant)} for tenant in TENANTS],
    )
