"""Metrics are right by MetricFlow's own checks, fully described, and have the values of the marts."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from metricflow_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator

from parley.alerts import metrics
from parley.build.metrics import Catalogue, Query, Table
from parley.errors import ParleyError
from parley.serving.report import contents
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import BUILT_AS_OF, parley

REQUIRED = {
    *("voice_first_response_ms_p50", "voice_first_response_ms_p95", "voice_first_response_ms_p99"),
    *("voice_barge_in_count", "voice_asr_partial_latency_ms_p95", "ai_tool_calls_count", "ai_tool_calls_success_rate"),
    *("ai_navigation_optimism_rate", "ai_tool_chain_length_avg", "kb_hit_rate", "kb_search_latency_ms_p95"),
    *("kb_relevance_score_avg", "commerce_conversion_rate", "booking_hold_to_confirm_rate", "system_error_rate"),
    *("total_conversations", "resolved_conversations", "escalated_conversations", "abandoned_conversations"),
    *("resolution_rate", "escalation_rate", "abandonment_rate", "avg_response_time_ms", "unique_customers"),
    *("dau", "wau", "mau", "revenue", "savings", "roi_percentage", "retention"),
    *("overall_quality_score", "helpfulness_score", "accuracy_score", "politeness_score", "content_gaps_open"),
}

# metric, grain, and the mart's rows of (date, tenant, value)
SAME_AS_MARTS = [
    *(
        (metric, "day", f"select date, tenant_id, {column} from marts.{mart}")
        for metric, mart, column in (
            ("total_conversations", "daily_metrics", "nullif(total_conversations, 0)"),
            ("resolution_rate", "daily_metrics", "resolution_rate"),
            ("escalation_rate", "daily_metrics", "escalation_rate"),
            ("abandonment_rate", "daily_metrics", "abandonment_rate"),
            ("avg_response_time_ms", "daily_metrics", "avg_response_time_ms"),
            ("unique_customers", "daily_metrics", "nullif(unique_customers, 0)"),
            ("avg_rating", "daily_metrics", "avg_rating"),
            ("good_ratings_share", "daily_metrics", "good_ratings_share"),
            ("savings", "roi_days", "case when total_conversations > 0 then savings end"),
            ("human_agent_cost", "roi_days", "nullif(human_agent_cost, 0)"),
            ("dau", "active_users", "nullif(dau, 0)"),
            ("wau", "active_users", "nullif(wau, 0)"),
            ("mau", "active_users", "nullif(mau, 0)"),
            ("response_time_ms_p50", "daily_metrics", "p50_response_time_ms"),
            ("response_time_ms_p95", "daily_metrics", "p95_response_time_ms"),
            ("response_time_ms_p99", "daily_metrics", "p99_response_time_ms"),
            ("voice_first_response_ms_p50", "voice_metrics", "first_response_p50_ms"),
            ("voice_first_response_ms_p95", "voice_metrics", "first_response_p95_ms"),
            ("voice_first_response_ms_p99", "voice_metrics", "first_response_p99_ms"),
            ("voice_asr_partial_latency_ms_p95", "voice_metrics", "asr_partial_latency_p95_ms"),
            ("voice_barge_in_count", "voice_metrics", "nullif(barge_ins, 0)"),
            ("ai_tool_chain_length_avg", "tool_chain_metrics", "tool_chain_length_avg"),
            ("ai_navigation_optimism_rate", "tool_chain_metrics", "navigation_optimism_rate"),
            ("kb_hit_rate", "kb_metrics", "hit_rate"),
            ("kb_search_latency_ms_p95", "kb_metrics", "search_latency_p95_ms"),
            ("kb_relevance_score_avg", "kb_metrics", "avg_relevance_score"),
            ("commerce_conversion_rate", "commerce_metrics", "conversion_rate"),
            ("revenue", "commerce_metrics", "nullif(revenue, 0)"),
            ("booking_hold_to_confirm_rate", "booking_metrics", "hold_to_confirm_rate"),
            ("overall_quality_score", "quality_daily", "avg_overall_score"),
            ("sessions", "session_metrics", "nullif(sessions, 0)"),
            ("bounce_rate", "session_metrics", "bounce_rate"),
        )
    ),
    *(
        (
            metric,
            grain,
            f"select period_start, tenant_id, {metric} from marts.period_metrics where period = '{grain}'"
            " and total_conversations > 0",
        )
        for metric in ("total_conversations", "resolution_rate", "avg_response_time_ms", "unique_customers")
        for grain in ("week", "month")
    ),
    *(
        (metric, "month", f"select period_start, tenant_id, {metric} from marts.roi where period = 'month'")
        for metric in ("savings", "roi_percentage")
    ),
    (
        "ai_tool_calls_success_rate",
        "day",
        "select date, tenant_id, sum(succeeded)::float8 / nullif(sum(succeeded + failed), 0) from marts.tool_metrics"
        " group by date, tenant_id",
    ),
    (
        "retention",
        "day",
        "select cohort_start, tenant_id, retention_rate from marts.cohort_retention where"
        " cohort_id = 'first_activity' and period = 'week' and period_index = 1 and is_complete",
    ),
]

# tables of a row per tenant and day, or per tenant and period, with their columns
MARTS = """
    select relname, array_agg(attname::text order by attnum), pg_get_indexdef(indexrelid)
    from pg_index
    inner join pg_class on pg_class.oid = indrelid and relnamespace = 'marts'::regnamespace
    inner join pg_attribute on attrelid = indrelid and attnum > 0 and not attisdropped
    where indisunique and pg_get_indexdef(indexrelid) ~ '\\(tenant_id, (date|period, period_start)\\)$'
    group by relname, indexrelid
    order by 1
