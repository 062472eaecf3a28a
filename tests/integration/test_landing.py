"""What becomes of lines: each is counted once, and every event is stored exactly once."""

import gzip
from pathlib import Path

import orjson
import psycopg
import pytest

from parley.landing import sources
from parley.landing.loader import Progress, load
from parley.landing.privacy import subject_hmac
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.landing import DATA, Json, assert_accounted_for, content, event, totals, write


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK", 5_000)
    monkeypatch.setattr(sources, "BLOCK", 5_000)


def test_every_line_is_counted_once_per_load_batch_and_tenant(database: Settings, rows: Rows, tmp_path: Path) -> None:
    lines: list[Json | bytes] = [
        event(1),
        event(2),
        event(1),  # a duplicate within the batch
        event(3, event_name="no.such"),
        event(4, context={"consent": {"analytics": False}}),
        b"",
        b"{nonsense",
        event(5, tenant_id=None),
    ]
    report = load(database, write(tmp_path / "a.ndjson", lines))
    assert_accounted_for(rows)
    assert totals(rows) == [(2, 1, 3, 1, 0)]
    assert {(reason.reason, reason.lines) for reason in report.reasons} == {
        ("unknown_event_type", 1),
        ("invalid_json", 1),
        ("missing_field", 1),
    }
    assert rows("select line_number, reason from raw.rejected_events order by 1") == [
        {"line_number": 4, "reason": "unknown_event_type"},
        {"line_number": 7, "reason": "invalid_json"},
        {"line_number": 8, "reason": "missing_field"},
    ]
    assert rows("select tenant_id, received, rejected, no_consent from raw.load_batches order by 1") == [
        {"tenant_id": "(unknown)", "received": 2, "rejected": 2, "no_consent": 0},
        {"tenant_id": "tenant-0", "received": 1, "rejected": 1, "no_consent": 0},
        {"tenant_id": "tenant-1", "received": 3, "rejected": 0, "no_consent": 1},
        {"tenant_id": "tenant-2", "received": 1, "rejected": 0, "no_consent": 0},
    ]
    (row,) = rows("select * from raw.loads")
    assert (row["status"], row["lines_done"], row["source"]) == ("complete", 8, "a.ndjson")
    assert row["started_at"] <= row["finished_at"]


def test_an_event_is_stored_as_it_was_sent(database: Settings, rows: Rows, tmp_path: Path) -> None:
    sent = event(7, source="web\\", session_id="\t", context={"locale": "sv\\n"}, user_id="O'Neil \N{SNOWMAN}")
    load(database, write(tmp_path / "a.ndjson", [sent]))
    (found,) = content(rows)
    for name in (
        "tenant_id",
        "event_name",
        "conversation_id",
        "session_id",
        "user_id",
        "source",
        "attributes",
        "context",
    ):
        assert found[name] == sent[name]
    assert str(found["event_id"]) == sent["event_id"]
    assert found["occurred_at"].isoformat() == "2024-08-05T10:07:00+00:00"


def test_a_resent_file_lands_as_duplicates(database: Settings, rows: Rows, tmp_path: Path) -> None:
    lines = [event(number) for number in range(50)]
    load(database, write(tmp_path / "a.ndjson", lines))
    before = rows("select * from raw.events order by event_id")
    load(database, write(tmp_path / "b.ndjson", [*lines[10:], event(50)]))
    assert_accounted_for(rows)
    assert totals(rows) == [(50, 0, 0, 0, 0), (1, 40, 0, 0, 0)]
    assert rows("select * from raw.events where load_id = 1 order by event_id") == before


