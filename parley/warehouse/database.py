"""The one place that knows which Postgres Parley works on.

`DATABASE_URL`, else libpq's own variables (`PGHOST`, or `PGSERVICE`), name the user's server; with neither, Parley
starts its own (`parley.warehouse.embedded`). What they do not say is libpq's to find: password file, certificates,
local socket.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql
from psycopg.pq import Conninfo

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import embedded

OLDEST_SUPPORTED = 16
DATABASE = "parley"
SESSION = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres"  # whatever the server's are: dates are read as ISO
    " -c idle_in_transaction_session_timeout=0"  # a build's transaction waits for dbt and for what Python computes
    " -c client_connection_check_interval=1s"  # who is killed leaves nothing at work
    " -c jit=off"  # compiling a query costs more than it gains on tables kept up to date in small steps
)
Connection = psycopg.Connection[tuple[object, ...]]

STOPPED = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
_SERVER_NAMED_BY = ("DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE")
_EXAMPLE = "write it as postgresql://user:password@host:5432/database"


def is_embedded(settings: Settings) -> bool:
    """Whether Parley runs its own server: none is named, or just that one (by `parley env`)."""
    if embedded.owns(settings, os.environ.get("PGHOST", "")):
        return not os.environ.get("DATABASE_URL")
    return not any(os.environ.get(name) for name in _SERVER_NAMED_BY)


def variables(settings: Settings) -> dict[str, str]:
    """libpq's variables of the warehouse, starting the embedded server where none is named.

    `PGHOST` (blank: the local socket), `PGPORT`, `PGUSER`, `PGDATABASE` and `PGOPTIONS` are always there; `PGPASSWORD`
    and those of a URL's query (`PGSSLMODE`, …) where they are given. Raises ParleyError where what names the server
    makes no sense, or the embedded one does not start.
    """
    if is_embedded(settings):
        found = {**embedded.start(settings), "PGDATABASE": os.environ.get("PGDATABASE") or DATABASE}
    else:
        url = os.environ.get("DATABASE_URL")
        found = {"PGHOST": "", "PGDATABASE": DATABASE} | _defaults() | (_from_url(url) if url else {})
    if not found["PGPORT"].isdigit():
        raise ParleyError(
            f"{found['PGPORT']!r} is not a port: set PGPORT to a number such as 5432 (DATABASE_URL: {_EXAMPLE})."
        )
    of_url, options = found.get("PGOPTIONS", ""), os.environ.get("PGOPTIONS", "")
    if of_url not in options:  # a build says what it is about in the environment's
        options = f"{of_url} {options}".strip()
    found["PGOPTIONS"] = options if options.endswith(SESSION) else f"{options} {SESSION}".strip()
    return found


def _defaults() -> dict[str, str]:
    """What libpq would connect to by itself: from `PG*`, the service file and the name of the user."""
    names = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")
    return {name: value for name, value in _by_variable(Conninfo.get_defaults()).items() if name in names}


def _from_url(url: str) -> dict[str, str]:
    plain = re.sub(r"^(postgres(?:ql)?)(\+\w+)?://", "postgresql://", url.strip())
    if not plain.startswith("postgresql://"):
        raise ParleyError(f"DATABASE_URL does not start with postgresql://: {_EXAMPLE}.")
    try:
        return _by_variable(Conninfo.parse(plain.encode()))
    except psycopg.OperationalError:
        raise ParleyError(
            f"DATABASE_URL cannot be read: {_EXAMPLE}, other characters than letters and digits as %40 for @."
        ) from None


def _by_variable(options: list[psycopg.pq.ConninfoOption]) -> dict[str, str]:
    return {option.envvar.decode(): option.val.decode() for option in options if option.envvar and option.val}


def connect(settings: Settings, *, autocommit: bool = False, database: str | None = None) -> Connection:
    """A connection in UTC. Raises ParleyError where the server cannot be reached or is too old."""
    found = variables(settings)
    name = database or found["PGDATABASE"]
    try:
        connection = _open(found, name, autocommit)
    except psycopg.OperationalError as error:
        if "does not exist" in str(error) and database is None and is_embedded(settings):
            _create_database(found, name)
            connection = _open(found, name, autocommit)
        else:
            raise ParleyError(_explain(error, found, name)) from error
    version = connection.info.server_version // 10000
    if version < OLDEST_SUPPORTED:
        connection.close()
        raise ParleyError(
            f"Postgres {version} at {_place(found)} is too old: Parley needs {OLDEST_SUPPORTED} or newer."
        )
    return connection


def conninfo(settings: Settings) -> str:
    """libpq's connection string of the warehouse. Raises ParleyError as `variables` does."""
    found = variables(settings)
    return _conninfo(found, found["PGDATABASE"])