"""
RENAMED = {f"{quantile}_response_time_ms": f"response_time_ms_{quantile}" for quantile in ("p50", "p95", "p99")}
# columns that share a metric's name and are of something else, which their table's name says
OF_SOMETHING_ELSE = {
    ("voice_metrics", "turns"): "voice_turns",
    ("active_users", "events"): None,  # of users alone
    ("error_metrics", "events"): None,  # errors of a class
}
OF_ALERTS = {"error_rate": "system_error_rate", "unanswered_share": "unanswered_rate", "events": "events"}
STARTED_SUNDAY, ANSWERED_MONDAY = "2025-06-29T21:59:00Z", "2025-06-29T22:00:10Z"  # in Stockholm

_loaded: list[Catalogue] = []


@pytest.fixture
def catalogue(built: Settings) -> Catalogue:
    """The project's catalogue, which no test changes and which names no database: read once."""
    if not _loaded:
        _loaded.append(Catalogue.load(built))
    return _loaded[0]


@pytest.fixture
def ask(built: Settings, catalogue: Catalogue) -> Callable[[Query], Table]:
    def answer(query: Query) -> Table:
        with database.connect(built) as connection:
            return catalogue.values(connection, query)

    return answer


def known(rows: list[tuple[Any, ...]]) -> dict[tuple[str, str], float]:
    """(date, tenant) to value, where there is any."""
    return {(str(day)[:10], tenant): float(value) for day, tenant, value in rows if value is not None}


def test_metricflow_finds_no_fault(catalogue: Catalogue) -> None:
    outcome = SemanticManifestValidator().validate_semantic_manifest(catalogue.manifest)
    assert [issue.as_readable_str() for issue in (*outcome.errors, *outcome.future_errors)] == []


def test_every_metric_is_described(catalogue: Catalogue) -> None:
    assert REQUIRED - catalogue.metrics.keys() == set()
    for metric in catalogue.metrics.values():
        assert metric.label, metric.name
        assert metric.owner, metric.name
        assert metric.unit, metric.name
        assert "Date basis: " in metric.description, metric.name
        assert "Excluded: " in metric.description, metric.name


def test_every_metric_can_be_asked_by_month_and_tenant(built: Settings, catalogue: Catalogue) -> None:
    """Each one's SQL runs on the tables as they are built."""
    with database.connect(built) as connection:
        for metric in catalogue.metrics:
            grains = catalogue.metrics[metric].grains
            grain = "month" if not grains or "month" in grains else grains[0]
            values = catalogue.values(connection, Query((metric,), by=(grain, "tenant")))
            assert values.columns == (f"metric_time__{grain}", "tenant", metric)


