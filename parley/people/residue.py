"""Searches tables and files for what still names a person. It reads and counts; it changes nothing."""

import csv
import gzip
import html
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from parley.build.dbt import LOG
from parley.landing.privacy import texts, words
from parley.landing.subjects import Subject
from parley.settings import Settings
from parley.warehouse.database import Connection
from parley.warehouse.embedded import data_folder, log_file

_IN_QUOTES = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BETWEEN_TAGS = re.compile(r"<[^>]*>")
_COLUMNS = """
    select nspname || '.' || relname, array_agg(attname::text order by attnum), bool_or(attname = 'tenant_id')
    from pg_class
    inner join pg_namespace on pg_namespace.oid = relnamespace
    inner join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    inner join pg_type on pg_type.oid = atttypid
    where
        relkind in ('r', 'p', 'm') and not relispartition and relpersistence <> 't'
        and nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
        and typcategory in ('A', 'S', 'U') -- arrays, texts, and what users define: JSON and UUIDs are there too
    group by 1
    order by 1
"""


def pattern_of(names: Collection[str]) -> str:
    """A regular expression of Postgres for one of these names standing by itself, in JSON too."""
    spellings = {spelling for name in names for spelling in (name, orjson.dumps(name).decode()[1:-1])}
    return f"(?<![\\w-])({'|'.join(map(re.escape, sorted(spellings)))})(?![\\w-])"


def in_database(connection: Connection, tenant_id: str, names: Collection[str]) -> dict[str, int]:
    """The tables in which one of these names stands by itself in any column, and in how many rows of them.

    Of tables by tenant only the tenant's rows are searched, and those of no readable tenant. What works an erasure off
    (`ops.erasures`) holds the names until it is finished, and is left out.
    """
    if not names:
        return {}
    pattern = pattern_of(names)
    found: dict[str, int] = {}
    for table, columns, is_by_tenant in connection.execute(_COLUMNS).fetchall():
        if table == "ops.erasures" or not isinstance(columns, list):
            continue
        text = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
        query = sql.SQL("select count(*) from {} where concat_ws(' ', {}) ~ %s").format(
            sql.Identifier(*str(table).split(".", 1)), text
        )
        if is_by_tenant:
            query += sql.SQL(" and (tenant_id = %s or tenant_id is null)")
        row = connection.execute(query, [pattern, tenant_id] if is_by_tenant else [pattern]).fetchone()
        if row and row[0]:
            found[str(table)] = int(str(row[0]))
    return found


def in_files(settings: Settings, subject: Subject, visitors: Collection[str] = ()) -> dict[str, int]:
    """The files in which a person is named, or quoted with words of theirs alone, by path, and how often: all that
    Parley, dbt and Dagster leave on disk, and the inbox. Gzipped files and Parquet are read as what they hold; what
    cannot be read is listed too."""
    return _search(settings, lambda word: word in visitors or subject.is_called(word) or subject.wrote(word))


def naming(settings: Settings, name: str) -> dict[str, int]:
    """The same files, in which a name stands by itself."""
    return _search(settings, lambda word: word == name)


def _search(settings: Settings, is_meant: Callable[[str], bool]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in sorted(files(settings)):
        try:
            times = sum(map(is_meant, _words(path)))
        except FileNotFoundError:
            continue  # somebody removed it meanwhile
        except (OSError, EOFError, zlib.error, pa.ArrowException):
            found[f"{path}, which cannot be read"] = 0
            continue
        if times:
            found[str(path)] = times
    return found


def files(settings: Settings) -> set[Path]:
    """The files that may hold something of a person: under PARLEY_HOME, the inbox, dbt's logs and artifacts, and the
    log of the embedded Postgres."""
    target = Path(os.environ.get("DBT_TARGET_PATH", "target"))
    folders = (settings.home, settings.inbox, (settings.project / LOG).parent, settings.project / target)
    found = {path for folder in folders for path in _files(folder, data_folder(settings))}
    return found | {path for path in [log_file(settings)] if path.is_file()}


def _files(folder: Path, database: Path) -> Iterator[Path]:
    """All files below a folder, but for the embedded Postgres' own and those of Python environments."""
    for name, folders, names in os.walk(folder):
        here = Path(name)
        folders[:] = [each for each in folders if here / each != database and not (here / each / "pyvenv.cfg").exists()]
        yield from (path for path in map(here.joinpath, names) if path.is_file() and not path.is_symlink())


def _words(path: Path) -> Iterator[str]:
    """Every word of a file, and every whole text: of JSON, of a table's cell, of an HTML page."""
    if path.suffix == ".parquet":
        yield from _words_of_table(path)
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as opened:
        file = cast(IO[bytes], opened)
        for line in file:
            yield from _words_of_line(line)
        if path.name.endswith((".csv", ".csv.gz", ".tsv")):
            file.seek(0)
            yield from _cells(file)
        elif path.suffix in (".html", ".htm"):
            file.seek(0)
            yield from _texts_of_page(file.read())


def _cells(file: IO[bytes]) -> Iterator[str]:
    """The cells of a CSV file, as far as it is one."""
    lines = (line.decode("utf-8", "replace") for line in file)
    with suppress(csv.Error):
        for cells in csv.reader(lines):
            for cell in cells:
                yield from (text for text in (cell, *_quoted(cell)) if text not in words(text))


def _quoted(cell: str) -> Iterator[str]:
    """Texts within a cell that is a list, as Postgres and JSON write them."""
    if cell[:1] in "[{":
        yield from (text.replace('\\"', '"') for text in _IN_QUOTES.findall(cell))


def _texts_of_page(content: bytes) -> Iterator[str]:
    """What stands between the tags of a page, and in attributes."""
    text = content.decode("utf-8", "replace")
    for part in (*_BETWEEN_TAGS.split(text), *_IN_QUOTES.findall(text)):
        plain = html.unescape(part).strip(" \t\r\n\"'\u201c\u201d\u00ab\u00bb\u2018\u2019")
        if plain not in words(part):
            yield plain


def _words_of_line(line: bytes) -> Iterator[str]:
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError:
        yield from words(line.decode("utf-8", "replace"))
        return
    for text in texts(content):
        yield from {text, *words(text)}


def _words_of_table(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                yield from _words_of_line(orjson.dumps(row, default=str))
