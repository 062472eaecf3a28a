"""What is acknowledged is kept by the spool, whatever the disk does and wherever a process ends."""

import os
from pathlib import Path

import pytest

from parley.errors import ParleyError
from parley.landing.positions import START, Position
from parley.landing.privacy import Erased, subject_hmac, visitor_hmac
from parley.landing.results import Accepted, Rejected
from parley.landing.validation import collect
from parley.server.intake import Known
from parley.server.spool import Spool, SpoolFull, segments
from parley.server.writer import Gone, merge, pack

MUCH = 2**20
SECRET = b"secret"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool.create(tmp_path, max_bytes=MUCH)


def kill(spool: Spool) -> None:
    """End the process that holds the spool, as far as its files show it."""
    if spool._file is not None:
        os.close(spool._file)
    os.close(spool._lock)


def left_behind(home: Path) -> list[bytes]:
    """What a server that starts lands of what others left behind."""
    found = []
    for spool in Spool.orphans(home):
        records, after = spool.read(START, MUCH)
        assert spool.read(after, MUCH) == ([], after)
        found += records
        spool.clear()
        spool.close()
    return found


def test_what_was_appended_is_read_and_released(spool: Spool, tmp_path: Path) -> None:
    spool.append([b"one", b"two"])
    assert spool.read(START, 1) == ([b"one"], Position(1, 11)), "one at least"
    assert left_behind(tmp_path) == [], "it is held"
    records, position = spool.read(START, MUCH)
    assert records == [b"one", b"two"]
    spool.release(position)
    assert (spool.size, spool.is_empty) == (0, True)
    spool.append([b"three"])
    assert spool.read(position, MUCH)[0] == [b"three"]
    kill(spool)
    assert left_behind(tmp_path) == [b"three"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 5, 9, 12])
def test_a_record_that_a_crash_cut_off_is_left_out(spool: Spool, tmp_path: Path, cut: int) -> None:
    spool.append([b"one"])
    spool.append([b"never acknowledged"])
    kill(spool)
    [segment] = segments(spool.folder)
    os.truncate(segment, 11 + cut)
    assert left_behind(tmp_path) == [b"one"]


def test_a_failed_write_keeps_nothing_and_costs_nothing(spool: Spool, tmp_path: Path) -> None:
    spool.append([b"before"])
    kept, file = spool.end, spool._file
    assert file is not None
    os.pwrite(file, b"x" * 99, kept.offset)  # as far as the disk had room
    spool._file = os.open("/dev/full", os.O_WRONLY)
    for _ in range(3):
        with pytest.raises(SpoolFull, match=r"No space left on device.*make room"):
            spool.append([b"not kept"])
        (spool.folder / "00000002.rows").unlink(missing_ok=True)
        (spool.folder / "00000002.rows").symlink_to("/dev/full")
    (spool.folder / "00000002.rows").unlink()
    spool.append([b"after"])
    assert spool.read(START, MUCH)[0] == [b"before", b"after"]
    assert len(segments(spool.folder)) == 2
    spool.release(spool.read(START, MUCH)[1])
    assert spool.is_empty
    spool.append([b"last"])
    kill(spool)
    os.close(file)
    assert left_behind(tmp_path) == [b"last"]


def test_a_full_spool_takes_in_nothing_until_there_is_room(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, max_bytes=100)
    spool.append([b"x" * 80])
    with pytest.raises(SpoolFull, match="send again later"):
        spool.append([b"x" * 20])
    spool.release(spool.read(START, MUCH)[1])
    spool.append([b"x" * 20])


def test_where_no_spool_can_be_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ParleyError, match=r"cannot be written \(.+\): make it writable, or set PARLEY_HOME"):
        Spool.create(tmp_path / "file", max_bytes=MUCH)


def test_who_was_erased_since_is_taken_out_of_records() -> None:
    def accepted(number: int, user: str | None, visitor: str | None) -> Accepted:
        event_id = f"00000000-0000-0000-0000-{number:012}"
        context = b'{"line": "a\\\\n\\\\tb"}'
        return Accepted(
            *("shop", event_id, "page.viewed", "2026-11-20T10:00:00Z", None, None, user, None, b"{}", context, 1),
            anonymous_id=visitor,
        )

    def rejected(payload: bytes) -> Rejected:
        return Rejected("shop", None, "invalid_value", None, "No.", payload)

    hmacs = [subject_hmac(SECRET, "shop", "ana"), visitor_hmac(SECRET, "shop", "v-1")]
    erased = Erased(SECRET, hmacs, tenants=["shop"])
    results = [
        accepted(1, "ana", None),
        accepted(2, None, "v-1"),
        accepted(3, "bo", "v-1"),
        rejected(b'{"note":"of ana"}'),
        rejected(b'{"anonymous_id":"v-1"}'),
        rejected(b'{"user_id":"bo"}'),
        rejected(b'{"text":"%b"}' % " ".join(map(str, range(20_000))).encode()),
    ]
    record = pack(collect(enumerate(results)), Known(erased=0, removed=7))
    before, after = merge([record], Gone(erased, 0, {"shop": 7})), merge([record], Gone(erased, 2, {}))
    assert before.counts == {("shop", "accepted"): 3, ("shop", "rejected"): 4}
    assert after.counts == {("shop", "accepted"): 1, ("shop", "rejected"): 2, ("shop", "erased_subject"): 4}
    assert (before.events.count(b"\n"), after.events.count(b"\n")) == (3, 1)
    assert b"ana" not in after.events + after.rejected
    assert after.rejected.count(b"19999") == 0, "too long to search: nothing of it is kept"
    removed = merge([record], Gone(erased, 0, {"shop": 8}))
    assert (removed.counts, removed.events, removed.rejected) == ({}, b"", b"")
    twice = merge([record, record])
    assert (twice.events, twice.counts["shop", "duplicate"]) == (before.events, 3)
