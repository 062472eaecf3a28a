"""Bad input through the command itself: one sentence and status 1, or a rejected line, never a traceback or a loss."""

import gzip
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from parley.settings import Settings
from tests.conftest import Rows
from tests.conftest import parley as command
from tests.support.landing import Json, assert_accounted_for, content, event, totals, write

Outcome = tuple[int, str, str]
"""Exit status, standard output, standard error."""


Parley = Callable[..., Outcome]


@pytest.fixture
def parley(database: Settings) -> Parley:
    """The command line on a fresh database."""

    def run(*arguments: str) -> Outcome:
        done = command(*arguments)
        assert "Traceback" not in done.stderr
        return done.returncode, " ".join(done.stdout.split()), " ".join(done.stderr.split())

    return run


def test_what_landed_and_what_was_rejected_is_shown(parley: Parley, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(1), event(1), b"{", event(2, event_name="no.such")])
    status, out, err = parley("load", path, path, "--by", "a test")
    assert (status, err) == (0, "")
    assert "a.ndjson 4 1 1 2 0 0 a.ndjson 4 0 4 0 0 0 all 8 1 5 2 0 0" in out
    assert "invalid_json 1 The line is no JSON" in out
    assert "unknown_event_type 1 event_name is not in the tracking plan" in out
    assert "parley replay-rejected" in out
    assert "defaults hold: tenant-1." in out


