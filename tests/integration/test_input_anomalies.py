"""Anomalies of the input in the database: what is computed again, and what people see of it."""

from datetime import datetime, timedelta
from random import Random
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


DAYS = """
    insert into facts.input_days (
        tenant_id, date, event_name, events, users, late_events, without_user, without_conversation, without_session,
        silent_hours, median_duration_ms, median_revenue, mean_hour
    )
    select
        'nordic-bank', date, '{kind}', 5 + (random() * {most})::int, 5, (random() * 3)::int, 0, 0, 0,
        (random() * 9)::int, random() * 900, null, random() * 24
    from generate_series('{first}'::date, '{last}', interval '{step} days') as days (date)
    on conflict (tenant_id, event_name, date) do update set events = excluded.events, mean_hour = excluded.mean_hour
"""
OF_KIND = "facts.input_days where tenant_id = 'nordic-bank' and event_name = '{kind}'"


def test_days_that_are_checked_again_become_what_they_would_if_all_were(built: Settings) -> None:
    """Late days, days that are gone, types that come back after months, clocks that go back."""
    chance = Random(19)
    written, again = 0, 0
    statements = [
        "select setseed(0.5)",
        DAYS.format(kind="daily", most=200, first="2024-03-01", last="2025-07-09", step=1),
        DAYS.format(kind="weekly", most=40, first="2024-09-01", last="2025-07-09", step=7),
        DAYS.format(kind="gone", most=90, first="2024-11-01", last="2025-02-20", step=1),
    ]
    back = DAYS.format(kind="gone", most=90, first="2025-07-03", last="2025-07-03", step=1)
    and_gone = f"delete from {OF_KIND.format(kind='gone')} and date >= '2025-07-01'"
    as_of = AS_OF
    for planned in [back, and_gone, *[None] * 12]:
        rows, found = detect(built, as_of, *statements)
        whole, right = detect(built, as_of, "delete from ops.definitions where model = 'analyses.anomalies'")
        assert found == right
        written, again = written + rows, again + whole
        kind = chance.choice(["daily", "weekly", "gone"])
        ago = chance.choice([1, 2, 5, 30, 90])
        day = (AS_OF - timedelta(days=ago)).date()
        statements = [
            planned
            or chance.choice(
                [
                    DAYS.format(kind=kind, most=500, first=day, last=day, step=1),
                    f"delete from {OF_KIND.format(kind=kind)} and date = '{day}'",
                    f"delete from {OF_KIND.format(kind=kind)} and date >= '{day}'",
                    f"delete from {OF_KIND.format(kind=kind)} and date < '{day}'::date - 60",
                    "select",
                ]
            )
        ]
        as_of += timedelta(days=chance.choice([0, 0, 1, 1, 3, 40, -2]))
    assert written < again / 2
