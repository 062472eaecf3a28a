"""Rejected events are validated again when the plan or the seed is fixed, and land once."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from parley.config import tracking_plan
from parley.landing import replay as replaying
from parley.landing.loader import load
from parley.landing.privacy import subject_hmac
from parley.landing.replay import Selection, replay
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.landing import Json, assert_accounted_for, content, event, totals, write

EVERYTHING = Selection()


def register(tmp_path: Path, *names: str, **definition: Any) -> None:
    """Let event types land from now on."""
    types = {name: {"description": "Of a test.", **definition} for name in names}
    path = tmp_path / "types.yml"
    path.write_text(yaml.safe_dump({"event_types": types}))
    with psycopg.connect() as connection:
        tracking_plan.register_custom(connection, tracking_plan.read_types(path, origin="custom"))


def refused(rows: Rows) -> list[Json]:
    return rows("select line_number, reason, replayed_by from raw.rejected_events order by rejected_id")


def test_what_passes_now_lands_as_a_load_of_its_own(database: Settings, rows: Rows, tmp_path: Path) -> None:
    lines: list[Json | bytes] = [event(1), event(2, event_name="loyalty.joined"), event(3, event_name="no.such"), b"{"]
    load(database, write(tmp_path / "a.ndjson", lines))
    register(tmp_path, "loyalty.joined")
    result = replay(database, EVERYTHING, loaded_by="a test")
    assert result.tried == 2
    assert result.report is not None
    assert totals(rows) == [(1, 0, 3, 0, 0), (1, 0, 0, 0, 0)]
    assert [row["replayed_by"] for row in refused(rows)] == [result.report.load_id, None, None]
    assert [row["event_name"] for row in content(rows)] == ["message.received", "loyalty.joined"]
    assert rows(
        "select source, dialect, loaded_by, status from raw.loads where load_id = %s", result.report.load_id
    ) == [{"source": "rejected events", "dialect": "replay", "loaded_by": "a test", "status": "complete"}]


def test_a_second_replay_changes_nothing(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [event(1, event_name="x.y"), event(2, event_name="no.such")]))
    register(tmp_path, "x.y")
    replay(database, EVERYTHING)
    before = (content(rows), refused(rows), totals(rows))
    assert replay(database, EVERYTHING).report is None
    assert (content(rows), refused(rows), totals(rows)) == before


@pytest.mark.parametrize("with_id", [True, False])
def test_the_file_sent_again_after_a_replay_is_a_duplicate(
    database: Settings, rows: Rows, tmp_path: Path, with_id: bool
) -> None:
    line = event(1, event_name="x.y", attributes={"text": "write to a.person@example.com", "phone": "1"})
    if not with_id:
        del line["event_id"]
    path = write(tmp_path / "a.ndjson", [line])
    load(database, path)
    register(tmp_path, "x.y")
    replay(database, EVERYTHING)
    replayed = content(rows)
    load(database, path)
    assert content(rows) == replayed
    assert totals(rows) == [(0, 0, 1, 0, 0), (1, 0, 0, 0, 0), (0, 1, 0, 0, 0)]


def test_a_replayed_event_is_what_it_would_have_been_at_once(database: Settings, rows: Rows, tmp_path: Path) -> None:
    attributes = {
        "query": "call +46 70 123 45 67",
        "email": "a@example.com",
        "n": 1.5,
        "tracking_number": "407760354121",
    }
    path = write(tmp_path / "a.ndjson", [event(1, event_name="x.y", attributes=attributes)])
    load(database, path)
    register(tmp_path, "x.y", attributes={"tracking_number": {"type": "string"}})
    replay(database, EVERYTHING)
    replayed = content(rows)
    with psycopg.connect() as connection:
        connection.execute("truncate raw.events, raw.event_keys, raw.loads, raw.load_batches, raw.rejected_events")
    load(database, path)
    assert replayed == content(rows)
    assert replayed[0]["attributes"] == attributes | {"query": "call [phone]", "email": "[masked]"}


def test_what_would_land_otherwise_than_it_was_sent_is_not_replayed(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    lines: list[Json | bytes] = [
        event(1, event_name="x.y", attributes={"email": "a@example.com"}),
        event(2, attributes={"text": "a\0b"}),
        event(3, tenant_id="sal\0on"),
        event(4, attributes={"note": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}),
    ]
    load(database, write(tmp_path / "a.ndjson", lines))
    register(tmp_path, "x.y", attributes={"email": {"privacy": "hash"}})
    result = replay(database, EVERYTHING)
    assert (result.report, result.not_replayable) == (None, 1)
    assert content(rows) == []
    told = rows("select not_replayable from raw.rejected_events order by rejected_id")
    assert all(row["not_replayable"].endswith(".") for row in told)
    assert told[0]["not_replayable"].startswith("attributes.email was redacted")
    register(tmp_path, "x.y")  # which treats it as it was
    assert replay(database, EVERYTHING).report is not None
    assert [row["attributes"] for row in content(rows)] == [{"email": "[masked]"}]


def test_each_event_is_read_in_the_dialect_and_for_the_tenant_of_its_load(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    bot: Json = {"event_name": "x.y", "chat_id": 7, "occurred_at": "2024-01-01T00:00:00Z", "properties": {"text": "hi"}}
    load(database, write(tmp_path / "a.ndjson", [bot]), source_format="bot", tenant_id="one")
    load(database, write(tmp_path / "b.ndjson", [bot]), source_format="bot", tenant_id="two")
    load(database, write(tmp_path / "c.ndjson", [event(1, event_name="x.y", tenant_id="three")]))
    register(tmp_path, "x.y")
    replay(database, EVERYTHING)
    assert [(row["tenant_id"], row["user_id"]) for row in content(rows)] == [
        ("one", "7"),
        ("three", "user-1"),
        ("two", "7"),
    ]
    assert_accounted_for(rows)


def test_a_selection_replays_nothing_else(database: Settings, rows: Rows, tmp_path: Path) -> None:
    for name in ("a", "b"):
        lines = [event(number, event_name="x.y", tenant_id=name) for number in (1, 2)]
        load(database, write(tmp_path / f"{name}.ndjson", [*lines, event(3, event_name="z", tenant_id=name)]))
    register(tmp_path, "x.y")
    assert replay(database, Selection(reason="invalid_value")).tried == 0
    assert replay(database, Selection(reason="unknown_event_type", tenant_id="a", load_id=2)).tried == 0
    assert replay(database, Selection(tenant_id="a")).tried == 3
    assert [row["tenant_id"] for row in content(rows)] == ["a", "a"]
    assert replay(database, Selection(load_id=1)).tried == 1
    assert replay(database, Selection(load_id=2)).tried == 3
    assert len(content(rows)) == 4
    assert_accounted_for(rows)


def test_many_pages_are_replayed_and_what_landed_meanwhile_is_a_duplicate(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "PAGE", 10)
    path = write(tmp_path / "a.ndjson", [event(number, event_name=f"x.y{number % 2}") for number in range(100)])
    load(database, path)
    register(tmp_path, "x.y0")
    load(database, write(tmp_path / "b.ndjson", [event(number, event_name="x.y0") for number in range(0, 40, 2)]))
    result = replay(database, EVERYTHING)
    assert result.tried == 100
    assert totals(rows) == [(0, 0, 100, 0, 0), (20, 0, 0, 0, 0), (30, 20, 0, 0, 0)]
    assert len([row for row in refused(rows) if row["replayed_by"]]) == 50
    assert_accounted_for(rows)


def test_a_subject_erased_since_is_counted_and_its_rejected_event_emptied(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    load(database, write(tmp_path / "a.ndjson", [event(1, event_name="x.y"), event(2, event_name="x.y")]))
    with psycopg.connect() as connection:
        connection.execute(
            "insert into raw.erased_subjects values (%s, %s)",
            ["tenant-1", subject_hmac(database.secret, "tenant-1", "user-1")],
        )
    register(tmp_path, "x.y")
    replay(database, EVERYTHING)
    assert totals(rows) == [(0, 0, 2, 0, 0), (1, 0, 0, 0, 1)]
    assert [row["payload"] is None for row in rows("select payload from raw.rejected_events order by 1")] == [
        False,
        True,
    ]
    assert_accounted_for(rows)


def test_an_erasure_in_the_middle_of_a_replay_holds_from_the_next_page(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "PAGE", 10)
    lines = [event(number, event_name="x.y", tenant_id="t") for number in range(40)]
    load(database, write(tmp_path / "a.ndjson", lines))
    register(tmp_path, "x.y")

    def erase(tried: int) -> None:
        with psycopg.connect() as connection:
            connection.execute(
                "insert into raw.erased_subjects values ('t', %s) on conflict do nothing",
                [subject_hmac(database.secret, "t", "user-7")],
            )

    replay(database, EVERYTHING, on_progress=erase)
    assert totals(rows) == [(0, 0, 40, 0, 0), (37, 0, 0, 0, 3)]
    assert_accounted_for(rows)
