"""Files as chunks of lines: every format, every way a file can be odd, and constant memory."""

import gzip
import json
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from parley.config import tracking_plan
from parley.landing import formats, sources
from parley.landing.sources import Chunk, Columns, SourceError, open_source
from parley.settings import Settings

FOLDER = Settings.load().project / tracking_plan.FOLDER
PLAN = tracking_plan.load(FOLDER)
HEADER = "event_name,tenant_id,occurred_at"


def columns(name: str = "parley") -> Columns:
    return Columns.of(formats.find(FOLDER, name), PLAN.types)


def read(path: Path, name: str = "parley") -> list[Chunk]:
    with open_source(str(path), columns(name)) as source:
        return list(source)


def lines_of(chunks: list[Chunk]) -> dict[int, bytes]:
    """The lines that are not blank, by their number."""
    return {
        number: line
        for chunk in chunks
        for number, line in enumerate(chunk.body.split(b"\n"), chunk.first_line)
        if line.strip()
    }


def events_of(chunks: list[Chunk]) -> dict[int, Any]:
    return {number: json.loads(line) for number, line in lines_of(chunks).items()}


def reasons_by_line(chunks: list[Chunk]) -> dict[int, str]:
    return {each.line: each.reason for chunk in chunks for each in chunk.rejected}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK", 200)
    monkeypatch.setattr(sources, "BLOCK", 64)
    monkeypatch.setattr(sources, "RECORDS", 3)


@pytest.mark.parametrize(
    "content", ['{"a":1}\n{"b":2}\n', '{"a":1}\n{"b":2}', '{"a":1}\r\n{"b":2}\r\n', '\ufeff{"a":1}\n{"b":2}\n']
)
def test_lines_are_the_same_with_any_line_end_and_byte_order_mark(tmp_path: Path, content: str) -> None:
    assert events_of(read(write(tmp_path / "a.ndjson", content))) == {1: {"a": 1}, 2: {"b": 2}}


def test_an_empty_file_has_no_chunks(tmp_path: Path) -> None:
    for name in ("a.ndjson", "a.csv"):
        assert read(write(tmp_path / name, "")) == []
    assert read(write(tmp_path / "a.gz", gzip.compress(b""))) == []


def test_blank_lines_are_counted_as_lines(tmp_path: Path) -> None:
    chunks = read(write(tmp_path / "a.ndjson", '\n\n{"a":1}\n  \n{"b":2}\n\n'))
    assert sum(chunk.lines for chunk in chunks) == 6
    assert events_of(chunks) == {3: {"a": 1}, 5: {"b": 2}}


def test_gzip_is_known_by_its_content_whatever_the_name(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"b":2}\n') + b"\0" * 100
    assert events_of(read(write(tmp_path / "a.json", packed))) == {1: {"a": 1}, 2: {"b": 2}}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kept", [20, 100, 400, 900])
def test_what_precedes_the_break_of_a_gzip_file_is_read(tmp_path: Path, kept: int) -> None:
    lines = [json.dumps({"number": number, "text": f"{number * 7919 % 1000003}"}) for number in range(300)]
    packed = gzip.compress("\n".join(lines).encode())
    found: list[Chunk] = []
    with (
        pytest.raises(SourceError, match="breaks off in the middle"),
        open_source(str(write(tmp_path / "a.gz", packed[:kept])), columns()) as source,
    ):
        found.extend(source)
    read_lines = [line.decode() for line in lines_of(found).values()]
    assert read_lines == lines[: len(read_lines)]
    assert len(read_lines) > 10 or kept < 400


def test_a_gzip_file_damaged_within_is_said_to_be_so(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress("".join(f'{{"n":{number * 7919}}}\n' for number in range(9999)).encode()))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(SourceError, match="damaged as a gzip file"):
        read(write(tmp_path / "a.gz", bytes(packed)))


