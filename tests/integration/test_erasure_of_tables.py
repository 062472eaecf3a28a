"""Erasure of a person from a built warehouse: facts, marts and topics, frozen days and all that is on disk."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from parley.people import subject_access
from parley.settings import Settings
from parley.warehouse import embedded
from tests.conftest import parley

TENANT = "nordic-bank"
PERSON = "u-7c4a942401c74e87"  # of the demo: three questions without an answer, on a frozen day and on another
FROZEN_BEFORE = "2025-06-27"


def rows(query: str, *parameters: object) -> list[dict[str, Any]]:
    """Rows of the test's database."""
    with psycopg.connect(row_factory=dict_row) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def dump() -> str:
    """Everything that the database holds, as SQL."""
    command = [str(embedded.programs() / "pg_dump"), "--data-only"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_no_table_and_no_dump_names_an_erased_person(built: Settings, tmp_path: Path) -> None:
    asked = "select question from facts.gap_questions where user_id = %s"
    questions = [row["question"] for row in rows(asked, PERSON)]
    assert questions
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("insert into ops.raw_horizon values (%s, %s)", [TENANT, FROZEN_BEFORE])
        connection.execute(
            "delete from raw.events where tenant_id = %s and occurred_at < %s::date", [TENANT, FROZEN_BEFORE]
        )
        connection.execute(
            "insert into ops.topics (tenant_id, topic_id, name, confidence, example_questions, created_at, updated_at)"
            " values (%s, 'topic', 'name', 1, %s, now(), now())",
            [TENANT, [*questions, "Another's question"]],
        )
    files = subject_access.export(built, TENANT, PERSON, tmp_path / "for-the-person")
    assert {"raw.events", "facts.conversations", "facts.gap_questions", "marts.customers"} <= files.keys()
    frozen = "select * from marts.daily_metrics where tenant_id = %s and date < %s order by date"
    days_before = rows(frozen, TENANT, FROZEN_BEFORE)
    others = "select * from facts.conversations where user_id <> %s order by tenant_id, conversation_id"
    others_before = rows(others, PERSON)
    assert PERSON in dump()

    done = parley("forget", "--tenant", TENANT, "--user", PERSON, "--yes")  # whose command line names the person

    shutil.rmtree(tmp_path / "for-the-person")
    assert done.returncode == 0, done.stdout + done.stderr
    left = dump()
    deleted = rows("select rows_deleted from ops.erasures")[0]["rows_deleted"]
    assert PERSON not in left
    assert not [question for question in questions if question in left]
    assert deleted["staging.stg_events"] > deleted["raw.events"] > 0
    assert rows(frozen, TENANT, FROZEN_BEFORE) == days_before
    assert rows(others, PERSON) == others_before
    (days,) = rows(
        "select sum(total_conversations)::bigint as conversations from marts.daily_metrics"
        " where tenant_id = %s and date >= %s",
        TENANT,
        FROZEN_BEFORE,
    )
    assert [days] == rows(
        "select count(*) as conversations from facts.conversations where tenant_id = %s and started_on >= %s",
        TENANT,
        FROZEN_BEFORE,
    )
    assert not rows("select from marts.event_reconciliation where not is_accounted_for")
