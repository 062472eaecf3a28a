"""Who an event is of and whose doing it is, on real Postgres: a person is one user from the first event on."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from parley.build.builds import BuildRequest
from parley.people import erasure, subject_access
from parley.settings import Settings
from parley.warehouse import database as warehouse_database
from tests.oracle import TABLES, Event, Tenant, World, differences
from tests.oracle.files import SHARED, read
from tests.support.seeds import write_seed
from tests.support.warehouse import Warehouse, copy_project

pytestmark = [pytest.mark.slow, pytest.mark.builds]
START = datetime(2026, 11, 2, 10, tzinfo=UTC)
AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
TENANTS = (Tenant("shop"), Tenant("other"))
TABLES_OF_PEOPLE = ("facts.sessions", "facts.user_days", "facts.orders", "marts.active_users", "marts.customers")
_numbers = count(1)


def event(minute: float, user: str | None = None, visitor: str | None = None, **fields: Any) -> Event:
    """What a customer of `shop` did some minutes after the start."""
    whole: dict[str, Any] = {
        "tenant_id": "shop",
        "event_id": UUID(int=next(_numbers)),
        "event_name": "commerce.view",
        "occurred_at": START + timedelta(minutes=minute),
        "conversation_id": None,
        "session_id": None,
        "user_id": user,
        "anonymous_id": visitor,
        "source": "web",
        "attributes": {},
    }
    return Event(**{**whole, **fields})  # type: ignore[typeddict-item]


@pytest.fixture
def warehouse(database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    monkeypatch.setenv("PARLEY_PROJECT", str(copy_project(tmp_path / "project", TENANTS)))
    return Warehouse(Settings.load(), tmp_path)


def built(warehouse: Warehouse, events: list[Event], full_refresh: bool = False) -> dict[str, list[str]]:
    """The tables after a build, which say what the oracle says of these events."""
    warehouse.build(BuildRequest(as_of=AS_OF, full_refresh=full_refresh))
    world = World.of(events, AS_OF, TENANTS)
    for name in TABLES_OF_PEOPLE:
        rows, key = TABLES[name]
        assert differences(rows(world), warehouse.read(name), key)[:10] == [], name
    assert all(row["is_accounted_for"] for row in warehouse.read("marts.event_reconciliation"))
    return warehouse.contents()


def users(warehouse: Warehouse, **where: Any) -> dict[int, str | None]:
    """The minute of each event, and the user that it is of."""
    return {
        int((row["occurred_at"] - START).total_seconds() // 60): row["user_id"]
        for row in warehouse.read("staging.stg_events")
        if all(row[name] == value for name, value in where.items())
    }


def test_a_person_is_one_user_whatever_order_events_and_ties_come_in(warehouse: Warehouse) -> None:
    visits = [event(0, visitor="a1"), event(3, visitor="a1"), event(20, visitor="a1")]
    login = [event(2, "ida", "a1", event_name="user.identified")]
    elsewhere = [event(1, visitor="a1", tenant_id="other"), event(4, "a1"), event(5, "undefined", "0")]
    warehouse.land([*visits, *elsewhere])
    landed = [*visits, *elsewhere]
    built(warehouse, landed)
    assert users(warehouse, tenant_id="shop") == dict.fromkeys((0, 3, 20), "visitor:a1") | {4: "a1", 5: None}

    warehouse.land(login)  # late: it says who the visitor has been all the time
    landed += login
    built(warehouse, landed)
    assert users(warehouse, anonymous_id="a1", tenant_id="shop") == dict.fromkeys((0, 2, 3, 20), "ida")
    assert users(warehouse, tenant_id="other") == {1: "visitor:a1"}
    active = [row["dau"] for row in warehouse.read("marts.active_users") if row["tenant_id"] == "shop"]
    assert max(active) == 2

    second = [event(10, "bob", "a1"), event(11, "bob", "a1"), event(11, visitor="a1", sequence=-1)]
    warehouse.land(second)  # two users on one device stay two
    landed += second
    incremental = built(warehouse, landed)
    assert users(warehouse, anonymous_id="a1", tenant_id="shop")[3] == "ida"
    assert users(warehouse, anonymous_id="a1", tenant_id="shop")[20] == "bob"
    assert built(warehouse, landed, full_refresh=True) == incremental

    known = warehouse.read("ops.changes")
    warehouse.land([event(30, "bob", "a1")])  # says what is known: nobody else is looked at
    warehouse.build(BuildRequest(as_of=AS_OF, select=("stg_visitor_users",)))
    assert warehouse.read("ops.changes") == known

    with warehouse_database.connect(warehouse.settings, autocommit=True) as connection:
        held = subject_access.export(warehouse.settings, "shop", "ida", Path(warehouse.settings.home) / "ida")
        assert held["raw.events"].rows == 3  # two of them only as a visitor
        erasure.request(connection, warehouse.settings, "shop", "ida")
    [outcome] = erasure.work_off(warehouse.settings, as_of=AS_OF)
    assert outcome.rows_deleted["raw.events"] == 3
    left = users(warehouse, anonymous_id="a1", tenant_id="shop")
    assert left == {10: "bob", 11: "bob", 20: "bob", 30: "bob"}


def test_a_person_who_was_only_a_visitor_is_erased_and_stays_so(warehouse: Warehouse) -> None:
    warehouse.land([event(0, visitor="a1"), event(1, visitor="a1"), event(2, visitor="a2")])
    warehouse.build(BuildRequest(as_of=AS_OF))
    with warehouse_database.connect(warehouse.settings, autocommit=True) as connection:
        erasure.request(connection, warehouse.settings, "shop", "visitor:a1")
    [outcome] = erasure.work_off(warehouse.settings, as_of=AS_OF)
    assert outcome.rows_deleted["raw.events"] == 2
    warehouse.land([event(3, visitor="a1"), event(4, visitor="a2")])
    warehouse.build(BuildRequest(as_of=AS_OF))
    assert users(warehouse) == {2: "visitor:a2", 4: "visitor:a2"}
    assert "a1" not in {row["anonymous_id"] for row in warehouse.read("raw.events")}


def test_excluded_traffic_is_in_no_table_but_counted_and_follows_its_seed(warehouse: Warehouse) -> None:
    people = [
        event(0, "ann"),
        event(1, "qa-1"),
        event(2, visitor="a1"),
        event(3, "qa-1", "a1"),
        event(4, source="cron"),
    ]
    bot = event(5, visitor="a9", context={"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1)"})
    warehouse.land([*people, bot])
    everybody = built(warehouse, people)
    rules = [
        {"tenant_id": "shop", "field": "user_id", "pattern": "QA-%", "reason": "test"},
        {"tenant_id": "*", "field": "source", "pattern": "cron", "reason": "internal"},
        {"tenant_id": "*", "field": "context.userAgent", "pattern": "%googlebot%", "reason": "bot"},
    ]
    write_seed(warehouse.settings.project, "excluded_traffic", rules)
    warehouse.build(BuildRequest(as_of=AS_OF, select=("excluded_traffic",)))
    few = built(warehouse, people[:1])
    assert users(warehouse) == {0: "ann"}
    excluded = {row["reason"]: row["user_id"] for row in warehouse.read("staging.stg_excluded_events")}
    assert excluded == {"test": "qa-1", "internal": None, "bot": "visitor:a9"}
    assert sum(row["excluded_events"] for row in warehouse.read("marts.event_reconciliation")) == 5
    assert built(warehouse, people[:1], full_refresh=True) == few
    write_seed(warehouse.settings.project, "excluded_traffic", rules[2:])
    warehouse.build(BuildRequest(as_of=AS_OF, select=("excluded_traffic",)))
    assert built(warehouse, people) == everybody


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not beside the repository")
def test_what_others_do_in_a_customers_name_is_not_the_customers_doing(warehouse: Warehouse) -> None:
    events = read(SHARED / "cases/not-the-customers-doing.ndjson")
    warehouse.land(events)
    built(warehouse, events)
    active = {row["date"].day: row["dau"] for row in warehouse.read("marts.active_users") if row["date"].day <= 6}
    assert [active.get(day, 0) for day in range(2, 7)] == [2, 0, 1, 0, 0]
    assert len(warehouse.read("facts.sessions")) == len(warehouse.read("facts.user_days")) == 3