def _open(found: Mapping[str, str], name: str, autocommit: bool) -> Connection:
    return psycopg.connect(_conninfo(found, name), autocommit=autocommit)


def _conninfo(found: Mapping[str, str], name: str) -> str:
    keywords = {option.envvar.decode(): option.keyword.decode() for option in Conninfo.get_defaults() if option.envvar}
    named: dict[str, str] = {keywords[variable]: value for variable, value in found.items()}
    named |= {"dbname": name, "application_name": "parley", "connect_timeout": "10"}
    return psycopg.conninfo.make_conninfo(**named)


def _create_database(found: Mapping[str, str], name: str) -> None:
    with (
        _open(found, "postgres", autocommit=True) as connection,
        suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation),  # another process was first
    ):
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def _place(found: Mapping[str, str]) -> str:
    return f"{found['PGHOST'] or 'the local socket'}:{found['PGPORT']}"


def _explain(error: psycopg.OperationalError, found: Mapping[str, str], name: str) -> str:
    where = _place(found)
    said = str(error).partition("FATAL:")[2] or str(error)  # the server's words, without the path to it
    if "database" in said and "does not exist" in said:
        return f"There is no database {name!r} on {where}: run `createdb {name}`, or name another in PGDATABASE."
    if any(word in said for word in ("password", "authentication", "role", "no pg_hba.conf entry")):
        return (
            f"Postgres at {where} refused the user {found['PGUSER']!r}: check PGUSER and PGPASSWORD (or DATABASE_URL)."
        )
    if "starting up" in said or "shutting down" in said:
        return f"Postgres at {where} is just starting up or shutting down: try again in a moment."
    if "too many clients" in said or "connection slots" in said:
        return f"Postgres at {where} has no connection left: close some, or raise its max_connections."
    if "SSL" in said or "certificate" in said:
        return f"Postgres at {where} and this machine do not agree on SSL: check sslmode and the certificates it names."
    return f"Postgres at {where} cannot be reached: is it running, and are PGHOST and PGPORT (or DATABASE_URL) right?"


@contextmanager
def explained(what: str, then: str = "correct that and run the same command again.") -> Iterator[None]:
    """Turns what Postgres may say in the middle of some work into one sentence, with nothing of an event in it."""
    try:
        yield
    except Exception as error:
        if sentence := why_stopped(error):
            raise ParleyError(f"Postgres stopped {what} ({sentence}): {then}") from error
        raise


def why_stopped(error: BaseException) -> str | None:
    """Why Postgres could not go on, where that is no fault of Parley's: it is gone, full, read-only or out of time."""
    error = getattr(error, "orig", None) or error  # of SQLAlchemy's, which wraps it
    if not isinstance(error, STOPPED):
        return None
    return error.diag.message_primary or "the connection was lost"


def has(connection: Connection, *tables: str) -> bool:
    """Whether there are all of these tables or views, named with their schemas."""
    query = "select bool_and(to_regclass(name) is not null) from unnest(%s::text[]) as name"
    return connection.execute(query, [list(tables)]).fetchone() == (True,)


def is_table(connection: Connection, name: str) -> bool:
    """Whether there is a table, no view, of this name with its schema."""
    query = "select exists (select from pg_class where oid = to_regclass(%s) and relkind in ('r', 'p'))"
    return connection.execute(query, [name]).fetchone() == (True,)


@contextmanager
def taking_turns(connection: Connection, lock: int, *, else_raise: str | None = None) -> Iterator[None]:
    """Hold an advisory lock, which the connection's end lets go of too; the connection must be in autocommit.

    Waits for who holds it, or raises ParleyError with the sentence given.
    """
    if else_raise is None:
        connection.execute("select pg_advisory_lock(%s)", [lock])
    elif connection.execute("select pg_try_advisory_lock(%s)", [lock]).fetchone() != (True,):
        raise ParleyError(else_raise)
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # of a connection that is no more: its end let go
            connection.execute("select pg_advisory_unlock(%s)", [lock])


def sqlalchemy_url(settings: Settings, driver: str = "psycopg", **others: str) -> str:
    """The warehouse as an SQLAlchemy URL. The driver is always named: a bare URL means different ones.

    `others` are variables that differ from the warehouse's: `PGUSER`, `PGPASSWORD`, `PGDATABASE`.
    """
    from sqlalchemy import URL

    found = variables(settings) | others
    query = {"host": found["PGHOST"], "port": found["PGPORT"], "sslmode": found.get("PGSSLMODE", "")}
    return URL.create(
        f"postgresql+{driver}",
        username=found["PGUSER"],
        password=found.get("PGPASSWORD"),
        database=found["PGDATABASE"],
        query={name: value for name, value in query.items() if value},
    ).render_as_string(hide_password=False)
