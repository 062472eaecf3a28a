"""Builds without dbt: what they import, that they build what dbt would, and that no check is forgotten."""

import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parley.build import dbt, plans, quick
from parley.build.builds import BuildRequest, build
from parley.build.circumstances import Circumstances
from parley.build.results import Result
from parley.settings import Settings
from tests.conftest import BUILT_AS_OF, parley, read_rows
from tests.oracle import Tenant
from tests.support.http_server import until
from tests.support.warehouse import MODELS, Warehouse, at_work, copy_project, execute, held_up, is_held_up

AS_OF = datetime.fromisoformat(BUILT_AS_OF)
LATER = AS_OF + timedelta(days=2)
HEAVY = ("dbt", "sklearn", "scipy", "great_expectations", "numpy", "pandas", "sqlalchemy")
IN_A_PROCESS = f"""
import json, sys
from datetime import datetime
from parley.build.builds import BuildRequest, build
from parley.settings import Settings
outcome = build(Settings.load(), BuildRequest(as_of=datetime.fromisoformat(sys.argv[1])))
imported = [name for name in {HEAVY} if name in sys.modules]
rebuilt = [each.model for each in outcome.changed]
print(json.dumps({{"good": outcome.is_good, "imported": imported, "rebuilt": rebuilt}}))
"""


def built_in_a_process(as_of: datetime) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, as_of.isoformat()],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def attempt(settings: Settings, as_of: datetime = AS_OF, **asked: Any) -> list[Result] | None:
    """What a build without dbt came to, of days or a tenant where they are asked for; None where it is left to dbt."""
    circumstances = Circumstances(as_of, str(uuid.uuid4()), validated_to=10**6, **asked)
    with circumstances.in_sessions():
        return quick.attempt(settings, plans.fingerprint(settings.project), circumstances)


def test_without_dbt_the_tables_become_what_dbt_would_make_them(built: Settings, tmp_path: Path) -> None:
    warehouse = Warehouse(built, tmp_path)
    assert built_in_a_process(AS_OF)["rebuilt"] == []  # analyses look at what was built after they had run
    # nothing new, at the same time and later: nothing heavy is imported, and nothing changes but with the clock
    assert built_in_a_process(AS_OF) == {"good": True, "imported": [], "rebuilt": []}
    before = warehouse.contents()
    assert built_in_a_process(AS_OF)["imported"] == []
    assert warehouse.contents() == before
    assert built_in_a_process(LATER)["good"]  # on another day predictions and anomalies may be others
    assert built_in_a_process(LATER + timedelta(hours=1))["imported"] == []

    # late and new events
    parley(*f"demo {tmp_path}/more.ndjson --size 150 --days 4 --end 2025-07-02 --seed 8".split()).check_returncode()
    parley("load", f"{tmp_path}/more.ndjson").check_returncode()
    found = built_in_a_process(LATER + timedelta(hours=2))
    assert found["good"]
    assert {"dbt", "great_expectations"}.isdisjoint(found["imported"])  # type: ignore[arg-type]
    assert {"stg_events", "conversations", "daily_metrics"} <= {*found["rebuilt"]}  # type: ignore[misc]
    seconds = max(warehouse.read("ops.builds"), key=lambda row: row["finished_at"])["seconds"]
    assert {"stg_events", "analyses.topics"} <= seconds.keys()  # what the next build goes by
    assert all(took >= quick.SHORT for took in seconds.values())
    incremental = warehouse.contents()
    assert build(built, BuildRequest(as_of=LATER + timedelta(hours=2), full_refresh=True)).is_good
    full = warehouse.contents()
    assert {table for table in full if full[table] != incremental[table]} == set()


def test_a_check_is_owed_until_it_passes_and_passes_once_a_day(built: Settings) -> None:
    assert build(built, BuildRequest(as_of=AS_OF)).is_good
    name = "between_0_and_1_active_users_stickiness"

    def passes() -> bool:
        """Whether the check is among those that pass now."""
        results = attempt(built)
        assert results is not None
        return name in {each.name for each in results if each.status == "pass"}

    assert not passes()
    execute(f"update ops.owed set settled_at = now() - interval '25 hours' where name = '{name}'")
    assert passes()
    assert not passes()
    execute(f"update ops.owed set is_owed = true where name = '{name}'; update marts.active_users set stickiness = 2")
    outcome = build(built, BuildRequest(as_of=AS_OF))
    assert [problem.name for problem in outcome.problems if problem.status == "fail"] == [name]
    assert not outcome.is_good
    execute("update marts.active_users set stickiness = 1")
    assert passes()
    assert not passes()


def test_what_is_made_of_what_fails_its_check_is_skipped(built: Settings) -> None:
    name = "adds_up_conversations_messages_received__messages_sent__messages"
    execute(
        f"update ops.owed set is_owed = true where name = '{name}'; update facts.conversations set messages = 4242;"
        " delete from marts.period_totals;"
        " insert into ops.changes (model, kind) values ('conversations', 'all'), ('user_days', 'all')"
    )
    results = attempt(built)
    assert results is not None
    by_status = {
        status: {result.name for result in results if result.status == status}
        for status in ("fail", "skipped", "success")
    }
    assert by_status["fail"] == {name}
    assert {"period_totals", "daily_metrics", "conversation_quality_scores"} <= by_status["skipped"]
    assert "cohort_retention" in by_status["success"], "of user_days, which passed"
    [build_of_it] = read_rows("select failed, skipped from ops.builds order by finished_at desc limit 1")
    assert build_of_it == {"failed": 1, "skipped": len(by_status["skipped"])}
    assert name in (built.project / dbt.LOG).read_text()

    execute("update facts.conversations set messages = messages_received + messages_sent")
    assert build(built, BuildRequest(as_of=AS_OF)).is_good
    assert read_rows("select count(*) > 0 as rebuilt from marts.period_totals") == [{"rebuilt": True}]


