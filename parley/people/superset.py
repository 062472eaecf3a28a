"""What Superset keeps of people in its own database, beside the warehouse: its log, and the queries of SQL Lab."""

from collections.abc import Collection

import psycopg
from psycopg import sql

from parley.errors import ParleyError
from parley.people import residue
from parley.settings import Settings
from parley.warehouse import database, postgres_errors

_TABLES = {
    "public.logs": ("json", "referrer"),
    "public.query": ("sql", "executed_sql", "select_sql", "error_message"),
}
"""Where filters, chart queries and SQL end up, with the columns that hold them."""


def name(settings: Settings) -> str:
    """The database in which Superset keeps its own things."""
    return f"{database.variables(settings)['PGDATABASE']}_superset"


def erase(settings: Settings, names: Collection[str]) -> dict[str, int]:
    """Delete what the log says with one of these names in it, and empty such queries; how many rows, by table."""
    connection = _connect(settings) if names else None
    if connection is None:
        return {}
    done: dict[str, int] = {}
    with connection:
        for table, columns in _TABLES.items():
            if not database.has(connection, table):
                continue
            text = sql.SQL("concat_ws(' ', {})").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
            where = sql.SQL(" where {} ~ %s").format(text)
            if table == "public.logs":
                statement = sql.SQL("delete from public.logs") + where
            else:
                emptied = sql.SQL(", ").join(sql.SQL("{} = null").format(sql.Identifier(column)) for column in columns)
                statement = sql.SQL("update {} set {}").format(sql.Identifier(*table.split(".")), emptied) + where
            if rows := connection.execute(statement, [residue.pattern_of(names)]).rowcount:
                done[f"superset {table}"] = rows
    return done


def search(settings: Settings, tenant_id: str, names: Collection[str]) -> dict[str, int]:
    """The tables of Superset in which one of these names stands, and in how many rows."""
    connection = _connect(settings)
    if connection is None:
        return {}
    with connection:
        return {f"superset {table}": rows for table, rows in residue.in_database(connection, tenant_id, names).items()}


def _connect(settings: Settings) -> database.Connection | None:
    """A connection to Superset's database, None where there is none, or none that this user may open."""
    with database.connect(settings, autocommit=True) as connection:
        row = connection.execute("select from pg_database where datname = %s", [name(settings)]).fetchone()
    if row is None:
        return None
    try:
        return database.connect(settings, autocommit=True, database=name(settings))
    except (ParleyError, psycopg.Error) as error:
        said = postgres_errors.without_values(error)
        raise ParleyError(f"Superset's own database {name(settings)!r} cannot be searched: {said}") from error
