"""Alerts on real Postgres, and their messages to a real webhook and a real mail server."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import dagster as dg
import psycopg
import pytest
from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP
from psycopg.rows import dict_row

from dagster_project.assets import landing
from dagster_project.sensors import sensors
from parley.alerts import channels, ledger, outbox, rules
from parley.alerts.evaluation import EvaluationSummary, evaluate, report
from parley.alerts.states import State
from parley.build.builds import BuildRequest, build
from parley.build.metrics import reader
from parley.errors import MistakeError, ParleyError
from parley.settings import Settings
from parley.warehouse import audit
from parley.warehouse import database as postgres
from tests.conftest import BUILT_AS_OF, Rows, parley
from tests.oracle import Event, Tenant
from tests.support.http_server import make_key, serving, until
from tests.support.landing import event, write
from tests.support.receivers import Webhook, free_port, mailbox, webhook
from tests.support.seeds import write_seed
from tests.support.warehouse import Warehouse, copy_project

PROJECT = Path(__file__).parents[2]
AS_OF = datetime.fromisoformat(BUILT_AS_OF)
BEFORE = AS_OF - timedelta(days=4)
NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
TENANTS = {"nordic-bank", "salon-paris", "shop-newyork", "voice-tokyo"}
RULE = {"rule_id": "mine", "tenant_id": "*", "condition": "above", "threshold": "0", "description": "Mine"}


def with_rules(folder: Path, monkeypatch: pytest.MonkeyPatch, *given: dict[str, str]) -> Settings:
    """The project with rules of the test's own."""
    (folder / "seeds").mkdir(parents=True)
    for name in ("tracking_plan", "seeds/tenants.csv"):
        (folder / name).symlink_to(PROJECT / name)
    with (folder / rules.SEED).open("w", newline="") as file:
        writer = csv.DictWriter(file, rules.COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(RULE | rule for rule in given)
    monkeypatch.setenv("PARLEY_PROJECT", str(folder))
    return Settings.load()


def read(query: str) -> list[dict[str, Any]]:
    """Of the database that the environment names: `built`, where the fixture `rows` would name another."""
    with psycopg.connect(options="-c timezone=UTC", row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def evaluated(settings: Settings, as_of: datetime) -> EvaluationSummary:
    with postgres.connect(settings, autocommit=True) as connection:
        return evaluate(settings, connection, as_of)


def failing(settings: Settings, *jobs: str, at: datetime = NOW) -> int:
    with postgres.connect(settings, autocommit=True) as connection:
        return report(settings, connection, "failed_runs", failed=dict.fromkeys(jobs, "It failed."), at=at)


def succeeding(settings: Settings, *jobs: str, at: datetime) -> int:
    with postgres.connect(settings, autocommit=True) as connection:
        return report(settings, connection, "failed_runs", failed={}, succeeded=jobs, at=at)


def delivered(settings: Settings, now: datetime | None = None) -> outbox.Delivered:
    with postgres.connect(settings, autocommit=True) as connection:
        return outbox.deliver(connection, channels.load(settings), now=now)


def test_what_comes_and_goes_says_that_it_is_held(database: Settings, rows: Rows) -> None:
    for hours in (0, 2, 4):
        failing(database, "build", at=NOW + timedelta(hours=hours))
        succeeding(database, "build", at=NOW + timedelta(hours=hours + 1))
    [alert] = rows("select state, detail from ops.alerts")
    assert alert["state"] == "FIRING"
    assert alert["detail"] == (
        "It has succeeded since, but failed 3 times within 14 days: it counts as failing until 3 days have passed "
        "without a failure."
    )


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch, database: Settings) -> "object":
    with webhook() as found:
        monkeypatch.setenv("PARLEY_CHANNEL_TEAM", found.url)
        yield found


def test_a_build_evaluates_the_shipped_rules(built: Settings) -> None:
    # the demo ends on 30 June at the latest, and was built as of five days later: its sources are no longer fresh
    every = read("select tenant_id, rule_id, state, detail from ops.alerts where state = 'FIRING' order by 1")
    firing = [alert for alert in every if alert["rule_id"] == "no_data"]
    assert {alert["tenant_id"] for alert in firing} == set(TENANTS)
    assert [(alert["tenant_id"], alert["rule_id"]) for alert in every if alert not in firing] == [("*", "failed_check")]
    [last] = read("select last_event_at from marts.tenants_overview where tenant_id = 'nordic-bank'")
    hours = f"{(AS_OF - last['last_event_at']) / timedelta(hours=1):.4g}"
    assert firing[0]["detail"] == (
        f"nordic-bank has had no events for {hours} hours, since {last['last_event_at']:%Y-%m-%d %H:%M} UTC;"
        " the rule allows 48."
    )
    assert read(
        "select tenant_id, description, is_firing from marts.alerts where rule_id = 'no_data' and is_firing order by 1"
    ) == [{"tenant_id": tenant, "description": "No events arrive", "is_firing": True} for tenant in sorted(TENANTS)]
    assert "5 alerts fire: " in parley("summary").stdout
    assert "no_data nordic-bank" in parley("alerts", "list", "--tenant", "nordic-bank").stdout
    assert read("select 1 from ops.alert_deliveries") == []  # no channel is set up: nobody is flooded later


def test_the_same_evaluation_again_and_an_older_one_change_nothing(built: Settings) -> None:
    everything = (
        "select alerts::text as line from ops.alerts order by 1",
        "select * from ops.alert_transitions order by 1",
    )
    before = [read(query) for query in everything]
    assert evaluated(built, AS_OF).notices == 0
    evaluated(built, BEFORE)
    assert [read(query) for query in everything] == before


def test_alerts_of_a_rule_that_is_gone_are_closed(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_rules(tmp_path / "project", monkeypatch, {"metric": "daily_metrics.total_conversations"})
    assert evaluated(settings, AS_OF + timedelta(hours=1)).notices == 0
    states = read("select distinct state from ops.alerts where rule_id = 'no_data'")
    assert states == [{"state": "OK"}]
    closed = read("select count(*) from ops.alert_transitions where reason = 'The rule no longer holds.'")
    assert closed[0]["count"] >= len(TENANTS)


def test_any_mart_can_be_measured_and_what_cannot_is_told(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [tool] = read("select date, tool_name, tenant_id from marts.tool_metrics order by date desc, 2, 3 limit 1")
    day_after = datetime.combine(tool["date"] + timedelta(days=1), time(12), UTC)  # the same date for every tenant
    settings = with_rules(
        tmp_path / "project",
        monkeypatch,
        {"rule_id": "fewer", "metric": "daily_metrics.total_conversations"},
        {"rule_id": "of_tool", "metric": "tool_metrics.calls", "filter": f"tool_name={tool['tool_name']}"},
        {"rule_id": "unfiltered", "metric": "latency_histogram.responses"},
        {"rule_id": "no_column", "metric": "daily_metrics.nope"},
        {"rule_id": "no_mart", "metric": "nope.nope"},
        {"rule_id": "too_few", "metric": "error_rate", "min_volume": "1000000"},
        {"rule_id": "off", "metric": "daily_metrics.total_conversations", "enabled": "false"},
    )
    found = evaluated(settings, day_after)
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "alert_rules.csv, unfiltered",
        "alert_rules.csv, no_column",
        "alert_rules.csv, no_mart",
    ]
    conversations = read(
        f"select tenant_id, total_conversations from marts.daily_metrics where date = '{tool['date']}'"
        " and total_conversations > 0"
    )
    fewer = read("select tenant_id, observed, state from ops.alerts where rule_id = 'fewer' and state = 'FIRING'")
    assert fewer
    assert {alert["tenant_id"]: alert["observed"] for alert in fewer} == {
        day["tenant_id"]: day["total_conversations"] for day in conversations
    }
    assert tool["tenant_id"] in {
        alert["tenant_id"] for alert in read("select * from ops.alerts where rule_id = 'of_tool' and state = 'FIRING'")
    }
    assert {row["state"] for row in read("select state from ops.alerts where rule_id = 'too_few'")} == {"NO_DATA"}
    assert read("select 1 from ops.alerts where rule_id = 'off'") == []


def test_funnels_and_retention_can_be_measured(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = "funnel_id=shop_purchase;period=week;breakdown_kind=all;step=2"
    again = "cohort_id=first_activity;period=day;period_index=1"
    settings = with_rules(
        tmp_path / "project",
        monkeypatch,
        {"rule_id": "step", "metric": "funnels.conversion_from_start", "filter": step, "threshold": "-1"},
        {"rule_id": "drop", "metric": "funnels.drop_off", "filter": step, "threshold": "1000"},
        {"rule_id": "again", "metric": "cohort_retention.retention_rate", "filter": again, "threshold": "-1"},
        {"rule_id": "every_step", "metric": "funnels.reached", "filter": "period=week"},
    )
    found = evaluated(settings, AS_OF + timedelta(hours=1))
    assert [problem.partition(":")[0] for problem in found.problems] == ["alert_rules.csv, every_step"]
    alert = "select tenant_id, state, observed from ops.alerts where rule_id = %s and state <> 'NO_DATA' order by 1"

    def alerts(rule_id: str) -> dict[str, tuple[str, float]]:
        with psycopg.connect() as connection:
            rows = connection.execute(alert.encode(), [rule_id]).fetchall()
        return {tenant: (state, observed) for tenant, state, observed in rows}

    def newest(value: str, mart: str, until: str) -> dict[str, float]:
        rows = read(
            f"select distinct on (tenant_id) tenant_id, {value} as value from marts.{mart} and is_complete"
            f" order by tenant_id, {until} desc"
        )
        return {row["tenant_id"]: row["value"] for row in rows if row["value"] is not None}

    funnel = "funnels where funnel_id = 'shop_purchase' and period = 'week' and breakdown_kind = 'all' and step = 2"
    cohort = "cohort_retention where cohort_id = 'first_activity' and period = 'day' and period_index = 1"
    expected = newest("conversion_from_start", funnel, "period_start")
    assert expected
    assert alerts("step") == {tenant: ("FIRING", pytest.approx(value)) for tenant, value in expected.items()}
    assert {state for state, _ in alerts("drop").values()} == {"OK"}
    shown = alerts("again")
    assert shown.keys() <= newest("retention_rate", cohort, "period_start").keys()
    assert all(state == "FIRING" for state, _ in shown.values())


OUTAGE = {
    "rule_id": "outage",
    "metric": "event",
    "condition": "happens",
    "threshold": "",
    "event_names": "system.error",
    "predicate": '$.error_class == "Outage"',
    "channels": "team",
}


def test_a_single_event_alerts_as_soon_as_it_has_landed(
    database: Settings, team: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project", [*map(Tenant, ("shop", "quiet", "by-inbox", "by-http"))])
    own = OUTAGE | {"tenant_id": "quiet", "enabled": "false"}
    write_seed(project, "alert_rules", [RULE | OUTAGE, RULE | own])
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    settings = Settings.load()
    now = datetime.now(UTC)

    def errors_of(name: str, *errors: tuple[str, str, timedelta]) -> list[dict[str, Any]]:
        return [
            event(
                number + len(name) * 100,
                tenant_id=tenant,
                event_name="system.error",
                occurred_at=(now - ago).isoformat(),
                attributes={"error_class": kind},
            )
            for number, (tenant, kind, ago) in enumerate(errors)
        ]

    def land(name: str, *errors: tuple[str, str, timedelta]) -> None:
        done = parley("load", str(write(tmp_path / f"{name}.ndjson", errors_of(name, *errors))))
        assert done.returncode == 0, done.stderr

    alert = "select tenant_id, state, observed, incident, detail from ops.alerts where rule_id = 'outage' order by 1"
    land("a", ("shop", "Timeout", timedelta(0)), ("quiet", "Outage", timedelta(0)), ("shop", "Outage", timedelta(30)))
    assert read(alert) == []  # another kind, a tenant without the rule, and what is history
    land("ab", ("shop", "Outage", timedelta(minutes=2)), ("shop", "Outage", timedelta(minutes=1)))
    [fired] = read(alert)
    assert (fired["tenant_id"], fired["state"], fired["observed"], fired["incident"]) == ("shop", "FIRING", 2, 1)
    assert [post["title"] for post in team.posts] == ["[warning, firing] Mine: shop"]
    [newest] = read("select event_id from raw.events order by occurred_at desc, event_id desc limit 1 offset 2")
    assert str(newest["event_id"]) in fired["detail"]
    land("abc", ("shop", "Outage", timedelta(0)))
    assert [row["incident"] for row in read(alert)] == [1]
    assert len(team.posts) == 1  # the incident is known
    evaluated(settings, now + timedelta(hours=1))
    assert [row["state"] for row in read(alert)] == ["FIRING"]

    settings.inbox.mkdir(parents=True)
    write(settings.inbox / "file.ndjson", errors_of("by-inbox", ("by-inbox", "Outage", timedelta(0))))
    landing(dg.build_asset_context())
    assert [row["tenant_id"] for row in read(alert)] == ["by-inbox", "shop"]
    with serving(settings, tmp_path, key=make_key(settings, "by-http")) as server, server.client() as client:
        [error] = errors_of("by-http", ("by-http", "Outage", timedelta(0)))
        client.post("/api/v1/analytics/events", json=error).raise_for_status()
        until(lambda: len(team.posts) == 3, "what came by HTTP alerts nobody")
    assert [row["tenant_id"] for row in read(alert)] == ["by-http", "by-inbox", "shop"]


def test_landings_builds_and_metrics_can_be_measured(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [landed] = read("select max(received_at) as at from raw.load_batches where accepted > 0")
    as_of = landed["at"] + timedelta(hours=50)
    [day] = read("select max(date) as date from marts.daily_metrics where tenant_id = 'nordic-bank' and ratings > 0")
    by_channel = {"filter": "channel=web", "volume": "ratings"}
    settings = with_rules(
        tmp_path / "project",
        monkeypatch,
        {"rule_id": "files", "metric": "landings", "condition": "silent_hours", "threshold": "49"},
        {"rule_id": "patient", "metric": "landings", "condition": "silent_hours", "threshold": "51"},
        {"rule_id": "slow", "metric": "build_seconds", "for_days": "1"},
        {"rule_id": "good", "metric": "metrics.good_ratings_share", "condition": "below", "threshold": "2"},
        {"rule_id": "web", "metric": "metrics.avg_rating", "condition": "below", "threshold": "2", **by_channel},
        {"rule_id": "none", "metric": "metrics.no_such_metric"},
    )
    for name in ("models", "macros", "dbt_project.yml", "profiles.yml", "docs", "tests"):
        (settings.project / name).symlink_to(PROJECT / name)
    for seed in (PROJECT / "seeds").iterdir():
        if not (settings.project / "seeds" / seed.name).exists():
            (settings.project / "seeds" / seed.name).symlink_to(seed)
    state = "select tenant_id, state, observed, detail from ops.alerts where rule_id = '{}' order by 1"
    evaluated_with_metrics(settings, as_of)
    assert [row["state"] for row in read(state.format("files"))] == ["FIRING"] * len(TENANTS)
    assert "has had no landings for 50 hours" in read(state.format("files"))[0]["detail"]
    assert {row["state"] for row in read(state.format("patient"))} == {"OK"}

    day_after = datetime.combine(day["date"] + timedelta(days=1), time(12), UTC)
    with psycopg.connect() as connection:  # a build of that day took ten minutes
        connection.execute(
            "update ops.builds set as_of = %(at)s, started_at = %(at)s, finished_at = %(at)s + interval '10 minutes'",
            {"at": day_after - timedelta(days=1)},
        )
        connection.execute("delete from ops.alerts")
    found = evaluated_with_metrics(settings, day_after)
    [problem] = found.problems
    assert problem.startswith("alert_rules.csv, none: There is no metric 'no_such_metric'")
    [slow] = read(state.format("slow"))
    assert (slow["tenant_id"], slow["state"], slow["observed"]) == ("*", "FIRING", 600)
    where = f"where tenant_id = 'nordic-bank' and date = '{day['date']}'"
    [mart] = read(f"select good_ratings_share as share from marts.daily_metrics {where}")
    good = {row["tenant_id"]: row["observed"] for row in read(state.format("good"))}
    assert good["nordic-bank"] == pytest.approx(mart["share"])
    [web] = read(
        "select avg(rating) as mean from facts.conversations where tenant_id = 'nordic-bank' and channel = 'web'"
        f" and started_on = '{day['date']}'"
    )
    rated = {row["tenant_id"]: row["observed"] for row in read(state.format("web"))}
    assert rated["nordic-bank"] == (pytest.approx(web["mean"]) if web["mean"] is not None else None)


def evaluated_with_metrics(settings: Settings, as_of: datetime) -> EvaluationSummary:
    with postgres.connect(settings, autocommit=True) as connection:
        return evaluate(settings, connection, as_of, reader(settings, connection))


FAILED_BUILD = {"rule_id": "failed_build", "metric": "failed_builds", "condition": "fails", "threshold": ""}


def told_of_builds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A whole project of a test's own, whose only rule is about builds."""
    project = copy_project(folder / "project", [Tenant("shop")])
    write_seed(project, "alert_rules", [RULE | FAILED_BUILD])
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    return Settings.load()


def test_a_mistake_is_no_failed_build(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = told_of_builds(tmp_path, monkeypatch)
    project = settings.project

    def mistaken(says: str, **order: Any) -> None:
        with pytest.raises(MistakeError, match=says):
            build(settings, BuildRequest(as_of=NOW, **order))

    mistaken("There is no tenant 'shpo'", tenant="shpo")
    (project / "models").unlink()
    shutil.copytree(PROJECT / "models", project / "models")
    model = project / "models/marts/users/mine.sql"
    model.write_text("select 1 as one from {{ ref('no_such_model') }}")
    mistaken("no_such_model")
    model.write_text("select 1 as one")
    mistaken("mine does not say how it is rebuilt")
    model.unlink()
    seed = project / "seeds/tenants.csv"
    seed.write_text(seed.read_text().replace("tenant_id,", "tennant_id,"))
    mistaken(r"tenants\.csv, row 1")
    seed.unlink()
    mistaken(r"tenants\.csv cannot be read")
    assert rows("select state from ops.alerts") == []
    assert rows("select command from ops.builds") == []


def test_a_build_that_breaks_off_alerts_and_a_mistake_after_it_changes_nothing(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = told_of_builds(tmp_path, monkeypatch)
    project = settings.project
    with postgres.connect(settings, autocommit=True) as connection:
        connection.execute("alter table ops.watermarks rename to lost")
    with pytest.raises((ParleyError, psycopg.Error)):
        build(settings, BuildRequest(as_of=NOW))
    alert = "select state, subject, incident, detail, evaluated_at from ops.alerts"
    [fired] = rows(alert)
    assert (fired["state"], fired["subject"]) == ("FIRING", "parley build")
    with pytest.raises(MistakeError, match="There is no tenant"):
        build(settings, BuildRequest(as_of=NOW + timedelta(hours=1), tenant="nobody"))
    assert rows(alert) == [fired]
    write_seed(project, "alert_rules", [RULE | FAILED_BUILD | {"condition": "above"}])
    with pytest.raises(MistakeError, match=r"alert_rules\.csv, row 2, condition"):
        build(Settings.load(), BuildRequest(as_of=NOW))


@pytest.mark.slow
@pytest.mark.builds
def test_rules_on_measured_metrics_fire_after_two_bad_days_and_resolve_after_a_good_one(
    database: Settings, team: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project", [Tenant("shop", time_zone="Europe/Berlin")])
    shipped = csv.DictReader((PROJECT / rules.SEED).open())
    names = ("error_rate", "resolution_rate_drop", "slow_answers")
    write_seed(project, "alert_rules", [row | {"min_volume": "5"} for row in shipped if row["rule_id"] in names])
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    shop = Warehouse(Settings.load(), tmp_path)

    def built(days: range, *bad: int) -> dict[str, str]:
        shop.land(event for day in days for event in conversations(date(2026, 3, day), is_good=day not in bad))
        shop.build(BuildRequest(as_of=datetime(2026, 3, days.stop, 2, tzinfo=UTC)))
        return {str(row["rule_id"]): str(row["state"]) for row in shop.read("ops.alerts")}

    assert built(range(1, 17), 16) == dict.fromkeys(names, "PENDING")
    assert team.posts == []
    assert built(range(17, 18), 17) == dict.fromkeys(names, "FIRING")
    assert sorted(post["title"] for post in team.posts) == [
        "[critical, firing] Many errors: shop",
        "[warning, firing] Fewer conversations are resolved: shop",
        "[warning, firing] The assistant answers slowly: shop",
    ]
    [slow] = [post["message"] for post in team.posts if "slowly" in post["title"]]
    assert slow.startswith("assistant_p95_ms of shop was 4,493 on 2026-03-17; the rule allows at most 3,000.")
    assert built(range(18, 19)) == dict.fromkeys(names, "RESOLVED")
    assert sum("resolved]" in post["title"] for post in team.posts) == len(names)


def conversations(day: date, *, is_good: bool) -> Iterator[Event]:
    """Ten conversations of a shop: on a bad day answered slowly, with an error each, and none resolved."""
    wait = 800 if is_good else 4500
    names = {
        "message.received": 0,
        "ai.response": wait,
        "message.sent": wait,
        "conversation.resolved" if is_good else "system.error": 120_000,
    }
    for number in range(10):
        for name, after in names.items():
            yield Event(
                tenant_id="shop",
                event_id=uuid5(UUID(int=0), f"{day} {number} {name}"),
                event_name=name,
                occurred_at=datetime(day.year, day.month, day.day, 10, tzinfo=UTC) + timedelta(milliseconds=after),
                conversation_id=f"{day} {number}",
                user_id=f"user-{number}",
                source="web",
                attributes={"duration_ms": wait, "model": "small"} if name == "ai.response" else {},
            )


def test_a_message_says_what_is_wrong_once_and_when_it_is_over(database: Settings, team: Webhook, rows: Rows) -> None:
    assert (failing(database, "build"), failing(database, "build", at=NOW + timedelta(hours=1))) == (1, 0)
    assert delivered(database) == outbox.Delivered(sent=1)
    assert delivered(database) == outbox.Delivered()
    assert succeeding(database, "build", at=NOW + timedelta(hours=2)) == 1
    delivered(database)
    assert [(post["title"], post["type"]) for post in team.posts] == [
        ("[critical, firing] A run failed: build", "failure"),
        ("[critical, resolved] A run failed: build", "success"),
    ]
    [alert] = rows("select alert_id from ops.alerts")
    assert team.posts[0]["message"].splitlines() == [
        "It failed.",
        "Firing since 2026-11-21 06:00 UTC.",
        f"To say that you have it in hand: parley alerts ack {alert['alert_id']}",
        "Reference: failed_run/*/build/1/fired",
    ]
    assert team.posts[1]["message"].splitlines() == [
        "It has succeeded since.",
        "It fired from 2026-11-21 06:00 UTC on.",
        "Reference: failed_run/*/build/1/resolved",
    ]
    assert team.keys == ["failed_run/*/build/1/fired", "failed_run/*/build/1/resolved"]


def test_pagerduty_opens_an_incident_and_closes_the_same(
    database: Settings, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as events:
        monkeypatch.setitem(PAGERDUTY_API_LOOKUP, "eu", events.url.replace("json:", "http:"))
        monkeypatch.setenv("PARLEY_CHANNEL_TEAM", "pagerduty://SecretRouting@SecretToken/warehouse?region=eu")
        failing(database, "build")
        events.status = 429
        assert delivered(database) == outbox.Delivered(failed=1)
        [waiting] = rows("select last_error from ops.alert_deliveries")
        assert waiting["last_error"] == "PagerDuty refused it with status 429"
        events.status = 202
        failing(database, "build", at=NOW + timedelta(days=2))
        succeeding(database, "build", at=NOW + timedelta(days=2, hours=1))
        assert delivered(database, datetime.now(UTC) + timedelta(minutes=2)) == outbox.Delivered(sent=3)
    [alert] = rows("select alert_id from ops.alerts")
    assert {event["dedup_key"] for event in events.posts} == {f"parley/alert/{alert['alert_id']}"}
    assert {event["routing_key"] for event in events.posts} == {"SecretRouting"}
    assert [event["event_action"] for event in events.posts] == ["trigger", "trigger", "trigger", "resolve"]
    opened, closed = events.posts[1]["payload"], events.posts[-1]["payload"]
    assert (opened["summary"], opened["severity"], opened["source"]) == (
        *("[critical, firing] A run failed: build", "critical", "warehouse"),
    )
    assert opened["custom_details"]["message"].startswith("It failed.")
    assert (closed["summary"], closed["severity"]) == ("[critical, resolved] A run failed: build", "info")


def test_unacknowledged_alerts_escalate_and_acknowledged_ones_are_silent(
    database: Settings, team: Webhook, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as on_call:
        monkeypatch.setenv("PARLEY_CHANNEL_ON_CALL", on_call.url)
        failing(database, "build", "land")
        [build_alert] = rows("select alert_id from ops.alerts where subject = 'build'")
        done = parley("alerts", "ack", str(build_alert["alert_id"]), "--note", "Rolled back", "--by", "ann")
        assert done.returncode == 0, done.stderr
        failing(database, "build", "land", at=NOW + timedelta(hours=5))
        delivered(database)
        assert [post["title"] for post in on_call.posts] == ["[critical, not acknowledged] A run failed: land"]
    shown = parley("alerts", "list").stdout
    assert "ACKNOWLEDGED" in shown
    assert "ann: Rolled back" in shown
    with postgres.connect(database) as connection:
        [entry] = audit.latest(connection, 10)
    assert (entry.action, entry.actor, entry.details["rule_id"]) == ("alert.acknowledged", "ann", "failed_run")
    again = parley("alerts", "ack", "4711")
    assert again.returncode == 1
    assert "There is no alert 4711" in again.stderr


def test_a_receiver_that_is_down_gets_everything_in_order_once_it_is_up(
    database: Settings, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    secret = "a-secret-in-the-path"
    monkeypatch.setenv("PARLEY_CHANNEL_TEAM", f"json://127.0.0.1:{port}/{secret}")
    failing(database, "build")
    succeeding(database, "build", at=NOW + timedelta(hours=1))
    start = datetime.now(UTC)
    assert delivered(database, start) == outbox.Delivered(failed=1)
    assert delivered(database, start + timedelta(seconds=30)) == outbox.Delivered()  # not yet due
    assert delivered(database, start + timedelta(minutes=2)) == outbox.Delivered(failed=1)
    [first, second] = rows("select status, attempts, last_error from ops.alert_deliveries order by delivery_id")
    assert (first["status"], first["attempts"], second["attempts"]) == ("pending", 2, 0)
    assert first["last_error"]
    assert secret not in first["last_error"]
    assert "2 messages" not in parley("alerts", "list").stdout
    assert "1 messages to team could not be sent" in parley("doctor").stdout.replace("\n", " ")

    with webhook(port) as team:
        team.status = 500
        done = parley("alerts", "deliver")
        assert (done.returncode, len(team.posts)) == (1, 1)
        team.status = 200
        done = parley("alerts", "deliver")
        assert (done.returncode, done.stdout) == (0, "2 messages sent, 0 could not be.\n")
        assert team.keys == [*["failed_run/*/build/1/fired"] * 2, "failed_run/*/build/1/resolved"]
    assert delivered(database) == outbox.Delivered()


def test_a_message_is_given_up_after_two_days(database: Settings, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_CHANNEL_TEAM", "json://127.0.0.1:1/")
    failing(database, "build")
    later = datetime.now(UTC) + outbox.GIVEN_UP_AFTER + timedelta(minutes=1)
    assert delivered(database, later) == outbox.Delivered(failed=1)
    assert rows("select status from ops.alert_deliveries") == [{"status": "failed"}]
    assert delivered(database, later + timedelta(days=1)) == outbox.Delivered()


def test_killed_between_sending_and_noting_it_a_message_is_sent_again_under_its_key(
    database: Settings, team: Webhook
) -> None:
    failing(database, "build")
    command = [sys.executable, "-m", "parley", "alerts", "deliver"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    team.before_answering = lambda: os.kill(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    team.before_answering = lambda: None
    assert delivered(database) == outbox.Delivered(sent=1)
    assert team.keys == ["failed_run/*/build/1/fired"] * 2


def test_mails_carry_the_key_and_no_secret_is_shown(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with mailbox() as (url, mails):
        database.home.mkdir(parents=True, exist_ok=True)
        file = database.home / channels.FILE
        file.write_text(f"team: ['{url}', 'json://user:much-secret@127.0.0.1:1/hidden-token']\nmail: {url}\n")
        file.chmod(0o600)
        failing(database, "build")
        assert delivered(database) == outbox.Delivered(failed=1)  # one of the two refuses it
        assert parley("alerts", "test", "mail").returncode == 0
    assert [mail["Subject"] for mail in mails] == ["[critical, firing] A run failed: build", "[test] Parley"]
    assert mails[0]["Idempotency-Key"] == "failed_run/*/build/1/fired"
    shown = parley("alerts", "channels")
    assert "team" in shown.stdout
    assert "on_call" in shown.stdout
    for secret in ("much-secret", "hidden-token"):
        assert secret not in shown.stdout + parley("alerts", "list").stdout + parley("alerts", "test", "team").stderr
    file.chmod(0o644)
    assert "may be read by others" in parley("doctor").stdout
    assert "There is no channel 'nobody'" in parley("alerts", "test", "nobody").stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("- json://secret", "name: URL"), ("team: {url: secret}", "team: write a URL"), ("Team: json://secret", "'Team'")],
)
def test_a_channels_file_that_makes_no_sense_is_told_without_its_secrets(
    database: Settings, content: str, sentence: str
) -> None:
    database.home.mkdir(parents=True, exist_ok=True)
    (database.home / channels.FILE).write_text(content)
    with pytest.raises(ParleyError) as error:
        channels.load(database)
    assert sentence in str(error.value)
    assert "secret" not in str(error.value)


@dg.asset_check(asset="something", blocking=False)
def looks_right() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=os.environ["LOOKS_RIGHT"] == "true", severity=dg.AssetCheckSeverity.WARN)


@dg.asset
def something() -> None:
    if os.environ["SOMETHING_FAILS"] == "true":
        raise dg.Failure("a customer's name stands here")


def test_failed_runs_and_checks_that_stop_nothing_are_reported_by_sensors(
    database: Settings, team: Webhook, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_PROJECT", str(PROJECT))
    settings = Settings.load()
    of_name = {sensor.name: sensor for sensor in sensors(settings, set(), NOW.date())}
    definitions = dg.Definitions(
        [something],
        jobs=[dg.define_asset_job("try_it", executor_def=dg.in_process_executor)],
        asset_checks=[looks_right],
    )
    job = definitions.resolve_job_def("try_it")

    def run(instance: dg.DagsterInstance, *, fails: bool, right: bool) -> None:
        monkeypatch.setenv("SOMETHING_FAILS", str(fails).lower())
        monkeypatch.setenv("LOOKS_RIGHT", str(right).lower())
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert result.success is not fails
        name = "failed_runs" if fails else "succeeded_runs"
        kind = dg.DagsterEventType.RUN_FAILURE if fails else dg.DagsterEventType.RUN_SUCCESS
        [event] = [event for event in result.all_events if event.event_type is kind]
        context = dg.build_run_status_sensor_context(name, event, instance, result.dagster_run)
        of_name[name](context.for_run_failure() if fails else context)

    def states() -> dict[str, str]:
        return {row["subject"]: row["state"] for row in rows("select subject, state from ops.alerts")}

    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, fails=False, right=True)
        assert states() == {}
        run(instance, fails=False, right=False)
        assert states() == {"looks_right": State.FIRING}
        run(instance, fails=True, right=True)
        assert states() == {"looks_right": State.FIRING, "try_it": State.FIRING}
        run(instance, fails=False, right=True)
        assert states() == {"looks_right": State.RESOLVED, "try_it": State.RESOLVED}
    assert [post["title"].partition("]")[0] for post in team.posts] == [
        *("[warning, firing", "[critical, firing", "[critical, resolved", "[warning, resolved"),
    ]
    assert not any("customer" in str(post) for post in team.posts)
    with dg.build_sensor_context() as context:
        assert "0 messages sent" in str(of_name["waiting_messages"].evaluate_tick(context).skip_message)


def test_only_what_fires_can_be_acknowledged(database: Settings) -> None:
    failing(database, "build")
    succeeding(database, "build", at=NOW + timedelta(hours=1))
    with postgres.connect(database, autocommit=True) as connection:
        [alert] = ledger.find(connection)
        with pytest.raises(ParleyError, match="is RESOLVED: only one that fires"):
            ledger.acknowledge(connection, alert.alert_id, at=NOW, by=None, note=None)
