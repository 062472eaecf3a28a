"""Building through `parley.build.builds` and the command line: what is built, what goes wrong, and how that is said."""

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from parley.build import dbt
from parley.build.builds import LOCK, BuildRequest, Outcome, build, is_running
from parley.build.rebuilds import Rebuild, of_build
from parley.build.results import Progress
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import BUILT_AS_OF, parley, read_rows
from tests.oracle import Tenant
from tests.support.warehouse import copy_project


def execute(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with database.connect(settings, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


FACTS_OF_EVENTS = [
    "bookings", "conversations", "errors", "event_days", "experiment_units", "judgements", "kb_searches", "model_calls",
    "orders", "payments", "sessions", "tool_calls", "tool_chains", "turns", "user_days", "voice_events",
]  # fmt: skip
ONE_ROW_LESS = """
    delete from facts.{fact}
    where ctid = (select ctid from facts.{fact} as one order by one::text desc limit 1)
    returning true
"""
ONE_ROW_ALTERED = """
    update facts.{fact} set tenant_id = 'nobody'
    where ctid = (select ctid from facts.{fact} as one order by one::text limit 1)
    returning true
"""


def test_a_build_is_recorded_with_the_time_it_is_as_of(built: Settings) -> None:
    [(as_of, made, passed, wrong)] = execute(
        built, "select as_of, built, passed, failed + errors + skipped from ops.builds"
    )
    assert as_of == datetime.fromisoformat(BUILT_AS_OF)
    assert int(str(made)) > 20
    assert int(str(passed)) > 20
    assert wrong == 0


@pytest.mark.builds
def test_the_rules_of_the_models_hold_on_hand_computed_rows(database: Settings) -> None:
    def sessions() -> int:
        [(opened,)] = execute(database, "select sessions from pg_stat_database where datname = current_database()")
        return int(str(opened))

    before = sessions()
    done = dbt.invoke(database, ["test", "--select", "test_type:unit"])
    assert sessions() - before < 20, "dbt's threads keep their connections"
    tests = [result for result in done.results if result.node.resource_type == "unit_test"]
    assert len(tests) > 50
    assert {test.node.name: test.message for test in tests if test.status != "pass"} == {}


def test_a_selected_build_builds_only_that_and_says_how_far_it_is(built: Settings) -> None:
    seen: list[Progress] = []
    outcome = build(built, BuildRequest(select=("daily_metrics",)), on_progress=seen.append)
    assert outcome.is_good
    assert outcome.built == 1
    assert seen[-1].done == seen[-1].total == 1 + outcome.passed
    assert ("daily_metrics",) in [progress.running for progress in seen]


def test_a_build_says_what_it_has_changed(built: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def rebuilt(build_id: object) -> dict[str, Rebuild]:
        with database.connect(built) as connection:
            return {rebuild.model: rebuild for rebuild in of_build(connection, str(build_id))}

    def spoil(day: str) -> int:
        return len(
            execute(built, f"update marts.daily_metrics set unique_customers = 4242 where date = '{day}' returning 1")
        )

    [(first_build,)] = execute(built, "select build_id from ops.builds")
    assert all(rebuild.rows_added for rebuild in rebuilt(first_build).values()), "all that it built was new"

    gone = execute(
        built, "delete from marts.daily_metrics where date = '2025-06-27' and tenant_id = 'nordic-bank' returning 1"
    )
    execute(
        built,
        "insert into marts.daily_metrics select (jsonb_populate_record(daily_metrics, jsonb_build_object('tenant_id',"
        " 'nobody', 'date', '2025-06-29'))).* from marts.daily_metrics limit 1",
    )
    spoiled = spoil("2025-06-27")
    what = ("--select", "daily_metrics active_users", "--from", "2025-06-26", "--to", "2025-06-29")
    done = parley("build", "--as-of", BUILT_AS_OF, *what)
    assert f"{len(gone)} rows added, {spoiled} changed and 1 removed in 1 tables." in done.stdout
    [(second_build,)] = execute(built, "select build_id from ops.builds order by finished_at desc limit 1")
    [(name, rebuild)] = rebuilt(second_build).items()
    assert (name, rebuild.rows_added, rebuild.rows_changed, rebuild.rows_removed) == ("daily_metrics", 1, spoiled, 1)
    assert rebuild.stretches == [(date(2025, 6, 27),) * 2, (date(2025, 6, 29),) * 2]

    # another attempt at the same build
    spoiled_again = spoil("2025-06-28")
    monkeypatch.setattr("parley.build.builds.uuid.uuid4", lambda: UUID(str(second_build)))
    day = date(2025, 6, 28)
    [again] = build(built, BuildRequest(select=("daily_metrics",), from_date=day, to_date=day)).changed
    assert (again.rows_added, again.rows_changed, again.rows_removed) == (1, spoiled + spoiled_again, 1)
    assert again.stretches == [(date(2025, 6, 27), date(2025, 6, 29))]
    assert again.days == 3


def test_a_failed_check_ends_the_command_with_status_1_and_its_name(built: Settings) -> None:
    execute(built, "update marts.active_users set stickiness = 2")
    done = parley("build", "--select", "active_users,resource_type:test")
    assert done.returncode == 1
    assert "between_0_and_1" in done.stdout
    assert "logs/dbt.log" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "then parley build" in " ".join(parley("doctor").stdout.split())


def test_events_that_are_missing_from_a_fact_fail_the_build_and_are_counted_until_they_are_there(
    built: Settings,
) -> None:
    def by_fact() -> dict[str, int]:
        found = read_rows("select fact, count(*) as events from facts.unplaced_events group by fact")
        return {row["fact"]: row["events"] for row in found}

    def unaccounted() -> int:
        return int(read_rows("select sum(unaccounted_events) as events from marts.event_reconciliation")[0]["events"])

    assert (by_fact(), unaccounted()) == ({}, 0)
    spoiled = [fact for fact in FACTS_OF_EVENTS if execute(built, ONE_ROW_LESS.format(fact=fact))]
    altered = [fact for fact in FACTS_OF_EVENTS if execute(built, ONE_ROW_ALTERED.format(fact=fact))]
    assert len(altered) > 10

    # nothing has changed for the tables, and the check sees it all the same
    look = parley("build", "--select", "event_reconciliation,resource_type:test")
    assert look.returncode == 1
    assert "each_event_is_in_its_fact" in look.stdout

    days = ("--from", "2025-06-01", "--to", "2025-07-05")
    count = parley(
        "build", "--as-of", BUILT_AS_OF, "--select", "unplaced_events", "--select", "event_reconciliation", *days
    )
    assert count.returncode == 1
    assert sorted(by_fact()) == sorted(spoiled)
    assert 0 < unaccounted() <= sum(by_fact().values())

    again = parley("build", "--as-of", BUILT_AS_OF, "--select", "+event_reconciliation", *days)
    assert again.returncode == 0, again.stdout
    assert (by_fact(), unaccounted()) == ({}, 0)


def test_a_table_that_cannot_be_built_is_named_with_the_reason_and_no_row(
    built: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dbt, "LOG", str(tmp_path / "dbt.log"))
    execute(built, "truncate marts.session_metrics")
    execute(built, "alter table marts.session_metrics add constraint broken check (tenant_id = '')")
    execute(built, "insert into ops.changes (model, kind) values ('sessions', 'all')")
    outcome = build(built, BuildRequest(select=("session_metrics",)))
    assert not outcome.is_good
    [problem] = outcome.problems
    assert (problem.name, problem.kind, problem.status) == ("session_metrics", "model", "error")
    assert problem.reason == 'new row for relation "session_metrics" violates check constraint "broken"'
    assert outcome.skipped > 0
    kept = (tmp_path / "dbt.log").read_text()
    assert kept.count('violates check constraint "broken"') > 1, "of the build without dbt, and of dbt"
    [recorded] = read_rows("select problems::text as said from ops.builds order by finished_at desc limit 1")
    assert 'constraint \\"broken\\"' in recorded["said"]
    assert "Failing row" not in kept + recorded["said"]


def test_indexes_that_are_asked_for_reach_an_existing_table_and_another_key_does_not(
    built: Settings, tmp_path: Path
) -> None:
    def build_errors(before: str, after: str) -> Outcome:
        model.write_text(model.read_text().replace(before, after))
        return build(
            replace(built, project=project), BuildRequest(as_of=datetime.fromisoformat(BUILT_AS_OF), select=("errors",))
        )

    def found() -> tuple[set[str], list[dict[str, object]]]:
        indexes = read_rows("select indexdef from pg_indexes where tablename = 'errors' and schemaname = 'facts'")
        return {str(row["indexdef"]).partition(" USING ")[2] for row in indexes}, read_rows("table facts.errors")

    project = tmp_path / "project"
    project.mkdir()
    for name in ("dbt_project.yml", "profiles.yml", "macros", "seeds", "docs", "tests", "tracking_plan"):
        (project / name).symlink_to(built.project / name)
    shutil.copytree(built.project / "models", project / "models")
    model = project / "models/facts/errors.sql"
    execute(built, "create index mine on facts.errors (error_class)")
    before, rows = found()
    assert "btree (tenant_id, thread_id)" in before

    assert build_errors(
        "{'columns': ['tenant_id', 'thread_id']}", "{'columns': ['occurred_on'], 'type': 'brin'}"
    ).is_good
    after, same = found()
    assert before ^ after == {"btree (tenant_id, thread_id)", "brin (occurred_on)"}
    assert "btree (error_class)" in after
    assert same == rows

    [problem] = build_errors("unique_key=['tenant_id', 'error_id']", "unique_key=['error_id']").problems
    assert "its key has changed since it was built: build it with --full-refresh" in problem.reason
    assert found()[0] == after


def test_one_build_at_a_time(built: Settings) -> None:
    with database.connect(built, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [LOCK])
        assert is_running(other)
        with pytest.raises(ParleyError, match="Another build is at work"):
            build(built, BuildRequest(select=("daily_metrics",)))
        threading.Timer(1, other.close).start()
        assert build(built, BuildRequest(select=("daily_metrics",)), wait=True).is_good
    with database.connect(built) as connection:
        assert not is_running(connection)


def test_an_unknown_time_zone_in_the_seed_is_named_before_anything_is_built(built: Settings, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project", [Tenant(tenant_id="somewhere", time_zone="Mars/Olympus")])
    with pytest.raises(ParleyError, match=r"tenants.csv, row 2, time_zone: 'Mars/Olympus'"):
        build(replace(built, project=project), BuildRequest())
    assert execute(built, "select count(*) from ops.builds") == [(1,)]


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (BuildRequest(tenant="nobody"), "There is no tenant 'nobody'"),
        (
            BuildRequest(select=("no_such_table",)),
            "Nothing is called 'no_such_table' in --select: give names of models",
        ),
        (
            BuildRequest(select=("active_users", "+daily_metric")),
            r"'\+daily_metric' in --select: did you mean 'daily_met",
        ),
        (BuildRequest(select=("activeusers,resource_type:test",)), "did you mean 'active_users'"),
        (BuildRequest(select=("state:modified",)), "dbt could not begin"),
    ],
)
def test_a_request_that_fits_nothing_is_rejected_in_a_sentence(
    built: Settings, order: BuildRequest, sentence: str
) -> None:
    with pytest.raises(ParleyError, match=sentence):
        build(built, order)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("build", "--from", "2026-13-01"), "2026-13-01"),
        (("build", "--as-of", "noon"), "'noon' is no time"),
        (("build", "--from", "2026-02-01", "--to", "2026-01-01"), "is after"),
        (("load", "no-such-file.ndjson"), "no-such-file.ndjson"),
        (("load", __file__, "--dialect", "klingon"), "klingon"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_in_a_sentence(
    database: Settings, arguments: tuple[str, ...], sentence: str
) -> None:
    done = parley(*arguments)
    assert done.returncode != 0
    assert sentence in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["build", "summary", "doctor", "env"])
def test_a_database_that_is_down_is_said_to_be(
    database: Settings, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    done = parley(command)
    assert done.returncode == 1
    assert "cannot be reached" in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_env_gives_other_programs_the_same_database(built: Settings, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(parley("env").stdout)
    said = subprocess.run(
        [
            "bash",
            "-c",
            f". {tmp_path}/env && psql -Atc 'select current_database()' && which dbt && echo $DBT_PROJECT_DIR",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    here = Path(sys.executable).with_name("dbt")
    assert said.stdout.splitlines() == [os.environ["PGDATABASE"], str(here), str(built.project)]


def test_a_url_reaches_the_same_database(built: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    host, name = os.environ["PGHOST"], os.environ["PGDATABASE"]
    for variable in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://postgres@/{name}?host={host}&application_name=other")
    done = parley("build", "--select", "daily_metrics")
    assert done.returncode == 0
    assert "No row has changed." in done.stdout
    assert json.loads(parley("summary", "--json").stdout)["landed"]["received"] == 400


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PGUSER", "nobody", "refused the user 'nobody'"),
        ("PGDATABASE", "no_such_database", "There is no database 'no_such_database'"),
        ("DATABASE_URL", "mysql://here/there", "does not start with postgresql://"),
    ],
)
def test_a_server_that_refuses_is_explained(
    database: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = parley("summary")
    assert done.returncode == 1
    assert sentence in " ".join(done.stderr.split())
