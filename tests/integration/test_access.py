"""What a person is given of what is held about them."""

import hashlib
from pathlib import Path

import orjson
import psycopg
import pytest

from parley.errors import ParleyError
from parley.history import archives
from parley.landing.loader import load
from parley.people import subject_access
from parley.settings import Settings
from tests.conftest import Rows, parley
from tests.support.landing import Json, event, write

ANN = {"tenant_id": "t", "user_id": "ann", "conversation_id": "anns"}


@pytest.fixture
def landed(database: Settings, tmp_path: Path) -> list[Json]:
    """One event of hers, the answer to it, one that was refused, and others' (who share her name elsewhere)."""
    lines = [
        event(1, **ANN),
        event(2, **{**ANN, "user_id": None}),
        event(3, **ANN, event_name="nobody.knows"),
        event(4, tenant_id="t", user_id="bob"),
        event(5, **{**ANN, "tenant_id": "elsewhere"}),
    ]
    load(database, write(tmp_path / "a.ndjson", lines))
    return lines


def read(path: Path) -> list[Json]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.usefixtures("landed")
def test_a_person_gets_every_row_of_theirs_and_no_other(database: Settings, rows: Rows, tmp_path: Path) -> None:
    folder = tmp_path / "for-her"
    files = subject_access.export(database, "t", "ann", folder, by="the test")
    assert {name: file.rows for name, file in files.items()} == {"raw.events": 2, "raw.rejected_events": 1}
    assert {row["event_id"][-1] for row in read(folder / "raw.events.ndjson")} == {"1", "2"}
    assert read(folder / "raw.rejected_events.ndjson")[0]["payload"]["user_id"] == "ann"
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    for name, said in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert said == {
            "rows": content.count(b"\n"),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert "about you" in (folder / "README.txt").read_text()
    assert folder.stat().st_mode & 0o077 == 0
    (entry,) = rows("select action, actor, details from ops.audit_log")
    assert (entry["action"], entry["actor"]) == ("subject.exported", "the test")
    assert "ann" not in str(entry["details"])


@pytest.mark.usefixtures("landed")
def test_archived_rows_are_among_them(database: Settings, tmp_path: Path) -> None:
    with psycopg.connect() as connection:
        connection.execute("set transaction isolation level repeatable read")
        archives.write(connection, database.home, "2024-02", ["t"], number=1)
    files = subject_access.export(database, "t", "ann", tmp_path / "for-her")
    assert files["archive-events-2024-02-0001"].rows == 1


@pytest.mark.usefixtures("landed")
def test_of_a_person_nobody_knows_nothing_is_written(database: Settings, rows: Rows, tmp_path: Path) -> None:
    assert subject_access.export(database, "t", "carol", tmp_path / "for-her") == {}
    assert not (tmp_path / "for-her").exists()
    assert not rows("select from ops.audit_log")


@pytest.mark.usefixtures("landed")
def test_a_folder_with_something_in_it_is_rejected(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match="not empty"):
        subject_access.export(database, "t", "ann", tmp_path)


@pytest.mark.usefixtures("landed", "database")
def test_the_command_line(tmp_path: Path) -> None:
    done = parley("export-subject", "--tenant", "t", "--user", "ann", "--out", str(tmp_path / "for-her"))
    assert (done.returncode, "3 rows of 2 tables" in done.stdout) == (0, True)
