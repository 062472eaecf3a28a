"""Reads files in constant memory, whatever their size: JSON, CSV and Parquet, also gzipped, and standard input.

Every file comes out as the same thing, chunks of NDJSON lines (`Chunk`), so that what follows knows only one. A line
is a line of NDJSON, a document of other JSON (over many lines, in an array, one after the other), a record of CSV (the
header is line 1) or a row of Parquet. The kind is known by the content: Parquet by its magic number, CSV by the name
`.csv` or `.tsv` or by a first line that names the columns.
"""

import csv
import io
import os
import re
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import IO, Any

import orjson

from parley.config.tracking_plan import EventType
from parley.errors import ParleyError
from parley.landing.documents import BrokenDocument, documents, is_stream
from parley.landing.envelope import KNOWN, Digits, decode, exact
from parley.landing.formats import Format
from parley.landing.results import Reason

STDIN = "-"
MAX_EVENT = 64 * 1024  # bytes of one event
MAX_DOCUMENT = 16 * 1024 * 1024  # bytes of one document of another source format
CHUNK = 2 * 1024 * 1024  # bytes, about: what is validated and stored at once
RECORDS = 5_000  # at most in a chunk of CSV or Parquet
ROWS = 1_000  # of Parquet decoded at once: more take more memory and no less time
BLOCK = 256 * 1024  # bytes read at once

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_HALF_EMPTY = ([False, True, False, True], [True, False, True, False])  # letters of UTF-16 without a mark before them
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_DELIMITERS = ",;\t|"


class SourceError(ParleyError):
    """The source cannot be read, or not on from here."""


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that could not even be made a JSON value."""

    line: int
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines `first_line` (from 1) to `first_line + lines - 1`: one JSON value each, or nothing. A line longer than
    MAX_EVENT may be cut, but not to less than MAX_EVENT + 1 bytes."""

    first_line: int
    lines: int
    body: bytes
    rejected: tuple[RejectedLine, ...] = ()
    fingerprint: str = ""
    """Of the source up to the end of this chunk."""
    is_table: bool = False
    """Whether lines are records of CSV or Parquet: columns that events do not have are no error then."""


Record = tuple[int, bytes | RejectedLine]
"""A line's number and its JSON, or why it has none."""
Reader = tuple[Iterator[Chunk], Callable[[], float] | None]
"""The chunks, and the share (0 to 1) of the source that has been read, None where that cannot be known."""


