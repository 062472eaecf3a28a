"""Erasure of a person from what landed: rows, counts, later events, files; killed half-way, and while others land."""

import gzip
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import orjson
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.jobs import forget as forget_job
from parley.history import archives
from parley.landing.loader import load
from parley.landing.replay import Selection, replay
from parley.people import erasure
from parley.settings import Settings
from parley.warehouse import audit
from tests.conftest import Rows, parley
from tests.oracle import Tenant
from tests.support.landing import Json, assert_accounted_for, content, event, totals, write
from tests.support.warehouse import copy_project

TENANT = "tenant-0"
ANN = "ann-of-7-hills"


def anns(number: int, **fields: object) -> Json:
    return event(number, **{"tenant_id": TENANT, "user_id": ANN, "conversation_id": "anns-own", **fields})


def others(number: int, **fields: object) -> Json:
    return event(number, **{"tenant_id": TENANT, "user_id": "bob", "conversation_id": "bobs", **fields})


def request(settings: Settings, user_id: str = ANN) -> int:
    with psycopg.connect(autocommit=True) as connection:
        return erasure.request(connection, settings, TENANT, user_id, "the test")


def forget(settings: Settings, user_id: str = ANN) -> erasure.Outcome:
    request(settings, user_id)
    (outcome,) = erasure.work_off(settings)
    return outcome


def test_nothing_of_a_person_is_left_and_nothing_else_is_touched(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    staying = [
        others(1),
        others(2, user_id=None),
        others(3, conversation_id="shared"),
        others(4, conversation_id="shared", user_id=None),
        event(5, tenant_id="tenant-1", user_id=ANN, conversation_id="anns-own"),
        others(6, event_name="nobody.knows"),
    ]
    going = [
        anns(11),
        anns(12, user_id=None),  # the assistant's answer
        anns(13, conversation_id=None, session_id="anns-visit"),
        anns(14, conversation_id=None, session_id="anns-visit", user_id=None),
        anns(15, conversation_id="shared"),
        anns(16, event_name="nobody.knows"),  # refused, like those that follow
        anns(17, event_name="nobody.knows", user_id=None),
        others(18, event_name="nobody.knows", attributes={"on_behalf": [{"of": ANN}]}),
    ]
    bots = {"event_name": "nobody.knows", "chat_id": ANN, "occurred_at": "2024-01-01T00:00:00Z"}
    load(database, write(tmp_path / "a.ndjson", [*staying, *going, staying[0]]))
    load(database, write(tmp_path / "bot.ndjson", [bots]), source_format="bot", tenant_id=TENANT)
    before = totals(rows)
    stays = {row["event_id"] for row in content(rows)} - {
        row["event_id"] for row in content(rows) if str(row["event_id"]) in {each["event_id"] for each in going}
    }

    outcome = forget(database)

    assert outcome.rows_deleted == {"raw.event_keys": 5, "raw.events": 5, "raw.rejected_events": 4}
    assert outcome.places_left == {}
    assert {row["event_id"] for row in content(rows)} == stays
    assert len(stays) == 5
    assert before == [(10, 1, 4, 0, 0), (0, 0, 1, 0, 0)]
    assert totals(rows) == [(5, 1, 1, 0, 8), (0, 0, 0, 0, 1)]
    assert_accounted_for(rows)
    (job,) = rows("select erased_at, finished_at, traces, places_left from ops.erasures")
    assert job["erased_at"] < job["finished_at"]
    assert (job["traces"], job["places_left"]) == (None, {})


def test_the_audit_log_tells_of_an_erasure_and_of_nobody(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1)]))
    forget(database)
    log = rows("select action, tenant_id, actor, details from ops.audit_log order by number")
    assert [entry["action"] for entry in log] == ["subject.erasure_requested", "subject.erased"]
    assert all(entry["tenant_id"] == TENANT and entry["actor"] == "the test" for entry in log)
    assert log[1]["details"]["rows_deleted"]["raw.events"] == 1
    assert ANN not in str(log)
    with psycopg.connect(autocommit=True) as connection:
        assert audit.verify(connection)[0] == 2


