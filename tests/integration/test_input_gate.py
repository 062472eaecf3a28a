"""The input gate on real Postgres, with Great Expectations: what it validates, stops, and lets through."""

import random
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from parley.build.builds import BuildRequest, prepare
from parley.config import tracking_plan
from parley.errors import ParleyError
from parley.landing.loader import load
from parley.people.unload import unload
from parley.quality_gate import data_docs, validation
from parley.quality_gate.bounds import by_great_expectations, outside
from parley.quality_gate.expectations import COLUMNS, SEED
from parley.quality_gate.validation import DayResult
from parley.settings import Settings
from parley.warehouse import database as warehouse
from tests.conftest import BUILT_AS_OF, Rows, parley, read_rows
from tests.oracle import Tenant
from tests.support.landing import Json, event, write
from tests.support.warehouse import Warehouse, copy_project

FIRST, SECOND = date(2024, 3, 1), date(2024, 3, 2)


def sent(numbers: Iterable[int], day: date, **fields: object) -> list[Json]:
    """Sound events of one tenant on a day."""
    return [event(number, tenant_id="shop", occurred_at=f"{day}T10:00:00Z", **fields) for number in numbers]


def refused(numbers: Iterable[int], day: date, **fields: object) -> list[Json]:
    """Events that landing rejects for what is in them."""
    return sent(numbers, day, **{"event_name": "conversation.rated", "attributes": {"rating": 7}, **fields})


def land(settings: Settings, path: Path, events: Iterable[Json]) -> None:
    load(settings, write(path, events))


def validate(settings: Settings, again: date | None = None, tenant: str = "shop") -> dict[date, DayResult]:
    """Validate what is new, or a day again; a tenant's results by day, or those of the days as a whole (`*`)."""
    with warehouse.connect(settings, autocommit=True) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        if again:
            validated = validation.validate_days(connection, settings, again, again)
        else:
            _, validated = validation.validate_new(connection, settings)
    return {result.day: result for result in validated if result.tenant_id == tenant}


def apply(settings: Settings) -> dict[tuple[str, object], str]:
    """Begin a build; what it leaves out, with the basis."""
    with warehouse.connect(settings, autocommit=True) as connection:
        prepare(connection, settings, BuildRequest())
        found = connection.execute("select tenant_id, day, basis from ops.blocked_inputs").fetchall()
    return {(str(tenant_id), day): str(basis) for tenant_id, day, basis in found}


def release(settings: Settings, day: date, reason: str = "Known and harmless", tenant: str | None = None) -> None:
    with warehouse.connect(settings) as connection:
        validation.release(connection, day, reason=reason, by="ann", tenant=tenant)


def today() -> date:
    """The day on which what a test lands arrives."""
    return datetime.now(UTC).date()


def found(rows: Rows, day: date) -> set[tuple[str, str, str]]:
    return {
        (row["expectation"], row["tenant_id"], row["event_name"])
        for row in rows("select expectation, tenant_id, event_name from ops.input_failures where day = %s", day)
    }


def with_expectations(settings: Settings, folder: Path, *lines: str) -> Settings:
    """The settings of a copied project that expects this alone."""
    project = folder / "project"
    if not project.exists():
        copy_project(project, [Tenant(tenant_id="shop")])
    (project / SEED).write_text("\n".join((",".join(COLUMNS), *lines)) + "\n")
    return replace(settings, project=project)


def test_sound_days_pass_and_only_days_with_something_new_are_validated_again(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(5), FIRST) + sent(range(5, 8), SECOND))
    validated = validate(database)
    assert {day: (each.result, each.events) for day, each in validated.items()} == {
        FIRST: ("passed", 5),
        SECOND: ("passed", 3),
        today(): ("passed", 0),
    }
    assert validated[today()].received == 8
    assert validate(database) == {}

    land(database, tmp_path / "b.ndjson", sent(range(8, 10), SECOND))
    assert {day: each.events for day, each in validate(database).items()} == {SECOND: 5, today(): 0}
    docs = database.home / data_docs.FOLDER
    page = validated[FIRST].page
    assert page is not None
    shown = (docs / page).read_text()
    assert "plausible_past" in shown
    assert "Failed" not in shown
    assert not re.search(r"https?://|<script|<link|<img|@import", shown + (docs / "index.html").read_text())
    index = (docs / "index.html").read_text()
    assert f'href="{page}">{FIRST}' in index
    assert f'href="{page}">{SECOND}' not in index


