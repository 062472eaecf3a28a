"""Small inputs with right values computed by hand (../shared/cases, and the stories of `by_hand`), in one warehouse.

Each is a tenant's own, and all are loaded once for all tests. A file of ../shared/cases goes into LOADS, with a test of
its right values below; anything else is a story, whose values are tests by themselves.
"""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from math import isclose
from typing import Any

import psycopg
import pytest

from parley.build.builds import BuildRequest
from parley.landing.loader import load
from parley.serving.report import contents, page
from parley.settings import Settings
from tests.conftest import Rows, database_copy, read_rows
from tests.oracle import Tenant
from tests.oracle.files import SHARED
from tests.support import by_hand
from tests.support.seeds import add_to_seed
from tests.support.warehouse import PROJECT, Warehouse, copy_project

CASES = SHARED / "cases"
AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOADS = (
    "same-second.ndjson",
    "agent-in-steps.ndjson",
    "end-ends-the-wait.ndjson",
    "unanswered.ndjson",
    "not-the-customers-doing.ndjson",
)
EXPORT = "usual-export.segment.ndjson"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not beside the repository"),
]


@pytest.fixture(scope="module")
def rows(server: dict[str, str], recorded_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    """Queries of a warehouse in which every case is loaded and built."""
    folder = tmp_path_factory.mktemp("cases")
    with (
        pytest.MonkeyPatch.context() as environment,
        database_copy(server, recorded_template, environment, folder / "home") as settings,
    ):
        project = copy_project(folder / "project", ())
        shutil.copy(PROJECT / "seeds/input_expectations.csv", project / "seeds")
        for seed, added in by_hand.definitions().items():
            defaults = vars(Tenant("")) if seed == "tenants" else {}
            add_to_seed(project, seed, [defaults | row for row in added])
        environment.setenv("PARLEY_PROJECT", str(project))
        settings = Settings.load()
        for name in LOADS:
            load(settings, str(CASES / name))
        load(settings, str(CASES / EXPORT), source_format="segment", tenant_id="case-usual-export")
        stories = folder / "stories.ndjson"
        stories.write_text("".join(json.dumps(event) + "\n" for event in by_hand.events()))
        Warehouse(settings, folder).land_file(stories)
        Warehouse(settings, folder).build(BuildRequest(as_of=AS_OF))
        yield read_rows


@pytest.mark.parametrize("value", by_hand.values(), ids=str)
def test_a_story_has_the_values_worked_out_by_hand(rows: Rows, value: by_hand.Value) -> None:
    with psycopg.connect(options="-c timezone=UTC") as connection:
        found = connection.execute(value.query.encode(), {"tenant": value.tenant}).fetchall()
    assert len(found) == len(value.rows), found
    for actual, expected in zip(found, value.rows, strict=True):
        assert all(map(_same, actual, expected)), (found, value.rows)


def _same(actual: Any, expected: Any) -> bool:
    if isinstance(actual, float) and isinstance(expected, int | float):
        return isclose(actual, expected, rel_tol=1e-9, abs_tol=1e-9)
    return bool((str(actual) if isinstance(actual, datetime) else actual) == expected)


def waits(rows: Rows, tenant_id: str) -> list[float]:
    """How long the answers of a case took, in the order in which they were given."""
    found = rows("select duration_ms from facts.responses where tenant_id = %s order by responded_at", tenant_id)
    return [row["duration_ms"] for row in found]


def test_a_question_and_its_answer_of_one_second_are_in_order(rows: Rows) -> None:
    assert waits(rows, "case-same-second") == [0.0] * 6
    (conversation,) = rows("select * from facts.conversations where tenant_id = 'case-same-second'")
    assert (conversation["outcome"], conversation["reopened_count"]) == ("resolved", 0)
    assert (conversation["turns"], conversation["unanswered_turns"]) == (7, 1), "nobody answers the thanks at the end"


def test_calls_of_a_model_are_no_answers(rows: Rows) -> None:
    assert waits(rows, "case-agent-in-steps") == [7000.0, 1800.0]
    found = rows(
        "select sum(sla_breaches) as breaches from marts.response_times where tenant_id = 'case-agent-in-steps'"
    )
    assert found == [{"breaches": 1}]
    usage = rows("select calls, errors, p50_ms from marts.model_usage where tenant_id = 'case-agent-in-steps'")
    assert usage == [{"calls": 4, "errors": 0, "p50_ms": 1300.0}]


def test_an_end_ends_the_wait(rows: Rows) -> None:
    assert waits(rows, "case-end-ends-the-wait") == [120_000.0, 30_000.0, 300_000.0]
    found = rows(
        "select conversation_id, asked_at, status from facts.turns"
        " where tenant_id = 'case-end-ends-the-wait' and status <> 'answered' order by asked_at"
    )
    assert [(row["conversation_id"], row["asked_at"].hour, row["status"]) for row in found] == [
        ("c1", 8, "unanswered"),
        ("c2", 10, "unanswered"),
    ]


def test_questions_that_nobody_answers_are_seen_and_break_the_promise(rows: Rows) -> None:
    assert waits(rows, "case-unanswered") == [2000.0] * 4
    for table in ("facts.conversations", "marts.daily_metrics"):
        found = rows(
            f"select sum(turns) as turns, sum(unanswered_turns) as unanswered, sum(sla_breaches) as breaches"
            f" from {table} where tenant_id = 'case-unanswered'"
        )
        assert found == [{"turns": 10, "unanswered": 6, "breaches": 6}]
    (day,) = rows("select date from marts.daily_metrics where tenant_id = 'case-unanswered' and unanswered_turns > 0")
    assert day["date"] == date(2026, 11, 3)
    found = rows(
        "select sum(turns) as turns, sum(sla_breaches) as breaches from marts.response_times"
        " where tenant_id = 'case-unanswered'"
    )
    assert found == [{"turns": 10, "breaches": 6}]


def test_an_export_with_lines_that_the_plan_lacks_is_built_and_stops_nobody(rows: Rows) -> None:
    found = rows(
        "select count(*) as views from staging.stg_events where tenant_id = %s and event_name = %s",
        "case-usual-export",
        "commerce.view",
    )
    assert found == [{"views": 40}]
    assert rows("select distinct result from ops.input_validation where tenant_id <> 'case-usual-export'") == [
        {"result": "passed"}
    ]
    assert rows("select * from ops.blocked_inputs") == []


def test_the_report_names_what_it_does_not_add_up(rows: Rows) -> None:
    settings = Settings.load()
    days = (date(2026, 11, 1), date(2026, 11, 8))
    report = page.render(settings, contents.gather(settings, "hand-money", days=days)).html
    assert "1 order was in a currency without a rate, and in no sum" in report


def test_what_others_do_does_not_lengthen_a_conversation(rows: Rows) -> None:
    tenant = "case-not-the-customers-doing"
    found = rows("select conversation_id, duration_seconds from facts.conversations where tenant_id = %s", tenant)
    assert {row["conversation_id"]: row["duration_seconds"] for row in found} == {"c1": 300, "c2": 39_600}


def test_a_refund_counts_on_its_own_day_and_every_day_has_a_row(rows: Rows) -> None:
    tenant = "case-not-the-customers-doing"
    days = rows(
        "select date, orders, revenue, refunds from marts.commerce_metrics where tenant_id = %s order by 1", tenant
    )
    assert [row["date"] for row in days] == [date(2026, 11, day) for day in range(2, 21)]
    counted = {row["date"].day: (row["orders"], row["revenue"], row["refunds"]) for row in days}
    assert (counted[2], counted[6]) == ((1, 40, 0), (0, 0, 40))
    assert set(counted.values()) == {(1, 40, 0), (0, 0, 40), (0, 0, 0)}
