"""Exports: a fact or a mart as a file, streamed from the database, with a manifest beside it.

A file and its manifest (`daily_metrics.csv`, `daily_metrics.csv.json`) get their names when they are whole; the
manifest comes last, so that who waits for it finds all of the rows.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import orjson
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from parley.errors import ParleyError, did_you_mean
from parley.history import streams
from parley.settings import Settings
from parley.warehouse import audit, database
from parley.warehouse.database import Connection

SCHEMAS = ("marts", "facts")
Format = Literal["csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
FOLDER = "exports"  # under PARLEY_HOME
ACTION = "export.written"

_SUFFIX = {"csv": "csv", "json": "ndjson", "parquet": "parquet"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export."""

    table: str
    """A mart or fact, with or without its schema."""
    format: Format = "csv"
    tenant: str | None = None
    from_date: date | None = None
    """Of the table's date column, like `to_date`; both included."""
    to_date: date | None = None
    where: tuple[tuple[str, str], ...] = ()
    """Columns and the values they must have, as text."""
    columns: tuple[str, ...] = ()
    """All where none is named."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds."""

    table: str
    format: Format
    file: str
    rows: int
    bytes: int
    sha256: str
    as_of: str | None
    """The time that the last build was as of."""
    exported_at: str
    filters: dict[str, Any]
    schema: list[dict[str, str]]
    """Column and type, as Arrow names it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be exported."""

    schema: str
    name: str
    columns: Mapping[str, str]
    """Names to Postgres' types, in their order."""
    key: tuple[str, ...]
    """Columns of its unique index, by which an export is sorted."""

    @property
    def date_column(self) -> str | None:
        """The column that --from and --to are about: `date`, else the first one that is a date."""
        dates = [name for name, kind in self.columns.items() if kind == "date"]
        return "date" if "date" in dates else next(iter(dates), None)


def format_of(given: str) -> Format:
    """The format of that name. Raises ParleyError where there is none."""
    for known in FORMATS:
        if given == known:
            return known
    raise ParleyError(f"There is no format {given!r}: write one of {', '.join(FORMATS)}.")


def tables(connection: Connection) -> list[Table]:
    """The marts and facts there are, marts first."""
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for schema, name, column, kind in connection.execute(
        """
        select nspname, relname, attname, format_type(atttypid, atttypmod)
        from pg_attribute
        inner join pg_class on pg_class.oid = attrelid
        inner join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = any(%s) and relkind in ('r', 'p', 'v', 'm') and attnum > 0 and not attisdropped
        order by nspname desc, relname, attnum
        """,
        [list(SCHEMAS)],
    ):
        columns.setdefault((str(schema), str(name)), {})[str(column)] = str(kind)
    return [Table(*name, of_table, _key(connection, *name)) for name, of_table in columns.items()]


def export(
    settings: Settings, order: ExportRequest, folder: Path | None = None, *, actor: str | None = None
) -> Manifest:
    """Write a table to `folder` (by default PARLEY_HOME/exports), over an older export of the same name.

    Raises ParleyError where there is no such table, column or value, or no room; nothing half-written is left.
    """
    folder = folder or settings.home / FOLDER
    with database.connect(settings) as connection:
        table = _find(tables(connection), order.table)
        query, parameters = _query(table, order)
        connection.rollback()
        path = folder / f"{table.name}.{_SUFFIX[order.format]}"
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            as_of = _as_of(connection)
            with _explained(), streams.select(connection, query, parameters) as stream:
                rows = _Counted(stream.batches)
                with streams.whole_file(path) as (file, written):
                    _WRITERS[order.format](file, stream.schema, stream.json_columns, rows)
        manifest = Manifest(
            table=f"{table.schema}.{table.name}",
            format=order.format,
            file=path.name,
            rows=rows.count,
            bytes=written.bytes,
            sha256=written.sha256,
            as_of=as_of,
            exported_at=datetime.now(UTC).isoformat(),
            filters=_filters(order),
            schema=[{"name": field.name, "type": str(field.type)} for field in stream.schema],
        )
        with connection.transaction():
            # filters may hold a person's id: which columns they are about is enough
            details = {"table": manifest.table, "format": manifest.format, "rows": manifest.rows}
            details |= {"sha256": manifest.sha256, "filtered_by": sorted(_filtered_columns(order))}
            audit.record(connection, ACTION, tenant_id=order.tenant, actor=actor, details=details)
            streams.write_json(_manifest_of(path), manifest)
    return manifest


def _manifest_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _find(found: Sequence[Table], name: str) -> Table:
    schema, _, bare = name.rpartition(".")
    for table in found:
        if table.name == bare and schema in ("", table.schema):
            return table
    if not found:
        raise ParleyError("There are no tables yet: land events with `parley load` and run `parley build`.")
    raise ParleyError(_unknown("table", name, [table.name for table in found]))


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    guess = did_you_mean(name, known)
    return f"There is no {what} {name!r}: {guess}{guess and ' '}There are {', '.join(sorted(known))}."