def test_a_tenant_most_of_whose_lines_are_rejected_blocks_the_day_they_arrived_on(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(40), FIRST) + refused(range(40, 100), FIRST))
    validated = validate(database)
    assert (validated[FIRST].result, validated[today()].result) == ("passed", "blocked")
    assert found(rows, today()) == {("most_accepted", "shop", "*"), ("few_rejected", "shop", "*")}
    [row] = rows("select observed, severity from ops.input_failures where expectation = 'most_accepted'")
    assert row == {"observed": 0.6, "severity": "block"}


@pytest.mark.parametrize(
    ("statement", "failure"),
    [
        (
            "update raw.events set attributes = '{}' where event_name = 'kb.search'",
            ("required_attributes", "kb.search"),
        ),
        (
            "update raw.events set attributes = '{\"rating\": 7}' where event_name = 'conversation.rated'",
            ("ranges", "conversation.rated"),
        ),
        (
            "update raw.events set received_at = occurred_at - interval '25 hours' where event_name = 'kb.search'",
            ("plausible_future", "kb.search"),
        ),
        ("alter table raw.events add column surplus text", ("declared_columns", "*")),
        ("alter table raw.events alter column source type varchar(32)", ("declared_columns", "*")),
    ],
)
def test_what_never_should_have_landed_blocks_its_day(
    database: Settings, tmp_path: Path, rows: Rows, statement: str, failure: tuple[str, str]
) -> None:
    events = [
        *sent([1], FIRST, event_name="kb.search", attributes={"query": "opening hours", "results_count": 3}),
        *sent([2], FIRST, event_name="conversation.rated", attributes={"rating": 0.5}),
        *sent([3], FIRST, event_name="conversation.rated", attributes={"rating": 4, "rating_max": 5}),
    ]
    land(database, tmp_path / "a.ndjson", events)
    assert validate(database)[FIRST].result == "passed"
    with psycopg.connect() as connection:
        connection.execute(statement.encode())
    assert validate(database, again=FIRST, tenant="*" if failure[1] == "*" else "shop")[FIRST].result == "blocked"
    assert {(name, type_) for name, _, type_ in found(rows, FIRST)} == {failure}


def test_events_of_an_older_version_of_their_type_are_not_held_against_the_new_one(
    database: Settings, tmp_path: Path
) -> None:
    land(database, tmp_path / "a.ndjson", sent([1], FIRST, event_name="conversation.rated", attributes={"rating": 1}))
    with psycopg.connect() as connection:
        connection.execute("update raw.events set attributes = '{}', schema_version = 0")
    assert validate(database)[FIRST].result == "passed"


def test_a_flood_of_nulls_warns_and_stops_nothing(database: Settings, tmp_path: Path, rows: Rows) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(100), FIRST, user_id=None))
    assert validate(database)[FIRST].result == "warned"
    assert found(rows, FIRST) == {("users_known", "shop", "*")}
    with warehouse.connect(database, autocommit=True) as connection:
        prepare(connection, database, BuildRequest(full_refresh=True))