@given(
    # blanks before a line that is cut are not kept
    lines=st.lists(st.binary(max_size=80).map(lambda line: line.replace(b"\n", b"").lstrip(b" \t\r")), max_size=60),
    limit=st.integers(1, 20),
)
def test_lines_come_out_as_they_are_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], limit: int
) -> None:
    content = b"".join(line + b"\n" for line in [b"{}", *lines])
    path = write(tmp_path_factory.mktemp("lines") / "a.ndjson", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", 50)
        patch.setattr(sources, "BLOCK", 16)
        with open_source(str(path), columns()) as source:
            whole = list(source)
        with open_source(str(path), columns()) as source:
            assert source.skip(min(limit, len(lines) + 1))
            rest = list(source)
    assert b"".join(chunk.body for chunk in whole) == content
    assert [chunk.first_line for chunk in whole[1:]] == [chunk.first_line + chunk.lines for chunk in whole[:-1]]
    skipped = content.split(b"\n", min(limit, len(lines) + 1))
    assert b"".join(chunk.body for chunk in rest) == skipped[-1]
    if rest:
        assert rest[-1].fingerprint == whole[-1].fingerprint


def test_a_fingerprint_is_that_of_the_lines_read_and_not_of_how_the_file_is_packed(tmp_path: Path) -> None:
    text = "".join(f'{{"n":{number}}}\n' for number in range(50))
    found = []
    for name, content in (
        ("a.ndjson", text.encode()),
        ("b.gz", gzip.compress(text.encode())),
        ("c.x", text[:200].encode()),
    ):
        with open_source(str(write(tmp_path / name, content)), columns()) as source:
            assert source.skip(10)
            found.append(source.fingerprint)
    assert len(set(found)) == 1
    with open_source(str(tmp_path / "a.ndjson"), columns()) as source:
        assert source.skip(11)
        assert source.fingerprint != found[0]
        assert source.fingerprint.startswith(source.head)
        assert not source.skip(40)


def test_a_line_of_any_length_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    with path.open("wb") as file:
        file.write(b'{"a":1}\n{"b":"')
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"c":3}')
    tracemalloc.start()
    try:
        lines = lines_of(read(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 15_000_000
    assert (lines[1], lines[3]) == (b'{"a":1}', b'{"c":3}')
    assert len(lines[2]) > sources.MAX_EVENT


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("\ufeff{}".encode("utf-16-le"), "UTF-16"),
        ("{}".encode("utf-16-le"), "UTF-16"),
        ("{}".encode("utf-16-be"), "UTF-16"),
        (b'[\n {"event_name": "message.sent"},', "it breaks off"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is a PNG image"),
        (b"PK\x03\x04" + bytes(range(256)), "is a zip archive"),
        (bytes(range(256)) * 20, "is no text"),
        (b"PAR1 but no more", "damaged as a Parquet file"),
    ],
)
def test_a_file_that_is_something_else_is_said_to_be_so(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        read(write(tmp_path / "a.ndjson", content))


def test_a_table_that_is_no_utf_8_is_said_to_be_so_before_it_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "role,content\nuser,här\n".encode("latin-1"))
    with pytest.raises(SourceError, match="write it as UTF-8"):
        sources.sample(str(path), columns("transcript"), 1)


def test_a_sample_takes_apart_no_more_than_it_shows(tmp_path: Path) -> None:
    """Else each format that looks into documents would go through megabytes before a load begins."""
    path = write(tmp_path / "export.json", '{"items": [' + '{"n": 1},' * 30 + '{"n": broken}]}')
    inside = Columns(is_native=False, name="mine", types={}, documents=(("items",),))
    assert len(sources.sample(str(path), inside, 20)) == 20
    assert len(sources.sample(str(path), inside, 40)) == 30  # what came before the break


def test_a_path_that_is_no_file_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        read(tmp_path / "missing")
    with pytest.raises(SourceError, match="is a folder"):
        read(tmp_path)


def test_csv_with_dotted_columns_is_read_with_the_types_of_the_plan(tmp_path: Path) -> None:
    content = f"""{HEADER},attributes.tool_name,attributes.success,attributes.duration_ms,context.page.url,note
ai.tool_call_completed,t,2024-01-01T00:00:00Z,find,TRUE,12.5,/a,x
ai.tool_call_completed,t,2024-01-01T00:00:00Z,7,no,,,
"""
    event = {"event_name": "ai.tool_call_completed", "tenant_id": "t", "occurred_at": "2024-01-01T00:00:00Z"}
    assert events_of(read(write(tmp_path / "a.csv", content))) == {
        2: event
        | {
            "attributes": {"tool_name": "find", "success": True, "duration_ms": 12.5},
            "context": {"page": {"url": "/a"}},
            "note": "x",
        },
        3: event | {"attributes": {"tool_name": "7", "success": "no"}},
    }


def test_csv_may_hold_json_quotes_line_ends_and_other_delimiters(tmp_path: Path) -> None:
    content = (
        'event_type;timestamp;store_id;event_data\r\nmessage_sent;x;s;"{""text"": ""a;\r\nb""}"\r\n\r\nx;y;z;{oops\r\n'
    )
    assert events_of(read(write(tmp_path / "a.txt", content), "conversation")) == {
        2: {"event_type": "message_sent", "timestamp": "x", "store_id": "s", "event_data": '{"text": "a;\r\nb"}'},
        4: {"event_type": "x", "timestamp": "y", "store_id": "z", "event_data": "{oops"},
    }


def test_names_of_attributes_may_hold_dots_and_aliases_have_types_too(tmp_path: Path) -> None:
    content = f"{HEADER},attributes.gen_ai.tool.name,attributes.rank\nai.tool_call_started,t,x,7,1\nkb.hit,t,x,,2\n"
    found = events_of(read(write(tmp_path / "a.csv", content)))
    assert [event["attributes"] for event in found.values()] == [{"gen_ai.tool.name": "7", "rank": "1"}, {"rank": 2}]


@pytest.mark.usefixtures("small_chunks")
def test_broken_records_of_csv_are_rejected_and_the_others_read(tmp_path: Path) -> None:
    good = "kb.hit,t,x"
    records = [
        good,
        "kb.hit,t",
        good,
        '"kb"hit,t,x',
        good,
        "kb.hit,t,\udcff",
        good,
        f'"{"x" * 70_000}\n,t,x',
        good,
        '"kb.hit',
    ]
    content = "\n".join([HEADER, *records]).encode("utf-8", "surrogateescape")
    chunks = read(write(tmp_path / "a.csv", content))
    assert reasons_by_line(chunks) == {
        3: "invalid_json",
        5: "invalid_json",
        7: "invalid_json",
        9: "too_large",
        12: "invalid_json",
    }
    assert list(events_of(chunks)) == [2, 4, 6, 8, 10, 11]  # 10: the end of the broken 9


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("kb.hit,t,2024-01-01T00:00:00Z", "has no column 'event_name'"),
        ("event_type,timestamp", "has no column 'event_name'"),
        ("event_name,attributes,attributes.text", "in more than one column"),
        ("event_name,context.page,context.page.url", "in more than one column"),
        ("event_name,source,source", "in more than one column"),
    ],
)
def test_a_header_that_does_not_name_the_columns_of_events_is_said_to_be_wrong(
    tmp_path: Path, header: str, sentence: str
) -> None:
    with pytest.raises(SourceError, match=sentence):
        read(write(tmp_path / "a.csv", f"{header}\n"))


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 31, 14, 30, 0, 250, UTC)
    attributes = pa.struct([("revenue", pa.decimal128(9, 2)), ("order_id", pa.string()), ("currency", pa.string())])
    table = pa.table(
        {
            "event_name": pa.array(["commerce.order_completed"] * 2).dictionary_encode(),
            "occurred_at": pa.array([moment, None], pa.timestamp("ns", "Europe/Paris")),
            "tenant_id": pa.array([b"t", b"\xff"]),
            "attributes": pa.array(
                [{"revenue": Decimal("12.50"), "order_id": "o", "currency": None}, None], attributes
            ),
            "context": pa.array(['{"page": {"url": "/"}}', None]),
            "else": [1, 2],
        }
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path)
    chunks = read(path)
    (event,) = events_of(chunks).values()
    assert datetime.fromisoformat(event.pop("occurred_at")) == moment
    assert event == {
        "event_name": "commerce.order_completed",
        "tenant_id": "t",
        "attributes": {"revenue": 12.5, "order_id": "o"},
        "context": {"page": {"url": "/"}},
        "else": 1,
    }
    assert reasons_by_line(chunks) == {2: "invalid_json"}


