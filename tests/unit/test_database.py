"""Which Postgres is meant by what the environment says."""

import os
from pathlib import Path

import pytest

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name == "DATABASE_URL" or name.startswith("PG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path))


def variables() -> dict[str, str]:
    return database.variables(Settings.load())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ada:s%40fe%2F@db.example:6432/shop",
            {"PGHOST": "db.example", "PGPORT": "6432", "PGUSER": "ada", "PGPASSWORD": "s@fe/", "PGDATABASE": "shop"},
        ),
        ("postgres://ada@db.example", {"PGHOST": "db.example", "PGPORT": "5432", "PGDATABASE": "parley"}),
        ("postgresql+psycopg2://ada@db.example/shop", {"PGHOST": "db.example", "PGDATABASE": "shop"}),
        ("postgresql://ada@/shop?host=/run/postgresql&port=5433", {"PGHOST": "/run/postgresql", "PGPORT": "5433"}),
        ("postgresql:///shop", {"PGHOST": "", "PGDATABASE": "shop"}),
        ("postgresql://ada@[::1]:5432/shop", {"PGHOST": "::1"}),
        (
            "postgresql://ada@db.example/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem&target_session_attrs=read-write",
            {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/etc/ca.pem", "PGTARGETSESSIONATTRS": "read-write"},
        ),
    ],
)
def test_a_url_becomes_libpqs_variables(monkeypatch: pytest.MonkeyPatch, url: str, expected: dict[str, str]) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert expected.items() <= variables().items()


def test_a_url_overrules_the_single_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "other.example")
    monkeypatch.setenv("PGPASSWORD", "other")
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@db.example/shop")
    found = variables()
    assert (found["PGHOST"], found["PGUSER"], found["PGPASSWORD"]) == ("db.example", "ada", "other")


def test_options_of_a_url_stand_beside_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build tells its sessions by the latter what it is about."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@db.example/shop?options=-c%20statement_timeout%3D9")
    monkeypatch.setenv("PGOPTIONS", "-c parley.as_of=now")
    found = variables()["PGOPTIONS"]
    assert found == f"-c statement_timeout=9 -c parley.as_of=now {database.SESSION}"
    monkeypatch.setenv("PGOPTIONS", found)
    assert variables()["PGOPTIONS"] == found


def test_what_is_not_said_is_left_to_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGUSER", "ada")
    found = variables()
    assert "PGPASSWORD" not in found  # the password file may have it
    assert (found["PGPORT"], found["PGDATABASE"]) == ("5432", "parley")


def test_a_service_names_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "services").write_text("[shop]\nhost=db.example\nport=6432\ndbname=shop\nuser=ada\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "shop")
    expected = {"PGHOST": "db.example", "PGPORT": "6432", "PGUSER": "ada", "PGDATABASE": "shop"}
    assert expected.items() <= variables().items()
    assert not database.is_embedded(Settings.load())


def test_sessions_are_in_utc_beside_the_users_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=60000")
    once = variables()["PGOPTIONS"]
    assert once == f"-c statement_timeout=60000 {database.SESSION}"
    assert "-c timezone=UTC" in once
    monkeypatch.setenv("PGOPTIONS", once)
    assert variables()["PGOPTIONS"] == once


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://ada@db.example/shop", "does not start with postgresql://"),
        ("DATABASE_URL", "db.example/shop", "does not start with postgresql://"),
        ("DATABASE_URL", "postgresql://ada:s3cret@db.example:port/shop", "'port' is not a port"),
        ("DATABASE_URL", "postgresql://ada:s3cret%zz@db.example/shop", "cannot be read"),
        ("DATABASE_URL", "postgresql://ada:s3cret@db.example/shop?nosuch=1", "cannot be read"),
    ],
)
def test_a_url_that_makes_no_sense_is_explained_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ParleyError, match=sentence) as error:
        variables()
    assert "s3cret" not in str(error.value)


def test_a_port_that_is_no_number_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGPORT", "five")
    with pytest.raises(ParleyError, match="'five' is not a port"):
        variables()


def test_the_embedded_server_stays_it_when_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load()
    assert database.is_embedded(settings)
    monkeypatch.setenv("PGHOST", str(settings.home / "postgres"))  # as `parley env` prints it
    assert database.is_embedded(settings)
    monkeypatch.setenv("PGHOST", "db.example")
    assert not database.is_embedded(settings)


def test_a_driver_is_named_in_every_sqlalchemy_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:s%40fe@db.example/shop?sslmode=require")
    assert database.sqlalchemy_url(Settings.load(), "psycopg2") == (
        "postgresql+psycopg2://ada:s%40fe@/shop?host=db.example&port=5432&sslmode=require"
    )
