"""The role that dashboards read the warehouse with: it sees `facts` and `marts`, and can change nothing.

It is named after the database (`parley_reader` for `parley`), and its password is derived from the installation's
secret, so that neither has to be kept anywhere.
"""

import hashlib
import hmac

import psycopg
from psycopg import sql

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database

SCHEMAS = ("facts", "marts")
LONGEST_QUERY = "60s"
LOCK = 0x726561646572  # "reader" in ASCII: Superset and Metabase may be prepared at once


def role(settings: Settings) -> str:
    """The role's name: roles belong to the whole server, so it carries the database's."""
    return f"{database.variables(settings)['PGDATABASE']}_reader"


def password(settings: Settings) -> str:
    """The role's password, the same on every machine that has the installation's secret."""
    return derived(settings, role(settings))


def derived(settings: Settings, purpose: str) -> str:
    """A secret of its own for a purpose, from the installation's."""
    return hmac.new(settings.secret, purpose.encode(), hashlib.sha256).hexdigest()


def prepare(settings: Settings) -> None:
    """Make the role where it is missing, and let it read what is built and what will be.

    Raises ParleyError where nothing has been built yet, or the user may not make roles.
    """
    name = sql.Identifier(role(settings))
    secret = sql.Literal(password(settings))
    with database.connect(settings) as connection:
        built = connection.execute(
            "select count(*) from pg_namespace where nspname = any(%s)", [list(SCHEMAS)]
        ).fetchone()
        if built != (len(SCHEMAS),):
            raise ParleyError("There is nothing to show yet: land events and build the tables with `make run` first.")
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        known = connection.execute("select from pg_roles where rolname = %s", [role(settings)]).fetchone()
        verb = sql.SQL("create role" if known is None else "alter role")
        try:
            connection.execute(sql.SQL("{} {} with login password {}").format(verb, name, secret))
            connection.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(name))
            connection.execute(
                sql.SQL("alter role {} set statement_timeout = {}").format(name, sql.Literal(LONGEST_QUERY))
            )
        except psycopg.errors.InsufficientPrivilege:
            user = database.variables(settings)["PGUSER"]
            raise ParleyError(
                f"The user {user!r} may not make the role {role(settings)!r} that dashboards read with: "
                f'let an administrator run `alter role "{user}" createrole createdb`, or run this once as one.'
            ) from None
        for schema in map(sql.Identifier, SCHEMAS):
            for grant in (
                "grant usage on schema {} to {}",
                "grant select on all tables in schema {} to {}",
                "alter default privileges in schema {} grant select on tables to {}",  # tables that a build makes anew
            ):
                connection.execute(sql.SQL(grant).format(schema, name))
