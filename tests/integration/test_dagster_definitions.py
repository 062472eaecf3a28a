"""What the code location holds: pinned, so that nothing joins or leaves it unseen."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.definitions import build_defs
from dagster_project.jobs import RetentionChoices
from dagster_project.project import prepared_project
from parley.analytics.analyses import ANALYSES
from parley.errors import ParleyError
from parley.settings import Settings

PROJECT = Path(__file__).parents[2]
LANDING = dg.AssetKey(["raw", "landing"])
COLLECTED = dg.AssetKey(["raw", "collected"])
ALERTS = dg.AssetKey(["alerts", "evaluation"])
TICK = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def definitions() -> Iterator[dg.Definitions]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PARLEY_PROJECT", str(PROJECT))
        environment.setenv("PARLEY_FIRST_DAY", "2026-01-01")
        environment.setenv("PARLEY_ENVIRONMENT", "production")
        environment.setenv("PARLEY_EXPORTS", "daily_metrics, facts.orders")
        yield build_defs()


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs() if spec.group_name != "default"}


def parents(spec: dg.AssetSpec) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in spec.deps}


def test_what_landed_and_every_seed_model_and_analysis_is_an_asset_and_nothing_else(
    specs: dict[dg.AssetKey, dg.AssetSpec],
) -> None:
    models = {
        f"{path.relative_to(PROJECT / 'models').parts[0]}/{path.stem}" for path in PROJECT.glob("models/**/*.sql")
    }
    seeds = {f"seeds/{path.stem}" for path in PROJECT.glob("seeds/*.csv")}
    analyses = {f"analyses/{table}" for analysis in ANALYSES for table in analysis.writes}
    others = {"raw/landing", "raw/collected", "alerts/evaluation"}
    assert {key.to_user_string() for key in specs} == others | seeds | models | analyses


def test_all_that_is_built_has_one_partition_a_day_and_any_range_is_one_run(
    definitions: dg.Definitions, specs: dict[dg.AssetKey, dg.AssetSpec]
) -> None:
    built = {definitions.resolve_assets_def(key) for key in specs.keys() - {LANDING, COLLECTED}}
    assert {assets.op.name for assets in built} == {
        "dbt_build",
        *(f"analyse_{analysis.name}" for analysis in ANALYSES),
        "dbt_build_after_analyses",
        "alerts__evaluation",
    }
    for assets in built:
        assert isinstance(assets.partitions_def, dg.DailyPartitionsDefinition)
        days = assets.partitions_def.get_partition_keys(current_time=TICK)
        assert (days[0], days[-1]) == ("2026-01-01", "2026-11-21")
        assert assets.backfill_policy == dg.BackfillPolicy.single_run()
        assert assets.op.pool == "dbt"


def test_lineage_runs_from_landing_over_staging_and_facts_to_marts(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    assert (parents(specs[LANDING]), specs[COLLECTED].deps) == ({"raw/collected"}, [])
    assert {"raw/landing", "staging/stg_tenants"} <= parents(specs[dg.AssetKey(["staging", "stg_events"])])
    assert "staging/stg_events" in parents(specs[dg.AssetKey(["facts", "turns"])])
    assert parents(specs[dg.AssetKey(["facts", "responses"])]) == {"facts/turns"}
    assert "facts/turns" in parents(specs[dg.AssetKey(["facts", "conversations"])])
    assert "facts/conversations" in parents(specs[dg.AssetKey(["marts", "period_totals"])])
    assert parents(specs[dg.AssetKey(["marts", "daily_metrics"])]) == {"marts/period_totals"}


def test_analyses_stand_between_facts_and_the_marts_made_of_them(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    assert parents(specs[dg.AssetKey(["analyses", "experiment_results"])]) == {"facts/experiment_arms"}
    assert parents(specs[dg.AssetKey(["marts", "experiment_results"])]) == {"analyses/experiment_results"}


def test_alerts_are_evaluated_after_every_mart(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    marts = {key.to_user_string() for key in specs if key.path[0] == "marts"}
    assert parents(specs[ALERTS]) == marts - {"marts/alerts"}


def test_every_asset_says_what_it_is_who_owns_it_and_where_it_belongs(specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    for key, spec in specs.items():
        assert spec.description, key
        assert spec.owners, key
        assert spec.group_name, key
        assert "postgres" in spec.kinds, key
        assert ("documentation" in spec.metadata) == ("dbt" in spec.kinds), key
        assert "select" not in (spec.description or "").split("\n")[-1], f"{key}: a description, not SQL"
    page = specs[dg.AssetKey(["marts", "active_users"])].metadata["documentation"]
    assert page == dg.MetadataValue.url("http://localhost:8080/#!/model/model.parley.active_users")
    assert specs[dg.AssetKey(["marts", "active_users"])].group_name == "marts_users"
    assert specs[dg.AssetKey(["facts", "sessions"])].kinds == {"dbt", "postgres"}


def test_dbt_tests_are_checks_and_errors_block(definitions: dg.Definitions) -> None:
    dbt = definitions.resolve_assets_def(dg.AssetKey(["facts", "conversations"]))
    checks = {check.name: check for check in dbt.check_specs}
    tests = [name for name in checks if name.startswith("unique_key_")]
    assert len(checks) > len(tests) > 20
    assert all(checks[name].blocking for name in tests)


def test_every_mart_is_checked_for_freshness_and_stops_nothing(
    definitions: dg.Definitions, specs: dict[dg.AssetKey, dg.AssetSpec]
) -> None:
    checks = [spec for given in definitions.asset_checks or [] for spec in given.check_specs]
    fresh = {spec.asset_key: spec for spec in checks if spec.name == "holds_what_landed"}
    assert set(fresh) == {key for key in specs if key.path[0] == "marts"}
    assert not any(spec.blocking for spec in fresh.values())


def test_a_broken_file_blocks_no_build(definitions: dg.Definitions) -> None:
    assert checks_of_landing(definitions)["every_file_landed"].blocking is False


def test_the_input_gate_stands_before_dbt(definitions: dg.Definitions) -> None:
    assert set(checks_of_landing(definitions)) == {"every_file_landed", "inputs_are_fit"}
    assert checks_of_landing(definitions)["inputs_are_fit"].blocking is True
    build = definitions.resolve_job_def("build")
    upstream = build.graph.dependency_structure.all_upstream_outputs_from_node("dbt_build")
    assert "inputs_are_fit" in {output.node_name for output in upstream}


def checks_of_landing(definitions: dg.Definitions) -> dict[str, dg.AssetCheckSpec]:
    specs = [spec for given in definitions.asset_checks or [] for spec in given.check_specs]
    return {spec.name: spec for spec in specs if spec.asset_key == LANDING}


WITHOUT_ASSETS = ("months_ahead", "publish_docs", "retention", "export", "forget", "reports")


def test_jobs_hold_what_they_say(definitions: dg.Definitions, specs: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    assert set(jobs) == {"land", "build", "rebuild", "check_inputs", "check_freshness", *WITHOUT_ASSETS}
    held = {name: job.asset_layer.selected_asset_keys for name, job in jobs.items()}
    assert held == {
        "land": {LANDING},
        "build": specs.keys() - {COLLECTED},  # which lands by itself
        "rebuild": specs.keys() - {LANDING, COLLECTED},
        "check_inputs": set(),
        "check_freshness": set(),
        **{name: set() for name in WITHOUT_ASSETS},
    }
    assert {node.name for node in jobs["check_inputs"].graph.nodes} >= {"inputs_are_fit"}
    assert all(job.executor_def.name == "in_process" for job in jobs.values())


def test_schedules_run_by_themselves_in_production_only(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    crons = {schedule.name: schedule.cron_schedule for schedule in map(definitions.resolve_schedule_def, SCHEDULES)}
    assert crons == SCHEDULES
    assert status(definitions) == {dg.DefaultScheduleStatus.RUNNING}
    monkeypatch.setenv("PARLEY_ENVIRONMENT", "local")
    assert status(build_defs()) == {dg.DefaultScheduleStatus.STOPPED}


def test_sensors_run_by_themselves_in_production_only(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def statuses(definitions: dg.Definitions) -> dict[str, dg.DefaultSensorStatus]:
        return {sensor.name: sensor.default_status for sensor in definitions.sensors or ()}

    names = ("failed_runs", "succeeded_runs", "waiting_messages", "collected_events")
    shows = {"built_elsewhere": dg.DefaultSensorStatus.RUNNING}  # and acts nowhere
    assert statuses(definitions) == dict.fromkeys(names, dg.DefaultSensorStatus.RUNNING) | shows
    monkeypatch.setenv("PARLEY_ENVIRONMENT", "local")
    assert statuses(build_defs()) == dict.fromkeys(names, dg.DefaultSensorStatus.STOPPED) | shows


SCHEDULES = {
    "hourly_build": "5 * * * *",
    "hourly_freshness_check": "50 * * * *",
    "daily_months_ahead": "35 0 * * *",
    "nightly_docs": "20 3 * * *",
    "weekly_retention": "20 2 * * 0",
    "daily_export": "45 4 * * *",
    "nightly_input_check": "20 1 * * *",
    "nightly_erasures": "50 3 * * *",
    "monday_reports": "20 * * * 1",
}


def status(definitions: dg.Definitions) -> set[dg.DefaultScheduleStatus]:
    return {definitions.resolve_schedule_def(name).default_status for name in SCHEDULES}


def test_every_job_and_schedule_says_what_it_is_for(definitions: dg.Definitions) -> None:
    for job in definitions.resolve_all_job_defs():
        assert job.description or job.name.startswith("__"), job.name
    for name in SCHEDULES:
        assert len(definitions.resolve_schedule_def(name).description or "") > 60, name


def test_the_hourly_build_takes_in_changes_and_is_shown_under_the_days_not_shown_yet(
    definitions: dg.Definitions,
) -> None:
    hourly = definitions.resolve_schedule_def("hourly_build")
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=TICK, repository_def=definitions.get_repository_def()
        )
        [request] = hourly.evaluate_tick(context).run_requests or []
        assert days_of(request) == ("2026-10-22", "2026-11-21")
        assert request.run_config["resources"]["choices"]["config"]["only_changes"] is True
        instance.add_run(dg.DagsterRun(job_name="build", status=dg.DagsterRunStatus.STARTED))
        assert "still at work" in str(hourly.evaluate_tick(context).skip_message)


def days_of(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]


def test_retention_takes_events_out_only_where_it_is_told_to(definitions: dg.Definitions) -> None:
    def choices(name: str) -> dict[str, object]:
        schedule = definitions.resolve_schedule_def(name)
        with dg.instance_for_test() as instance:
            [request] = schedule.evaluate_tick(dg.build_schedule_context(instance)).run_requests or []
        [op] = request.run_config["ops"].values()
        return dict(op["config"])

    assert RetentionChoices().dry_run
    assert choices("weekly_retention") == {"dry_run": False}
    assert choices("daily_export")["tables"] == ["daily_metrics", "facts.orders"]


def test_the_manifest_is_made_where_it_is_missing_or_older_than_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_PROJECT", str(tmp_path))
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, tmp_path)
    shutil.copytree(PROJECT / "macros", tmp_path / "macros")
    model = tmp_path / "models/first.sql"
    model.parent.mkdir()
    model.write_text("select 1 as one")

    def models() -> set[str]:
        manifest = json.loads(prepared_project(Settings.load()).manifest_path.read_text())
        return {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "model"}

    assert models() == {"first"}
    manifest = tmp_path / "target/dagster/manifest.json"
    made_at = manifest.stat().st_mtime_ns
    assert models() == {"first"}
    assert manifest.stat().st_mtime_ns == made_at
    model.rename(model.with_name("second.sql"))
    assert models() == {"second"}
    model.write_text("select * from {{ ref('no_such_model') }}")
    with pytest.raises(ParleyError, match="no_such_model"):
        prepared_project(Settings.load())


def test_dg_finds_nothing_wrong() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "DAGSTER_"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dg")), "check", "defs"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "All definitions loaded successfully" in done.stdout
