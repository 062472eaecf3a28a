"""The marts of cohorts and funnels against figures that others computed from two public data sets."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from parley.build.builds import BuildRequest
from parley.settings import Settings
from tests.oracle import Event, Row
from tests.oracle.cohorts import Cohort
from tests.oracle.files import SHARED, read
from tests.oracle.funnels import Funnel, Matcher
from tests.support.seeds import write_funnels, write_seed
from tests.support.warehouse import Warehouse, copy_project

pytestmark = [
    pytest.mark.builds,
    pytest.mark.skipif(not (SHARED / "data/reference").is_dir(), reason="../shared/data is not beside the repository"),
]

FOREVER = timedelta(days=1000)
PURCHASE, MESSAGE, TOOL_CALL = (
    Matcher((name,)) for name in ("commerce.order_completed", "message.received", "ai.tool_call_completed")
)
COHORTS = (
    Cohort(
        "messages",
        cohort_event="message.received",
        returning_event="message.received",
        day_columns=30,
        week_columns=10,
        month_columns=0,
    ),
    Cohort(
        "purchases",
        cohort_event="commerce.order_completed",
        returning_event="commerce.order_completed",
        day_columns=0,
        week_columns=60,
        month_columns=13,
    ),
)
STAR_WINDOWS = {"none": FOREVER, **{str(seconds): timedelta(seconds=seconds) for seconds in (300, 600, 1800)}}
SHOP_WINDOWS = {"none": FOREVER, **{f"{days}d": timedelta(days) for days in (30, 90, 180)}}
FUNNELS = (
    # The reference asks for a confirmation by a later call than the first one, so the second call is a step, too.
    *(
        Funnel(
            f"star {name}",
            (MESSAGE, TOOL_CALL, TOOL_CALL, Matcher(("booking.confirmed",))),
            window,
            "ordered",
            "conversation",
        )
        for name, window in STAR_WINDOWS.items()
    ),
    *(Funnel(f"shop {name}", (PURCHASE, PURCHASE, PURCHASE), window) for name, window in SHOP_WINDOWS.items()),
)


def reference(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SHARED / f"data/reference/{name}.json").read_text())["dev"]
    return found


@pytest.fixture
def warehouse(database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse in which STAR's domains are one tenant, because its figures follow a user across them."""
    project = copy_project(tmp_path / "project", ())
    write_seed(project, "cohort_definitions", ({"name": cohort.cohort_id, **vars(cohort)} for cohort in COHORTS))
    write_funnels(project, FUNNELS)
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    warehouse = Warehouse(Settings.load(), tmp_path)
    warehouse.land(Event(**{**event, "tenant_id": "star"}) for event in read(SHARED / "data/star.events.ndjson.gz"))
    warehouse.land_file(SHARED / "data/online_retail.events.ndjson.gz")
    return warehouse


def test_retention_revenue_and_funnels_are_those_of_the_references(warehouse: Warehouse) -> None:
    warehouse.build(BuildRequest(as_of=datetime(2011, 12, 9, 23, tzinfo=UTC)))
    retention = [row for row in warehouse.read("marts.cohort_retention") if row["cohort_id"] == "purchases"]
    shop = reference("online_retail")
    assert triangle(retention, "week") == shop["weekly_retention"]
    assert revenue_triangle(retention) == {
        month: (cohort["size"], [Decimal(value) for value in cohort["revenue"]])
        for month, cohort in shop["cohort_month_revenue"].items()
    }

    warehouse.build(BuildRequest(as_of=datetime(2020, 5, 27, 23, tzinfo=UTC)))
    retention = [row for row in warehouse.read("marts.cohort_retention") if row["cohort_id"] == "messages"]
    star = reference("star")
    assert triangle(retention, "week") == star["weekly_retention"]
    assert triangle(retention, "day") == star["daily_retention"]

    attempts = warehouse.read("facts.funnel_attempts")
    assert {
        name: [entered, called, confirmed]
        for name in STAR_WINDOWS
        for entered, called, _, confirmed in [reached_from_first_entry(attempts, f"star {name}", steps=4)]
    } == star["funnel_message_tool_booking"]
    assert {name: reached_from_first_entry(attempts, f"shop {name}", steps=3) for name in SHOP_WINDOWS} == shop[
        "funnel_1st_2nd_3rd_purchase"
    ]


def triangle(retention: list[Row], period: str) -> dict[str, dict[str, Any]]:
    """Cohorts as the references write them: first day, size, active users of each period from then on."""
    cohorts: dict[str, dict[str, Any]] = {}
    for row in sorted(retention, key=lambda row: row["period_index"]):
        if row["period"] == period:
            cohort = cohorts.setdefault(str(row["cohort_start"]), {"size": row["cohort_size"], "active": []})
            cohort["active"].append(row["active_users"])
    return cohorts


def revenue_triangle(retention: list[Row]) -> dict[str, tuple[int, list[Decimal]]]:
    """The size and the revenue of each month from then on, by the cohort's month."""
    cohorts: dict[str, tuple[int, list[Decimal]]] = defaultdict(lambda: (0, []))
    for row in sorted(retention, key=lambda row: row["period_index"]):
        if row["period"] == "month":
            month = f"{row['cohort_start']:%Y-%m}"
            cohorts[month] = (row["cohort_size"], [*cohorts[month][1], row["revenue"]])
    return dict(cohorts)


def reached_from_first_entry(attempts: list[Row], funnel_id: str, steps: int) -> list[int]:
    """How many units reached each step with the first of their attempts: the references know no other."""
    first: dict[str, Row] = {}
    for row in attempts:
        if row["funnel_id"] == funnel_id:
            known = first.setdefault(row["unit_id"], row)
            if (row["entered_at"], -row["reached"]) < (known["entered_at"], -known["reached"]):
                first[row["unit_id"]] = row
    reached = Counter(step for row in first.values() for step in range(1, row["reached"] + 1))
    return [reached[step] for step in range(1, steps + 1)]
