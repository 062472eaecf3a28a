"""The one place that knows which Postgres Parley works on.

`DATABASE_URL`, else libpq's `PGHOST` (or `PGSERVICE`-less `PG*`), names the user's own server;
with neither, Parley starts its own (`parley.embedded`).
"""

import os
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
from psycopg import sql

from parley import embedded
from parley.errors import ParleyError
from parley.settings import Settings

OLDEST_SUPPORTED = 16
Connection = psycopg.Connection[tuple[object, ...]]


def variables(settings: Settings, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """libpq's variables of the warehouse, starting the embedded server where none is named."""
    if url := environment.get("DATABASE_URL"):
        return _from_url(url)
    if environment.get("PGHOST"):
        return {
            "PGHOST": environment["PGHOST"],
            "PGPORT": environment.get("PGPORT") or "5432",
            "PGUSER": environment.get("PGUSER") or "postgres",
            "PGPASSWORD": environment.get("PGPASSWORD") or "",
            "PGDATABASE": environment.get("PGDATABASE") or "parley",
        }
    return embedded.start(settings)


def is_embedded(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether no server is named, so that Parley runs its own."""
    return not (environment.get("DATABASE_URL") or environment.get("PGHOST"))


def _from_url(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.scheme.split("+")[0] not in ("postgres", "postgresql"):
        raise ParleyError(
            "DATABASE_URL does not start with postgresql://: write it as postgresql://user:password@host:port/database."
        )
    try:
        port = parts.port or 5432
    except ValueError:
        raise ParleyError("DATABASE_URL has a port that is no number: write it as postgresql://user@host:5432/database.") from None
    query = parse_qs(parts.query)
    return {
        "PGHOST": query.get("host", [unquote(parts.hostname or "localhost")])[0],
        "PGPORT": str(port),
        "PGUSER": unquote(parts.username or "postgres"),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")) or "parley",
    }


def connect(settings: Settings, *, autocommit: bool = False, database: str | None = None) -> Connection:
    """A connection in UTC. Raises ParleyError where the server cannot be reached or is too old."""
    found = variables(settings)
    name = database or found["PGDATABASE"]
    try:
        connection = _open(found, name, autocommit)
    except psycopg.OperationalError as error:
        if "does not exist" in str(error) and database is None and is_embedded():
            _create_database(found, name)
            connection = _open(found, name, autocommit)
        else:
            raise ParleyError(_explain(error, found, name)) from error
    version = connection.info.server_version // 10000
    if version < OLDEST_SUPPORTED:
        connection.close()
        raise ParleyError(f"Postgres {version} at {found['PGHOST']} is too old: Parley needs {OLDEST_SUPPORTED} or newer.")
    return connection


def _open(found: Mapping[str, str], name: str, autocommit: bool) -> Connection:
    return psycopg.connect(
        host=found["PGHOST"],
        port=found["PGPORT"],
        user=found["PGUSER"],
        password=found["PGPASSWORD"] or None,
        dbname=name,
        options="-c timezone=UTC",
        application_name="parley",
        connect_timeout=10,
        autocommit=autocommit,
    )


def _create_database(found: Mapping[str, str], name: str) -> None:
    with _open(found, "postgres", autocommit=True) as connection:
        try:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # another process was first


def _explain(error: psycopg.OperationalError, found: Mapping[str, str], name: str) -> str:
    where = f"{found['PGHOST']}:{found['PGPORT']}"
    if "does not exist" in str(error) and "database" in str(error):
        return f"There is no database {name!r} on {where}: create it with `createdb {name}`, or name another in PGDATABASE."
    if "password" in str(error) or "authentication" in str(error):
        return f"Postgres at {where} refused the user {found['PGUSER']!r}: check PGUSER and PGPASSWORD (or DATABASE_URL)."
    return f"Postgres at {where} cannot be reached: is it running, and are PGHOST and PGPORT (or DATABASE_URL) right?"


def sqlalchemy_url(settings: Settings, driver: str = "psycopg") -> str:
    """The warehouse as an SQLAlchemy URL. The driver is always named: a bare URL means different ones."""
    from sqlalchemy import URL

    found = variables(settings)
    return URL.create(
        f"postgresql+{driver}",
        username=found["PGUSER"],
        password=found["PGPASSWORD"] or None,
        host=None,
        database=found["PGDATABASE"],
        query={"host": found["PGHOST"], "port": found["PGPORT"]},
    ).render_as_string(hide_password=False)
