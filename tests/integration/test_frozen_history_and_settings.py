"""What retention has frozen stays, and what a person changes in a seed holds for the whole history, in builds of both
kinds."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

import psycopg
import pytest
from psycopg.types.json import Jsonb

from parley.build.builds import BuildRequest
from parley.history import restoring, retention
from parley.settings import Settings
from tests.conftest import database_copy, keep_as_template
from tests.oracle import Event, Tenant
from tests.oracle.funnels import Funnel, Matcher
from tests.support.seeds import write_funnels, write_seed
from tests.support.warehouse import Warehouse, copy_project

pytestmark = pytest.mark.slow
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
BUILD = BuildRequest(as_of=AS_OF)
FULL = BuildRequest(as_of=AS_OF, full_refresh=True)
SHOP = "shop"


def event(name: str, at: str, conversation: str = "c", user: str = "u", **attributes: object) -> Event:
    occurred_at = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return Event(
        tenant_id=SHOP,
        event_id=uuid5(UUID(int=0), f"{name} {at} {conversation} {user}"),
        event_name=name,
        occurred_at=occurred_at,
        conversation_id=conversation,
        user_id=user,
        source="web",
        attributes=attributes,
    )


JANUARY = [
    event("message.received", "2026-01-10T10:00", "january"),
    event("conversation.resolved", "2026-01-10T10:05", "january"),
    event("commerce.order_completed", "2026-01-31T23:50", "across", order_id="1", revenue=10),
]
FEBRUARY = [
    event("message.received", "2026-02-01T00:05", "across"),
    event("message.received", "2026-02-10T10:00", "february"),
    event("message.sent", "2026-02-10T10:01", "february", text="Hello"),
]


def with_the_shop(folder: Path) -> Path:
    project = copy_project(folder, [Tenant(tenant_id=SHOP, time_zone="UTC")])
    write_seed(project, "tenants", [{"tenant_id": SHOP, "name": "Shop", "time_zone": "UTC", "raw_retention_days": 20}])
    return project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return with_the_shop(tmp_path / "project")


@pytest.fixture(scope="module")
def two_months(server: dict[str, str], recorded_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database in which both months are landed and built."""
    folder = tmp_path_factory.mktemp("months")
    with (
        pytest.MonkeyPatch.context() as environment,
        database_copy(server, recorded_template, environment, folder / "home"),
    ):
        environment.setenv("PARLEY_PROJECT", str(with_the_shop(folder / "project")))
        warehouse = Warehouse(Settings.load(), folder)
        warehouse.land([*JANUARY, *FEBRUARY])
        warehouse.build(BUILD)
        keep_as_template(server, "two_months")
    return "two_months"