def test_what_comes_later_of_an_erased_person_is_counted_and_not_kept(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    first = [anns(1), anns(2, user_id=None), anns(3, conversation_id="shared"), others(4, conversation_id="shared")]
    path = write(tmp_path / "a.ndjson", first)
    load(database, path)
    forget(database)
    load(database, write(tmp_path / "again.ndjson", first))
    late = [
        anns(11),
        anns(12, conversation_id="another"),
        anns(13, user_id=None),  # in a conversation that was hers alone
        anns(14, event_name="nobody.knows"),
        others(17, user_id=[ANN]),
        anns(15, conversation_id="shared", user_id=None),
        anns(16, user_id="bob"),  # who says so, and is not her
    ]
    load(database, write(tmp_path / "late.ndjson", late))
    assert totals(rows)[1:] == [(0, 1, 0, 0, 3), (2, 0, 0, 0, 5)]
    assert not rows("select from raw.rejected_events")
    assert_accounted_for(rows)


def test_a_tenant_that_hashes_its_users_ids(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project", [Tenant(TENANT)])
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    load(Settings.load(), write(tmp_path / "clear.ndjson", [anns(1)]))  # before the tenant came to hash them
    seed = project / "seeds/tenants.csv"
    header, row = seed.read_text().splitlines()[:2]
    cells = dict(zip(header.split(","), row.split(","), strict=True)) | {"hash_user_ids": "true"}
    seed.write_text(f"{header}\n{','.join(cells.values())}\n")
    settings = Settings.load()
    load(settings, write(tmp_path / "hashed.ndjson", [anns(2), anns(3, event_name="nobody.knows"), others(4)]))
    assert {row["user_id"] == ANN for row in content(rows)} == {True, False}

    outcome = forget(settings)

    assert outcome.rows_deleted == {"raw.event_keys": 2, "raw.events": 2, "raw.rejected_events": 1}
    load(settings, write(tmp_path / "late.ndjson", [anns(5)]))
    assert totals(rows) == [(0, 0, 0, 0, 1), (1, 0, 0, 0, 2), (0, 0, 0, 0, 1)]
    assert_accounted_for(rows)


def test_a_person_nobody_knows_is_rejected_all_the_same(database: Settings, rows: Rows, tmp_path: Path) -> None:
    outcome = forget(database)
    assert (outcome.rows_deleted, outcome.places_left) == ({}, {})
    load(database, write(tmp_path / "a.ndjson", [anns(1)]))
    assert totals(rows) == [(0, 0, 0, 0, 1)]


def test_a_dry_run_deletes_nothing(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1), anns(2, event_name="nobody.knows")]))
    before = content(rows), totals(rows), rows("select * from raw.rejected_events")
    preview = erasure.preview(database, TENANT, ANN)
    assert preview == {"raw.event_keys": 1, "raw.events": 1, "raw.rejected_events": 1}
    assert (content(rows), totals(rows), rows("select * from raw.rejected_events")) == before
    assert not rows("select from raw.erased_subjects union all select from ops.erasures")


def kill_at(step: str) -> None:
    """Work off the open erasures in a process that dies, as by kill -9, when it comes to a step."""
    script = f"""
import os, signal
from parley.people import erasure
from parley.settings import Settings

def die(step):
    if step == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)

erasure.work_off(Settings.load(), on_step=die)
"""
    died = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr


def test_killed_between_two_steps_it_goes_on_where_it_was(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1), others(2)]))
    done = database.inbox / "done" / "a.ndjson.gz"
    done.parent.mkdir(parents=True)
    done.write_bytes(gzip.compress(orjson.dumps(anns(1))))
    number = request(database)

    kill_at("deleting rows")
    assert len(content(rows)) == 2
    kill_at("searching what is left")
    assert len(content(rows)) == 1
    assert rows("select erased_at is not null as erased, finished_at from ops.erasures") == [
        {"erased": True, "finished_at": None}
    ]
    assert request(database) == number

    (outcome,) = erasure.work_off(database)
    assert outcome.rows_deleted == {"raw.event_keys": 1, "raw.events": 1}
    assert outcome.places_left == {str(done): 2}  # the id, and what only she wrote
    assert [entry["action"] for entry in rows("select action from ops.audit_log order by number")] == [
        "subject.erasure_requested",
        "subject.erased",
    ]


