"""Any history of loads, cut anywhere, broken off and sent again, accounts for every line and keeps every event once."""

from collections import Counter
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.landing import sources
from parley.landing.loader import Progress, load
from parley.landing.privacy import subject_hmac
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.landing import Json, assert_accounted_for, content, event, write

Line = tuple[str, int]
"""What sort of line, and the number of its event."""

SORTS = ("good", "good", "good", "other month", "unknown", "no consent", "broken", "blank")
FILES = st.lists(st.lists(st.tuples(st.sampled_from(SORTS), st.integers(0, 25)), max_size=40), min_size=1, max_size=2)
ATTEMPTS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40)), max_size=3)
"""Which file is loaded, and after how many lines the load breaks off."""


class Stop(Exception):
    """Breaks a load off."""


def written(line: Line) -> Json | bytes:
    sort, number = line
    match sort:
        case "other month":
            return event(number, occurred_at="2019-02-28T23:00:00+05:00", attributes={"text": "another"})
        case "unknown":
            return event(number, event_name="no.such")
        case "no consent":
            return event(number, context={"consent": {"analytics": False}})
        case "broken":
            return b'{"event_id": '
        case "blank":
            return b" "
    return event(number)


def outcome(line: Line) -> str:
    sort, number = line
    if sort in ("unknown", "broken", "no consent", "blank"):
        return "erased" if sort == "unknown" and is_erased(number) else sort
    return "erased" if is_erased(number) else "stored"


def is_erased(number: int) -> bool:
    """Whether the event is of user-3 of tenant-0, who was erased."""
    return number % 10 == 3 and number % 3 == 0


def counts(file: list[Line]) -> tuple[int, int, int, int]:
    """Events stored or known already, rejected, without consent and of an erased subject."""
    found = Counter(map(outcome, file))
    return found["stored"], found["unknown"] + found["broken"], found["no consent"], found["erased"]


def attempt(database: Settings, path: str, breaks_after: int) -> None:
    def stop(progress: Progress) -> None:
        if progress.lines >= breaks_after:
            raise Stop

    try:
        load(database, path, on_progress=stop)
    except Stop:
        return


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES, attempts=ATTEMPTS, chunk=st.sampled_from([1_000, 4_000, 1_000_000]))
def test_any_history_of_loads_accounts_for_every_line(
    database: Settings,
    rows: Rows,
    tmp_path: Path,
    files: list[list[Line]],
    attempts: list[tuple[int, int]],
    chunk: int,
) -> None:
    paths = [write(tmp_path / f"{number}.ndjson", map(written, file)) for number, file in enumerate(files)]
    with psycopg.connect() as connection:
        connection.execute("truncate raw.events, raw.event_keys, raw.loads, raw.load_batches, raw.rejected_events")
        connection.execute(
            "insert into raw.erased_subjects values ('tenant-0', %s) on conflict do nothing",
            [subject_hmac(database.secret, "tenant-0", "user-3")],
        )
    before: list[Json] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", chunk)
        patch.setattr(sources, "BLOCK", chunk)
        for number, breaks_after in attempts:
            attempt(database, paths[number % len(paths)], breaks_after)
            assert_accounted_for(rows)
            after = content(rows)
            assert all(row in after for row in before)  # what is stored stays as it is
            before = after
        for path in paths:
            load(database, path)
    assert_accounted_for(rows)
    after = content(rows)
    assert all(row in after for row in before)
    stored = {event(line[1])["event_id"] for file in files for line in file if outcome(line) == "stored"}
    assert {str(row["event_id"]) for row in after} == stored
    complete = rows("""
        select accepted + duplicate + rejected, no_consent, erased_subject from raw.loads where status = 'complete'
    """)
    assert {tuple(row.values()) for row in complete} == {
        (stored + rejected, *others) for stored, rejected, *others in map(counts, files)
    }
    once = [counts(file)[1] for file in files]
    (kept,) = rows("select count(*) from raw.rejected_events")[0].values()
    if len(files) == 1 or files[0] == files[1]:
        assert kept == once[0]  # however often the file was sent
    elif files[0][:1] == files[1][:1]:  # what has grown goes on after what is known of it
        assert max(once) <= kept <= sum(once)
    else:
        assert kept == sum(once)
