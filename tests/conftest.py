"""What tests stand on: one embedded Postgres for the whole run, and a fresh, migrated database for each test.

With several processes (pytest-xdist) they share the server, its migrated template and the built demo.

`PARLEY_TEST_POSTGRES` (16 or 18) says on which version; 18 where it is unset.
"""

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import settings
from psycopg.rows import dict_row

from parley.settings import Settings
from parley.warehouse import embedded, migrate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Rows = Callable[..., list[dict[str, Any]]]
"""A query and its parameters to the rows it returns, by column name."""

TEMPLATE = "parley_template"
RECORDED = "parley_recorded"
BUILT = "parley_built"
BUILT_AS_OF = "2025-07-05T12:00:00+00:00"
QUICK = {
    # a test's data may die with the machine
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'512MB'",
    "shared_buffers": "'256MB'",  # whoever drops a table or a database looks through all of them
}
MEMORY = Path("/dev/shm")
MUCH_MEMORY = 4 * 1024**3
VERSION = os.environ.get("PARLEY_TEST_POSTGRES", "18")
RUN = "TESTS_HOME"  # the variable that names the folder of the run, to its processes
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
PARSED = "partial_parse.msgpack"  # dbt's name for the project as it has read it
_copies: set[str] = set()

settings.register_profile("untimed", deadline=None)  # how fast a machine is decides no test
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's folder, in the process that starts the others."""
    os.environ["COLUMNS"] = "100"  # of what the command line prints, wherever the tests run
    if not hasattr(config, "workerinput"):
        # not pytest's folder: a socket's path must be short
        os.environ[RUN] = tempfile.mkdtemp(prefix="parley-", dir=_quick_folder())


