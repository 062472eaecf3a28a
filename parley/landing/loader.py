"""Lands a file: reads it, has it validated, stores it batch by batch, and goes on where an earlier attempt stopped.

A load is resumed when the file begins with exactly the lines that are done, whatever its name and what follows. A
stream cannot be read twice: sent again, it lands from its beginning, as duplicates. docs/design.md describes the
tables.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain

from parley.landing import batches, loads, partitions, sources
from parley.landing.batches import Counts, SubjectsErased
from parley.landing.formats import NATIVE
from parley.landing.loads import Report
from parley.landing.rules import Arguments, Rules, arguments
from parley.landing.sources import Chunk, Columns, Source, SourceError
from parley.landing.validation import MakeRules, Unread, ValidatedChunk, validate_chunk
from parley.landing.workers import Workers
from parley.settings import Settings
from parley.warehouse import database, migrate
from parley.warehouse.database import Connection

MAX_WORKERS = 3  # more would only wait for Postgres


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is."""

    share: float | None
    """Of the source, 0 to 1; None of a stream."""
    lines: int
    """That are done, those of earlier attempts included."""
    counts: Counts
    """Of this attempt."""


def load(
    settings: Settings,
    path: str,
    *,
    source_format: str = NATIVE,
    tenant_id: str | None = None,
    loaded_by: str | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Report:
    """Land a file, or standard input for `-`; `tenant_id` is that of events that name none.

    A file of more than a few thousand lines is validated by processes of their own, which are spawned: a script that
    calls this keeps its own work under `if __name__ == "__main__"`.

    Raises SourceError where the file cannot be read (on), ParleyError where something else is in the way. What was read
    until then is landed, and the same call goes on from there.
    """
    sources.check(path)
    migrate.upgrade(settings)
    with loads.explained(path), database.connect(settings, autocommit=True) as connection:
        batches.prepare(connection)
        partitions.ensure_ahead(connection, datetime.now(UTC).date())
        contract = arguments(connection, settings, source_format, tenant_id)
        source, load_id, done = _open(connection, path, contract, loaded_by)
        with source, loads.ending(connection, load_id):
            total = Counts()
            lines = done
            unread = Unread()
            unclear_consent = 0
            try:
                for lines, counts, validated in _store_all(connection, settings, load_id, source, contract):
                    total += counts
                    unclear_consent += validated.unclear_consent
                    unread.fields.update(validated.unread)
                    unread.empty.update(validated.empty)
                    on_progress(Progress(source.share, lines, total))
            except SourceError as error:
                raise SourceError(
                    f"{error} {lines:,} of its lines are landed, and the fixed file goes on there."
                ) from error
        report = loads.report(connection, load_id, contract["tenants"], done, unclear_consent)
        return replace(report, source_format=contract["source_format"].name, unread=unread.fields, empty=unread.empty)


def _open(connection: Connection, path: str, contract: Arguments, loaded_by: str | None) -> tuple[Source, int, int]:
    """The source, its load, and the lines that are done: by an unfinished load of the same lines, else none."""
    source_format, tenant_id = contract["source_format"], contract["default_tenant"]
    columns = Columns.of(source_format, contract["plan"].types)
    source = sources.open_source(path, columns)
    known = 0
    if sources.can_be_reread(path):
        known = _known(connection, path, columns, source_format.name, tenant_id)
        for earlier in loads.unfinished(connection, source.head, source_format.name, tenant_id):
            if source.skip(earlier.lines_done) and source.fingerprint == earlier.fingerprint:
                loads.resume(connection, earlier.load_id, source=source.name, loaded_by=loaded_by)
                source.boundary = known
                return source, earlier.load_id, earlier.lines_done
            source.close()
            source = sources.open_source(path, columns)
    source.boundary = known
    load_id = loads.begin(
        connection,
        source=source.name,
        source_format=source_format.name,
        fingerprint=source.fingerprint,
        tenant_id=tenant_id,
        loaded_by=loaded_by,
    )
    return source, load_id, 0


def _known(connection: Connection, path: str, columns: Columns, source_format: str, tenant_id: str | None) -> int:
    """The lines of a file that a complete load has landed: all of one that is sent again, the first of one that has
    grown since."""
    known = done = 0
    with sources.open_source(path, columns) as source, suppress(SourceError):  # which is met again in landing it
        for lines, fingerprint in loads.complete(connection, source.head, source_format, tenant_id):
            if not source.skip(lines - done):
                break
            done = lines
            if source.fingerprint == fingerprint:
                known = lines
    return known


def _store_all(
    connection: Connection, settings: Settings, load_id: int, source: Source, contract: Arguments
) -> Iterator[tuple[int, Counts, ValidatedChunk]]:
    """Store what is left of a source, batch by batch: the lines that are done then, and what became of the batch's."""
    rules: Rules | None = None  # of this process, once those of the workers have been overtaken by an erasure
    for chunk, validated in _validated(source, partial(Rules, **contract)):
        lines_done = chunk.first_line + chunk.lines - 1
        if rules:
            validated = validate_chunk(rules, chunk)
        while True:
            try:
                counts = batches.store(
                    connection,
                    load_id,
                    validated.as_sent_again() if lines_done <= source.boundary else validated,
                    lines_done=lines_done,
                    fingerprint=chunk.fingerprint,
                    erased=len(contract["erased"]),
                )
                break
            except SubjectsErased:
                now = arguments(connection, settings, default_tenant=contract["default_tenant"])
                contract = contract.copy()
                contract["erased"], contract["erased_tenants"] = now["erased"], now["erased_tenants"]
                rules = Rules(**contract)
                validated = validate_chunk(rules, chunk)
        yield lines_done, counts, validated


def _validated(source: Source, make_rules: MakeRules) -> Iterator[tuple[Chunk, ValidatedChunk]]:
    """The chunks in their order, and what is made of them: by workers, unless there is only one chunk."""
    chunks = iter(source)
    first = next(chunks, None)
    if first is None:
        return
    second: Chunk | None = None
    failure: SourceError | None = None
    try:
        second = next(chunks, None)
    except SourceError as error:
        failure = error
    if second is None:
        yield first, validate_chunk(make_rules(), first)
    else:
        # one keeps up with a table, which this process has to take apart
        count = 1 if source.is_table else min(os.cpu_count() or 1, MAX_WORKERS)
        with Workers(make_rules, count) as workers:
            yield from workers.validate(chain((first, second), chunks))
    if failure:
        raise failure
