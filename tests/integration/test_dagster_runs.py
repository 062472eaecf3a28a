"""Runs of the code location on real Postgres: landing an inbox, and building a day, a range and everything."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from dagster_project.definitions import build_defs
from parley.demo import Demo, write
from parley.landing import batches, inbox, loads
from parley.landing.validation import ValidatedChunk
from parley.quality_gate import validation
from parley.settings import Settings
from parley.warehouse import dagster_home as dagster_instance
from parley.warehouse import database as postgres
from tests.conftest import Rows, parley

PROJECT = Path(__file__).parents[2]
LANDING = dg.AssetKey(["raw", "landing"])
MART = dg.AssetKey(["marts", "daily_metrics"])
OF_PARLEY = {dg.AssetKey(["alerts", "alerts"]), dg.AssetKey(["analyses", "gap_statuses"])}
pytestmark = [pytest.mark.slow, pytest.mark.builds]
END = date(2025, 6, 30)
AS_OF = "2025-07-05T12:00:00Z"
AS_OF_DAY = date(2025, 7, 5)
FIRST, LAST, OUTSIDE = "2025-06-21", "2025-06-23", "2025-06-26"


@pytest.fixture
def settings(database: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh warehouse with an empty inbox."""
    monkeypatch.setenv("PARLEY_PROJECT", str(PROJECT))
    monkeypatch.setenv("PARLEY_FIRST_DAY", "2025-06-01")
    found = Settings.load()
    found.inbox.mkdir(parents=True)
    return found


@pytest.fixture(autouse=True)
def _without_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of these runs is a build of the project as it is, which needs no dbt."""
    monkeypatch.setattr("dagster_project.assets._run_dbt", lambda *_: pytest.fail("dbt builds what it need not"))


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Dagster's own instance in the same Postgres, as `make ui` has it."""
    for name, value in dagster_instance.prepare(settings).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as found:
        yield found


