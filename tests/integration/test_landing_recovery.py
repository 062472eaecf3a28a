"""Loads that break off, at any moment and for any reason, and go on without losing or repeating anything."""

import gzip
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from parley.errors import ParleyError
from parley.landing import sources
from parley.landing.loader import Progress, load
from parley.landing.sources import SourceError
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.landing import Json, assert_accounted_for, content, event, totals, write


class Stop(Exception):
    """Breaks a load off in the middle."""


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK", 5_000)
    monkeypatch.setattr(sources, "BLOCK", 5_000)


def stop_after(lines: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.lines >= lines:
            raise Stop

    return stop


def loads(rows: Rows) -> list[tuple[int, str, int]]:
    return [tuple(row.values()) for row in rows("select load_id, status, lines_done from raw.loads order by 1")]


@pytest.mark.usefixtures("small_chunks")
def test_a_load_that_broke_off_goes_on_as_the_same_load(database: Settings, rows: Rows, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(300)])
    with pytest.raises(Stop):
        load(database, path, on_progress=stop_after(100))
    ((load_id, status, done),) = loads(rows)
    assert status == "failed"
    assert 100 <= done < 300
    assert_accounted_for(rows)
    report = load(database, path)
    assert (report.load_id, report.resumed_after, report.counts.accepted) == (load_id, done, 300)
    assert loads(rows) == [(load_id, "complete", 300)]
    assert_accounted_for(rows)


@pytest.mark.usefixtures("small_chunks")
def test_a_load_is_known_by_its_lines_and_not_by_the_name_or_the_packing(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(300)])
    with pytest.raises(Stop):
        load(database, path, on_progress=stop_after(100))
    (tmp_path / "b.gz").write_bytes(gzip.compress(Path(path).read_bytes()))
    assert load(database, str(tmp_path / "b.gz")).resumed_after >= 100
    assert totals(rows) == [(300, 0, 0, 0, 0)]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("changed", ["a line that is done", "the tenant", "the dialect"])
def test_what_is_not_the_same_load_begins_anew(database: Settings, rows: Rows, tmp_path: Path, changed: str) -> None:
    lines = [event(number) for number in range(300)]
    with pytest.raises(Stop):
        load(database, write(tmp_path / "a.ndjson", lines), on_progress=stop_after(100))
    if changed == "a line that is done":
        lines[50] = event(1050)
    report = load(
        database,
        write(tmp_path / "a.ndjson", lines),
        source_format="bot" if changed == "the dialect" else "parley",
        tenant_id="other" if changed == "the tenant" else None,
    )
    assert report.resumed_after == 0
    assert report.counts.received == 300
    assert_accounted_for(rows)


def test_a_finished_load_is_not_resumed(database: Settings, rows: Rows, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(10)])
    load(database, path)
    assert load(database, path).resumed_after == 0
    assert [row[1] for row in loads(rows)] == ["complete", "complete"]


@pytest.mark.usefixtures("small_chunks")
def test_two_processes_do_not_resume_the_same_load(database: Settings, rows: Rows, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(300)])
    with pytest.raises(Stop):
        load(database, path, on_progress=stop_after(100))
    second: list[int] = []

    def load_too(progress: Progress) -> None:
        if not second:
            second.append(load(database, path).load_id)

    first = load(database, path, on_progress=load_too).load_id
    assert second != [first]
    assert len(content(rows)) == 300
    assert_accounted_for(rows)