def test_an_event_is_known_whatever_month_it_claims_the_second_time(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    first = event(1, occurred_at="2024-01-31T23:59:59Z")
    again = event(1, occurred_at="2025-07-01T00:00:00Z", attributes={"text": "another"})
    load(database, write(tmp_path / "a.ndjson", [first, again]))
    load(database, write(tmp_path / "b.ndjson", [again]))
    assert_accounted_for(rows)
    assert totals(rows) == [(1, 1, 0, 0, 0), (0, 1, 0, 0, 0)]
    assert [row["attributes"] for row in content(rows)] == [first["attributes"]]
    assert rows("select from pg_class where relname = 'events_2025_07'") == []


def test_two_tenants_may_use_the_same_event_id(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(
        database,
        write(tmp_path / "a.ndjson", [event(1, tenant_id="a"), event(1, tenant_id="b"), event(1, tenant_id="a")]),
    )
    assert totals(rows) == [(2, 1, 0, 0, 0)]


@pytest.mark.usefixtures("small_chunks")
def test_the_first_line_wins_across_batches_validated_by_workers(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    lines = [event(number % 100, attributes={"text": f"line {number}"}) for number in range(500)]
    load(database, write(tmp_path / "a.ndjson", lines))
    assert_accounted_for(rows)
    assert totals(rows) == [(100, 400, 0, 0, 0)]
    assert sorted(row["attributes"]["text"] for row in content(rows)) == sorted(f"line {n}" for n in range(100))
    assert len(rows("select distinct batch_id from raw.load_batches")) > 5


@pytest.mark.usefixtures("small_chunks")
def test_how_a_file_is_cut_into_batches_changes_nothing(database: Settings, rows: Rows, tmp_path: Path) -> None:
    lines: list[Json | bytes] = [event(number % 240) for number in range(300)]
    lines[100:100] = [b"\xff\xfe", b"", event(1000, event_name="x")] * 20
    path = write(tmp_path / "a.ndjson", lines)
    load(database, path)
    in_batches, rejected = content(rows), rows("select line_number, reason from raw.rejected_events order by 1")
    with psycopg.connect() as connection:
        connection.execute("truncate raw.events, raw.event_keys, raw.loads, raw.load_batches, raw.rejected_events")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", 10_000_000)
        patch.setattr(sources, "BLOCK", 10_000_000)
        load(database, path)
    assert content(rows) == in_batches
    assert rows("select line_number, reason from raw.rejected_events order by 1") == rejected
    assert totals(rows) == [(240, 60, 40, 0, 0)]


def test_a_dialect_and_a_default_tenant_hold_for_the_load(database: Settings, rows: Rows, tmp_path: Path) -> None:
    line: Json = {
        "event_name": "message_received",
        "chat_id": 7,
        "properties": {"text": "hi"},
        "occurred_at": "2024-01-01T00:00:00Z",
    }
    path = write(tmp_path / "a.ndjson", [line, {**line, "chat_id": 8}])
    load(database, path, source_format="bot", tenant_id="salon-paris", loaded_by="a test")
    assert sorted((row["tenant_id"], row["event_name"], row["user_id"]) for row in content(rows)) == [
        ("salon-paris", "message.received", "7"),
        ("salon-paris", "message.received", "8"),
    ]
    (row,) = rows("select dialect, tenant_id, loaded_by from raw.loads")
    assert row == {"dialect": "bot", "tenant_id": "salon-paris", "loaded_by": "a test"}


def test_csv_lands_as_ndjson_does(database: Settings, rows: Rows, tmp_path: Path) -> None:
    header = "event_id,event_name,occurred_at,tenant_id,user_id,attributes.query,attributes.results_count"
    (tmp_path / "a.csv").write_text(f"{header}\n{event(1)['event_id']},kb.search,2024-01-01T00:00:00Z,t,7,12,3\nx\n")
    load(database, str(tmp_path / "a.csv"))
    assert totals(rows) == [(1, 0, 1, 0, 0)]
    assert content(rows)[0]["attributes"] == {"query": "12", "results_count": 3}
    assert rows("select line_number from raw.rejected_events") == [{"line_number": 3}]
    assert_accounted_for(rows)


def test_tenants_without_settings_are_admitted_and_reported(database: Settings, tmp_path: Path) -> None:
    report = load(database, write(tmp_path / "a.ndjson", [event(1), event(2, tenant_id="nordic-bank")]))
    assert report.unlisted_tenants == ("tenant-1",)


def test_strict_tenants_refuses_those_that_the_seed_does_not_name(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_STRICT_TENANTS", "true")
    load(Settings.load(), write(tmp_path / "a.ndjson", [event(1), event(2, tenant_id="nordic-bank")]))
    assert totals(rows) == [(1, 0, 1, 0, 0)]


def test_events_of_an_erased_subject_are_counted_and_not_kept(database: Settings, rows: Rows, tmp_path: Path) -> None:
    with psycopg.connect() as connection:
        erase(connection, "tenant-1", "user-1", database)
    load(
        database, write(tmp_path / "a.ndjson", [event(1), event(2), event(4), event(1, event_id=None, event_name="x")])
    )
    assert totals(rows) == [(2, 0, 0, 0, 2)]
    assert rows("select from raw.events where user_id = 'user-1'") == []
    assert_accounted_for(rows)


@pytest.mark.usefixtures("small_chunks")
def test_an_erasure_in_the_middle_of_a_load_holds_from_the_next_batch(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    lines = [event(number, tenant_id="t") for number in range(300)]

    def erase_once(progress: Progress) -> None:
        with psycopg.connect() as connection:
            erase(connection, "t", "user-7", database)

    load(database, write(tmp_path / "a.ndjson", lines), on_progress=erase_once)
    (first,) = rows("select min(batch_id) as id from raw.load_batches")
    kept = rows("select batch_id from raw.events where user_id = 'user-7'")
    assert {row["batch_id"] for row in kept} == {first["id"]}
    assert totals(rows) == [(300 - 30 + len(kept), 0, 0, 0, 30 - len(kept))]
    assert_accounted_for(rows)


def erase(connection: psycopg.Connection, tenant_id: str, user_id: str, settings: Settings) -> None:
    connection.execute(
        "insert into raw.erased_subjects (tenant_id, subject_hmac) values (%s, %s) on conflict do nothing",
        [tenant_id, subject_hmac(settings.secret, tenant_id, user_id)],
    )


def test_partitions_are_made_ahead_and_on_demand(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [event(1, occurred_at="2003-02-28T23:59:59.999999Z")]))
    (row,) = rows("select tableoid::regclass::text as partition from raw.events")
    assert row == {"partition": "raw.events_2003_02"}
    ahead = rows("""
        select to_regclass('raw.events_' || to_char(now() + months * interval '1 month', 'YYYY_MM')) as name
        from generate_series(0, 3) as months
    """)
    assert all(row["name"] for row in ahead)
    indexed = rows("""
        select split_part(indexdef, ' USING ', 2) as index
        from pg_indexes where schemaname = 'raw' and tablename = 'events_2003_02' order by index
    """)
    assert [row["index"] for row in indexed] == [
        "brin (occurred_at) WITH (autosummarize='on')",
        "btree (batch_id)",
        "btree (tenant_id, anonymous_id) WHERE (anonymous_id IS NOT NULL)",
    ]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the real data are not here")
@pytest.mark.parametrize(("name", "events"), [("star", 83_611), ("online_retail", 11_036)])
def test_real_data_lands_without_a_rejection(database: Settings, rows: Rows, name: str, events: int) -> None:
    path = str(DATA / f"{name}.events.ndjson.gz")
    load(database, path)
    load(database, path)
    assert totals(rows) == [(events, 0, 0, 0, 0), (0, events, 0, 0, 0)]
    assert_accounted_for(rows)
    with gzip.open(path) as file:
        ids = sorted(orjson.loads(line)["event_id"] for line in file)
    assert [str(row["event_id"]) for row in rows("select event_id from raw.event_keys order by 1")] == ids
