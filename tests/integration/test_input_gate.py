"""The input gate on real Postgres, with Great Expectations: what it judges, whom it stops, what lets a day through."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest

from parley.build.builds import BuildRequest, prepare
from parley.config import tracking_plan
from parley.errors import ParleyError
from parley.landing.loader import load
from parley.quality_gate import data_docs, validation
from parley.quality_gate.expectations import COLUMNS, SEED
from parley.quality_gate.validation import Verdict
from parley.settings import Settings
from parley.warehouse import database as warehouse
from tests.conftest import BUILT_AS_OF, Rows, parley
from tests.oracle import Tenant
from tests.support.landing import Json, event, write
from tests.support.warehouse import Warehouse, copy_project

FIRST, SECOND = date(2024, 3, 1), date(2024, 3, 2)


def sent(numbers: Iterable[int], day: date, **fields: object) -> list[Json]:
    """Sound events of one tenant on a day."""
    return [event(number, tenant_id="shop", occurred_at=f"{day}T10:00:00Z", **fields) for number in numbers]


def refused(numbers: Iterable[int], day: date, **fields: object) -> list[Json]:
    """Events that landing refuses."""
    return sent(numbers, day, **{"event_name": "no.such_type", **fields})


def land(settings: Settings, path: Path, events: Iterable[Json]) -> None:
    load(settings, write(path, events))


def judge(settings: Settings, again: date | None = None) -> dict[date, Verdict]:
    """Judge what is new, or a day anew; the verdicts by day."""
    with warehouse.connect(settings, autocommit=True) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        if again:
            judged = validation.judge_days(connection, settings, again, again)
        else:
            _, judged = validation.judge_new(connection, settings)
    return {verdict.day: verdict for verdict in judged}


def release(settings: Settings, day: date, reason: str = "Known and harmless") -> None:
    with warehouse.connect(settings) as connection:
        validation.release(connection, day, reason=reason, by="ann")


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


def test_sound_days_pass_and_only_days_with_something_new_are_judged_again(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(5), FIRST) + sent(range(5, 8), SECOND))
    judged = judge(database)
    assert {day: (each.verdict, each.events) for day, each in judged.items()} == {
        FIRST: ("passed", 5),
        SECOND: ("passed", 3),
        today(): ("passed", 0),
    }
    assert judged[today()].received == 8
    assert judge(database) == {}

    land(database, tmp_path / "b.ndjson", sent(range(8, 10), SECOND))
    assert {day: each.events for day, each in judge(database).items()} == {SECOND: 5, today(): 0}
    docs = database.home / data_docs.FOLDER
    page = judged[FIRST].page
    assert page is not None
    assert "plausible_past" in (docs / page).read_text()
    index = (docs / "index.html").read_text()
    assert f'href="{page}">{FIRST}' in index
    assert f'href="{page}">{SECOND}' not in index


def test_a_tenant_most_of_whose_lines_are_refused_blocks_the_day_they_arrived_on(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(40), FIRST) + refused(range(40, 100), FIRST))
    judged = judge(database)
    assert (judged[FIRST].verdict, judged[today()].verdict) == ("passed", "blocked")
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
    ]
    land(database, tmp_path / "a.ndjson", events)
    assert judge(database)[FIRST].verdict == "passed"
    with psycopg.connect() as connection:
        connection.execute(statement.encode())
    assert judge(database, again=FIRST)[FIRST].verdict == "blocked"
    assert {(name, type_) for name, _, type_ in found(rows, FIRST)} == {failure}


def test_events_of_an_older_version_of_their_type_are_not_held_against_the_new_one(
    database: Settings, tmp_path: Path
) -> None:
    land(database, tmp_path / "a.ndjson", sent([1], FIRST, event_name="conversation.rated", attributes={"rating": 1}))
    with psycopg.connect() as connection:
        connection.execute("update raw.events set attributes = '{}', schema_version = 0")
    assert judge(database)[FIRST].verdict == "passed"


def test_a_flood_of_nulls_warns_and_stops_nothing(database: Settings, tmp_path: Path, rows: Rows) -> None:
    land(database, tmp_path / "a.ndjson", sent(range(100), FIRST, user_id=None))
    assert judge(database)[FIRST].verdict == "warned"
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
    judged = judge(settings)
    assert {day: each.verdict for day, each in judged.items()} == {
        FIRST: "warned",
        SECOND: "blocked",
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
    assert judge(settings)[FIRST].blocking == 250
    assert len(found(rows, FIRST)) == 250


def test_a_release_is_audited_and_ends_when_the_day_fails_in_another_way(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    settings = with_expectations(database, tmp_path, "few,*,events,,2,,block,Few events")
    land(settings, tmp_path / "a.ndjson", sent(range(3), FIRST))
    judge(settings)
    with pytest.raises(ParleyError, match="needs a reason"):
        release(settings, FIRST, reason=" ")
    with pytest.raises(ParleyError, match="is not blocked"):
        release(settings, SECOND)
    release(settings, FIRST)
    [entry] = rows("select action, actor, details from ops.audit_log")
    assert (entry["action"], entry["actor"], entry["details"]["day"]) == ("input.released", "ann", "2024-03-01")

    land(settings, tmp_path / "b.ndjson", sent(range(3, 5), FIRST))
    held = judge(settings)[FIRST]
    assert (held.verdict, held.released_by, held.stops_builds) == ("blocked", "ann", False)
    others = [event(number, tenant_id="bank", occurred_at=f"{FIRST}T10:00:00Z") for number in range(5, 9)]
    land(settings, tmp_path / "c.ndjson", others)
    ended = judge(settings)[FIRST]
    assert (ended.verdict, ended.released_by, ended.stops_builds) == ("blocked", None, True)


def test_other_expectations_judge_a_blocked_day_again(database: Settings, tmp_path: Path) -> None:
    strict = "few,*,events,,2,,block,Few events"
    settings = with_expectations(database, tmp_path, strict)
    land(settings, tmp_path / "a.ndjson", sent(range(3), FIRST) + sent(range(3, 5), SECOND))
    assert judge(settings)[FIRST].verdict == "blocked"
    with_expectations(database, tmp_path, strict.replace("block", "warn"))
    assert judge(settings)[FIRST].verdict == "warned"
    assert judge(settings) == {}


def test_a_step_of_dbt_alone_is_refused_where_it_would_take_in_a_blocked_day(
    database: Settings, tmp_path: Path
) -> None:
    settings = with_expectations(database, tmp_path, "few,*,events,,2,,block,Few events")
    land(settings, tmp_path / "a.ndjson", sent(range(3), FIRST))

    def refusal(order: BuildRequest) -> str | None:
        try:
            with warehouse.connect(settings, autocommit=True) as connection:
                prepare(connection, settings, order)
        except ParleyError as error:
            return str(error)
        return None

    said = refusal(BuildRequest())  # judges by itself: nobody has
    assert said is not None
    assert "2024-03-01: few (shop): events is 3, above 2" in said
    assert "parley inputs release 2024-03-01" in said

    with psycopg.connect() as connection:  # built before it was blocked
        connection.execute(
            "insert into ops.watermarks (model, upstream, position)"
            " select 'stg_events', 'raw', max(last_batch_id) from raw.loads"
        )
    assert refusal(BuildRequest()) is None
    assert refusal(BuildRequest(from_date=date(2024, 3, 4))) is None
    assert refusal(BuildRequest(from_date=SECOND, to_date=SECOND)), "a local day has hours of the day before"
    assert refusal(BuildRequest(full_refresh=True))
    release(settings, FIRST)
    assert refusal(BuildRequest(full_refresh=True)) is None


@pytest.mark.slow
def test_a_blocked_day_leaves_the_tables_alone_and_once_released_is_built_as_a_full_refresh_would(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Warehouse(built, tmp_path)
    before = tables.contents()
    day = date(2025, 6, 30)
    land(built, tmp_path / "a.ndjson", sent(range(1000, 1040), day) + refused(range(1040, 1100), day))
    done = parley("build", "--as-of", BUILT_AS_OF)
    assert done.returncode == 1
    assert f"The input gate blocks {today()}: most_accepted (shop): rejected_share is 0.6, above 0.5" in done.stderr
    assert "Traceback" not in done.stderr
    assert tables.contents() == before

    assert parley("inputs", "validate", "--from", f"{today()}").returncode == 1
    shown = parley("inputs", "list").stdout
    assert f"{today()} blocked" in shown
    done = parley("inputs", "release", f"{today()}", "--reason", "A test of ours", "--by", "ann")
    assert done.returncode == 0
    assert "released by ann: A test of ours" in parley("inputs", "list").stdout

    tables.build(BuildRequest(as_of=datetime.fromisoformat(BUILT_AS_OF)))
    after = tables.contents()
    assert sum(row["tenant_id"] == "shop" for row in tables.read("staging.stg_events")) == 40
    tables.build(BuildRequest(as_of=datetime.fromisoformat(BUILT_AS_OF), full_refresh=True))
    assert tables.contents() == after