def test_a_tenant_with_a_row_of_its_own_is_held_to_that_and_its_silence_is_noticed(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    settings = with_expectations(
        database,
        tmp_path,
        "volume,*,events,,2,,block,Few events",
        "volume,shop,events,,3,,block,A few more",
        "busy,bank,events_of_full_day,1,,,warn,The bank never sleeps",
    )
    land(settings, tmp_path / "a.ndjson", sent(range(3), FIRST) + sent(range(3, 7), SECOND))
    validated = validate(settings)
    assert {day: each.result for day, each in validated.items()} == {
        FIRST: "passed",
        SECOND: "blocked",
        today(): "passed",
    }
    assert {
        row["day"]: row["result"] for row in rows("select * from ops.input_validation where tenant_id = 'bank'")
    } == {
        FIRST: "warned",
        SECOND: "warned",
        today(): "passed",  # it is not over: the bank may still wake up
    }
    assert found(rows, FIRST) == {("busy", "bank", "*")}
    assert found(rows, SECOND) == {("busy", "bank", "*"), ("volume", "shop", "*")}


def test_more_failures_than_great_expectations_shows_are_all_kept(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    settings = with_expectations(database, tmp_path, "none,*,events,,0,,block,Nothing happens")
    events = [event(number, tenant_id=f"t{number}", occurred_at=f"{FIRST}T10:00:00Z") for number in range(250)]
    land(settings, tmp_path / "a.ndjson", events)
    assert validate(settings, tenant="t1")[FIRST].blocking == 1
    assert len(found(rows, FIRST)) == 250


def test_figures_that_are_not_plainly_within_their_bounds_are_those_that_great_expectations_finds() -> None:
    random_ = random.Random(1)
    values = (0.0, 1.0, -1.0, 0.5, 2.0, 1e300, float("nan"), float("inf"), float("-inf"))
    bounds = (None, 0.0, 0.5, 1.0)
    figures = [
        (number, random_.choice(values), random_.choice(bounds), random_.choice(bounds)) for number in range(300)
    ]
    assert outside(figures) == by_great_expectations(figures) != set()


def test_a_release_is_audited_and_ends_when_the_day_fails_in_another_way(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    settings = with_expectations(database, tmp_path, "few,*,events,,2,,block,Few events")
    land(settings, tmp_path / "a.ndjson", sent(range(3), FIRST))
    validate(settings)
    with pytest.raises(ParleyError, match="needs a reason"):
        release(settings, FIRST, reason=" ")
    with pytest.raises(ParleyError, match="is not blocked"):
        release(settings, SECOND)
    release(settings, FIRST)
    [entry] = rows("select action, actor, details from ops.audit_log")
    assert (entry["action"], entry["actor"], entry["details"]["day"]) == ("input.released", "ann", "2024-03-01")

    land(settings, tmp_path / "b.ndjson", sent(range(3, 5), FIRST))
    held = validate(settings)[FIRST]
    assert (held.result, held.released_by, held.is_left_out) == ("blocked", "ann", False)
    others = [event(number, tenant_id="bank", occurred_at=f"{FIRST}T10:00:00Z") for number in range(5, 9)]
    land(settings, tmp_path / "c.ndjson", others)
    held = validate(settings)[FIRST]
    assert (held.result, held.is_left_out) == ("blocked", False), "another tenant's fault is not this one's"
    assert apply(settings) == {("bank", FIRST): "happened"}

    with_expectations(
        database, tmp_path, "few,*,events,,2,,block,Few events", "nobody,*,share_without_user,,0,,block,Somebody"
    )
    land(settings, tmp_path / "d.ndjson", sent([9], FIRST, user_id=None))
    ended = validate(settings)[FIRST]
    assert (ended.result, ended.released_by, ended.is_left_out) == ("blocked", None, True)


def test_other_expectations_validate_a_blocked_day_again(database: Settings, tmp_path: Path) -> None:
    strict = "few,*,events,,2,,block,Few events"
    settings = with_expectations(database, tmp_path, strict)
    land(settings, tmp_path / "a.ndjson", sent(range(3), FIRST) + sent(range(3, 5), SECOND))
    assert validate(settings)[FIRST].result == "blocked"
    with_expectations(database, tmp_path, strict.replace("block", "warn"))
    assert validate(settings)[FIRST].result == "warned"
    assert validate(settings) == {}


def test_what_the_plan_lacks_is_no_fault_of_the_data(database: Settings, tmp_path: Path, rows: Rows) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(40), FIRST) + refused(range(40, 200), FIRST, event_name="no.such"))
    assert validate(database)[today()].result == "warned"
    assert found(rows, today()) == {("types_known", "shop", "*")}
    assert apply(database) == {}


def test_a_day_heals_when_what_was_rejected_lands_mended(database: Settings, tmp_path: Path) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(40), FIRST) + refused(range(40, 100), FIRST))
    assert apply(database) == {("shop", today()): "arrived"}
    # on another day than the rejected lines came: their day is validated again all the same
    with psycopg.connect() as connection:
        for table in ("raw.events", "raw.load_batches", "raw.rejected_events"):
            connection.execute(f"update {table} set received_at = received_at - interval '3 days'".encode())
        connection.execute("delete from ops.input_validation")
        connection.execute("update ops.watermarks set position = 0 where model = 'input_validation'")
    day = today() - timedelta(days=3)
    assert apply(database) == {("shop", day): "arrived"}
    land(database, tmp_path / "b.ndjson", sent(range(40, 100), FIRST))
    assert apply(database) == {}