@pytest.fixture
def warehouse(
    server: dict[str, str], two_months: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    with database_copy(server, two_months, monkeypatch, tmp_path / "home"):
        monkeypatch.setenv("PARLEY_PROJECT", str(project))
        yield Warehouse(Settings.load(), tmp_path)


def rows_before(warehouse: Warehouse, day: str) -> dict[str, list[str]]:
    """The rows of January of the tables that have a day."""
    dated = {
        "facts.conversations": "started_on",
        "facts.sessions": "started_on",
        "facts.user_days": "date",
        "facts.orders": "ordered_on",
        "marts.daily_metrics": "date",
        "marts.session_metrics": "date",
    }
    return {
        table: sorted(str(row) for row in warehouse.read(table) if str(row[column]) < day)
        for table, column in dated.items()
    }


def test_neither_a_build_nor_a_full_refresh_changes_frozen_history_until_it_is_restored(warehouse: Warehouse) -> None:
    january = rows_before(warehouse, "2026-02-01")
    assert all(january.values())
    assert retention.run(warehouse.settings, AS_OF).dropped == ("2026-01",)

    warehouse.land(
        [
            event("message.received", "2026-01-10T10:30", "january"),  # too late: that day is history
            event("message.received", "2026-02-10T12:00", "february"),
            event("message.received", "2026-02-20T12:00", "new"),
        ]
    )
    warehouse.build(BUILD)
    assert rows_before(warehouse, "2026-02-01") == january
    incremental = warehouse.contents()
    assert messages(warehouse) == {"january": 1, "across": 1, "february": 3, "new": 1}
    assert sum(row["too_late_events"] for row in warehouse.read("marts.event_reconciliation")) == 1

    assert retention.run(warehouse.settings, AS_OF).archived == 1, "the late event goes too"
    warehouse.build(FULL)
    assert rows_before(warehouse, "2026-02-01") == january
    assert warehouse.contents() == incremental

    assert restoring.restore(warehouse.settings, "2026-01") == len(JANUARY) + 1
    warehouse.build(BUILD)
    assert messages(warehouse) == {"january": 2, "across": 1, "february": 3, "new": 1}
    assert all(row["is_accounted_for"] for row in warehouse.read("marts.event_reconciliation"))
    thawed = warehouse.contents()
    warehouse.build(FULL)
    assert warehouse.contents() == thawed


def test_who_comes_back_is_counted_as_if_nothing_had_been_taken_out(warehouse: Warehouse) -> None:
    def visit(day: str) -> list[Event]:
        steps = ("commerce.view", "commerce.add_to_cart", "commerce.checkout", "commerce.order_completed")
        return [
            event(name, f"{day}T10:0{minute}", day, "loyal", order_id=day, revenue=10)
            for minute, name in enumerate(steps)
        ]

    def counted() -> dict[str, list[str]]:
        tables = ("facts.funnel_attempts", "marts.funnels", "marts.funnel_paths", "marts.cohort_retention")
        return {table: rows for table, rows in warehouse.contents().items() if table in tables}

    warehouse.land([*visit("2026-01-10"), *visit("2026-02-20")])
    warehouse.build(BUILD)
    expected = counted()
    assert [row["reached"] for row in warehouse.read("facts.funnel_attempts") if row["unit_id"] == "loyal"] == [4, 4]

    warehouse.empty()
    warehouse.land([*JANUARY, *FEBRUARY, *visit("2026-01-10")])
    warehouse.build(BUILD)
    assert retention.run(warehouse.settings, AS_OF).dropped == ("2026-01",)
    warehouse.land(visit("2026-02-20"))
    warehouse.build(BUILD)
    assert counted() == expected
    incremental = warehouse.contents()
    warehouse.build(FULL)
    assert warehouse.contents() == incremental


def messages(warehouse: Warehouse) -> dict[str, int]:
    return {row["conversation_id"]: row["messages"] for row in warehouse.read("facts.conversations")}


def test_what_goes_on_after_retention_goes_on_and_the_days_before_it_stay(warehouse: Warehouse, project: Path) -> None:
    """A chat, an order and a cohort with rows before the horizon; in Paris, the horizon is on the 2nd."""
    shop = {"tenant_id": SHOP, "name": "Shop", "time_zone": "Europe/Paris", "raw_retention_days": 20}
    write_seed(project, "tenants", [shop])
    warehouse.empty()
    warehouse.land(
        [
            *(event("message.received", "2026-01-10T10:00", f"c{number}", f"f{number}") for number in range(10)),
            event("message.received", "2026-01-20T10:00", "chat"),
            event("ai.tool_call_started", "2026-01-31T22:30", "chat", tool_name="search"),
            event("commerce.order_completed", "2026-01-20T10:01", "chat", order_id="1", revenue=100),
            event("message.received", "2026-02-05T10:00", "again", "f0"),
        ]
    )
    warehouse.build(BUILD)
    january = rows_before(warehouse, "2026-01-20")
    days = {day: row for row in warehouse.read("marts.daily_metrics") if (day := str(row["date"])) < "2026-02-02"}
    retention.run(warehouse.settings, AS_OF)
    assert read("select frozen_before from ops.raw_horizon") == [(date(2026, 2, 2),)]

    warehouse.land(
        [
            *(event("message.received", "2026-02-20T10:00", f"d{number}", f"f{number}") for number in range(1, 8)),
            event("ai.tool_call_completed", "2026-02-20T10:00", "chat", tool_name="search", success=False),
            event("kb.search", "2026-02-20T10:01", "chat", query="q", results_count=0),
            event("system.error", "2026-02-20T10:02", "chat"),
            event("commerce.order_refunded", "2026-02-20T10:03", "chat", order_id="1", revenue=100),
            event("message.received", "2026-01-10T10:30", "c1", "f1"),  # too late
        ]
    )
    later = BuildRequest(as_of=AS_OF + timedelta(days=10))
    warehouse.build(later)
    assert rows_before(warehouse, "2026-01-20") == january
    assert {row["conversation_id"]: row["kb_misses"] for row in warehouse.read("facts.conversations")}["chat"] == 1
    assert [row["status"] for row in warehouse.read("facts.tool_calls")] == ["completed"]
    assert read("select sum(searches) from marts.kb_metrics") == [(1,)]
    assert read("select sum(errors) from marts.error_metrics") == [(1,)]
    assert read("select sum(refunds) from marts.commerce_metrics") == [(100,)]
    assert {str(row["date"]): row for row in warehouse.read("marts.daily_metrics")} | days == {
        str(row["date"]): row for row in warehouse.read("marts.daily_metrics")
    }, "days before the horizon stay as they were reported"
    cell = (
        "select active_users, is_complete from marts.cohort_retention where cohort_id = 'first_activity'"
        " and period = 'month' and cohort_start = '2026-01-01' and period_index = 1"
    )
    assert read(cell) == [(8, True)]  # f0 to f7; what an assistant did in their chat makes nobody active
    assert read("select sum(too_late_events) from marts.event_reconciliation where is_accounted_for") == [(1,)]

    write_seed(project, "tenants", [shop | {"session_gap_minutes": 5, "abandon_after_hours": 1}])
    warehouse.build(replace(later, as_of=AS_OF - timedelta(days=20)))
    warehouse.build(later)
    incremental = warehouse.contents()
    assert rows_before(warehouse, "2026-01-20") == january
    warehouse.build(replace(FULL, as_of=later.as_of))
    assert warehouse.contents() == incremental


def read(query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(options="-c timezone=UTC") as connection:
        return connection.execute(query.encode()).fetchall()


def test_what_a_build_of_a_part_leaves_out_the_next_build_takes_in(warehouse: Warehouse, project: Path) -> None:
    """Settings, definitions and event types of the tenant's own change; then some days, a tenant, a table are built."""
    shop = {"tenant_id": SHOP, "name": "Shop", "time_zone": "America/Los_Angeles", "week_start": "sunday"}
    write_seed(project, "tenants", [shop])
    days = replace(BUILD, from_date=date(2026, 2, 10), to_date=date(2026, 2, 11))
    warehouse.build(days)
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(
            "insert into raw.event_types select (jsonb_populate_record(shared, %s)).* from raw.event_types as shared"
            " where tenant_id = '*' and event_name = 'message.received'",
            [Jsonb({"tenant_id": SHOP, "is_conversational": False, "rank": "answer", "origin": "custom"})],
        )
    steps = (Matcher(("commerce.order_completed",)), Matcher(("message.received",)))
    write_funnels(project, [Funnel("shop_purchase", steps, timedelta(days=1))])
    warehouse.build(replace(days, tenant=SHOP))
    warehouse.build(replace(BUILD, select=("resource_type:seed", "+period_totals"), as_of=AS_OF - timedelta(days=15)))
    warehouse.build(BUILD)
    incremental = warehouse.contents()
    warehouse.build(FULL)
    assert warehouse.contents() == incremental


def test_a_changed_setting_holds_for_all_history_from_the_next_build_on(warehouse: Warehouse, project: Path) -> None:
    write_seed(
        project, "tenants", [{"tenant_id": SHOP, "name": "Shop", "time_zone": "Asia/Tokyo", "session_gap_minutes": 10}]
    )
    warehouse.build(BUILD)
    incremental = warehouse.contents()
    starts = {row["conversation_id"]: str(row["started_on"]) for row in warehouse.read("facts.conversations")}
    assert starts["across"] == "2026-02-01"  # 23:50 UTC is the next morning in Tokyo
    warehouse.build(FULL)
    assert warehouse.contents() == incremental


def test_a_changed_funnel_is_counted_over_all_history(warehouse: Warehouse, project: Path) -> None:
    steps = (Matcher(("commerce.order_completed",)), Matcher(("message.received",)))
    write_funnels(project, [Funnel("shop_purchase", steps, timedelta(days=1))])
    warehouse.build(BUILD)
    incremental = warehouse.contents()
    reached = {
        row["step"]: row["reached"]
        for row in warehouse.read("marts.funnels")
        if row["funnel_id"] == "shop_purchase" and row["period"] == "all" and row["breakdown_kind"] == "all"
    }
    assert reached == {1: 1, 2: 1}
    warehouse.build(FULL)
    assert warehouse.contents() == incremental


def test_one_tenant_or_some_days_are_built_again_without_a_difference(warehouse: Warehouse) -> None:
    before = warehouse.contents()
    with psycopg.connect() as connection:
        connection.execute("delete from marts.daily_metrics")
        connection.execute("update facts.conversations set messages = 99")
    warehouse.build(replace(BUILD, from_date=AS_OF.date().replace(month=1, day=1), to_date=AS_OF.date()))
    assert warehouse.contents() == before
    with psycopg.connect() as connection:
        connection.execute("update facts.sessions set events = 99")
    warehouse.build(replace(BUILD, tenant=SHOP))
    assert warehouse.contents() == before
