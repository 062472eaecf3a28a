"""Loads seeds that changed, without dbt: the same rows, remembered in the same way (macros/seeds.sql)."""

import csv
import hashlib
import io
import json
from pathlib import Path

from psycopg import sql

from parley.build.plans import Seed, Unknown
from parley.config.seeds import NOTHING
from parley.warehouse.database import Connection

_LARGEST = 1024 * 1024  # dbt knows of a larger file only where it is


def load_changed(connection: Connection, project: Path, seeds: tuple[Seed, ...]) -> set[str]:
    """Load the seeds whose file, or table, is not as it was when they were loaded last; returns their names.

    Raises Unknown where dbt has to read a file.
    """
    wanted = {seed.name: f"{_source(project / seed.path, seed)} " for seed in seeds}
    changed = connection.execute(
        "select name from unnest(%s::text[], %s::text[], %s::text[]) as seeds (name, relation, source)"
        " left join ops.definitions on model = 'seeds.' || name and tenant_id = '*file'"
        " where fingerprint is distinct from source || ops.content_of(relation::regclass)",
        [[*wanted], [seed.relation for seed in seeds], [*wanted.values()]],
    ).fetchall()
    names = {str(name) for (name,) in changed}
    for seed in seeds:
        if seed.name in names:
            _load(connection, project / seed.path, seed, wanted[seed.name])
    return names


def _source(path: Path, seed: Seed) -> str:
    """What a seed's table follows from, as `seed_source` has it."""
    content = path.read_bytes()
    if len(content) > _LARGEST:
        raise Unknown(f"{path.name} is large")
    checksum = hashlib.sha256(content.decode().strip().encode()).hexdigest()
    return hashlib.md5(f'["{checksum}", {seed.options[1:]}'.encode(), usedforsecurity=False).hexdigest()


def _load(connection: Connection, path: Path, seed: Seed, source: str) -> None:
    columns, rows = _read(path, seed)
    target = sql.SQL(seed.relation)  # of dbt's manifest
    with connection.transaction():
        connection.execute(sql.SQL("delete from {}").format(target))
        copying = sql.SQL("copy {} ({}) from stdin").format(target, sql.SQL(", ").join(map(sql.Identifier, columns)))
        with connection.cursor() as cursor, cursor.copy(copying) as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute(sql.SQL("analyze {}").format(target))
        connection.execute("select ops.owe_readers(%s)", [seed.name])
        connection.execute(
            "insert into ops.definitions (model, tenant_id, fingerprint)"
            " values ('seeds.' || %s, '*file', %s || ops.content_of(%s::regclass))"
            " on conflict (model, tenant_id) do update set fingerprint = excluded.fingerprint",
            [seed.name, source, seed.relation],
        )


def _read(path: Path, seed: Seed) -> tuple[list[str], list[list[str | None]]]:
    types, quote_columns, delimiter = json.loads(seed.options)
    columns, *rows = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
    filled = [row for row in rows if row]
    is_plain = not quote_columns and delimiter == "," and types.keys() >= {*columns}
    if not is_plain or any(len(row) != len(columns) for row in filled):
        raise Unknown(f"{path.name} is read by dbt alone")
    return columns, [[_value(cell) for cell in row] for row in filled]


def _value(cell: str) -> str | None:
    """As dbt reads a cell."""
    return None if cell.strip().casefold() in ("", NOTHING) else cell