def test_metrics_equal_the_marts(built: Settings, catalogue: Catalogue) -> None:
    compared = 0
    with database.connect(built) as connection:
        for metric, grain, mart in SAME_AS_MARTS:
            expected = known(connection.execute(mart.encode()).fetchall())
            found = known(catalogue.values(connection, Query((metric,), by=(grain, "tenant"))).rows)
            tenants = {tenant for _, tenant in expected}
            assert {key: found[key] for key in found if key[1] in tenants} == pytest.approx(expected), (metric, grain)
            compared += len(expected)
    assert compared > 200


def same(found: dict[tuple[str, str], float], expected: dict[tuple[str, str], float], what: object) -> int:
    """Where either says something, the other says the same; a 0 may be left out."""
    for key in found.keys() | expected.keys():
        assert found.get(key, 0) == pytest.approx(expected.get(key, 0)), (what, key)
    return len(found.keys() & expected.keys())


@pytest.mark.timeout(600)
def test_one_name_is_one_number(built: Settings, catalogue: Catalogue, tmp_path: Path) -> None:
    """Every column of a mart by day, week or month that is called as a metric, the report's figures and alerts' too."""
    asked = {"event_name": "message.received", "occurred_at": STARTED_SUNDAY, "attributes": {"text": "Are you there?"}}
    answered = {"event_name": "message.sent", "occurred_at": ANSWERED_MONDAY, "attributes": {"text": "Yes."}}
    told = {"tenant_id": "nordic-bank", "conversation_id": "over-midnight", "user_id": "night-owl"}
    file = tmp_path / "over-midnight.ndjson"
    file.write_text(
        "".join(json.dumps({"event_id": str(uuid4()), **told, **each}) + "\n" for each in (asked, answered))
    )
    parley("load", str(file)).check_returncode()
    parley("build", "--as-of", BUILT_AS_OF).check_returncode()
    compared: set[tuple[str, str]] = set()
    with database.connect(built) as connection:

        def metric(name: str, grain: str) -> dict[tuple[str, str], float]:
            return known(catalogue.values(connection, Query((name,), by=(grain, "tenant"))).rows)

        monday = {
            str(row[0]) for row in connection.execute("select tenant_id from seeds.tenants where week_start = 'monday'")
        }
        assert len(monday) == 3
        for table, columns, key in connection.execute(MARTS).fetchall():
            date_column, grains = (
                ("date", ("day",)) if "period" not in key else ("period_start", ("day", "week", "month"))
            )
            for column in columns:
                name = OF_SOMETHING_ELSE.get((table, column), RENAMED.get(column, column))
                if name not in catalogue.metrics:
                    continue
                for grain in {*grains} & {*(catalogue.metrics[name].grains or grains)}:
                    where = f" where period = '{grain}'" if "period" in key else ""
                    mart = known(
                        connection.execute(
                            f"select {date_column}, tenant_id, {column} from marts.{table}{where}".encode()
                        ).fetchall()
                    )
                    if not mart:
                        continue
                    if same(metric(name, grain), mart, (table, column, grain)):
                        compared.add((name, grain))
        p95 = metric("response_time_ms_p95", "day")
        assert p95["2025-06-29", "nordic-bank"] >= 70_000
        for rule, name in OF_ALERTS.items():
            series = metrics.read(connection, rule, as_of=datetime.fromisoformat(BUILT_AS_OF), days=30)
            alerts = {
                (str(day), tenant): point.value
                for tenant, points in series.items()
                for day, point in points.items()
                if point.value is not None
            }
            assert same(metric(name, "day"), alerts, rule)
        week = (date(2025, 6, 23), date(2025, 6, 29))
        for tenant in sorted(monday):
            figures = asdict(contents.gather(built, tenant, days=week).now)
            for name in figures.keys() & catalogue.metrics.keys():
                found = metric(name, "week").get((str(week[0]), tenant), 0)
                assert found == pytest.approx(figures[name] or 0), (tenant, name)
                compared.add((name, "report"))
    assert {("turns", "day"), ("unanswered_turns", "week"), ("sla_breaches", "day"), ("dau", "day")} <= compared
    assert {("response_time_ms_p95", grain) for grain in ("day", "week", "report")} <= compared
    assert len(compared) > 60