def _quick_folder() -> Path | None:
    """Memory, where there is plenty: a disk's file system takes long to make files where it has just deleted many."""
    is_large = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MUCH_MEMORY
    return MEMORY if is_large else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's server, once every process has ended."""
    if not hasattr(config, "workerinput"):
        home = os.environ.pop(RUN)
        with pytest.MonkeyPatch.context() as environment:
            _name_server(environment, home)
            embedded.stop(Settings.load())
        shutil.rmtree(home, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: a process that comes to one at the end leaves the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    """The libpq variables of a Postgres of this run's own, with a migrated database to clone (`TEMPLATE`)."""
    with pytest.MonkeyPatch.context() as environment:
        _name_server(environment, os.environ[RUN])
        settings = Settings.load()
        with _one_at_a_time():
            variables = embedded.start(settings)
            if not _exists(variables, TEMPLATE):
                _administer(variables, *(f"alter system set {name} = {value}" for name, value in QUICK.items()))
                embedded.stop(settings)
                embedded.start(settings)
                _administer(variables, f"create database {TEMPLATE}")
                _use(environment, {**variables, "PGDATABASE": TEMPLATE})
                migrate.upgrade(settings)
        yield variables


@pytest.fixture
def database(
    server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """A fresh, migrated database that the environment names, for this process and for those it starts.

    For a test that is marked `builds`, every table is there, empty, and how to build it is recorded: no build of the
    project as it is needs dbt.
    """
    builds = request.node.get_closest_marker("builds")
    template = request.getfixturevalue("recorded_template") if builds else TEMPLATE
    with database_copy(server, template, monkeypatch, tmp_path / "home") as settings:
        yield settings


@pytest.fixture(scope="session")
def recorded_template(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """dbt builds a new warehouse, and records what it runs."""
    forget = "truncate ops.builds, ops.rebuilds; delete from ops.definitions where tenant_id = '*as_of'"
    folder = tmp_path_factory.mktemp("recorded")
    return _made(server, RECORDED, TEMPLATE, folder, [f"build --as-of {BUILT_AS_OF}"], forget)


@pytest.fixture(scope="session")
def built_template(server: dict[str, str], recorded_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("demo")
    commands = [
        f"demo {folder}/demo.ndjson --size 400 --days 5 --end 2025-06-30",
        f"load {folder}/demo.ndjson",
        f"build --as-of {BUILT_AS_OF}",
    ]
    return _made(server, BUILT, recorded_template, folder, commands)


def _made(
    server: dict[str, str], name: str, template: str, folder: Path, commands: Iterable[str], statements: str = ""
) -> str:
    """A database for copies: the template after these commands and statements, made by the first process to ask."""
    with (
        _one_at_a_time(),
        pytest.MonkeyPatch.context() as environment,
        database_copy(server, template, environment, folder / "home"),
    ):
        if not _exists(server, name):
            for command in commands:
                parley(*command.split()).check_returncode()
            with psycopg.connect(autocommit=True) as connection:
                connection.execute(statements.encode())
            keep_as_template(server, name)
    return name


@pytest.fixture
def built(
    server: dict[str, str], built_template: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Settings]:
    """As `database`, with a small demo landed and built as of `BUILT_AS_OF`."""
    with database_copy(server, built_template, monkeypatch, tmp_path / "home") as settings:
        yield settings


def parley(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as a person runs it, in this process: what it imports is imported once."""
    from parley.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    mask = os.umask(0)
    status: object = 0
    with (
        pytest.MonkeyPatch.context() as changed,
        redirect_stdout(out),
        redirect_stderr(err),
        Path(os.devnull).open() as nothing,
    ):
        changed.setattr(sys, "argv", ["parley", *arguments])
        changed.setattr(sys, "stdin", nothing)
        os.umask(mask)
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        except Exception:  # as Python ends a process, so that a test sees a traceback
            traceback.print_exc()
            status = 1
        finally:
            os.umask(mask)
    said, complained = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(["parley", *arguments], int(str(status or 0)), said, complained)


@pytest.fixture
def rows(database: Settings) -> Rows:
    """Reads the test's database: `rows("select … where load_id = %s", 1)` is a list of dicts."""
    return read_rows


def read_rows(query: str, *parameters: object) -> list[dict[str, Any]]:
    """The rows of a query of the database that the environment names."""
    with psycopg.connect(options="-c timezone=UTC", row_factory=dict_row) as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


@pytest.fixture(scope="module")
def _browser() -> "Iterator[Browser]":
    from tests.support.browser import launched

    with launched() as browser:
        yield browser


@pytest.fixture
def page(_browser: "Browser", tmp_path: Path) -> "Iterator[Page]":
    """A tab of a headless Chromium; what it last showed is in `tmp_path / "page.png"`. Skips where there is none."""
    from tests.support.browser import tab

    with tab(_browser, tmp_path / "page.png") as opened:
        yield opened


@contextmanager
def database_copy(
    server: dict[str, str], template: str, environment: pytest.MonkeyPatch, home: Path
) -> Iterator[Settings]:
    """A copy of a database, named by the environment while it is in use; dbt's files go to a folder beside `home`.

    Copies have the same name one after the other: dbt reads its project again, for ten seconds, where the name differs.
    What it has read is kept for the copies to come, which read only the files that differ.
    """
    kept = Path(os.environ[RUN], f"{WORKER}-{PARSED}")
    name = next(name for number in count(1) if (name := f"parley_test_{WORKER}_{number}") not in _copies)
    _administer(server, f"create database {name} template {template}")
    _copies.add(name)
    try:
        _name_database(environment, server, name, home)
        target = home.with_name("target")
        target.mkdir(parents=True, exist_ok=True)
        environment.setenv("DBT_TARGET_PATH", str(target))
        if kept.exists():
            shutil.copy(kept, target / PARSED)
        yield Settings.load()
        if not kept.exists() and (target / PARSED).exists():
            shutil.copy(target / PARSED, kept)
    finally:
        _copies.discard(name)
        _administer(server, f"drop database {name} with (force)")


def keep_as_template(server: dict[str, str], name: str) -> None:
    """Keep the database in use, as it is now, for copies of it."""
    used = os.environ["PGDATABASE"]
    _administer(
        server,
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{used}'",  # pools of libraries
        f"create database {name} template {used}",
    )


def _name_database(environment: pytest.MonkeyPatch, server: dict[str, str], name: str, home: Path) -> None:
    _forget_the_outside(environment)
    _use(environment, {**server, "PGDATABASE": name})
    environment.setenv("PARLEY_HOME", str(home))
    environment.setenv("PARLEY_SECRET", "the tests' secret")


def _forget_the_outside(environment: pytest.MonkeyPatch) -> None:
    """Nothing that the developer's shell says about a warehouse reaches a test."""
    for name in list(os.environ):
        if name == "DATABASE_URL" or name.startswith(("PG", "PARLEY_")):
            environment.delenv(name)


def _name_server(environment: pytest.MonkeyPatch, home: str) -> None:
    """The environment in which Parley's own Postgres is the run's."""
    _forget_the_outside(environment)
    environment.setenv("PARLEY_HOME", home)
    environment.setenv("PARLEY_POSTGRES_VERSION", VERSION)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep the run's other processes from making what they share meanwhile."""
    with Path(os.environ[RUN], "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _exists(variables: dict[str, str], name: str) -> bool:
    with _administrator(variables) as connection:
        return connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is not None


def _use(environment: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)


def _administer(variables: dict[str, str], *statements: str) -> None:
    with _administrator(variables) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _administrator(variables: dict[str, str]) -> psycopg.Connection[tuple[object, ...]]:
    host, port, user = (variables[name] for name in ("PGHOST", "PGPORT", "PGUSER"))
    return psycopg.connect(host=host, port=port, user=user, dbname="postgres", autocommit=True)