def test_a_load_that_is_taken_back_takes_its_result_with_it(database: Settings, tmp_path: Path) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(40), FIRST) + refused(range(40, 100), FIRST))
    assert apply(database) == {("shop", today()): "arrived"}
    unload(database, 1)
    assert apply(database) == {}


def test_columns_of_raw_that_are_not_as_declared_stop_every_build(database: Settings, tmp_path: Path) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(3), FIRST))
    with psycopg.connect() as connection:
        connection.execute("alter table raw.events add column surplus text")
    with pytest.raises(ParleyError, match="declared_columns: wrong_columns is 1, above 0"):
        apply(database)
    for day in (FIRST, today()):
        release(database, day)
    assert apply(database) == {}


@pytest.mark.slow
def test_a_blocked_day_of_a_tenant_leaves_out_that_alone_until_it_is_released(built: Settings, tmp_path: Path) -> None:
    rows = read_rows  # the fixture has a database of its own
    tables = Warehouse(built, tmp_path)
    order = BuildRequest(as_of=datetime.fromisoformat(BUILT_AS_OF))
    full = replace(order, full_refresh=True)
    before = rows("select * from marts.daily_metrics order by tenant_id, date")
    day = date(2025, 6, 30)
    land(built, tmp_path / "a.ndjson", sent(range(1000, 1040), day) + refused(range(1040, 1100), day))
    land(built, tmp_path / "b.ndjson", [{**each, "tenant_id": "bank"} for each in sent(range(2000, 2005), day)])
    done = parley("build", "--as-of", BUILT_AS_OF)
    assert done.returncode == 0, done.stderr
    assert "most_accepted (shop): rejected_share is 60 %, above 50 %" in " ".join(done.stdout.split())
    count = "select tenant_id, count(*) as events from staging.stg_events where occurred_on = '2025-06-30' group by 1"
    assert {row["tenant_id"]: row["events"] for row in rows(count)}.get("shop", 0) == 0
    assert {row["tenant_id"]: row["events"] for row in rows(count)}["bank"] == 5
    assert [row for row in rows("select * from marts.daily_metrics order by 1, 2") if row in before] == before
    [arrived] = rows("select * from marts.event_reconciliation where tenant_id = 'shop' and blocked_events > 0")
    assert (arrived["blocked_events"], arrived["is_accounted_for"]) == (40, True)
    assert "40 accepted events are in no table" in parley("summary").stdout
    assert f"{today()} shop blocked" in parley("inputs", "list").stdout
    assert parley("inputs", "validate", "--from", f"{today()}").returncode == 1
    incremental = tables.contents()
    tables.build(full)
    assert tables.contents() == incremental

    done = parley("inputs", "release", f"{today()}", "--tenant", "shop", "--reason", "A test of ours", "--by", "ann")
    assert done.returncode == 0
    assert "released by ann: A test of ours" in parley("inputs", "list").stdout
    tables.build(order)
    after = tables.contents()
    assert {row["tenant_id"]: row["events"] for row in rows(count)} == {"shop": 40, "bank": 5}
    tables.build(full)
    assert tables.contents() == after