def landed(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = [event for event in result.get_asset_materialization_events() if event.asset_key == LANDING]
    return {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}


def test_an_inbox_lands_except_for_its_broken_files(settings: Settings, rows: Rows) -> None:
    write(settings.inbox / "good.ndjson.gz", Demo(end=END, size=300, days=5, seed=7))
    whole = (settings.inbox / "good.ndjson.gz").read_bytes()
    (settings.inbox / "again.ndjson.gz").write_bytes(gzip.compress(gzip.decompress(whole) + b"\n"))
    (settings.inbox / "cut.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    for second, name in enumerate(("good.ndjson.gz", "again.ndjson.gz", "cut.ndjson.gz")):
        os.utime(settings.inbox / name, (second, second))
    job = build_defs().resolve_job_def("land")

    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        found = landed(result)
        assert (found["files_landed"], found["files_set_aside"], found["received"]) == (2, 1, 600)
        assert found["accepted"] == rows("select count(*) as events from raw.events")[0]["events"]
        assert int(str(found["duplicate"])) >= int(str(found["accepted"]))
        [check] = result.get_asset_check_evaluations()
        assert (check.check_name, check.passed, result.success) == ("every_file_landed", False, True)
        assert {path.name for path in (settings.inbox / "done").iterdir()} == {"good.ndjson.gz", "again.ndjson.gz"}

        [file] = inbox.set_aside(settings.inbox)
        assert file.name == "cut.ndjson.gz"
        assert (settings.inbox / "failed/cut.ndjson.gz.reason.txt").read_text() == f"{file.problem}\n"

        result = job.execute_in_process(instance=instance)
        assert landed(result)["received"] == 0
        [check] = result.get_asset_check_evaluations()
        assert not check.passed  # as long as it lies there
        (settings.inbox / "failed/cut.ndjson.gz").unlink()
        [check] = job.execute_in_process(instance=instance).get_asset_check_evaluations()
        assert check.passed


def test_what_the_command_line_built_is_shown_with_days_counts_and_checks(
    built: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PARLEY_FIRST_DAY", raising=False)
    definitions = build_defs()
    sensor = next(sensor for sensor in definitions.sensors or () if sensor.name == "built_elsewhere")
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs() if spec.group_name != "default"}
    with psycopg.connect() as connection:
        [(first, orders)] = connection.execute(
            "select min(date), (select count(*) from facts.orders) from facts.event_days"
        ).fetchall()
        [(checks_passed,)] = connection.execute(
            "select count(*) from ops.owed where kind = 'check' and not is_owed"
        ).fetchall()

    with dg.DagsterInstance.ephemeral() as instance:

        def looked(cursor: str | None) -> tuple[list[dg.AssetMaterialization], list[dg.AssetCheckEvaluation], str]:
            """All that is shown until nothing more is."""
            tables: list[dg.AssetMaterialization] = []
            checks: list[dg.AssetCheckEvaluation] = []
            while True:
                with dg.build_sensor_context(instance=instance, cursor=cursor, definitions=definitions) as context:
                    found = sensor(context)
                assert isinstance(found, dg.SensorResult)
                for event in found.asset_events:
                    instance.report_runless_asset_event(event)
                    (checks if isinstance(event, dg.AssetCheckEvaluation) else tables).append(event)  # type: ignore[arg-type]
                cursor = str(found.cursor)
                if not found.asset_events:
                    return tables, checks, cursor

        shown, checks, cursor = looked(None)
        days = {str(first + timedelta(days=number)) for number in range((AS_OF_DAY - first).days + 1)}
        assert {event.asset_key for event in shown} == specs.keys() | OF_PARLEY
        for key, spec in specs.items():
            if spec.partitions_def:
                assert spec.partitions_def.get_partition_keys()[0] == str(first), key
                assert set(instance.get_materialized_partitions(key)) == days, key
        told = [event.metadata for event in shown if event.asset_key == dg.AssetKey(["facts", "orders"])]
        assert [found["dagster/row_count"].value for found in told if "dagster/row_count" in found] == [orders]
        assert sum(check.passed for check in checks) == checks_passed + 1  # that of the input gate
        assert {check.check_name for check in checks if not check.passed} == {"every_source_is_fresh"}

        event = {
            "event_name": "user.registered",
            "event_id": str(uuid4()),
            "tenant_id": "nordic-bank",
            "user_id": "new-one",
            "occurred_at": f"{first + timedelta(days=1)}T12:00:00Z",
            "attributes": {},
        }
        (tmp_path / "late.ndjson").write_text(json.dumps(event))
        parley("load", str(tmp_path / "late.ndjson")).check_returncode()
        parley("build", "--as-of", AS_OF).check_returncode()
        shown, checks, cursor = looked(cursor)
        assert {check.check_name for check in checks} == {"every_source_is_fresh", "inputs_are_fit"}
        staged = [event for event in shown if event.asset_key == dg.AssetKey(["staging", "stg_events"])]
        assert [(event.partition, event.metadata["rows_added"].value) for event in staged] == [
            (str(first + timedelta(days=1)), 1)
        ]
        [landed] = [event for event in shown if event.asset_key == LANDING]
        assert (landed.metadata["files_landed"].value, landed.metadata["accepted"].value) == (1, 1)
        assert dg.AssetKey(["marts", "content_gaps"]) not in {event.asset_key for event in shown}
        assert looked(cursor)[:2] == ([], [])


@pytest.mark.timeout(600)  # four runs of dbt
def test_what_came_by_http_is_shown_and_built(settings: Settings, instance: dg.DagsterInstance) -> None:
    from parley.server.spool import Spool

    definitions = build_defs()
    sensor = next(sensor for sensor in definitions.sensors or () if sensor.name == "collected_events")

    def looked(cursor: str | None) -> dg.SensorResult:
        with dg.build_sensor_context(instance=instance, cursor=cursor, definitions=definitions) as context:
            found = sensor(context)
        assert isinstance(found, dg.SensorResult)
        return found

    nothing = looked(None)
    assert (nothing.run_requests, nothing.asset_events) == ([], [])
    spool = Spool.create(settings.home / "spool", max_bytes=10**6)
    spool.append([b"not landed yet"])
    with postgres.connect(settings, autocommit=True) as connection:
        load_id = loads.begin(connection, source="http", source_format="http")
        validated = ValidatedChunk({}, b"", b"", frozenset(), Counter({("shop", "no_consent"): 7}), 0)
        batches.store(connection, load_id, validated, lines_done=7, fingerprint=None, erased=0)
    landed = looked(nothing.cursor)
    [event] = landed.asset_events
    shown = {name: value.value for name, value in event.metadata.items()}
    assert (shown["received"], shown["no_consent"], shown["accepted"]) == (7, 7, 0)
    assert shown["spool_bytes"] == spool.size > 0
    assert 0 <= shown["lag_seconds"] < 600
    [request] = landed.run_requests or ()
    assert request.job_name == "build"
    spool.clear()
    again = looked(landed.cursor)
    assert (again.run_requests, again.asset_events) == ([], [])
    assert again.skip_reason


def test_a_day_a_range_and_everything_are_built_to_what_a_full_refresh_gives(
    settings: Settings, instance: dg.DagsterInstance, rows: Rows
) -> None:
    write(settings.inbox / "events.ndjson.gz", Demo(end=END, size=1500, days=20, seed=7))
    definitions = build_defs()

    # the hourly build lands and builds everything, though it is shown under one day
    build = definitions.resolve_job_def("build")
    result = build.execute_in_process(
        instance=instance, partition_key="2025-06-30", run_config=build_config(only_changes=True)
    )
    assert result.success
    assert landed(result)["received"] == 1500
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    # the demo's sources have been silent since
    assert [(check.check_name, check.severity) for check in failed] == [
        ("every_source_is_fresh", dg.AssetCheckSeverity.WARN)
    ]
    whole = contents()
    assert len(whole["marts.daily_metrics"]) > 20
    assert materialized(instance) == {"2025-06-30"}

    # what is wrong on three days is fixed for the range that is asked for, from the command line
    spoil(FIRST, "2025-06-22", LAST, OUTSIDE)
    wrong = rows("select count(*) from marts.daily_metrics where date between %s and %s", FIRST, LAST)[0]["count"]
    dagster(
        *("asset", "materialize", "--module-name", "dagster_project.definitions"),
        *("--select", '+key:"marts/daily_metrics" and kind:dbt', "--partition-range", f"{FIRST}...{LAST}"),
        *("--config-json", json.dumps(build_config())),
    )
    assert spoiled(rows) == {date.fromisoformat(OUTSIDE)}
    assert materialized(instance) == {FIRST, "2025-06-22", LAST, "2025-06-30"}
    said = metadata(instance)
    assert said["dagster/row_count"] == len(whole["marts.daily_metrics"])
    assert (said["rows_added"], said["rows_changed"], said["rows_removed"]) == (0, wrong, 0)
    assert (said["days_changed"], said["days"]) == (3, f"{FIRST} to {LAST}")
    assert len(instance.get_runs()) == 2

    # … and for one day
    rebuild = partial(
        definitions.resolve_job_def("rebuild").execute_in_process,
        instance=instance,
        asset_selection=sorted(
            dg.AssetSelection.assets(MART).upstream().resolve(definitions.resolve_asset_graph()) - {LANDING}
        ),
    )
    assert rebuild(partition_key=OUTSIDE, run_config=build_config()).success
    assert contents() == whole

    # a full refresh builds everything again
    spoil(FIRST, OUTSIDE)
    assert rebuild(partition_key=LAST, run_config=build_config(full_refresh=True)).success
    assert contents() == whole


def test_a_blocked_day_of_a_tenant_is_left_out_and_said_until_somebody_releases_it(
    built: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_PROJECT", str(PROJECT))
    monkeypatch.setenv("PARLEY_FIRST_DAY", "2025-06-01")
    built.inbox.mkdir(parents=True)
    event = {"tenant_id": "shop", "user_id": "u", "occurred_at": "2025-06-30T12:00:00Z"}
    lines: list[dict[str, object]] = [{**event, "event_name": "message.received"}] * 40
    lines += [{**event, "event_name": "conversation.rated", "attributes": {"rating": 7}}] * 60
    (built.inbox / "mostly_refused.ndjson").write_text(
        "".join(json.dumps({**line, "event_id": str(uuid4())}) + "\n" for line in lines)
    )
    build = build_defs().resolve_job_def("build")
    before = contents()
    with dg.DagsterInstance.ephemeral() as instance:
        run = partial(
            build.execute_in_process,
            instance=instance,
            partition_key="2025-06-30",
            run_config=build_config(only_changes=True),
            raise_on_error=False,
        )
        done = run()
        assert done.success
        [gate] = [check for check in done.get_asset_check_evaluations() if check.check_name == "inputs_are_fit"]
        assert (gate.passed, gate.blocking, gate.severity) == (False, True, dg.AssetCheckSeverity.WARN)
        assert gate.metadata["days_left_out"].value == 1
        assert gate.metadata["left_out"].value == f"shop {datetime.now(UTC).date()}"
        assert contents()["facts.user_days"] == before["facts.user_days"]

        with postgres.connect(built, autocommit=True) as connection:
            for day in validation.left_out(connection):
                validation.release(connection, day.day, reason="A test of ours", by="ann")
        assert run().success
    [day] = [line for line in contents()["facts.user_days"] if line.startswith("(shop,")]
    assert ",40," in day


def test_marts_that_lack_what_landed_hours_ago_are_not_fresh(built: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_PROJECT", str(PROJECT))
    job = build_defs().resolve_job_def("check_freshness")

    def stale(*damages: str) -> dict[str, list[str]]:
        with psycopg.connect() as connection:
            for damage in damages:
                connection.execute(damage.encode())
        checks = job.execute_in_process(instance=dg.DagsterInstance.ephemeral()).get_asset_check_evaluations()
        assert {check.check_name for check in checks} == {"holds_what_landed"}
        return {
            check.asset_key.path[-1]: list(check.metadata["tables_behind"].value)  # type: ignore[arg-type]
            for check in checks
            if not check.passed
        }

    assert stale() == {}
    # what landed just now may wait for the next build
    landed = "update ops.watermarks set position = 0 where model = 'stg_events'"
    assert stale(landed) == {}
    found = stale("update raw.load_batches set received_at = now() - interval '4 hours'")
    assert found["daily_metrics"] == found["active_users"] == found["customer_predictions"] == ["stg_events"]
    # a table that did not take in another one makes those after it stale, and no others
    found = stale(
        "update raw.load_batches set received_at = now()",
        "insert into ops.changes (model, kind) values ('kb_searches', 'all')",
        "update ops.watermarks set built_at = now() - interval '4 hours' where model = 'kb_metrics'",
    )
    assert found == {"kb_metrics": ["kb_metrics"]}


def build_config(**choices: bool) -> dict[str, object]:
    return {"resources": {"choices": {"config": {"as_of": AS_OF, **choices}}}}


def materialized(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_materialized_partitions(MART))


def metadata(instance: dg.DagsterInstance) -> dict[str, object]:
    """What the last run said of the mart."""
    event = instance.get_latest_materialization_event(MART)
    assert event
    assert event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def dagster(*arguments: str) -> None:
    """Dagster's command line, in a process of its own."""
    command = [str(Path(sys.executable).with_name("dagster")), *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def spoil(*days: str) -> None:
    """Write what is not so into a fact and a mart, in columns that no invariant holds together."""
    with psycopg.connect() as connection:
        connection.execute(
            "update marts.daily_metrics set unique_customers = 4242 where date = any(%s::date[])", [[*days]]
        )
        connection.execute(
            "update facts.conversations set channel = 'spoiled' where started_on = any(%s::date[])", [[*days]]
        )


def spoiled(rows: Rows) -> set[date]:
    query = """
        select date from marts.daily_metrics where unique_customers = 4242
        union
        select started_on from facts.conversations where channel = 'spoiled'
    """
    return {row["date"] for row in rows(query)}


def contents() -> dict[str, list[str]]:
    """Every row of every fact and mart, as sorted text."""
    with psycopg.connect() as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('facts', 'marts') and table_type = 'BASE TABLE'"
        ).fetchall()
        query = sql.SQL("select whole::text from {} as whole order by 1")
        return {
            f"{schema}.{table}": [row for (row,) in connection.execute(query.format(sql.Identifier(schema, table)))]
            for schema, table in tables
        }
