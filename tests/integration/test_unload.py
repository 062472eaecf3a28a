"""A load that is taken back leaves nothing, and the right load lands afterwards."""

from pathlib import Path

import pytest

from parley.errors import ParleyError
from parley.landing import loads, sources
from parley.landing.loader import Progress, load
from parley.landing.replay import Selection, replay
from parley.people.unload import unload
from parley.settings import Settings
from parley.warehouse import database as postgres
from tests.conftest import Rows
from tests.support.landing import assert_accounted_for, content, event, totals, write


def test_a_load_is_taken_back_whole_and_the_right_one_lands(database: Settings, rows: Rows, tmp_path: Path) -> None:
    other = write(tmp_path / "other.ndjson", [event(1), event(9)])
    wrong = write(tmp_path / "wrong.ndjson", [event(1), event(2), event(3), event(4, event_name="no.such")])
    kept = load(database, other).load_id
    before = content(rows)
    taken = load(database, wrong).load_id
    found = unload(database, taken, by="a test")
    assert (found.source, found.events, found.rejected, found.later) == ("wrong.ndjson", 2, 1, ())
    assert content(rows) == before
    assert rows("select load_id from raw.loads") == [{"load_id": kept}]
    assert rows("select from raw.rejected_events") == []
    assert_accounted_for(rows)
    load(database, wrong)
    assert totals(rows) == [(2, 0, 0, 0, 0), (2, 1, 1, 0, 0)]
    assert rows("select actor, details ->> 'events' as events from ops.audit_log where action = 'load.unloaded'") == [
        {"actor": "a test", "events": "2"}
    ]


def test_later_loads_that_may_have_sent_the_same_events_are_named(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.ndjson", [event(1)])
    first = load(database, path).load_id
    second = load(database, path).load_id
    assert unload(database, first).later == (second,)
    assert content(rows) == []


def test_who_is_at_a_load_keeps_it_and_of_one_that_is_gone_nothing_lands(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.ndjson", [event(number) for number in range(40)])
    with postgres.connect(database, autocommit=True) as other:
        load_id = loads.begin(other, source="a.ndjson", source_format="parley")
        other.execute("update raw.loads set status = 'failed'")  # as one that is just being taken up again
        with pytest.raises(ParleyError, match="is still at work"):
            unload(database, load_id)
    unload(database, load_id)

    monkeypatch.setattr(sources, "CHUNK", 2_000)
    monkeypatch.setattr(sources, "BLOCK", 2_000)
    landed: list[int] = []

    def take_it_back(progress: Progress) -> None:
        landed.append(progress.lines)
        if len(landed) == 1:  # by hand, as nobody else can
            with postgres.connect(database) as other:
                for table in ("events", "event_keys", "load_batches", "loads"):
                    other.execute(f"delete from raw.{table}".encode())

    with pytest.raises(ParleyError, match="is no longer there"):
        load(database, path, on_progress=take_it_back)
    assert len(landed) == 1
    assert (content(rows), totals(rows)) == ([], [])
    assert load(database, path).counts.accepted == 40
    assert_accounted_for(rows)


def test_a_load_that_cannot_be_taken_back_exactly_is_kept(database: Settings, rows: Rows, tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match="There is no load 99"):
        unload(database, 99)
    path = write(tmp_path / "a.ndjson", [event(1), event(2, event_name="user.registered", attributes={"method": 1})])
    rejected = load(database, path).load_id
    assert totals(rows) == [(1, 0, 1, 0, 0)]
    assert replay(database, Selection()).report is None
    unload(database, rejected)
    assert totals(rows) == []