def test_seeds_settings_days_and_tenants_need_no_dbt(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project", [Tenant("shop-newyork", time_zone="Asia/Tokyo")])
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    settings = Settings.load()
    weights = project / "seeds/quality_weights.csv"
    weights.write_text(weights.read_text().replace("resolution,3", "resolution,2"))
    execute("update seeds.gap_settings set tenant_id = 'spoiled'")
    warehouse = Warehouse(settings, tmp_path)
    assert attempt(settings) is not None
    assert {row["tenant_id"] for row in warehouse.read("seeds.tenants")} == {"shop-newyork"}
    assert "spoiled" not in {row["tenant_id"] for row in warehouse.read("seeds.gap_settings")}
    incremental = warehouse.contents()

    execute("update facts.conversations set messages = 4242; delete from marts.daily_metrics")
    assert attempt(settings, from_date=AS_OF.date() - timedelta(days=60)) is not None
    assert warehouse.contents() == incremental
    execute("update facts.sessions set events = 4242")
    assert attempt(settings, tenant="nordic-bank") is not None
    spoiled = {row["tenant_id"] for row in warehouse.read("facts.sessions") if row["events"] == 4242}
    assert "nordic-bank" not in spoiled
    assert spoiled

    execute("update facts.orders set user_id = 'spoiled'; delete from marts.daily_metrics")
    assert attempt(settings, full_refresh=True) is not None
    assert warehouse.contents() == incremental
    warehouse.build(BuildRequest(as_of=AS_OF, select=(MODELS,), full_refresh=True))  # by dbt
    assert warehouse.contents() == incremental


@pytest.mark.parametrize(
    "change",
    [
        "alter table marts.active_users add column mine integer",
        "alter table raw.events add column mine integer",
        "drop view staging.stg_rejected_events cascade",
        "create or replace view staging.stg_tenants as select * from own_tenants",
        "update ops.plans set project = 'another'",
        "delete from ops.scripts where name = 'user_days'",
    ],
)
def test_what_is_not_as_dbt_left_it_is_left_to_dbt(built: Settings, change: str) -> None:
    assert attempt(built) is not None
    execute(f"create table own_tenants as select * from staging.stg_tenants; {change}")
    assert attempt(built) is None


def test_what_another_project_makes_takes_the_record_away(built: Settings) -> None:
    assert attempt(built) is not None
    dbt.invoke(built, ["seed", "--select", "quality_weights"])  # as by hand: nobody says of which project
    assert read_rows("select count(*) as plans from ops.plans") == [{"plans": 0}]
    assert attempt(built) is None


def test_killed_at_any_moment_a_build_leaves_what_the_next_one_completes(built: Settings, tmp_path: Path) -> None:
    warehouse = Warehouse(built, tmp_path)
    parley(*f"demo {tmp_path}/more.ndjson --size 150 --days 4 --end 2025-07-02 --seed 8".split()).check_returncode()
    parley("load", f"{tmp_path}/more.ndjson").check_returncode()
    for statements in (2, 30, 100, 170):
        assert warehouse.build_in_part(LATER, statements)
    assert attempt(built, LATER) is not None
    incremental = warehouse.contents()
    assert build(built, BuildRequest(as_of=LATER, full_refresh=True)).is_good
    full = warehouse.contents()
    assert {table for table in full if full[table] != incremental[table]} == set()


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_ends_a_build_ends_what_postgres_does_for_it(built: Settings, ended_by: signal.Signals) -> None:
    command = [sys.executable, "-m", "parley", "build", "--as-of", LATER.isoformat(), "--from", "2025-06-28"]
    with held_up("daily_metrics"):
        process = subprocess.Popen(command)
        try:
            until(is_held_up, "the build does not come to what holds it up")
            process.send_signal(ended_by)
            process.wait(60)
            until(lambda: not at_work(), "Postgres goes on with what nobody waits for")
        finally:
            process.kill()


def test_a_process_that_stays_builds_what_lands_and_ends_when_told(built: Settings, tmp_path: Path) -> None:
    parley(*f"demo {tmp_path}/more.ndjson --size 60 --days 2 --end 2025-07-02 --seed 8".split()).check_returncode()
    process = subprocess.Popen(
        [sys.executable, "-m", "parley", "build", "--watch"], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stdout
        assert " UTC, " in process.stdout.readline(), "what is there is built at once"
        parley("load", f"{tmp_path}/more.ndjson").check_returncode()
        assert "rows added" in process.stdout.readline()
        process.terminate()
        assert process.communicate(timeout=60)[0] == "Stopped.\n"
        assert process.returncode == 0
    finally:
        process.kill()
    assert read_rows(
        "select count(*) as late from raw.events where batch_id > (select min(position) from ops.watermarks"
        " where model = 'stg_events' and upstream = 'raw')"
    ) == [{"late": 0}]
    assert "leave out what else to build" in parley("build", "--watch", "--full-refresh").stderr.replace("\n", " ")
