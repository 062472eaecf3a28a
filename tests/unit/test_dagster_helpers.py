"""The plain helpers of dagster_project: arguments, failures, inbox, reporting."""

import os
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest

from dagster_project.reporting import group_of, landing_metadata, landing_table, rows_written, set_aside_table
from dagster_project.requests import days_to_show, order, parse_as_of
from parley.build.builds import BuildRequest
from parley.errors import ParleyError, may_pass
from parley.landing.batches import Counts
from parley.landing.inbox import Outcome, Waiting, land_all, land_file, put_away, set_aside, waiting
from parley.landing.loads import Reason, Report
from parley.settings import Settings

AS_OF = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAYS = ("2026-11-01", "2026-11-03")


def report(counts: Counts, *reasons: Reason) -> Report:
    return Report(load_id=1, counts=counts, reasons=reasons, unlisted_tenants=())


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_the_days_of_a_run_are_built_again() -> None:
    assert order(as_of=AS_OF, days=DAYS) == BuildRequest(
        as_of=AS_OF, from_date=date(2026, 11, 1), to_date=date(2026, 11, 3)
    )


def test_a_tenant_limits_the_days() -> None:
    assert order(as_of=AS_OF, days=DAYS, tenant="shop-newyork").tenant == "shop-newyork"


def test_where_only_changes_count_no_days_are_asked_for() -> None:
    assert order(as_of=AS_OF, days=DAYS, tenant="shop-newyork", only_changes=True) == BuildRequest(as_of=AS_OF)


def test_a_full_refresh_is_not_limited_to_days() -> None:
    asked = order(as_of=AS_OF, days=DAYS, tenant="shop-newyork", full_refresh=True)
    assert asked == BuildRequest(as_of=AS_OF, full_refresh=True)


def test_a_time_is_read_with_its_offset_or_rejected() -> None:
    assert parse_as_of("2026-11-21T10:00:00+01:00") == AS_OF
    with pytest.raises(ParleyError, match="no time"):
        parse_as_of("yesterday")
    with pytest.raises(ParleyError, match="no offset"):
        order(as_of=parse_as_of("2026-11-21T10:00:00"), days=DAYS)


@pytest.mark.parametrize(
    "message",
    [
        'connection to server on socket "/tmp/.s.PGSQL.5432" failed: Connection refused',
        "server closed the connection unexpectedly",
        "FATAL: terminating connection due to administrator command",
        "FATAL:  the database system is starting up",
        "FATAL: sorry, too many clients already",
        "Database Error in model sessions\n  deadlock detected",
        "Postgres at localhost:5432 cannot be reached: is it running?",
    ],
)
def test_errors_of_the_infrastructure_may_pass(message: str) -> None:
    assert may_pass(message)


@pytest.mark.parametrize(
    "message",
    [
        "Failure in test unique_key_sessions\n  Got 3 results, configured to fail if != 0",
        'Database Error in model sessions\n  column "tenant" does not exist',
        "Compilation Error: depends on a node named 'stg_event' which was not found",
        'duplicate key value violates unique constraint "conversations_pkey"',
        "Postgres at localhost:5432 refused the user 'ann': check PGUSER and PGPASSWORD.",
    ],
)
def test_errors_of_data_code_and_settings_do_not_pass(message: str) -> None:
    assert not may_pass(message)


def november(*days: int) -> set[date]:
    return {date(2026, 11, day) for day in days}


@pytest.mark.parametrize(
    ("shown", "first_shown"),
    [
        ([november(*range(1, 21)), november(*range(1, 21))], 21),  # all but today
        ([november(*range(1, 22)), november(*range(1, 22))], 21),  # today again
        ([november(*range(1, 21)), november(*range(1, 18), 20)], 18),  # one asset missed two days
        ([november(*range(1, 21)), november()], 1),  # an asset is new
    ],
)
def test_a_build_is_shown_from_the_first_day_on_that_an_asset_lacks(shown: list[set[date]], first_shown: int) -> None:
    today = date(2026, 11, 21)
    assert days_to_show(shown, date(2026, 11, 1), today) == (date(2026, 11, first_shown), today)


def test_a_build_is_shown_under_a_month_at_most() -> None:
    assert days_to_show([set()], date(2024, 1, 1), date(2026, 11, 21)) == (date(2026, 10, 22), date(2026, 11, 21))
    assert days_to_show([set()], date(2026, 11, 21), date(2026, 11, 21)) == (date(2026, 11, 21), date(2026, 11, 21))


def test_folders_of_the_inbox_name_format_and_tenant(tmp_path: Path) -> None:
    write(tmp_path, "a.ndjson", "segment/b.ndjson", "segment/acme/c.csv", "segment/acme/2026/d.csv")
    found = {file.name: (file.source_format, file.tenant) for file in waiting(tmp_path)}
    assert found == {
        "a.ndjson": (None, None),
        "segment/b.ndjson": ("segment", None),
        "segment/acme/c.csv": ("segment", "acme"),
        "segment/acme/2026/d.csv": ("segment", "acme"),
    }


def test_landed_hidden_and_unfinished_files_do_not_wait(tmp_path: Path) -> None:
    write(tmp_path, "done/a.ndjson", "done/segment/b.ndjson", ".hidden", ".folder/c", "d.ndjson.part", "e.tmp")
    assert waiting(tmp_path) == []
    assert waiting(tmp_path / "no such folder") == []


def test_the_oldest_file_is_the_first(tmp_path: Path) -> None:
    write(tmp_path, "new", "old", "middle")
    for name, second in (("old", 1), ("middle", 2), ("new", 3)):
        os.utime(tmp_path / name, (second, second))
    assert [file.name for file in waiting(tmp_path)] == ["old", "middle", "new"]


