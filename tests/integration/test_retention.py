"""Retention on a small built warehouse: what leaves raw.events is in an archive, whatever happens on the way."""

import csv
import os
import resource
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg.rows import dict_row

from dagster_project import jobs
from parley.config import retention_periods
from parley.errors import ParleyError
from parley.history import archive_states, archives, months, restoring, retention
from parley.landing.loader import load
from parley.people import erasure
from parley.settings import Settings
from parley.warehouse import audit, database
from tests.conftest import parley
from tests.support.landing import Json, assert_accounted_for, event, write
from tests.support.seeds import write_seed
from tests.support.warehouse import PROJECT, copy_project

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = "2025-06"
ALL = "select * from raw.events order by tenant_id, event_id"


def use_terms(folder: Path, monkeypatch: pytest.MonkeyPatch, **days: int) -> Settings:
    """Let these tenants have these terms; the others keep their events."""
    project = copy_project(folder / "project", [])
    with (PROJECT / "seeds/tenants.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    for tenant in listed:
        tenant["raw_retention_days"] = str(days.get(tenant["tenant_id"].replace("-", "_"), ""))
    write_seed(project, "tenants", listed)
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    return Settings.load()


@pytest.fixture
def everybody(built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """All tenants with the same term."""
    return use_terms(tmp_path, monkeypatch, nordic_bank=30, salon_paris=30, voice_tokyo=30, shop_newyork=30)


@pytest.fixture
def some(built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """One tenant with a short term, one with a longer one."""
    return use_terms(tmp_path, monkeypatch, nordic_bank=30, voice_tokyo=300)


def raw_rows(query: str = ALL) -> list[tuple[object, ...]]:
    with psycopg.connect(options="-c timezone=UTC") as connection:
        return connection.execute(query.encode()).fetchall()


def dicts(query: str, *parameters: object) -> list[Json]:
    with psycopg.connect(options="-c timezone=UTC", row_factory=dict_row) as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


def horizons() -> dict[object, str]:
    return {name: str(day) for name, day in raw_rows("select tenant_id, frozen_before from ops.raw_horizon")}


def test_a_month_past_every_term_is_archived_and_dropped_and_comes_back_as_it_was(everybody: Settings) -> None:
    before = raw_rows()
    with database.connect(everybody) as connection:
        [part] = retention.plan(connection, everybody, NOW)
    assert (part.month, sum(part.rows.values()), part.kept) == (MONTH, len(before), 0)
    assert raw_rows() == before, "a plan changes nothing"

    outcome = retention.run(everybody, NOW, actor="me")
    assert (outcome.archived, outcome.archives, outcome.dropped) == (len(before), ("events/2025-06/0001",), (MONTH,))
    assert raw_rows() == []
    assert raw_rows("select to_regclass('raw.events_2025_06')") == [(None,)]
    # 1 July began in Tokyo within June of UTC: the day lacks events too
    assert horizons() == {
        "nordic-bank": "2025-07-02",
        "salon-paris": "2025-07-02",
        "shop-newyork": "2025-07-01",
        "voice-tokyo": "2025-07-02",
    }
    with database.connect(everybody) as connection:
        [state] = archive_states.find(connection, everybody)
        assert retention.plan(connection, everybody, NOW) == []
        assert audit.verify(connection)[0] == 1
    assert state.description == "in place of raw.events"
    assert retention.run(everybody, NOW).archives == ()

    assert restoring.restore(everybody, MONTH, actor="me") == len(before)
    assert raw_rows() == before
    assert horizons() == {}
    assert archives.find(everybody.home) == []
    with pytest.raises(ParleyError, match="No archive of 2025-06"):
        restoring.restore(everybody, MONTH)
    with pytest.raises(ParleyError, match="parley build"):  # what came back has to be read first
        retention.run(everybody, NOW)
    assert [row for (row,) in raw_rows("select action from ops.audit_log order by number")] == [
        "retention.archived",
        "retention.restored",
    ]


def test_a_tenant_with_a_shorter_term_goes_and_the_others_stay(some: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "BATCH", 7)
    before = raw_rows()
    outcome = retention.run(some, NOW)
    assert outcome.dropped == ()
    assert raw_rows() == [row for row in before if row[0] != "nordic-bank"]
    assert horizons() == {"nordic-bank": "2025-07-02"}
    assert retention.run(some, NOW).archived == 0

    later = retention.run(some, NOW.replace(year=2027))
    assert later.archives == ("events/2025-06/0002",)
    assert {row[0] for row in raw_rows()} == {"salon-paris", "shop-newyork"}
    assert restoring.restore(some, MONTH) == outcome.archived + later.archived
    assert raw_rows() == before


def test_what_is_not_built_yet_is_not_taken_out(everybody: Settings, tmp_path: Path) -> None:
    with psycopg.connect(autocommit=True) as connection:  # as after an upgrade
        connection.execute("alter view staging.stg_blocked_events rename to of_another_version")
        with pytest.raises(ParleyError, match="parley build"):
            retention.run(everybody, NOW)
        connection.execute("alter view staging.of_another_version rename to stg_blocked_events")
    late: Json = event(1, tenant_id="salon-paris", occurred_at="2025-06-20T10:00:00Z")
    load(everybody, write(tmp_path / "late.ndjson", [late]))
    before = raw_rows()
    with pytest.raises(ParleyError, match="parley build"):
        retention.run(everybody, NOW)
    assert raw_rows() == before
    assert horizons() == {}


def test_an_event_that_came_too_late_stays_counted_after_it_has_gone(everybody: Settings, tmp_path: Path) -> None:
    retention.run(everybody, NOW)
    late = [event(number, tenant_id="salon-paris", occurred_at="2025-06-20T10:00:00Z") for number in range(3)]
    load(everybody, write(tmp_path / "late.ndjson", late))
    counted = raw_rows("select * from staging.stg_too_late_events order by event_id")
    assert len(counted) == 3
    with psycopg.connect() as connection:  # as the next build does: there is nothing else for it to take in
        connection.execute("update ops.watermarks set position = (select max(batch_id) from raw.load_batches)")
    outcome = retention.run(everybody, NOW)
    assert (outcome.archived, outcome.archives) == (3, ("events/2025-06/0002",))
    assert raw_rows() == []
    assert raw_rows("select * from staging.stg_too_late_events order by event_id") == counted
    restoring.restore(everybody, MONTH)
    assert raw_rows("select * from ops.too_late_events") == []
    assert raw_rows("select * from staging.stg_too_late_events") == []


@pytest.mark.parametrize("moment", ["archiving", "taking", "deleting"])
def test_a_run_that_was_killed_is_finished_by_the_next(
    some: Settings, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    before = raw_rows()
    with subprocess.Popen(
        [sys.executable, "-m", "parley", "retention", "--yes"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(moment):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    retention.run(some, datetime.now(UTC))
    staying = [row for row in before if row[0] not in ("nordic-bank", "voice-tokyo")]
    assert raw_rows() == staying
    held = [row["event_id"] for found in archives.find(some.home) for batch in archives.rows(found)
            for row in batch.to_pylist()]  # fmt: skip
    assert sorted(held) == sorted(str(row[1]) for row in before if row not in staying)
    restoring.restore(some, MONTH)
    assert raw_rows() == before
    assert_accounted_for(dicts)


def test_a_full_disk_takes_nothing_out(everybody: Settings) -> None:
    before = raw_rows()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(ParleyError, match="make room"):
            retention.run(everybody, NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (raw_rows(), horizons()) == (before, {})
    assert list(archives.folder(everybody.home).rglob("*.*")) == []
    assert retention.run(everybody, NOW).archived == len(before)


def test_a_damaged_archive_is_not_restored_and_a_damaged_copy_is_written_anew(everybody: Settings) -> None:
    before = raw_rows()
    with database.connect(everybody) as connection:
        copy = archives.write(connection, everybody.home, MONTH, ["nordic-bank"], number=1)
    copy.data.write_bytes(b"damaged")
    retention.run(everybody, NOW)
    [archive] = archives.find(everybody.home)
    whole = archive.data.read_bytes()
    os.truncate(archive.data, len(whole) - 1)
    with pytest.raises(ParleyError, match="not the file that was written"):
        restoring.restore(everybody, MONTH)
    assert raw_rows() == []
    archive.data.unlink()
    with pytest.raises(ParleyError, match="missing"):
        restoring.restore(everybody, MONTH)
    archive.data.write_bytes(whole)
    restoring.restore(everybody, MONTH)
    assert raw_rows() == before


def test_the_command_shows_what_is_due_and_asks(everybody: Settings) -> None:
    before = raw_rows()
    shown = parley("retention", "--dry-run")
    assert shown.returncode == 0
    assert "2025-06" in shown.stdout
    assert "is dropped" in shown.stdout
    refused = parley("retention")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert raw_rows() == before
    assert parley("retention", "--yes").returncode == 0
    listed = parley("archive", "list")
    assert "in place of raw.events" in listed.stdout
    assert "1 of 1 archives are sound" in parley("archive", "verify").stdout
    archives.find(everybody.home)[0].data.write_bytes(b"")
    damaged = parley("archive", "verify", MONTH)
    assert (damaged.returncode, "Traceback" in damaged.stderr) == (1, False)
    assert parley("archive", "restore", "2025-05").returncode == 1


def test_an_old_backup_brings_nobody_back_who_was_erased_since(everybody: Settings, tmp_path: Path) -> None:
    of_bank = "select user_id, count(*) from raw.events where tenant_id = 'nordic-bank' group by 1 order by 2, 1"
    before = raw_rows(of_bank)
    [person, *_] = [str(user) for user, _ in reversed(before) if user]
    retention.run(everybody, NOW)
    shutil.copytree(archives.folder(everybody.home), tmp_path / "backup")
    with database.connect(everybody, autocommit=True) as connection:
        erasure.request(connection, everybody, "nordic-bank", person, "the test")
    [erased] = erasure.work_off(everybody)
    shutil.copytree(tmp_path / "backup", archives.folder(everybody.home), dirs_exist_ok=True)
    restoring.restore(everybody, MONTH)
    after = raw_rows(of_bank)
    assert [row for row in after if row[0]] == [row for row in before if row[0] not in (None, person)]
    left = sum(int(str(events)) for _, events in before) - sum(int(str(events)) for _, events in after)
    assert left == sum(rows for name, rows in erased.rows_deleted.items() if name.startswith("archive"))


def test_other_tables_have_terms_of_their_own(everybody: Settings, tmp_path: Path) -> None:
    refused = [event(number, tenant_id=name, event_name="nobody.knows") for number, name in enumerate("aab")]
    load(everybody, write(tmp_path / "refused.ndjson", refused))
    terms = [("raw.rejected_events", "*", ""), ("raw.rejected_events", "a", 1), ("archive", "nordic-bank", 1)]
    rows = [dict(zip(("table_name", "tenant_id", "keep_days"), term, strict=True)) for term in terms]
    write_seed(everybody.project, "retention_terms", rows)
    later = datetime.now(UTC) + timedelta(days=2)
    with database.connect(everybody) as connection:
        planned = retention.plan_elsewhere(connection, everybody, later)
    assert planned == {"raw.rejected_events": 2, "archive": 0, "ops.builds": 0}, "nothing is archived yet"
    outcome = retention.run(everybody, later)
    assert raw_rows("select tenant_id from raw.rejected_events where reason = 'unknown_event_type'") == [("b",)]
    [archive] = archives.find(everybody.home)
    assert set(archive.manifest.rows_by_tenant) == {"salon-paris", "shop-newyork", "voice-tokyo"}
    assert outcome.deleted == {
        "raw.rejected_events": 2,
        "archive": outcome.archived - archive.manifest.rows,
        "ops.builds": 0,
    }
    assert restoring.restore(everybody, MONTH) == archive.manifest.rows
    assert set(horizons()) == {"nordic-bank"}, "what is gone for good stays frozen"


def test_what_a_plan_says_of_other_tables_is_what_a_run_deletes(everybody: Settings) -> None:
    retention.run(everybody, NOW)
    terms = [("archive", "nordic-bank", 1), ("ops.builds", "*", 1)]
    rows = [dict(zip(("table_name", "tenant_id", "keep_days"), term, strict=True)) for term in terms]
    write_seed(everybody.project, "retention_terms", rows)
    with database.connect(everybody, autocommit=True) as connection:
        connection.execute(
            "insert into ops.builds select (jsonb_populate_record(builds, jsonb_build_object("
            "'build_id', gen_random_uuid(), 'finished_at', finished_at - interval '1 year'))).* from ops.builds"
        )
        planned = retention.plan_elsewhere(connection, everybody, NOW)
    assert planned["archive"] > 0
    assert planned["ops.builds"] == 1
    shown = parley("retention", "--dry-run").stdout
    assert f"{planned['archive']:,} rows of archive are past their term" in shown
    assert retention.run(everybody, NOW).deleted == planned
    assert len(raw_rows("select build_id from ops.builds")) == 1


@pytest.mark.parametrize("row", ["raw.event,*,1", "ops.builds,a,1", "archive,,1", "archive,*,-1", "archive,*,many"])
def test_a_term_that_makes_no_sense_is_named(everybody: Settings, row: str) -> None:
    (everybody.project / retention_periods.SEED).write_text(f"table_name,tenant_id,keep_days\narchive,*,5\n{row}\n")
    with pytest.raises(ParleyError, match="row 3"):
        retention_periods.read_terms(everybody.project / retention_periods.SEED)


def test_the_job_takes_nothing_out_unless_it_is_told_to(everybody: Settings) -> None:
    before = raw_rows()
    dry = jobs.retention.execute_in_process()
    assert dry.success
    assert raw_rows() == before
    done = jobs.retention.execute_in_process(dg.RunConfig({"retain": jobs.RetentionChoices(dry_run=False)}))
    [output] = [event for event in done.all_events if event.is_successful_output]
    assert output.step_output_data.metadata["events_archived"].value == len(before)
    assert raw_rows() == []