def _column(table: Table, name: str) -> sql.Identifier:
    if name not in table.columns:
        raise ParleyError(_unknown(f"column of {table.name}", name, table.columns))
    return sql.Identifier(name)


def _query(table: Table, order: ExportRequest) -> tuple[sql.Composed, list[object]]:
    chosen = [_column(table, name) for name in order.columns or table.columns]
    conditions: list[sql.Composable] = []
    parameters: list[object] = []
    wanted = [*((("tenant_id", order.tenant),) if order.tenant else ()), *order.where]
    for name, value in wanted:
        # the cast makes an index of use, and a value that makes no sense an error
        kind = sql.SQL(table.columns[name]) if name in table.columns else sql.SQL("text")
        conditions.append(sql.SQL("{} = %s::{}").format(_column(table, name), kind))
        parameters.append(value)
    for operator, day in ((">=", order.from_date), ("<=", order.to_date)):
        if day:
            if table.date_column is None:
                raise ParleyError(f"{table.name} has no date: leave out --from and --to.")
            conditions.append(sql.SQL(f"{{}} {operator} %s").format(sql.Identifier(table.date_column)))
            parameters.append(day)
    query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(chosen), sql.Identifier(table.schema, table.name))
    if conditions:
        query += sql.SQL(" where ") + sql.SQL(" and ").join(conditions)
    if table.key:
        query += sql.SQL(" order by {}").format(sql.SQL(", ").join(map(sql.Identifier, table.key)))
    return query, parameters


def _filters(order: ExportRequest) -> dict[str, Any]:
    """What was asked for, beside the table and the format."""
    asked = {**asdict(order), "where": dict(order.where)}
    return {name: value for name, value in asked.items() if value and name not in ("table", "format")}


def _filtered_columns(order: ExportRequest) -> list[str]:
    return [name for name, _ in order.where] + (["date"] if order.from_date or order.to_date else [])


def _key(connection: Connection, schema: str, name: str) -> tuple[str, ...]:
    row = connection.execute(
        """
        select array(
            select attname::text from unnest(indkey) with ordinality as key (number, position)
            inner join pg_attribute on attrelid = indrelid and attnum = key.number order by key.position
        )
        from pg_index
        where indrelid = %s::regclass and indisunique and indpred is null and indexprs is null
        order by indexrelid limit 1
        """,
        [sql.Identifier(schema, name).as_string(connection)],
    ).fetchone()
    return tuple(row[0]) if row else ()  # type: ignore[arg-type]


def _as_of(connection: Connection) -> str | None:
    row = connection.execute("select as_of from ops.builds order by finished_at desc limit 1").fetchone()
    return row[0].isoformat() if row and isinstance(row[0], datetime) else None


@contextmanager
def _explained() -> Iterator[None]:
    """Turns a value that Postgres cannot read into a sentence."""
    try:
        yield
    except psycopg.DataError as error:
        raise ParleyError(f"A value of a filter is not of its column's type: {error.diag.message_primary}.") from error


class _Counted:
    """Batches, and how many rows have been taken of them."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.count = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self.count += batch.num_rows
            yield batch


def _write_csv(file: BinaryIO, schema: pa.Schema, json_columns: Collection[str], batches: _Counted) -> None:
    """With a header; texts in quotation marks, so that an empty one differs from none."""
    file.write((",".join(schema.names) + "\r\n").encode())
    for batch in batches:
        file.write("".join(",".join(map(_cell, row)) + "\r\n" for row in streams.rows(batch)).encode())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return '"' + harmless(text).replace('"', '""') + '"'


_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*")


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before what could be one. Numbers stay."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _digits(value: Decimal) -> str:
    """All of them, without zeros at the end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write_json(file: BinaryIO, schema: pa.Schema, json_columns: Collection[str], batches: _Counted) -> None:
    """One object per line; JSON columns and arrays as what they are."""
    raw = [name in json_columns for name in schema.names]
    for batch in batches:
        for row in streams.rows(batch):
            values = {
                name: orjson.Fragment(value) if is_json and value is not None else value
                for name, is_json, value in zip(schema.names, raw, row, strict=True)
            }
            file.write(orjson.dumps(values, default=_exact_number, option=orjson.OPT_APPEND_NEWLINE))


def _exact_number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(_digits(value))
    raise TypeError


def _write_parquet(file: BinaryIO, schema: pa.Schema, json_columns: Collection[str], batches: _Counted) -> None:
    """JSON columns as text."""
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


_WRITERS: dict[Format, Callable[[BinaryIO, pa.Schema, Collection[str], _Counted], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
}
