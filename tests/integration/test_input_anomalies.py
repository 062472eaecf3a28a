"""Anomalies of the input in the database: what is computed again, and what people see of it."""

from datetime import datetime, timedelta
from typing import Any

from parley.analytics import analyses
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import BUILT_AS_OF, parley

AS_OF = datetime.fromisoformat(BUILT_AS_OF)
ROWS = "select * from ops.input_anomalies order by tenant_id, event_name, metric, date"
STEADY = """
    insert into facts.input_days (
        tenant_id, date, event_name, events, users, late_events, without_user, without_conversation, without_session,
        silent_hours, median_duration_ms, median_revenue, mean_hour
    )
    select 'nordic-bank', date, 'steady', 100, 50, 0, 0, 0, 0, 0, 800, null, 12
    from generate_series('2025-05-01'::date, '2025-07-05', interval '1 day') as days (date)
"""


def detect(settings: Settings, as_of: datetime = AS_OF, *before: str) -> tuple[int, list[Any]]:
    """After these statements: how many rows the analysis wrote, and what then stands."""
    with database.connect(settings, autocommit=True) as connection:
        for statement in before:
            connection.execute(statement.encode())
        with connection.transaction():
            written = analyses.input_anomalies(connection, as_of)
        return written, connection.execute(ROWS).fetchall()


def test_a_tenant_is_checked_again_when_its_finished_days_have_changed(built: Settings) -> None:
    written, first = detect(built)
    assert (written, bool(first)) == (0, True)  # the build has computed them

    written, steady = detect(built, AS_OF, STEADY)
    assert {row[0] for row in set(steady) - set(first)} == {"nordic-bank"}
    assert written == sum(row[0] == "nordic-bank" for row in steady)

    running_day = "update facts.input_days set events = 1 where event_name = 'steady' and date = '2025-07-05'"
    assert detect(built, AS_OF, running_day) == (0, steady)

    late = "update facts.input_days set events = 10 where event_name = 'steady' and date = '2025-06-20'"
    _, changed = detect(built, AS_OF, late)
    assert changed != steady
    assert detect(built, AS_OF, "delete from ops.definitions where model = 'analyses.anomalies'")[1] == changed

    _, earlier = detect(built, AS_OF - timedelta(days=3))
    assert earlier == [row for row in changed if row[3] < (AS_OF - timedelta(days=3)).date()]
    assert detect(built)[1] == changed


def test_people_see_what_was_out_of_the_usual(built: Settings) -> None:
    drop = "update facts.input_days set events = 0 where event_name = 'steady' and date = '2025-07-03'"
    detect(built, AS_OF, STEADY, drop)
    parley("build", "--select", "input_anomalies", "--as-of", BUILT_AS_OF).check_returncode()

    seen = parley("anomalies", "list", "--tenant", "nordic-bank", "--days", "3").stdout
    assert [line.split() for line in seen.splitlines() if "steady" in line] == [
        ["2025-07-03", "nordic-bank", "steady", "events", "0.0", "100.0", "critical,", "down"]
    ]
    assert "Nothing was out of the usual" in parley("anomalies", "list", "--tenant", "salon-paris").stdout
