"""The embedded Postgres: started by several at once, after crashes, in long and in private folders."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from parley.errors import ParleyError
from parley.settings import PRIVATE, Settings
from parley.warehouse import database, embedded

CONNECT = (
    "from parley.warehouse import database; from parley.settings import Settings; database.connect(Settings.load())"
)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short PARLEY_HOME with no server in it yet; the one that a test starts there is stopped."""
    for name in list(os.environ):
        if name == "DATABASE_URL" or name.startswith("PG"):
            monkeypatch.delenv(name)
    folder = Path(tempfile.mkdtemp(prefix="parley-"))
    monkeypatch.setenv("PARLEY_HOME", str(folder))
    yield folder
    for postmaster in folder.rglob("postmaster.pid"):
        monkeypatch.setenv("PARLEY_HOME", str(postmaster.parent.parent))
        embedded.stop(Settings.load())
    shutil.rmtree(folder)


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres/postmaster.pid").read_text().split()[0]))


@pytest.fixture
def private() -> Iterator[None]:
    """The umask of the command line."""
    existing = os.umask(PRIVATE)
    yield
    os.umask(existing)


@pytest.mark.usefixtures("private")
def test_several_may_start_it_at_once_and_all_reach_it(home: Path) -> None:
    starting = [subprocess.Popen([sys.executable, "-c", CONNECT], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in starting] == [("", 0)] * 3
    with database.connect(Settings.load()) as connection:
        row = connection.execute("select current_setting('timezone'), current_setting('checkpoint_timeout')").fetchone()
        assert row == ("UTC", "15min")  # tuned
        connection.execute("create temporary table people (name text primary key)")
        with pytest.raises(psycopg.errors.UniqueViolation, match="jane-doe"):
            connection.execute("insert into people values ('jane-doe'), ('jane-doe')")
    log = embedded.log_file(Settings.load()).read_text()
    assert "duplicate key value" in log
    assert "jane-doe" not in log


def test_it_comes_back_after_a_crash_also_when_its_number_is_another_programs(home: Path) -> None:
    settings = Settings.load()
    embedded.start(settings)
    processes = [postmaster(home), *postmaster(home).children()]
    processes[0].kill()
    psutil.wait_procs(processes, timeout=30)
    pid_file = home / "postgres/postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(processes[0].pid), str(os.getpid()), 1))
    with database.connect(settings) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert embedded.stop(settings)
    assert not embedded.stop(settings)


def test_a_path_too_long_for_a_socket_is_no_obstacle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = home / "a-folder-with-a-long-name" / "in-another-one" / "and-so-on-until-no-socket-fits-any-more"
    monkeypatch.setenv("PARLEY_HOME", str(deep))
    settings = Settings.load()
    found = embedded.start(settings)
    assert not found["PGHOST"].startswith(str(home))
    assert embedded.owns(settings, found["PGHOST"])
    with database.connect(settings) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    shutil.rmtree(embedded._runtime_folder(settings))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
def test_a_private_folder_is_not_opened_to_all_the_world(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = home / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setenv("PARLEY_HOME", str(private / "parley"))
    embedded.start(Settings.load())
    assert private.stat().st_mode & 0o777 == 0o711  # others may pass through, and see nothing
    embedded.stop(Settings.load())
    assert private.stat().st_mode & 0o777 == 0o711


def test_data_of_another_version_are_rejected_with_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "postgres").mkdir()
    (home / "postgres/PG_VERSION").write_text("16\n")
    monkeypatch.setenv("PARLEY_POSTGRES_VERSION", "18")
    with pytest.raises(ParleyError, match="set PARLEY_POSTGRES_VERSION=16"):
        embedded.start(Settings.load())
    monkeypatch.setenv("PARLEY_POSTGRES_VERSION", "17")
    with pytest.raises(ParleyError, match="16 or 18, not 17"):
        embedded.start(Settings.load())


def test_a_folder_that_cannot_be_made_is_explained(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("PARLEY_HOME", str(home / "file"))
    with pytest.raises(ParleyError, match="did not start"):
        embedded.start(Settings.load())