def test_a_file_put_away_replaces_none_of_the_same_name(tmp_path: Path) -> None:
    for text in ("first", "second", "third"):
        (tmp_path / "a.ndjson").write_text(text)
        [file] = waiting(tmp_path)
        put_away(file, tmp_path)
    texts = {path.name: path.read_text() for path in (tmp_path / "done").iterdir()}
    assert texts == {"a.ndjson": "first", "a.ndjson.2": "second", "a.ndjson.3": "third"}


def test_a_broken_file_is_set_aside_with_its_reason_and_the_others_land(tmp_path: Path) -> None:
    write(tmp_path, "a", "broken", "z")

    def land(file: Waiting) -> Report:
        if file.name == "broken":
            raise ParleyError("The file ends too early: send it again.")
        return report(Counts(received=2, accepted=2))

    outcomes = {outcome.name: outcome for outcome in land_all(tmp_path, land)}
    assert outcomes["broken"].problem == "The file ends too early: send it again."
    assert waiting(tmp_path) == []
    assert [(file.name, file.problem) for file in set_aside(tmp_path)] == [
        ("broken", "The file ends too early: send it again.")
    ]
    assert set_aside_table(set_aside(tmp_path)).endswith("| broken | The file ends too early: send it again. |")
    assert landing_metadata(list(outcomes.values())) == {
        "files_landed": 2,
        "files_set_aside": 1,
        "received": 4,
        "accepted": 4,
        "duplicate": 0,
        "rejected": 0,
        "no_consent": 0,
        "erased_subject": 0,
    }


def test_a_file_written_to_while_it_lands_stays_in_the_inbox(tmp_path: Path) -> None:
    write(tmp_path, "growing")

    def land(file: Waiting) -> Report:
        file.path.write_text("one line more")
        return report(Counts())

    assert [outcome.problem for outcome in land_all(tmp_path, land)] == [None]
    assert [file.name for file in waiting(tmp_path)] == ["growing"]


def test_a_file_that_is_still_written_to_is_not_set_aside_under_its_writer(tmp_path: Path) -> None:
    write(tmp_path, "growing", "growing.gz")

    def land(file: Waiting) -> Report:
        file.path.write_text("one line more")
        if file.name.endswith(".gz"):
            raise ParleyError("The file ends too early: send it again.")
        return report(Counts(received=2, rejected=2), Reason("invalid_json", 2, "This is no JSON."))

    assert [outcome.name for outcome in land_all(tmp_path, land)] == ["growing"]
    assert [file.name for file in waiting(tmp_path)] == ["growing", "growing.gz"]
    assert set_aside(tmp_path) == []


def test_two_who_watch_an_inbox_do_not_stop_each_other(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "broken", "last")

    def land(file: Waiting) -> Report:
        if file.name != "last":
            put_away(file, tmp_path)  # the other one was as quick
        if file.name == "broken":
            raise ParleyError("There is no file broken: correct its name.")
        return report(Counts(received=1, accepted=1))

    assert [(found.name, found.problem) for found in land_all(tmp_path, land)] == [
        ("a", None),
        ("b", None),
        ("last", None),
    ]
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["a", "b", "broken", "last"]
    assert (waiting(tmp_path), set_aside(tmp_path)) == ([], [])


def test_an_inbox_in_which_nothing_can_be_moved_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a")

    def fail(path: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ParleyError, match="Permission denied"):
        list(land_all(tmp_path, lambda file: report(Counts(received=1, accepted=1))))


def test_a_file_in_no_format_is_set_aside_with_how_an_inbox_names_one(tmp_path: Path) -> None:
    (tmp_path / "other.ndjson").write_text('{"what": "is this"}\n')
    [outcome] = land_all(tmp_path, partial(land_file, Settings.load()))
    assert outcome.problem
    assert "name one by the folder of the inbox that it lies in, such as segment/" in outcome.problem


def test_a_database_that_is_down_is_no_fault_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")

    def land(file: Waiting) -> Report:
        raise ParleyError("Postgres at localhost:5432 cannot be reached: is it running?")

    with pytest.raises(ParleyError, match="cannot be reached"):
        list(land_all(tmp_path, land))
    assert len(waiting(tmp_path)) == 2


def test_the_table_of_landed_files_says_why() -> None:
    table = landing_table(
        [
            Outcome(
                "a.ndjson",
                report(
                    Counts(received=3, accepted=1, rejected=2),
                    Reason("unknown_event_type", 1, "No type is called so."),
                    Reason("invalid_json", 1, "This is no JSON."),
                ),
            ),
            Outcome("b.csv", problem="No header: name the columns | send it again."),
        ]
    ).splitlines()
    assert table[2].startswith("| a.ndjson | 3 | 1 |")
    assert table[2].endswith("| unknown_event_type: 1, invalid_json: 1 |")
    assert table[3].endswith(r"| No header: name the columns \| send it again. |")


@pytest.mark.parametrize(
    ("fqn", "group"),
    [
        (["parley", "staging", "stg_events"], "staging"),
        (["parley", "marts", "users", "active_users"], "marts_users"),
        (["parley", "tenants"], "seeds"),
    ],
)
def test_folders_are_groups(fqn: list[str], group: str) -> None:
    assert group_of({"fqn": fqn, "resource_type": "seed"}) == group


@pytest.mark.parametrize(
    ("status", "rows"),
    [("SELECT 12", 12), ("INSERT 0 12", 12), ("INSERT 5", 5), ("CREATE VIEW", None), ("success", None)],
)
def test_the_answer_of_postgres_says_how_many_rows_were_written(status: str, rows: int | None) -> None:
    assert rows_written(status) == rows
