"""Bring a database to the schema of `parley.warehouse.schema`, with Alembic and without its configuration file."""

from pathlib import Path

import psycopg
from psycopg import sql

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x7061726C6579  # "parley" in ASCII: two processes that migrate at once take turns


def head() -> str:
    """The newest revision: files of migrations/versions are named `<revision>_<what it does>.py`."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def current(connection: Connection) -> str | None:
    """The database's revision, None where Parley has not been there yet."""
    if not database.has(connection, "ops.alembic_version"):
        return None
    row = connection.execute("select version_num from ops.alembic_version").fetchone()
    return str(row[0]) if row else None


def ensure_schemas(connection: Connection) -> None:
    """Create the schemas that migrations write into. Raises ParleyError where the user may not."""
    try:
        connection.execute("create schema if not exists raw; create schema if not exists ops")
    except psycopg.errors.InsufficientPrivilege:
        info = connection.info
        grant = sql.SQL("grant create on database {} to {}").format(
            sql.Identifier(info.dbname), sql.Identifier(info.user)
        )
        raise ParleyError(
            f"The user {info.user!r} may not create schemas in {info.dbname!r}: "
            f"let its owner run `{grant.as_string(connection)}`."
        ) from None


def upgrade(settings: Settings) -> None:
    """Migrate the warehouse to the newest revision, all or nothing; one quick query where it is there already.

    Raises ParleyError where the database is newer than this Parley, or may not be changed by its user.
    """
    with database.connect(settings) as connection:
        if current(connection) != head():
            connection.rollback()
            _run(connection)


def connect(settings: Settings, *, autocommit: bool = False) -> Connection:
    """A connection to the warehouse, migrated first. Raises ParleyError as `upgrade` and `database.connect` do."""
    upgrade(settings)
    return database.connect(settings, autocommit=autocommit)


def _run(connection: Connection) -> None:
    # imported here because the usual call, at head, needs neither
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import StaticPool, create_engine

    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as transaction:
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        found = current(connection)  # again, now that nobody else migrates
        if found is not None and found > head():
            raise ParleyError(
                f"The database is at revision {found}, but this Parley only knows {head()}: use the newer Parley."
            )
        ensure_schemas(connection)
        config.attributes["connection"] = transaction
        command.upgrade(config, "head")