@pytest.mark.usefixtures("small_chunks")
def test_a_truncated_file_lands_up_to_the_break_and_the_fixed_one_goes_on(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    lines: list[Json | bytes] = [
        event(number, attributes={"text": str(random.Random(number).random())}) for number in range(400)
    ]
    packed = gzip.compress(Path(write(tmp_path / "a.ndjson", lines)).read_bytes())
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(packed[: len(packed) // 2])
    for _ in range(2):  # tried again as it is, it fails again
        with pytest.raises(SourceError, match=r"a\.ndjson\.gz breaks off .* [1-9]\d* of its lines are landed"):
            load(database, str(path))
    ((load_id, status, done),) = loads(rows)
    assert status == "failed"
    assert done == len(content(rows)) > 100
    assert_accounted_for(rows)
    path.write_bytes(packed)
    report = load(database, str(path))
    assert (report.load_id, report.resumed_after) == (load_id, done)
    assert totals(rows) == [(400, 0, 0, 0, 0)]


@pytest.mark.usefixtures("small_chunks")
def test_a_lost_connection_is_one_sentence_and_the_load_can_be_resumed(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(300)])

    def cut(progress: Progress) -> None:
        rows("""
            select pg_terminate_backend(pid, 5000) from pg_stat_activity
            where application_name = 'parley' and datname = current_database()
        """)

    with pytest.raises(
        ParleyError, match=r"^Postgres stopped the load of .*a\.ndjson \(.*\): .*goes on where it stopped\.$"
    ):
        load(database, path, on_progress=cut)
    ((load_id, status, done),) = loads(rows)
    assert status == "running"
    assert 0 < done < 300
    assert load(database, path).load_id == load_id
    assert totals(rows) == [(300, 0, 0, 0, 0)]
    assert_accounted_for(rows)


@pytest.mark.usefixtures("small_chunks")
def test_a_killed_worker_ends_the_load_with_one_sentence(database: Settings, rows: Rows, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(300)])

    def kill(progress: Progress) -> None:
        for worker in multiprocessing.active_children():
            worker.kill()

    with pytest.raises(ParleyError, match=r"^A worker process was killed \(signal 9\)"):
        load(database, path, on_progress=kill)
    assert [status for _, status, _ in loads(rows)] == ["failed"]
    assert multiprocessing.active_children() == []
    load(database, path)
    assert totals(rows) == [(300, 0, 0, 0, 0)]
    assert_accounted_for(rows)


@pytest.mark.slow
def test_killed_at_any_moment_and_run_again_it_lands_the_same_as_at_once(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    moments = random.Random(20240531)
    lines: list[Json | bytes] = [event(number % 29_000) for number in range(30_000)]
    lines[5_000:5_000] = [b"no event"] * 10
    path = write(tmp_path / "a.ndjson", lines)
    command = [sys.executable, "-m", "parley", "load", path]
    kills = 0
    for _ in range(8):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            began = time.monotonic()
            delay = moments.uniform(0.5, 3.0)
            while process.poll() is None and time.monotonic() - began < delay:
                time.sleep(0.01)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
        assert_accounted_for(rows)
    assert kills > 0
    subprocess.run(command, check=True, capture_output=True)
    assert_accounted_for(rows)
    landed = content(rows)
    assert {status for _, status, _ in loads(rows)} == {"complete"}
    with psycopg.connect() as connection:
        connection.execute("truncate raw.events, raw.event_keys, raw.loads, raw.load_batches, raw.rejected_events")
    load(database, path)
    assert content(rows) == landed
    assert len(landed) == 29_000


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(database: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(60_000)])
    with subprocess.Popen([sys.executable, "-m", "parley", "load", path], start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not (workers := _members(process.pid) - {process.pid}) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    assert workers
    while _members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _members(process.pid)


def _members(session: int) -> set[int]:
    """The living processes of a session."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(of) == session and state != "Z":
                found.add(int(folder.name))
    return found


def test_a_rejected_line_that_is_sent_again_is_not_stored_twice(database: Settings, rows: Rows, tmp_path: Path) -> None:
    lines: list[Json | bytes] = [event(1), event(2, event_name="no.such"), b"{", event(3)]
    path = write(tmp_path / "a.ndjson", lines)
    load(database, path)
    load(database, path)
    load(database, write(tmp_path / "a.ndjson", [*lines, event(4), event(5, event_name="no.such")]))  # it has grown
    assert totals(rows) == [(2, 0, 2, 0, 0), (0, 4, 0, 0, 0), (1, 4, 1, 0, 0)]
    assert [row["line_number"] for row in rows("select line_number from raw.rejected_events order by 1")] == [2, 3, 6]
    assert_accounted_for(rows)
