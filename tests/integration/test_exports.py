"""Exports: what is in the file is what is in the table, and no spreadsheet runs it."""

import csv
import hashlib
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from dagster_project import jobs
from parley.errors import ParleyError
from parley.history import exports
from parley.history.exports import ExportRequest, Format, Manifest
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import BUILT_AS_OF, parley

Row = dict[str, Any]


def stored(table: str) -> list[Row]:
    """The rows of a table in the order of an export's file, as their texts in JSON."""
    with psycopg.connect(options="-c timezone=UTC", row_factory=dict_row) as connection:
        return connection.execute(sql.SQL("select * from {}").format(sql.Identifier(*table.split(".")))).fetchall()


def plain(value: Any) -> Any:
    """A value as the plainest form that all formats share, numbers as exact as a float is."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else str(value)


def from_csv(path: Path, kinds: dict[str, str]) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    header, *rows = lines

    def read(name: str, cell: str) -> Any:
        kind = kinds[name]
        if cell == "":
            return None
        if kind in ("bool", "boolean"):
            return cell == "true"
        if kind.startswith(("int", "double", "float", "decimal")):
            return float(cell)
        return cell.removeprefix("'") if cell[1:2] in "=+-@" else cell

    return [{name: read(name, cell) for name, cell in zip(header, row, strict=True)} for row in rows]


def from_json(path: Path) -> list[Row]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def comparable(rows: list[Row]) -> list[str]:
    """Rows in an order that does not depend on where they come from."""
    return sorted(str(sorted((name, str(plain(value))) for name, value in row.items())) for row in rows)


def test_every_mart_and_fact_is_the_same_in_every_format(built: Settings, tmp_path: Path) -> None:
    with database.connect(built) as connection:
        names = [f"{table.schema}.{table.name}" for table in exports.tables(connection)]
    assert {"marts.daily_metrics", "facts.conversations", "marts.content_gaps"} <= set(names)
    for name in names:
        expected = stored(name)
        found = {kind: exports.export(built, ExportRequest(name, kind), tmp_path) for kind in exports.FORMATS}
        for kind, manifest in found.items():
            path = tmp_path / manifest.file
            assert manifest.rows == len(expected), (name, kind)
            assert manifest.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            assert manifest.as_of == BUILT_AS_OF
        as_json = from_json(tmp_path / found["json"].file)
        assert comparable(as_json) == comparable([plain(row) for row in expected]), name
        as_parquet = pq.read_table(tmp_path / found["parquet"].file).to_pylist()
        json_columns = {column for row in expected for column, value in row.items() if isinstance(value, dict)}
        for row in as_parquet:
            row.update({column: orjson.loads(row[column]) for column in json_columns if row[column] is not None})
        assert comparable([plain(row) for row in as_parquet]) == comparable([plain(row) for row in expected]), name
        kinds = {column["name"]: column["type"] for column in found["csv"].schema}
        nested = json_columns | {column for column, kind in kinds.items() if kind.startswith("list")}
        as_csv = from_csv(tmp_path / found["csv"].file, kinds)
        for row in as_csv:
            row.update({column: orjson.loads(row[column]) for column in nested if row[column] is not None})
        wanted = [{column: None if value == "" else value for column, value in row.items()} for row in expected]
        assert comparable([plain(row) for row in as_csv]) == comparable([plain(row) for row in wanted]), name


@pytest.fixture
def people(database: Settings) -> Settings:
    """A mart with texts of every kind."""
    with psycopg.connect() as connection:
        connection.execute("""
            create schema marts;
            create table marts.people (
                tenant_id text, number bigint, name text, date date, amount numeric, tags text[], details jsonb,
                unique (tenant_id, number)
            );
            insert into marts.people values
                ('a', 1, '=1+1', '2026-01-01', -12.5, '{=x,"a,b"}', '{"k": "=1", "n": 1e2}'),
                ('a', 2, '+49 170', '2026-01-02', null, '{}', '[-1]'),
                ('a', 3, '-2+3', '2026-01-03', 0.1, null, null),
                ('b', 4, '@sum(a1)', '2026-01-04', 1, null, '"=x"'),
                ('b', 5, E'\\tcmd', null, 2, null, '-7'),
                ('b', 6, E'\\rcmd', null, 3, null, 'true'),
                ('b', 7, '-42', null, 4, null, null),
                ('b', 8, '', null, 5, null, null),
                ('b', 9, null, null, 6, null, null),
                ('b', 10, E'say "hi"\\nagain', null, 7, null, null);
        """)
    return database


def exported(settings: Settings, folder: Path, kind: Format = "csv", **fields: Any) -> tuple[Path, Manifest]:
    manifest = exports.export(settings, ExportRequest("people", kind, **fields), folder, actor="me")
    return folder / manifest.file, manifest


def test_no_spreadsheet_takes_a_text_for_a_formula(people: Settings, tmp_path: Path) -> None:
    path, _ = exported(people, tmp_path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [
        "'=1+1", "'+49 170", "'-2+3", "'@sum(a1)", "'\tcmd", "'\rcmd", "-42", "", "", 'say "hi"\nagain'
    ]  # fmt: skip
    assert rows[0]["amount"] == "-12.5", "numbers stay numbers"
    assert rows[0]["tags"] == '["=x","a,b"]'
    assert orjson.loads(rows[0]["details"]) == {"k": "=1", "n": 100}
    content = path.read_bytes().decode()
    assert '"b",8,"",' in content
    assert '"b",9,,' in content, "an empty text is not the same as none"


def test_json_has_arrays_and_objects_as_such(people: Settings, tmp_path: Path) -> None:
    path, manifest = exported(people, tmp_path, "json")
    rows = from_json(path)
    assert path.suffix == ".ndjson"
    assert rows[0]["details"] == {"k": "=1", "n": 100}
    assert rows[0]["tags"] == ["=x", "a,b"]
    assert (rows[0]["amount"], rows[0]["date"], rows[0]["name"]) == (-12.5, "2026-01-01", "=1+1")
    assert rows[8]["name"] is None
    assert manifest.rows == 10


def test_filters_and_columns(people: Settings, tmp_path: Path) -> None:
    path, manifest = exported(
        people, tmp_path, "json", from_date=date(2026, 1, 2), to_date=date(2026, 1, 4), columns=("number", "tenant_id")
    )
    assert [list(row.items()) for row in from_json(path)] == [
        [("number", number), ("tenant_id", tenant)] for number, tenant in ((2, "a"), (3, "a"), (4, "b"))
    ]
    assert manifest.filters["from_date"] == "2026-01-02" or manifest.filters["from_date"] == date(2026, 1, 2)
    path, _ = exported(people, tmp_path, "json", tenant="b", where=(("amount", "3.00"),))
    assert [row["number"] for row in from_json(path)] == [6]
    with psycopg.connect() as connection:
        [(last,)] = connection.execute("select details from ops.audit_log order by number desc limit 1").fetchall()
    assert (last["table"], last["rows"], last["filtered_by"]) == ("marts.people", 1, ["amount"])


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (ExportRequest("peeple"), "did you mean 'people'"),
        (ExportRequest("people", columns=("nmae",)), "did you mean 'name'"),
        (ExportRequest("people", where=(("nmae", "x"),)), "did you mean 'name'"),
        (ExportRequest("people", where=(("number", "many"),)), "not of its column's type"),
    ],
)
def test_a_mistake_is_said_in_a_sentence_and_leaves_no_file(
    people: Settings, tmp_path: Path, order: ExportRequest, said: str
) -> None:
    with pytest.raises(ParleyError, match=said):
        exports.export(people, order, tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []


@pytest.mark.parametrize("kind", exports.FORMATS)
def test_a_large_table_takes_no_more_memory_than_a_small_one(database: Settings, tmp_path: Path, kind: Format) -> None:
    width, small, large = 1_000, 10_000, 80_000
    with psycopg.connect() as connection:
        connection.execute("create schema marts")
        for name, rows in (("small", small), ("large", large)):
            connection.execute(
                sql.SQL(
                    "create table marts.{} as select number, repeat(md5(number::text), {}) as text"
                    " from generate_series(1, {}) as number"
                ).format(sql.Identifier(name), sql.Literal(width // 32), sql.Literal(rows))
            )
    peaks = {name: peak_memory("export", name, "--format", kind) for name in ("small", "large")}
    assert peaks["large"] - peaks["small"] < (large - small) * width / 2


def peak_memory(*arguments: str) -> int:
    """The most memory that the command held, in bytes."""
    process = subprocess.Popen([sys.executable, "-m", "parley", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


def test_the_command_writes_a_file_and_says_where(people: Settings, tmp_path: Path) -> None:
    done = parley("export", "people", "--where", "number=4", "--columns", "number,name", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "1 rows of marts.people" in done.stdout
    assert (tmp_path / "people.csv").read_text() == 'number,name\n4,"\'@sum(a1)"\n'
    [manifest] = tmp_path.glob("*.json")
    assert (manifest.name, orjson.loads(manifest.read_bytes())["rows"]) == ("people.csv.json", 1)
    for arguments in (("people", "--format", "xls"), ("people", "--where", "x"), ("nothing",)):
        failed = parley("export", *arguments)
        assert (failed.returncode, "Traceback" in failed.stderr) == (1, False)


def test_the_job_writes_all_of_its_tables(people: Settings) -> None:
    choices = jobs.ExportChoices(tables=["people", "marts.people"], format="json", tenant="b")
    assert jobs.export.execute_in_process(dg.RunConfig({"write_exports": choices})).success
    [manifest] = (people.home / exports.FOLDER).glob("*.json")
    assert (manifest.name, orjson.loads(manifest.read_bytes())["rows"]) == ("people.ndjson.json", 7)