def test_maps_old_spark_times_and_nan_in_parquet_are_read_as_they_are_meant(tmp_path: Path) -> None:
    table = pa.table(
        {
            "event_name": ["kb.search", "kb.search"],
            "occurred_at": pa.array([datetime(2024, 1, 1)] * 2, pa.timestamp("ns")),
            "attributes": pa.array([[("query", "5"), ("results_count", "3")], None], pa.map_(pa.string(), pa.string())),
            "user_id": pa.array([float("nan"), 1.0]),
        }
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path, use_deprecated_int96_timestamps=True)
    found = events_of(read(path))
    assert found[1]["attributes"] == {"query": "5", "results_count": 3}
    assert found[1]["occurred_at"] == "2024-01-01T00:00:00+00:00"
    assert found[1]["user_id"] is None
    assert "attributes" not in found[2]


def test_a_time_without_zone_in_parquet_gets_none(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"event_name": ["x"], "occurred_at": pa.array([datetime(2024, 1, 1)])}), path)
    assert events_of(read(path))[1]["occurred_at"] == "2024-01-01T00:00:00"


@pytest.mark.usefixtures("small_chunks")
def test_csv_and_parquet_are_skipped_by_record(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"event_name": [f"e.{number}" for number in range(20)]}), tmp_path / "a.parquet")
    write(tmp_path / "a.csv", "event_name\n" + "".join(f"e.{number}\n" for number in range(20)))
    for path, header in ((tmp_path / "a.parquet", 0), (tmp_path / "a.csv", 1)):
        with open_source(str(path), columns()) as source:
            assert source.skip(8 + header)
            rest = list(source)
        assert [event["event_name"] for event in events_of(rest).values()] == [f"e.{number}" for number in range(8, 20)]
        assert rest[-1].fingerprint == read(path)[-1].fingerprint


def test_the_share_read_goes_up_to_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", '{"a":1}\n' * 1000)
    with open_source(str(path), columns()) as source:
        assert list(source)
        assert source.share == 1.0