def test_a_tenant_and_dates_narrow_what_is_counted(ask: Callable[[Query], Table], built: Settings) -> None:
    with psycopg.connect() as connection:
        busiest = connection.execute(
            "select date, total_conversations from marts.daily_metrics where tenant_id = 'nordic-bank' order by 2 desc"
        ).fetchone()
    assert busiest
    day, total = busiest
    query = Query(("total_conversations",), tenant="nordic-bank", from_date=day, to_date=day)
    assert ask(query).rows == [(total,)]


# metric, and the rows of (local hour, tenant, value) of facts
BY_HOUR = {
    "total_conversations": "select started_on + started_hour * interval '1 hour', tenant_id, count(*)"
    " from facts.conversations group by 1, 2",
    "resolution_rate": "select date_trunc('hour', started_at at time zone time_zone), tenant_id,"
    " count(*) filter (where outcome = 'resolved')::float / nullif(count(*) filter (where outcome <> 'no_reply'), 0)"
    " from facts.conversations inner join marts.tenants_overview using (tenant_id) group by 1, 2",
    "response_time_ms_p95": "select begun.started_on + begun.started_hour * interval '1 hour', tenant_id,"
    " percentile_cont(0.95) within group (order by duration_ms) from facts.responses"
    " inner join facts.conversations as begun using (tenant_id, conversation_id) group by 1, 2",
    "responses": "select hour at time zone time_zone, tenant_id, sum(responses) from marts.response_times"
    " inner join marts.tenants_overview using (tenant_id) group by 1, 2 having sum(responses) > 0",
    "revenue": "select date_trunc('hour', ordered_at at time zone time_zone), tenant_id, sum(revenue)"
    " from facts.orders inner join marts.tenants_overview using (tenant_id) where completed_on is not null"
    " group by 1, 2",
}


def test_metrics_by_hour_are_those_of_the_facts(built: Settings, catalogue: Catalogue) -> None:
    def by_hour(rows: list[tuple[Any, ...]]) -> dict[tuple[str, str], float]:
        return {(str(hour)[:13], tenant): float(value) for hour, tenant, value in rows if value is not None}

    with database.connect(built) as connection:
        for metric, facts in BY_HOUR.items():
            expected = by_hour(connection.execute(facts.encode()).fetchall())
            found = by_hour(catalogue.values(connection, Query((metric,), by=("hour", "tenant"))).rows)
            assert expected or metric == "revenue"  # so small a demo need not have an order
            assert found == pytest.approx(expected), metric
        days = (date(2025, 6, 27), date(2025, 6, 28))
        narrow = Query(("total_conversations",), ("hour", "channel"), "nordic-bank", *days)
        hours = catalogue.values(connection, narrow)
        [whole] = catalogue.values(connection, replace(narrow, by=())).rows
    assert hours.columns[0] == "metric_time__hour"
    assert sum(row[2] for row in hours.rows) == whole[0]
    assert {row[0].date() for row in hours.rows} == {*days}
    assert catalogue.grains("revenue")[0] == "hour"
    shown = parley("metrics", "query", "total_conversations", "--by", "hour", "--tenant", "nordic-bank").stdout
    assert re.search(r"2025-06-\d\d \d\d:00 +\d", shown)