def test_strict_ends_with_status_1_when_something_is_rejected(parley: Parley, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(1)])
    assert parley("load", path, "--strict")[0] == 0
    status, out, err = parley("load", write(tmp_path / "b.ndjson", [b"{"]), "--strict")
    assert (status, "rejected" in out) == (1, True), out + err
    assert err.startswith("parley: Events were rejected")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.ndjson"], "parley: There is no file missing.ndjson: check its name and folder."),
        (["."], "parley: . is a folder: name the files in it, such as *.ndjson.gz."),
        (["a.ndjson", "--dialect", "elvish"], "parley: There is no source format 'elvish': use one of"),
        (["a.ndjson", "missing.ndjson"], "parley: There is no file missing.ndjson"),
        (["a.ndjson", "--tenant", "x" * 65], "parley:"),
    ],
)
def test_a_mistake_of_the_command_line_lands_nothing(
    parley: Parley, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.setenv("PARLEY_PROJECT", str(Settings.load().project))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.ndjson", [event(1)])
    status, _, err = parley("load", *arguments)
    assert status == 1
    assert err.startswith(sentence)
    assert rows("select from raw.loads") == []


def test_a_database_that_is_down_is_one_sentence(
    parley: Parley, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    status, _, err = parley("load", write(tmp_path / "a.ndjson", [event(1)]))
    assert status == 1
    assert err.startswith("parley: Postgres at 127.0.0.1:1 cannot be reached")


def test_a_broken_file_does_not_keep_the_others_from_landing(parley: Parley, rows: Rows, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b'{"event_name": "message.sent"}\n' * 1000)[:-20])
    status, out, err = parley("load", str(broken), write(tmp_path / "a.ndjson", [event(1)]))
    assert status == 1
    assert err.startswith("parley: broken.gz breaks off in the middle of its gzip data")
    assert "a.ndjson 1 1" in out
    assert rows("select status from raw.loads order by load_id") == [{"status": "failed"}, {"status": "complete"}]
    assert_accounted_for(rows)


REFUSED: dict[str, tuple[bytes, str]] = {
    "invalid UTF-8": (b'{"event_name": "\xff"}', "invalid_json"),
    "NaN": (orjson.dumps(event(1)).replace(b'"text"', b'"price": NaN, "text"'), "invalid_json"),
    "Infinity": (orjson.dumps(event(1)).replace(b'"text"', b'"price": -Infinity, "text"'), "invalid_json"),
    "a number out of range": (orjson.dumps(event(1)).replace(b'"text"', b'"price": 1e999, "text"'), "invalid_json"),
    "NUL": (orjson.dumps(event(1, attributes={"text": "a\0b"})), "invalid_value"),
    "NUL in a name": (orjson.dumps(event(1, attributes={"text": "a", "\0": 1})), "invalid_value"),
    "half a surrogate pair": (orjson.dumps(event(1)).replace(b"Tab", b"\\ud800"), "invalid_json"),
    "nested 100 deep": (
        orjson.dumps(event(1)).replace(b'"text"', b'"x":' + b"[" * 100 + b"]" * 100 + b',"text"'),
        "invalid_value",
    ),
    "nested 10,000 deep": (b"[" * 10_000 + b"]" * 10_000, "invalid_json"),
    "no object": (b"[1, 2]", "invalid_type"),
    "too large": (orjson.dumps(event(1, attributes={"text": "x" * 70_000})), "too_large"),
    "binary": (random.Random(1).randbytes(500).replace(b"\n", b""), "invalid_json"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_cannot_be_stored_is_rejected_and_the_others_land(
    parley: Parley, rows: Rows, tmp_path: Path, name: str
) -> None:
    line, reason = REFUSED[name]
    status, _, _ = parley("load", write(tmp_path / "a.ndjson", [event(2), line, event(3)]))
    assert status == 0
    assert rows("select line_number, reason from raw.rejected_events") == [{"line_number": 2, "reason": reason}]
    assert len(content(rows)) == 2
    assert_accounted_for(rows)


def test_an_event_of_exactly_the_limit_lands(parley: Parley, rows: Rows, tmp_path: Path) -> None:
    room = 65_536 - len(orjson.dumps(event(1, attributes={"x": ""})))
    lines: list[Json | bytes] = [event(1, attributes={"x": "a " * (room // 2) + "a" * (room % 2)})]
    lines.append(orjson.dumps(event(2, attributes={"x": "a " * (room // 2) + "a" * (room % 2)})) + b"\r")
    lines.append(event(3, attributes={"x": "a " * (room // 2) + "aa"}))
    parley("load", write(tmp_path / "a.ndjson", lines))
    assert totals(rows) == [(2, 0, 1, 0, 0)]


def test_an_empty_file_is_a_load_of_nothing(parley: Parley, rows: Rows, tmp_path: Path) -> None:
    status, out, _ = parley("load", write(tmp_path / "a.ndjson", []))
    assert (status, "a.ndjson 0 0 0 0 0 0" in out) == (0, True)
    assert totals(rows) == [(0, 0, 0, 0, 0)]


@pytest.mark.parametrize("magic", [b"\x00", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"])
def test_a_file_that_holds_no_events_at_all_is_one_sentence(
    parley: Parley, rows: Rows, tmp_path: Path, magic: bytes
) -> None:
    (tmp_path / "a.bin").write_bytes(magic + random.Random(2).randbytes(300_000))
    status, _, err = parley("load", str(tmp_path / "a.bin"))
    assert status == 1
    assert err.startswith("parley: a.bin is ")
    assert rows("select from raw.loads") == []


def test_a_file_of_which_most_is_rejected_ends_with_status_1(parley: Parley, rows: Rows, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [event(1), event(2, event_name="no.such"), event(3, event_name="no.such")])
    status, out, err = parley("load", path)
    assert (status, "a.ndjson 3 1 0 2 0 0" in out) == (1, True)
    assert err.startswith("parley: a.ndjson: 2 of 3 events were rejected (mostly unknown_event_type)")
    assert totals(rows) == [(1, 0, 2, 0, 0)]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.csv", "message.sent,t,2024-01-01T00:00:00Z\n", "parley: a.csv has no column 'event_name'"),
        ("a.json", '[\n  {"event_name": "message.sent"},\n', "parley: a.json cannot be read on after its document 1"),
        ("a.parquet", "PAR1 and nothing more", "parley: a.parquet is damaged as a Parquet file"),
    ],
)
def test_a_file_of_another_kind_is_one_sentence(
    parley: Parley, tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    (tmp_path / name).write_text(text)
    status, _, err = parley("load", str(tmp_path / name))
    assert status == 1
    assert err.startswith(sentence)


def test_parquet_of_odd_types_lands_what_it_can(parley: Parley, rows: Rows, tmp_path: Path) -> None:
    table = pa.table(
        {
            "event_id": pa.array([event(number)["event_id"] for number in range(4)]),
            "event_name": pa.array([b"message.sent", b"message.sent", b"\xff\xfe", b"message.sent"], pa.binary()),
            "occurred_at": pa.array([10**18, 10**18 + 1, 10**18, None], pa.timestamp("ns", "Asia/Tokyo")),
            "tenant_id": pa.array(["t"] * 4).dictionary_encode(),
            "attributes": pa.array([[("text", "a")], None, [], [("text", None)]], pa.map_(pa.string(), pa.string())),
            "context": pa.array([float("nan"), None, 1.5, None]),
            "session_id": pa.array([None] * 4),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    assert parley("load", str(tmp_path / "a.parquet"))[0] == 0
    assert totals(rows) == [(2, 0, 2, 0, 0)]
    assert [row["occurred_at"].isoformat() for row in content(rows)] == ["2001-09-09T01:46:40+00:00"] * 2
    assert_accounted_for(rows)


def test_standard_input_lands_too(database: Settings, rows: Rows, tmp_path: Path) -> None:
    lines = Path(write(tmp_path / "a.ndjson", [event(1), event(2)])).read_bytes()
    for content_ in (lines, gzip.compress(lines)):
        subprocess.run([sys.executable, "-m", "parley", "load", "-"], input=content_, check=True, capture_output=True)
    assert totals(rows) == [(2, 0, 0, 0, 0), (0, 2, 0, 0, 0)]
    assert {row["source"] for row in rows("select source from raw.loads")} == {"-"}


@pytest.mark.slow
def test_a_line_of_200_megabytes_is_rejected_in_little_memory(database: Settings, rows: Rows, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.gz", "wb", compresslevel=1) as file:
        file.write(orjson.dumps(event(1)) + b'\n{"text":"')
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + orjson.dumps(event(2)))
    program = (
        "import sys; from parley.cli import main; sys.argv = ['parley', 'load', sys.argv[1]]\n"
        "try: main()\n"
        "finally: sys.stderr.write(open('/proc/self/status').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.gz")], check=True, capture_output=True, text=True
    )
    (peak,) = (int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("VmHWM"))
    assert peak < 150_000  # kilobytes
    assert rows("select line_number, reason from raw.rejected_events") == [{"line_number": 2, "reason": "too_large"}]
    assert totals(rows) == [(2, 0, 1, 0, 0)]
