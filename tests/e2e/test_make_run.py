"""What a stranger does: clone the repository and run `make run`, with nothing of this environment but its caches.

The clone makes its own `.venv` (uv takes the packages from its cache where it has them), its own embedded Postgres and
its own demo.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

PROJECT = Path(__file__).resolve().parents[2]
SIZE = 500
OURS = ("PG", "PARLEY", "DBT", "DAGSTER", "VIRTUAL_ENV", "DATABASE_URL", "MAKE", "MFLAGS", "PYTHON")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # a fresh machine fetches its packages first


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A clone of what is committed; its server is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="parley-clone-"))
    subprocess.run(["git", "clone", "--quiet", PROJECT, folder / "parley"], check=True)
    yield folder / "parley"
    make(folder / "parley", "clean")
    shutil.rmtree(folder)


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(clone, "make", *arguments)


def run(clone: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the clone, in an environment that knows nothing of ours."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def figures(clone: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = orjson.loads(run(clone, ".venv/bin/parley", "summary", "--json").stdout)
    return found


def test_make_run_in_a_fresh_clone_lands_builds_and_sums_up(clone: Path) -> None:
    done = make(clone, "run", f"SIZE={SIZE}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks passed, 0 failed" in done.stdout
    assert "0 accepted events unaccounted for" in " ".join(done.stdout.split())
    first = figures(clone)
    assert first["landed"]["received"] == SIZE
    assert first["conversations"]["total"] > 0

    again = make(clone, "run", f"SIZE={SIZE}")
    assert again.returncode == 0, again.stdout + again.stderr
    second = figures(clone)
    assert second["landed"]["received"] == 2 * SIZE
    assert second["landed"]["accepted"] == first["landed"]["accepted"]
    assert second["conversations"] == first["conversations"]
    assert second["landed_first"] == first["landed_first"] == first["landed"]  # what shares are of
    assert [tenant["rejected_share"] for tenant in second["tenants"]] == [  # type: ignore[index]
        tenant["rejected_share"]
        for tenant in first["tenants"]  # type: ignore[index]
    ]
    assert second["alerts"] == first["alerts"]


def test_make_run_lands_files_of_your_own(clone: Path, tmp_path: Path) -> None:
    event = {
        "event_name": "message_received",
        "chat_id": "c1",
        "properties": {"text": "Hello"},
        "occurred_at": "2025-01-01T12:00:00Z",
        "platform": "telegram",
    }
    (tmp_path / "mine.ndjson").write_bytes(orjson.dumps(event))
    before = figures(clone)["landed"]["accepted"]
    done = make(clone, "run", f"EVENTS={tmp_path}/mine.ndjson", "DIALECT=bot", "TENANT=my-shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert figures(clone)["landed"]["accepted"] == before + 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("EVENTS=no-such-file.ndjson",), "no-such-file.ndjson"),
        (("EVENTS=Makefile", "DIALECT=klingon"), "klingon"),
    ],
)
def test_make_run_stops_at_a_mistake_with_a_sentence(clone: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = make(clone, "run", *arguments)
    assert done.returncode != 0
    assert sentence in done.stderr
