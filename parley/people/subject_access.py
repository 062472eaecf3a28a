"""Gives a person what is held about them: every row of every table, as files that people and programs can read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow.compute as pc
from psycopg import sql
from psycopg.rows import scalar_row

from parley.errors import ParleyError
from parley.history import archives, streams
from parley.landing import subjects
from parley.landing.subjects import Subject, Traces
from parley.settings import Settings
from parley.warehouse import audit, database, migrate, secret
from parley.warehouse.database import Connection

README = """What {tenant} holds about you in its conversation analytics

Each file whose name ends in .ndjson is one table: a row is a line, written as JSON. The file manifest.json
lists them, with the number of rows in each and a checksum.

raw.events is what happened: messages, visits, orders and bookings, with the time of each, and the answers you
were given in conversations that were yours alone. raw.rejected_events holds events that could not be read
properly. Files named archive… hold older events. Everything else was computed from these: your
conversations, visits and orders (facts), and figures about you (marts), such as the segments you were counted
in, or what you are expected to order.

You may ask for wrong data to be corrected, and for all of it to be erased.
"""

_EVENTS = f"""
    select to_jsonb(events) from raw.events
    where {subjects.EVENT_IS_OF}
    order by occurred_at, event_id
"""
_REJECTED = (
    "select to_jsonb(rejected) from raw.rejected_events as rejected where rejected_id = any(%s) order by rejected_id"
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class File:
    """A file that was written."""

    rows: int
    bytes: int
    sha256: str


def export(settings: Settings, tenant_id: str, user_id: str, folder: Path, by: str | None = None) -> dict[str, File]:
    """Write everything held about a person to a new folder; returns the files of rows by name, none where nothing is
    held and no folder was made. Tables without a row of theirs have no file.

    Raises ParleyError where the folder has something in it already, or cannot be written.
    """
    migrate.upgrade(settings)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ParleyError(f"{folder} is not empty: name a new folder.")
    subject = Subject.of(settings, tenant_id, user_id)
    with database.connect(settings, autocommit=True) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        secret.check(connection, settings)
        found = subjects.find(connection, subject)
        files = {
            name: file
            for name, rows in _tables(connection, settings, subject, found)
            if (file := _write(folder / f"{name}.ndjson", rows))
        }
        if files:
            _write_manifest(folder, tenant_id, files)
            audit.record(
                connection,
                "subject.exported",
                tenant_id=tenant_id,
                actor=by,
                details={"subject": sorted(subject.hmacs), "rows": {name: file.rows for name, file in files.items()}},
            )
    return files


def _tables(
    connection: Connection, settings: Settings, subject: Subject, found: Traces
) -> Iterator[tuple[str, Iterator[Row]]]:
    """What to write: names and rows."""
    named = subjects.parameters(subject, found)
    yield "raw.events", _select(connection, sql.SQL(_EVENTS), named)
    rejected = [line.rejected_id for line in subjects.rejected_rows(connection, subject, found)]
    yield "raw.rejected_events", _select(connection, sql.SQL(_REJECTED), [rejected])
    for archive in archives.find(settings.home):
        yield f"archive-{archive.archive_id.replace('/', '-')}", _archived(archive, subject, found)
    if found.users or found.visitors:
        for table, columns in subjects.personal_tables(connection).items():
            if subjects.NAMED_BY.keys().isdisjoint(columns):
                continue  # known by the id of an event alone, of which raw.events says more
            query = sql.SQL("select to_jsonb(held) from {} as held where {}").format(
                subjects.identifier(table), subjects.is_of(columns)
            )
            yield table, _select(connection, query, named)


def _select(connection: Connection, query: sql.SQL | sql.Composed, parameters: Any) -> Iterator[Row]:
    with connection.cursor("held", row_factory=scalar_row) as cursor:
        yield from cursor.execute(query, parameters)


def _archived(archive: archives.Archive, subject: Subject, found: Traces) -> Iterator[Row]:
    for batch in archives.rows(archive):
        yield from batch.filter(pc.invert(subjects.is_not_of(batch, subject, found))).to_pylist()


def _write(path: Path, rows: Iterator[Row]) -> File | None:
    """Write rows, none of which makes no file."""
    first = next(rows, None)
    if first is None:
        return None
    count = 0
    with streams.whole_file(path) as (file, written):
        for row in chain([first], rows):
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return File(count, written.bytes, written.sha256)


def _write_manifest(folder: Path, tenant_id: str, files: Mapping[str, File]) -> None:
    manifest = {
        "tenant_id": tenant_id,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {
            f"{name}.ndjson": {"rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
            for name, file in files.items()
        },
    }
    streams.write_json(folder / "manifest.json", manifest)
    with streams.whole_file(folder / "README.txt") as (file, _):
        file.write(README.format(tenant=tenant_id).encode())