def test_killed_in_the_middle_of_deleting_nothing_is_deleted(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1), others(2)]))
    request(database)
    with psycopg.connect() as blocker:
        blocker.execute("select from raw.event_keys for update")
        running = subprocess.Popen([sys.executable, "-m", "parley", "forget", "--open"], stdout=subprocess.DEVNULL)
        waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        while not rows(waiting):
            assert running.poll() is None
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    assert len(content(rows)) == 2
    assert_accounted_for(rows)
    (outcome,) = erasure.work_off(database)
    assert outcome.rows_deleted["raw.events"] == 1
    assert len(content(rows)) == 1


def test_what_lands_or_is_replayed_meanwhile_is_erased_or_rejected(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    mixed = [anns(number) if number % 3 == 0 else others(number) for number in range(20_000)]
    load(database, write(tmp_path / "first.ndjson", [anns(30_000, event_name="nobody.knows"), anns(30_001)]))
    request(database)
    landing = threading.Thread(target=load, args=(database, write(tmp_path / "mixed.ndjson", mixed)))
    landing.start()
    erasure.work_off(database)
    replay(database, Selection())
    landing.join()
    assert not rows("select from raw.events where user_id = %s", ANN)
    assert not rows("select from raw.rejected_events")
    assert sum(kept for kept, *_ in totals(rows)) == 13_333
    assert sum(erased for *_, erased in totals(rows)) == 6_669
    assert_accounted_for(rows)


def test_archives_are_rewritten_and_files_are_told_of(database: Settings, rows: Rows, tmp_path: Path) -> None:
    of_january = {"occurred_at": "2024-01-05T10:00:00Z"}
    load(database, write(tmp_path / "a.ndjson", [anns(1, **of_january), anns(2, user_id=None, **of_january)]))
    load(database, write(tmp_path / "b.ndjson", [others(3, **of_january)]))
    with psycopg.connect() as connection:
        connection.execute("set transaction isolation level repeatable read")
        archives.write(connection, database.home, "2024-01", [TENANT], number=1)
    (database.home / "notes.txt").write_text(f"ask {ANN}, about {ANN}-not\n")
    (database.home / "broken.gz").write_bytes(b"no gzip")
    pq.write_table(pa.table({"who": ["bob", ANN]}), database.home / "of-an-export.parquet")

    outcome = forget(database)

    assert outcome.rows_deleted["archive events/2024-01/0001"] == 2
    (archive,) = archives.find(database.home)
    archives.verify(archive)
    assert archive.manifest.rows_by_tenant == {TENANT: 1}
    assert outcome.places_left == {
        f"{database.home}/broken.gz, which cannot be read": 0,
        f"{database.home}/notes.txt": 1,
        f"{database.home}/of-an-export.parquet": 1,
    }


def test_the_command_line(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1)]))
    who = ("--tenant", TENANT, "--user", ANN)
    seen = parley("forget", *who, "--verify")
    assert (seen.returncode, "raw.events" in seen.stdout) == (1, True)
    unsure = parley("forget", *who)
    assert unsure.returncode == 1
    assert len(content(rows)) == 1
    asked = parley("forget", *who, "--request")
    assert (asked.returncode, "Erasure 1 is asked for" in asked.stdout) == (0, True)
    done = parley("forget", *who, "--yes")
    assert done.returncode == 0, done.stderr
    assert "No table and no file names the person." in done.stdout
    assert not content(rows)
    assert parley("forget", *who, "--verify").returncode == 0
    alone = parley("forget", "--tenant", TENANT)
    assert (alone.returncode, "Traceback" in alone.stderr) == (1, False)
    assert "--user" in alone.stderr


def test_dagsters_job_works_off_what_was_asked_for(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1), others(2)]))
    request(database)
    with dg.DagsterInstance.ephemeral() as instance:
        assert forget_job.execute_in_process(instance=instance).success
        database.home.mkdir(exist_ok=True)
        (database.home / "left.txt").write_text(ANN)
        request(database)
        failed = forget_job.execute_in_process(instance=instance, raise_on_error=False)
        assert not failed.success
        assert not any(ANN in str(record) for record in instance.all_logs(failed.run_id))
    assert [row["user_id"] for row in content(rows)] == ["bob"]
