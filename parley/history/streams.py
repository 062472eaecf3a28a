"""Rows of a query as Arrow batches, in constant memory, and files that are there whole or not at all."""

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
from psycopg import ServerCursor, sql
from psycopg.types.string import TextLoader

from parley.errors import ParleyError
from parley.warehouse.database import Connection

ROWS = 10_000  # of a batch
PART = ".part"  # ends the name of a file that is not yet whole

_TEXT: pa.DataType = pa.string()
_ARROW: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "bytea": pa.binary(),
}
_UNBOUNDED = pa.decimal128(38, 16)
"""Of `numeric` without a precision, which Arrow must have: no fewer decimals than a division by Postgres has."""
_EXACT = Context(prec=_UNBOUNDED.precision)
_SMALLEST = Decimal(1).scaleb(-_UNBOUNDED.scale)
_AS_TEXT = ("uuid", "json", "jsonb", "interval", "time", "timetz")  # as Postgres writes them


@dataclass(frozen=True, slots=True)
class Stream:
    """The rows of a query, to be read once."""

    schema: pa.Schema
    json_columns: frozenset[str]
    """Columns that hold JSON, as text."""
    batches: Iterator[pa.RecordBatch]
    """Of at most `ROWS` rows each."""


@contextmanager
def select(
    connection: Connection, query: sql.SQL | sql.Composed, parameters: Sequence[object] = ()
) -> Iterator[Stream]:
    """The rows of a query, by a server-side cursor; the connection must be in a transaction.

    Types that Arrow does not have (UUID, JSON, intervals) come as Postgres writes them.
    """
    with ServerCursor(connection, "rows") as cursor:
        for name in _AS_TEXT:
            cursor.adapters.register_loader(name, TextLoader)
        cursor.execute(query, parameters)
        schema = _schema(cursor)
        json_columns = frozenset(
            column.name for column in cursor.description or () if _type_name(cursor, column.type_code)[0] in _JSON
        )
        yield Stream(schema, json_columns, _batches(cursor, schema))


_JSON = ("json", "jsonb")


def _batches(cursor: ServerCursor[tuple[object, ...]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(ROWS):
        columns = [
            pa.array(map(_rounded, column) if field.type == _UNBOUNDED else column, type=field.type, size=len(rows))
            for column, field in zip(zip(*rows, strict=True), schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _rounded(value: Any) -> Any:
    return value if value is None else value.quantize(_SMALLEST, context=_EXACT)


def _schema(cursor: ServerCursor[tuple[object, ...]]) -> pa.Schema:
    fields = []
    for column in cursor.description or ():
        name, is_array = _type_name(cursor, column.type_code)
        if name == "numeric":
            bounded = column.precision is not None and column.scale is not None
            kind: pa.DataType = pa.decimal128(column.precision, column.scale) if bounded else _UNBOUNDED
        else:
            kind = _ARROW.get(name, _TEXT)
        fields.append(pa.field(column.name, pa.list_(kind) if is_array else kind))
    return pa.schema(fields)


def _type_name(cursor: ServerCursor[tuple[object, ...]], oid: int) -> tuple[str, bool]:
    """The name of a type, or of an array's elements, and whether it is an array."""
    info = cursor.adapters.types.get(oid)
    return (info.name, info.array_oid == oid) if info else ("text", False)


@dataclass(slots=True)
class Written:
    """What is known of a file once it is whole."""

    bytes: int = 0
    sha256: str = ""


@contextmanager
def whole_file(path: Path) -> Iterator[tuple[BinaryIO, Written]]:
    """A file to write that gets its name when it is whole and on disk; `Written` is filled in by then.

    Only the owner may read it. Raises ParleyError where there is no room for it; nothing of it is left then.
    """
    part = path.with_name(path.name + PART)
    written = Written()
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                yield file, written
                file.flush()
                os.fsync(file.fileno())
            written.bytes, written.sha256 = part.stat().st_size, digest(part)
            part.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: object) -> None:
    """Write a file for programs and people to read, as `whole_file` does."""
    with whole_file(path) as (file, _):
        file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise ParleyError(
            f"{path} cannot be written ({error.strerror or error}): "
            + ("make room and run the same command again." if full else "check the folder and its rights.")
        ) from error


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Makes a rename outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