@dataclass(frozen=True)
class Columns:
    """How a source is read: what a table's columns mean, and where JSON has its documents.

    In our own format, a cell of `attributes` or of a column that the event type describes is read as the `types` that
    the tracking plan gives it, by event name and attribute (aliases too). In another, every column is kept for the
    filter; a dot in its name makes an object.
    """

    is_native: bool
    name: str
    types: Mapping[str, Mapping[str, frozenset[str]]]
    documents: tuple[tuple[str, ...], ...] = ()
    headless: tuple[str, ...] = ()
    is_strict: bool = True
    """Whether a table must have the columns of an event; not while its format is looked for."""

    @classmethod
    def of(cls, source_format: Format, kinds: Iterable[EventType], *, is_strict: bool = True) -> "Columns":
        """The columns of a source format under the event types of a plan."""
        types: dict[str, Mapping[str, frozenset[str]]] = {}
        for kind in kinds if source_format.is_native else ():
            properties = {
                name: frozenset([described["type"]] if isinstance(described["type"], str) else described["type"])
                for name, described in kind.attributes_schema.get("properties", {}).items()
                if isinstance(described, dict) and "type" in described
            }
            properties |= dict.fromkeys(kind.attributes_schema.get("properties", {}).keys() - properties, ANY)
            aliases = {alias: properties[name] for alias, name in kind.renames.items() if name in properties}
            types |= dict.fromkeys((kind.event_name, *kind.aliases), properties | aliases)
        return cls(
            source_format.is_native,
            source_format.name,
            types,
            source_format.documents,
            source_format.columns,
            is_strict,
        )

    @property
    def longest(self) -> int:
        """Bytes of the longest line."""
        return MAX_EVENT if self.is_native else MAX_DOCUMENT

    def check(self, name: str, found: Sequence[str]) -> None:
        """Raises SourceError where the columns found are not those of events."""
        if self.is_native and self.is_strict and "event_name" not in found:
            raise SourceError(
                f"{name} has no column 'event_name': let its first line name the columns, such as "
                f"event_name,occurred_at,tenant_id,attributes.text, or say another --format."
            )
        for column in filter(None, found):
            levels = column.split(".")
            outer = [".".join(levels[:depth]) for depth in range(1, len(levels))]
            if found.count(column) > 1 or not set(outer).isdisjoint(found):
                raise SourceError(f"{name} has {column!r} in more than one column: keep one of them.")

    def event(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The event in a record: dotted columns make objects, text that is an object is one, blank cells are absent."""
        event: dict[str, Any] = {}
        for column, cell in cells.items():
            if cell is None or cell == "" or not column:
                continue
            place, _, inner = column.partition(".")
            if not inner or (self.is_native and place not in KNOWN):
                event[column] = _object(cell) if isinstance(cell, str) else _without_nulls(cell)
                continue
            # names of attributes hold dots themselves; in the context a dot is one level more
            *outer, last = [inner] if self.is_native and place == "attributes" else inner.split(".")
            level = event.setdefault(place, {})
            for key in outer:
                level = level.setdefault(key, {})
            level[last] = cell
        if self.is_native:
            self._describe(event)
        return event

    def _describe(self, event: dict[str, Any]) -> None:
        """Move columns that the event type describes into the attributes, and give the attributes their types."""
        types = self.types.get(str(event.get("event_name")), {})
        flat = [key for key in event if key not in KNOWN and key in types]
        attributes = event.get("attributes", {})
        if isinstance(attributes, dict) and (flat or attributes):
            given = {key: event[key] for key in flat if key not in attributes}
            for key in given:
                del event[key]
            event["attributes"] = {key: _typed(value, types.get(key)) for key, value in (given | attributes).items()}


ANY = frozenset(("string",))


class Source(AbstractContextManager["Source"]):
    """An open source, read chunk by chunk."""

    def __init__(self, name: str, file: IO[bytes], head: bytes, reader: Reader, *, is_table: bool = False) -> None:
        self.name = name
        self.is_table = is_table
        """Whether lines have to be made of its records, which takes about as long as validating them."""
        self.head = _hash(head).hexdigest()
        """What the fingerprints of all that begins with this first line begin with."""
        self._file = file
        self._chunks, self._share = reader
        self.boundary = 0
        """A line after which a chunk ends: what comes then is another matter."""
        self._rest: Chunk | None = None
        self._read = _hash(b"")

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.name != STDIN:
            self._file.close()

    @property
    def fingerprint(self) -> str:
        """That of the lines read so far."""
        return f"{self.head}.{self._read.hexdigest()}"

    @property
    def share(self) -> float | None:
        """How much has been read, 0 to 1; None of a stream."""
        return self._share() if self._share else None

    def read(self, lines: int | None = None) -> Chunk | None:
        """The next chunk, of so many lines at most; None at the end. Raises SourceError where it cannot be read on."""
        chunk, self._rest = self._rest or next(self._chunks, None), None
        if lines is None and chunk and chunk.first_line <= self.boundary:
            lines = self.boundary - chunk.first_line + 1
        if chunk and lines is not None and chunk.lines > lines:
            chunk, self._rest = _split(chunk, lines)
        if chunk is None:
            return None
        self._read.update(chunk.body)
        return replace(chunk, fingerprint=self.fingerprint)

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self.read, None)

    def skip(self, lines: int) -> bool:
        """Read so many lines for nothing but the fingerprint; false where there are fewer."""
        while lines and (chunk := self.read(lines)):
            lines -= chunk.lines
        return not lines


def check(path: str) -> None:
    """Raises SourceError where there is no such file."""
    if path == STDIN:
        return
    if not Path(path).exists():
        raise SourceError(f"There is no file {path}: check its name and folder.")
    if Path(path).is_dir():
        raise SourceError(f"{path} is a folder: name the files in it, such as {Path(path) / '*.ndjson.gz'}.")


def can_be_reread(path: str) -> bool:
    """Whether it is a file and no stream."""
    return path != STDIN and Path(path).is_file()


def open_source(path: str, columns: Columns, *, records: int = RECORDS) -> Source:
    """Open a file, or standard input for `-`. Of what has to be taken apart a chunk has so many good records at most.

    Raises SourceError with what is wrong with it.
    """
    check(path)
    if path == STDIN:
        return _open(STDIN, _stdin, None, columns, records)
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - the source closes it
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        size = Path(path).stat().st_size if can_be_reread(path) else None
        return _open(Path(path).name, file, size, columns, records)
    except BaseException:
        file.close()
        raise


def _open(name: str, file: Any, size: int | None, columns: Columns, records: int) -> Source:
    blocks = _blocks(name, file)
    start = next(blocks, b"")
    if start.startswith(_PARQUET):
        if size is None:
            raise SourceError("A stream cannot be read as Parquet: give the file by its name.")
        return Source(name, file, _PARQUET, _parquet(name, file, columns, records), is_table=True)
    blocks = chain([start], blocks)
    blocks = _enlarged(_gunzip(name, blocks) if start.startswith(_GZIP) else blocks)
    first = next(blocks, b"").removeprefix(_BOM)
    _check_text(name, first)
    head = first.partition(b"\n")[0]
    blocks = chain([first], blocks)
    is_table = bool(first) and _is_table(name, head, columns)
    if is_table:
        chunks = _gathered(_csv(name, _whole_lines(blocks, MAX_EVENT), columns), records, is_table=True)
    elif columns.documents or is_stream(first):
        chunks = _gathered(_documents(name, blocks, columns), records)
    else:
        chunks = _ndjson(_whole_lines(blocks, columns.longest))
    return Source(name, file, head, (chunks, (lambda: file.tell() / size) if size else None), is_table=is_table)


_NOT_TEXT = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive (or an Office document)",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"SQLite format 3": "an SQLite database",
    b"\x7fELF": "a program",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
}


def _check_text(name: str, first: bytes) -> None:
    """Raises SourceError where a file is no text that could hold events."""
    if first.startswith(_UTF_16) or [byte == 0 for byte in first[:4]] in _HALF_EMPTY:
        raise SourceError(f"{name} is UTF-16: save it as UTF-8.")
    for magic, kind in _NOT_TEXT.items():
        if first.startswith(magic):
            raise SourceError(f"{name} is {kind}: give the JSON, CSV or Parquet file with the events.")
    start = first[:4096].lstrip()
    if start[:1] in (b"{", b"[", b'"'):
        return
    odd = sum(byte < 32 and byte not in b"\t\n\r\x1e" for byte in start)
    if odd > max(len(start) // 20, 2):
        raise SourceError(f"{name} is no text: give the JSON, CSV or Parquet file with the events.")


def _is_table(name: str, head: bytes, columns: Columns) -> bool:
    if columns.headless and head.count(b"\t") == len(columns.headless) - 1:
        return True
    if name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        return True
    if head[:1] in (b"{", b"[", b'"', b""):
        return columns.is_native and head[:1] == b'"' and "event_name" in _header(head)
    header = _header(head)
    if columns.is_native and columns.is_strict:
        return "event_name" in header
    return len(header) > 1 and all(_COLUMN.fullmatch(cell) for cell in header)


_COLUMN = re.compile(r"[A-Za-z_$][\w$. -]{0,80}")


def sample(path: str, columns: Columns, lines: int) -> list[Any]:
    """The first JSON values of a source, at most so many; of a stream what has arrived, which is read again later.

    Raises SourceError where it cannot be read that way, or none of its first lines can.
    """
    if path == STDIN:
        source = _open(STDIN, io.BytesIO(_stdin.peek()), None, columns, lines)
    else:
        source = open_source(path, columns, records=lines)
    found: list[Any] = []
    try:
        chunk = source.read()
        for line in chunk.body.split(b"\n") if chunk else ():
            if len(found) < lines and line.strip():
                with suppress(orjson.JSONDecodeError):
                    found.append(decode(line)[0])
        if chunk and chunk.is_table and chunk.rejected and not found:
            raise SourceError(f"{source.name} cannot be read: {chunk.rejected[0].message}")
    finally:
        if path != STDIN:
            source.close()
    return found


class _Stdin:
    """Standard input, of which the beginning can be looked at before it is read."""

    def __init__(self) -> None:
        self._held = b""

    def peek(self) -> bytes:
        """What has arrived so far, at least something unless it is at its end."""
        if not self._held:
            self._held = os.read(sys.stdin.fileno(), BLOCK)
        return self._held

    def read(self, size: int = -1) -> bytes:
        """The next bytes, those looked at before first."""
        held, self._held = self._held, b""
        return held or sys.stdin.buffer.read(size)


_stdin = _Stdin()


def _hash(content: bytes) -> Any:
    return blake2b(content, digest_size=16, usedforsecurity=False)


def _split(chunk: Chunk, lines: int) -> tuple[Chunk, Chunk]:
    """A chunk's first so many lines, and the others."""
    *first, others = chunk.body.split(b"\n", lines)
    end = chunk.first_line + lines
    return (
        replace(
            chunk,
            lines=lines,
            body=b"\n".join([*first, b""]),
            rejected=tuple(rejection for rejection in chunk.rejected if rejection.line < end),
        ),
        replace(
            chunk,
            first_line=end,
            lines=chunk.lines - lines,
            body=others,
            rejected=tuple(rejection for rejection in chunk.rejected if rejection.line >= end),
        ),
    )


# bytes


def _blocks(name: str, file: IO[bytes]) -> Iterator[bytes]:
    try:
        while block := file.read(BLOCK):
            yield block
    except OSError as error:
        raise SourceError(f"{name} cannot be read on: {error.strerror}.") from error


def _gunzip(name: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip file of one or more members. What can be read of a broken one comes before the error."""
    decoder = zlib.decompressobj(wbits=31)
    for block in blocks:
        data = block
        while data:
            if decoder.eof:
                data = data.lstrip(b"\0")  # padding between members
                decoder = zlib.decompressobj(wbits=31) if data else decoder
                continue
            try:
                yield decoder.decompress(data, BLOCK)
            except zlib.error:
                raise SourceError(f"{name} is damaged as a gzip file: make or fetch it again.") from None
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not decoder.eof:
        raise SourceError(f"{name} breaks off in the middle of its gzip data: fetch it again in full.")


def _enlarged(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks gathered to about CHUNK bytes. What came before an error comes out before it."""
    held: list[bytes] = []
    try:
        for block in blocks:
            held.append(block)
            if sum(map(len, held)) >= CHUNK:
                yield b"".join(held)
                held = []
    except SourceError as error:
        yield b"".join(held)
        raise error
    if held:
        yield b"".join(held)


def _whole_lines(blocks: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Blocks cut at the ends of lines. Of a line not ended in its block, what is beyond its longest is not kept."""
    tail = b""
    for block in blocks:
        if end := block.rfind(b"\n") + 1:
            yield tail + block[:end]
            tail = b""
        tail = (tail + block[end:]).lstrip(b" \t\r")[: longest + 1]  # blanks do not make a line too long
    if tail:
        yield tail


# formats


def _ndjson(pieces: Iterable[bytes]) -> Iterator[Chunk]:
    line = 1
    for body in pieces:
        lines = body.count(b"\n") + (not body.endswith(b"\n"))
        yield Chunk(line, lines, body)
        line += lines


def _documents(name: str, blocks: Iterable[bytes], columns: Columns) -> Iterator[Record]:
    """The documents of JSON that is not one a line, numbered from 1."""
    line = 0
    try:
        for line, document in enumerate(documents(blocks, columns.documents, MAX_DOCUMENT), 1):
            if isinstance(document, BrokenDocument):
                yield line, RejectedLine(line, "invalid_json", document.message)
            elif len(document) > columns.longest:
                yield (
                    line,
                    RejectedLine(line, "too_large", "The document is longer than 64 KiB: shorten it, or split it."),
                )
            else:
                yield line, document
    except BrokenDocument as error:
        raise SourceError(f"{name} cannot be read on after its document {line:,}: {error.message}") from error


def _gathered(records: Iterator[Record], most: int, *, is_table: bool = False) -> Iterator[Chunk]:
    """Records as chunks of so many good ones at most, those rejected as empty lines.

    What came before an error comes out before it.
    """
    line = 1
    lines: list[bytes] = []
    rejected: list[RejectedLine] = []
    size = 0

    def chunk() -> Chunk:
        return Chunk(line, len(lines), b"\n".join([*lines, b""]), tuple(rejected), is_table=is_table)

    try:
        for number, found in records:
            lines += [b""] * (number - line - len(lines))
            if isinstance(found, RejectedLine):
                lines.append(b"")
                rejected.append(found)
            else:
                lines.append(found)
                size += len(found)
            if len(lines) - len(rejected) >= most or len(lines) >= RECORDS or size >= CHUNK:
                yield chunk()
                line, lines, rejected, size = line + len(lines), [], [], 0
    except SourceError as error:
        if lines:
            yield chunk()
        raise error
    if lines:
        yield chunk()


def _csv(name: str, pieces: Iterable[bytes], columns: Columns) -> Iterator[Record]:
    texts: Iterator[str] = (
        line.decode("utf-8", "surrogateescape") for piece in pieces for line in piece.splitlines(keepends=True)
    )
    first = next(texts, "")
    header = _header(first.encode("utf-8", "surrogateescape"))
    begin = 2
    if columns.headless and first.count("\t") == len(columns.headless) - 1 and header[0] != columns.headless[0]:
        header, texts, begin = list(columns.headless), chain([first], texts), 1
    columns.check(name, header)
    csv.field_size_limit(MAX_EVENT)
    if columns.headless and begin == 1:
        records: Iterator[list[str] | csv.Error] = csv.reader(texts, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        records = _csv_records(texts, _delimiter(first), len(header))
    for line, cells in enumerate(records, begin):
        if isinstance(cells, csv.Error):
            yield line, _broken(line, cells)
            continue
        if not any(cells):
            continue
        if len(cells) != len(header):
            message = f"The line has {len(cells)} cells, its header {len(header)}: quote the cells that hold commas."
            yield line, RejectedLine(line, "invalid_json", message)
        else:
            yield line, _encoded(line, columns.event(dict(zip(header, cells, strict=True))))


def _csv_records(lines: Iterator[str], delimiter: str, width: int) -> Iterator[list[str] | csv.Error]:
    """The cells of each record, or what is wrong with it. A cell in quotes may hold line ends; a quote that is never
    closed, or only by another stray one, spoils its own line and no other."""
    waiting: deque[str] = deque()

    def parsed(record: list[str]) -> list[str] | csv.Error:
        try:
            found = list(csv.reader(record, delimiter=delimiter, strict=True))
        except csv.Error as error:
            return error
        return found[0] if len(found) == 1 else csv.Error("a quote stands in the middle of it")

    while line := waiting.popleft() if waiting else next(lines, ""):
        if line.count('"') % 2 == 0:
            yield parsed([line]) if line.strip("\r\n") else []
            continue
        held, size, is_closed = [line], len(line), False
        while not is_closed and size <= MAX_EVENT and (more := waiting.popleft() if waiting else next(lines, "")):
            held.append(more)
            size += len(more)
            is_closed = more.count('"') % 2 == 1
        record = parsed(held) if is_closed else csv.Error("a quote is opened and never closed")
        within = [each for each in held[1:-1] if each.strip()]
        looks_swallowed = width > 2 and within and all(each.count(delimiter) == width - 1 for each in within)
        if isinstance(record, csv.Error) or len(record) != width or looks_swallowed:
            waiting.extendleft(reversed(held[1:]))
            is_long = len(line) > MAX_EVENT
            record = csv.Error("field larger") if is_long else csv.Error("a quote is opened and never closed")
        yield record


def _broken(line: int, error: csv.Error) -> RejectedLine:
    if "field larger" in str(error):
        return RejectedLine(
            line, "too_large", "A cell is longer than 64 KiB: cut it, or close the quote that it opens with."
        )
    return RejectedLine(line, "invalid_json", f"The line is not right as CSV ({error}): put its quotes right.")


def _header(line: bytes) -> list[str]:
    text = line[:MAX_EVENT].decode("utf-8", "replace").strip("\r\n")
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=_delimiter(text)), [])]
    except csv.Error:
        return []


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _parquet(name: str, file: IO[bytes], columns: Columns, most: int) -> Reader:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file, pre_buffer=False, buffer_size=BLOCK)
        schema = table.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{name} is damaged as a Parquet file: make or fetch it again.") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{name} has a column whose name is no UTF-8: rename it where the file is made.") from error
    columns.check(name, schema.names)
    wanted = schema.names
    stored = [table.schema.column(index) for index in range(len(table.schema))]
    legacy = {column.path for column in stored if column.physical_type == "INT96"}  # instants, by convention
    read = pa.schema([(column, _micro(schema.field(column).type, column in legacy)) for column in wanted])
    line = 0

    def records() -> Iterator[Record]:
        nonlocal line
        try:
            for batch in table.iter_batches(batch_size=ROWS, columns=wanted, use_threads=False):
                for cells in batch.cast(read, safe=False).to_pylist(maps_as_pydicts="lossy"):
                    line += 1
                    yield line, _encoded(line, columns.event(cells))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(
                f"{name} cannot be read on after row {line} ({type(error).__name__}): is it damaged?"
            ) from error

    return _gathered(records(), most, is_table=True), lambda: line / max(table.metadata.num_rows, 1)


def _micro(kind: Any, is_legacy: bool = False) -> Any:
    """An Arrow type with its times in microseconds, as many digits as Postgres keeps."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if is_legacy else kind.tz)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_micro(field.type)) for field in kind])
    return kind


# cells


def _encoded(line: int, event: dict[str, Any]) -> bytes | RejectedLine:
    try:
        return orjson.dumps(event, default=_as_json)
    except orjson.JSONEncodeError:
        return RejectedLine(
            line, "invalid_json", "The line holds a value that is no JSON: write it as UTF-8 text or a number."
        )


def _as_json(value: object) -> object:
    if isinstance(value, Decimal):
        number = exact(format(value, "f"))
        return str(number) if isinstance(number, Digits) else number
    if isinstance(value, bytes):
        return value.decode("utf-8")
    raise TypeError


def _object(cell: str) -> Any:
    """The object that a cell's text is, or else the text."""
    if cell.lstrip().startswith(("{", "[{", '["')):
        try:
            return decode(cell)[0]
        except orjson.JSONDecodeError:
            return cell
    return cell


def _typed(value: Any, kinds: frozenset[str] | None) -> Any:
    """Text as the type that the plan gives it; as it is where it is none of that type, or the plan says nothing."""
    if not isinstance(value, str) or not kinds or "string" in kinds:
        return value
    try:
        found, has_digits = decode(value.lower() if "boolean" in kinds else value)
        return value if has_digits else found
    except orjson.JSONDecodeError:
        return value


def _without_nulls(value: Any) -> Any:
    """A struct has all its fields in every row; those that are null are absent."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value
