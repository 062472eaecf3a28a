"""Archives: what retention took out of `raw.events`, in Parquet files under PARLEY_HOME/archive.

    archive/events/2026-01/0001.json       the manifest, a `Manifest`; it names the data file
    archive/events/2026-01/0001.parquet    the rows as they stood in raw.events; UUID and JSON as text, times in UTC
    archive/events/2026-01/0001-2.parquet  the data file after its second writing (`rewrite`)

An archive is there when its manifest is, which is put in place in one step after the data file was read back; files
that no manifest names are leavings of a crash, which `tidy` removes. A month has more than one archive where tenants
went at different times, or events came late. Which archives stand in for rows that are gone is in `ops.archives`
(`parley.history.retention`); one without a row there is a copy of what is still in `raw.events`.

To take a subject out of all of them: `with only_one(connection)`, `rewrite(archive, keep)` each one that is to `find`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from psycopg import sql

from parley.errors import ParleyError
from parley.history import streams
from parley.landing.partitions import name_of
from parley.warehouse import database
from parley.warehouse.database import Connection

FORMAT = 1
TABLE = "raw.events"

LOCK = 0x61726368697665  # "archive" in ASCII: held by whoever changes archives

Keep = Callable[[pa.RecordBatch], pa.BooleanArray]
"""For rows of an archive, which of them stay."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the data file."""

    name: str
    type: str
    """Arrow's name of it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds."""

    format: int
    table: str
    month: str
    """YYYY-MM, of UTC"""
    file: str
    """Name of the data file, which lies beside."""
    bytes: int
    sha256: str
    """Of the data file."""
    content_sha256: str
    """Of the rows, however Parquet packs them."""
    rows: int
    rows_by_tenant: dict[str, int]
    schema: tuple[Column, ...]
    occurred_at: tuple[str | None, str | None]
    """The first and the last."""
    batch_ids: tuple[int | None, int | None]
    """The first and the last."""
    fingerprint: str | None
    """Which events they were (`fingerprint`); None after a rewrite."""
    created_at: str
    rewritten_at: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive on disk."""

    path: Path
    """Of the manifest."""
    manifest: Manifest

    @property
    def archive_id(self) -> str:
        """Such as events/2026-01/0001: what `ops.archives` knows it by."""
        return "/".join((*self.path.parts[-3:-1], self.path.stem))

    @property
    def data(self) -> Path:
        """The data file."""
        return self.path.with_name(self.manifest.file)


@contextmanager
def only_one(connection: Connection) -> Iterator[None]:
    """Be the only one who changes archives; the connection must be in autocommit.

    Raises ParleyError where somebody else is at it.
    """
    busy = "Somebody else is at work on the archives: let that end, and run the same command again."
    with database.taking_turns(connection, LOCK, else_raise=busy):
        yield


def folder(home: Path) -> Path:
    """Where the archives of raw.events are, a folder for each month."""
    return home / "archive" / "events"


def find(home: Path, month: str | None = None) -> list[Archive]:
    """The archives there are, in the order of their ids. Raises ParleyError where a manifest cannot be read."""
    return [read(path) for path in sorted(folder(home).glob(f"{month or '*'}/*.json"))]


def read(path: Path) -> Archive:
    """The archive of that manifest."""
    try:
        found = orjson.loads(path.read_bytes())
        found["schema"] = tuple(Column(**column) for column in found["schema"])
        for name in ("occurred_at", "batch_ids"):
            found[name] = tuple(found[name])
        return Archive(path, Manifest(**found))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ParleyError(f"{path} is no manifest of an archive ({error}): restore the file from a backup.") from error


def fingerprint(connection: Connection, month: str, tenants: list[str]) -> str:
    """Which events these tenants have in a month of raw.events, as a hash by Postgres, whatever their order."""
    row = connection.execute(
        sql.SQL(
            "select concat_ws(':', count(*), bit_xor(hashtextextended(event_id::text, batch_id)), max(batch_id))"
            " from {} where tenant_id = any(%s)"
        ).format(sql.Identifier("raw", name_of(month))),
        [tenants],
    ).fetchone()
    assert row is not None
    return str(row[0])


def write(connection: Connection, home: Path, month: str, tenants: list[str], *, number: int) -> Archive:
    """Archive what these tenants have in a month of raw.events, of which nothing is taken out.

    The connection must be in a transaction that sees one snapshot. Raises ParleyError where the disk is full, or what
    was written does not read back as the rows that were sent; nothing is left then.
    """
    path = folder(home) / month / f"{number:04}.json"
    query = sql.SQL("select * from {} where tenant_id = any(%s) order by batch_id, tenant_id, event_id").format(
        sql.Identifier("raw", name_of(month))
    )
    with streams.select(connection, query, [tenants]) as stream:
        manifest = _write(path.with_suffix(".parquet"), month, stream.schema, stream.batches)
    return _put(path, replace(manifest, fingerprint=fingerprint(connection, month, tenants)))


def rows(archive: Archive) -> Iterator[pa.RecordBatch]:
    """The rows of an archive, a batch at a time. Raises ParleyError where the data file cannot be read."""
    try:
        with pq.ParquetFile(archive.data) as file:
            for number in range(file.num_row_groups):
                yield from file.read_row_group(number).to_batches()
    except (OSError, pa.ArrowException) as error:
        raise ParleyError(f"{archive.data} cannot be read ({error}): restore the file from a backup.") from error


def verify(archive: Archive) -> None:
    """Read an archive from end to end. Raises ParleyError where it is not what its manifest says."""
    if not archive.data.is_file():
        raise ParleyError(f"{archive.data} is missing: restore the file from a backup.")
    if streams.digest(archive.data) != archive.manifest.sha256:
        raise ParleyError(f"{archive.data} is not the file that was written: restore it from a backup.")
    _check_content(archive)


def rewrite(archive: Archive, keep: Keep) -> tuple[Archive, int]:
    """Leave in an archive only the rows that `keep` says; returns it as it is then, and how many rows went.

    Killed at any moment it is as before or as after; the data file that is no longer named is then removed by `tidy`,
    or by the next rewrite. Raises ParleyError where the archive is damaged.
    """
    verify(archive)
    gone = 0

    def kept() -> Iterator[pa.RecordBatch]:
        nonlocal gone
        for batch in rows(archive):
            left = batch.filter(keep(batch))
            gone += batch.num_rows - left.num_rows
            yield left

    number = int(_REWRITTEN.sub("", archive.data.stem) or 1) + 1
    data = archive.path.with_name(f"{archive.path.stem}-{number}.parquet")
    manifest = _write(data, archive.manifest.month, pq.read_schema(archive.data), kept())
    if not gone:
        data.unlink()
        return archive, 0
    rewritten_at, created_at = manifest.created_at, archive.manifest.created_at
    rewritten = _put(archive.path, replace(manifest, created_at=created_at, rewritten_at=rewritten_at))
    archive.data.unlink()
    return rewritten, gone


_REWRITTEN = re.compile(r"^\d+-?")  # what stands before the number of a rewrite


def remove(archive: Archive) -> None:
    """Delete an archive: first the manifest, so that it is never there by half."""
    archive.path.unlink()
    archive.data.unlink(missing_ok=True)


def tidy(home: Path) -> list[Path]:
    """Remove what crashes left, files that no manifest names; returns them. For who is the `only_one`."""
    named = {path for archive in find(home) for path in (archive.path, archive.data)}
    left = [path for path in sorted(folder(home).glob("*/*")) if path not in named]
    for path in left:
        path.unlink()
    return left


def _write(data: Path, month: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Manifest:
    """Write a data file and read it back."""
    content = _Content()
    with streams.whole_file(data) as (file, written), pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch)
                content.add(batch)
    manifest = Manifest(
        format=FORMAT,
        table=TABLE,
        month=month,
        file=data.name,
        bytes=written.bytes,
        sha256=written.sha256,
        content_sha256=content.sha256(),
        rows=content.rows_by_tenant.total(),
        rows_by_tenant=dict(sorted(content.rows_by_tenant.items())),
        schema=tuple(Column(field.name, str(field.type)) for field in schema),
        occurred_at=content.bounds("occurred_at"),
        batch_ids=content.bounds("batch_id"),
        fingerprint=None,
        created_at=datetime.now(UTC).isoformat(),
    )
    _check_content(Archive(data, manifest))
    return manifest


def _put(path: Path, manifest: Manifest) -> Archive:
    streams.write_json(path, manifest)
    return read(path)


def _check_content(archive: Archive) -> None:
    content = _Content()
    for batch in rows(archive):
        content.add(batch)
    if (
        content.sha256() != archive.manifest.content_sha256
        or dict(content.rows_by_tenant) != archive.manifest.rows_by_tenant
    ):
        raise ParleyError(f"{archive.data} does not hold the rows that its manifest says: restore it from a backup.")


class _Content:
    """What is counted and hashed of rows: the same however they are cut into batches."""

    def __init__(self) -> None:
        self.rows_by_tenant = Counter[str]()
        self._bounds: dict[str, tuple[Any, Any]] = {}
        self._digests: dict[str, tuple[Any, Any]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        tenants: Any = pc.value_counts(batch["tenant_id"])
        for count in tenants.to_pylist():
            self.rows_by_tenant[count["values"]] += count["counts"]
        for name in ("occurred_at", "batch_id"):
            found: Any = pc.min_max(batch[name]).as_py()
            low, high = self._bounds.get(name, (found["min"], found["max"]))
            self._bounds[name] = (min(low, found["min"]), max(high, found["max"]))
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            digests = self._digests.setdefault(name, (hashlib.sha256(), hashlib.sha256()))
            for sha256, part in zip(digests, _bytes_of(column), strict=True):
                sha256.update(part)

    def bounds(self, name: str) -> tuple[Any, Any]:
        return self._bounds.get(name, (None, None))

    def sha256(self) -> str:
        whole = hashlib.sha256()
        for name, digests in self._digests.items():
            whole.update(name.encode())
            for part in digests:
                whole.update(part.digest())
        return whole.hexdigest()


def _bytes_of(column: Any) -> tuple[bytes, bytes]:
    """An Arrow column as the lengths of its values (nulls -1; of numbers, whether they are there), and the values."""
    values: Any
    if pa.types.is_string(column.type):
        lengths: Any = pc.fill_null(pc.binary_length(column), -1)
        as_one_list: Any = pa.ListArray.from_arrays([0, len(column)], pc.fill_null(column, ""))
        values = pc.binary_join(as_one_list, "")
        return lengths.to_numpy(zero_copy_only=False).tobytes(), values[0].as_buffer().to_pybytes()
    values = pc.fill_null(column.cast(pa.int64()), 0)
    return column.is_valid().to_numpy(zero_copy_only=False).tobytes(), values.to_numpy().tobytes()
