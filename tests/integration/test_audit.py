"""The audit log: an entry stands with what it tells of, and nobody changes one unnoticed."""

import threading

import psycopg
import pytest

from parley.settings import Settings
from parley.warehouse import audit, database
from tests.conftest import Rows, parley


def write(settings: Settings, count: int) -> None:
    with database.connect(settings) as connection:
        for number in range(count):
            audit.record(connection, "gap.status_set", tenant_id="shop", actor="ada", details={"gap_id": number})


def tamper(statement: str) -> None:
    with psycopg.connect() as connection:
        connection.execute(statement.encode())


def test_entries_are_chained_and_found_whole(database: Settings) -> None:
    write(database, 3)
    listed = parley("audit", "list", "--tenant", "shop")
    verified = parley("audit", "verify")
    assert (listed.stdout.count("gap.status_set"), verified.returncode) == (3, 0)
    assert "whole: 3 entries" in verified.stdout
    write(database, 1)
    assert parley("audit", "verify", "--expect", verified.stdout.split()[-1]).returncode == 0


@pytest.mark.parametrize(
    ("statement", "entry"),
    [
        ("update ops.audit_log set actor = 'eve' where number = 2", 2),
        ("""update ops.audit_log set details = '{"gap_id": 9}' where number = 3""", 3),
        ("update ops.audit_log set recorded_at = recorded_at - interval '1 day' where number = 1", 1),
        ("delete from ops.audit_log where number = 1", 1),
        ("delete from ops.audit_log where number = 2", 2),
        ("update ops.audit_log set number = case number when 1 then 2 else 1 end where number < 3", 1),
        (
            "insert into ops.audit_log select 4, recorded_at, action, tenant_id, actor, details, hash, hash"
            " from ops.audit_log where number = 3",
            4,
        ),
    ],
)
def test_whatever_is_changed_is_noticed_where_it_is(database: Settings, statement: str, entry: int) -> None:
    write(database, 3)
    if "case number" in statement:  # two rows change places
        tamper("alter table ops.audit_log drop constraint audit_log_pkey")
    tamper(statement)
    verified = parley("audit", "verify")
    assert (verified.returncode, verified.stdout) == (1, "")
    assert f"Entry {entry} of the audit log is" in verified.stderr


def test_a_cut_end_is_noticed_by_whoever_kept_the_hash(database: Settings) -> None:
    write(database, 3)
    kept = parley("audit", "verify").stdout.split()[-1]
    tamper("delete from ops.audit_log where number = 3")
    assert parley("audit", "verify").returncode == 0
    assert "its end was cut off" in parley("audit", "verify", "--expect", kept).stderr


def test_an_entry_goes_with_the_transaction_that_it_tells_of(database: Settings, rows: Rows) -> None:
    with psycopg.connect() as connection:
        audit.record(connection, "export.written", details={})
        connection.rollback()
    assert rows("select * from ops.audit_log") == []


def test_writers_at_once_take_turns(database: Settings) -> None:
    writers = [threading.Thread(target=write, args=(database, 10)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with psycopg.connect() as connection:
        assert audit.verify(connection)[0] == 40
