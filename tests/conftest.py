"""What tests stand on: one embedded Postgres for the whole run, and a fresh, migrated database for each test.

`PARLEY_TEST_POSTGRES` (16 or 18) says on which version; 18 where it is unset.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from parley import embedded, migrate
from parley.settings import Settings

Rows = Callable[..., list[dict[str, Any]]]
"""A query and its parameters to the rows it returns, by column name."""

TEMPLATE = "parley_template"
QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}  # a test's data may die with the machine
VERSION = os.environ.get("PARLEY_TEST_POSTGRES", "18")
_numbers = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    """The libpq variables of a Postgres of this run's own, with a migrated database to clone (`TEMPLATE`)."""
    home = Path(tempfile.mkdtemp(prefix="parley-"))  # not pytest's folder: a socket's path must be short
    with pytest.MonkeyPatch.context() as environment:
        _forget_the_outside(environment)
        environment.setenv("PARLEY_HOME", str(home))
        environment.setenv("PARLEY_POSTGRES_VERSION", VERSION)
        settings = Settings.load()
        variables = embedded.start(settings)
        try:
            _administer(variables, *(f"alter system set {name} = {value}" for name, value in QUICK.items()))
            _administer(variables, "select pg_reload_conf()", f"create database {TEMPLATE}")
            _use(environment, {**variables, "PGDATABASE": TEMPLATE})
            migrate.upgrade(settings)
            yield variables
        finally:
            embedded.stop(settings)
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def database(server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Settings]:
    """A fresh, migrated database that the environment names, for this process and for those it starts."""
    name = f"parley_test_{next(_numbers)}"
    _administer(server, f"create database {name} template {TEMPLATE}")
    _forget_the_outside(monkeypatch)
    _use(monkeypatch, {**server, "PGDATABASE": name})
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PARLEY_SECRET", "the tests' secret")
    yield Settings.load()
    _administer(server, f"drop database {name} with (force)")


@pytest.fixture
def rows(database: Settings) -> Rows:
    """Reads the test's database: `rows("select … where load_id = %s", 1)` is a list of dicts."""

    def read(query: str, *parameters: object) -> list[dict[str, Any]]:
        with psycopg.connect(options="-c timezone=UTC", row_factory=dict_row) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    return read


def _forget_the_outside(environment: pytest.MonkeyPatch) -> None:
    """Nothing that the developer's shell says about a warehouse reaches a test."""
    for name in list(os.environ):
        if name == "DATABASE_URL" or name.startswith(("PG", "PARLEY_")):
            environment.delenv(name)


def _use(environment: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)


def _administer(variables: dict[str, str], *statements: str) -> None:
    with psycopg.connect(
        host=variables["PGHOST"],
        port=variables["PGPORT"],
        user=variables["PGUSER"],
        dbname="postgres",
        autocommit=True,
    ) as connection:
        for statement in statements:
            connection.execute(statement.encode())