def test_a_funnel_is_told_of_any_days(built: Settings) -> None:
    asked = ("funnels", "show", "shop_purchase", "--tenant", "shop-newyork")
    with psycopg.connect() as connection:
        mart = connection.execute(
            "select step_name, reached, entered from marts.funnels where tenant_id = 'shop-newyork'"
            " and funnel_id = 'shop_purchase' and period = 'all' and breakdown_kind = 'all' order by step"
        ).fetchall()
    told = list(csv.DictReader(io.StringIO(parley(*asked, "--no-breakdown", "--csv").stdout)))
    assert [(row["step_name"], int(row["reached"]), int(row["entered"])) for row in told] == mart
    shown = parley(*asked, "--from", "2025-06-26", "--to", "2025-06-28").stdout
    assert "1. " in shown
    assert parley(*asked, "--from", "2031-01-01").stdout == "Nobody entered it in these days.\n"
    assert "shop_purchase" in parley("funnels", "list", "--tenant", "shop-newyork").stdout
    wrong = parley("funnels", "show", "nope", "--tenant", "shop-newyork")
    assert (wrong.returncode, wrong.stderr[:42]) == (1, "parley: There is no funnel 'nope' of shop-")
    assert "There is no tenant 'nobody'" in parley("funnels", "show", "shop_purchase", "--tenant", "nobody").stderr


def test_return_is_of_any_number_of_days(ask: Callable[[Query], Table], built: Settings) -> None:
    days = (date(2025, 6, 26), date(2025, 6, 28))
    [(savings, percentage)] = ask(Query(("savings", "roi_percentage"), (), "nordic-bank", *days)).rows
    with psycopg.connect() as connection:
        row = connection.execute(
            "select sum(savings), 100 * sum(savings) / sum(ai_cost) from marts.roi_days"
            " where tenant_id = 'nordic-bank' and date between %s and %s",
            days,
        ).fetchone()
    assert (savings, percentage) == pytest.approx(row)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(("dau",), by=("hour",)), "dau is per day: ask for it by day."),
        (Query(("events",), by=("hour",)), "events is known by day and longer: ask for it by day or week"),
        (Query(("sessions",), by=("hour", "day")), "By hour and by day is too much: leave one out."),
        (Query(("conversations",)), "There is no metric 'conversations': did you mean "),
        (Query(("dau",), by=("week",)), "dau is per day: take wau, or ask for it by day."),
        (Query(("mau",), by=("year",)), "mau is per month: ask for it by month or day."),
        (Query(("stickiness",), by=("tenant",)), "stickiness is per day: ask for it by day."),
        (Query(("dau",), by=("colour",)), "dau cannot be parted by 'colour': take one of hour, day, week, month"),
        (
            Query(("sessions",), where="{{ Dimension('colour') }} = 1"),
            "This cannot be asked: Name is in an incorrect format",
        ),
        (Query(("sessions",), by=("week",)), "Weeks do not begin on the same day for all tenants: name one"),
        (Query(("sessions",), where="{{ Dimension("), "This cannot be asked: "),
        (Query(("wau",), by=("tenant",)), "wau is per week: ask for it by week or day."),
        (
            Query(("sessions",), tenant="nobody"),
            "There is no tenant 'nobody' in what is built: take one of nordic-bank",
        ),
        (Query(("sessions",), where="nonsense ="), "This cannot be asked: syntax error at"),
    ],
    ids=[
        "hour of a day",
        "no instant",
        "two grains",
        "metric",
        "other grain",
        "longer",
        "all time",
        "dimension",
        "condition",
        "weeks",
        "template",
        "no time",
        "tenant",
        "syntax",
    ],
)
def test_a_mistake_gets_a_sentence(ask: Callable[[Query], Table], query: Query, message: str) -> None:
    with pytest.raises(ParleyError) as error:
        ask(query)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_the_command_line_shows_a_metric_and_its_values(built: Settings) -> None:
    shown = parley("metrics", "query", "total_conversations", "--by", "tenant", "--csv")
    assert shown.returncode == 0, shown.stderr
    with psycopg.connect() as connection:
        expected = connection.execute(
            "select tenant_id, sum(total_conversations) from marts.daily_metrics group by 1 order by 1"
        ).fetchall()
    assert shown.stdout.split() == ["tenant,total_conversations", *(f"{tenant},{total}" for tenant, total in expected)]


def test_an_unknown_metric_is_no_traceback(built: Settings) -> None:
    shown = parley("metrics", "show", "conversion")
    assert shown.returncode == 1
    assert "There is no metric 'conversion'" in shown.stderr
    assert "Traceback" not in shown.stderr
