"""Metrics are right by MetricFlow's own checks, fully described, and have the values of the marts."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from metricflow_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator

from parley.errors import ParleyError
from parley.serving.metrics import Catalogue, Query, Table
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import parley

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
            ("total_conversations", "daily_metrics", "total_conversations"),
            ("resolution_rate", "daily_metrics", "resolution_rate"),
            ("escalation_rate", "daily_metrics", "escalation_rate"),
            ("abandonment_rate", "daily_metrics", "abandonment_rate"),
            ("avg_response_time_ms", "daily_metrics", "avg_response_time_ms"),
            ("unique_customers", "daily_metrics", "unique_customers"),
            ("avg_rating", "daily_metrics", "avg_rating"),
            ("dau", "active_users", "nullif(dau, 0)"),
            ("wau", "active_users", "nullif(wau, 0)"),
            ("mau", "active_users", "mau"),
            ("voice_first_response_ms_p50", "voice_metrics", "first_response_p50_ms"),
            ("voice_first_response_ms_p95", "voice_metrics", "first_response_p95_ms"),
            ("voice_first_response_ms_p99", "voice_metrics", "first_response_p99_ms"),
            ("voice_asr_partial_latency_ms_p95", "voice_metrics", "asr_partial_latency_p95_ms"),
            ("voice_barge_in_count", "voice_metrics", "barge_ins"),
            ("ai_tool_chain_length_avg", "tool_chain_metrics", "tool_chain_length_avg"),
            ("ai_navigation_optimism_rate", "tool_chain_metrics", "navigation_optimism_rate"),
            ("kb_hit_rate", "kb_metrics", "hit_rate"),
            ("kb_search_latency_ms_p95", "kb_metrics", "search_latency_p95_ms"),
            ("kb_relevance_score_avg", "kb_metrics", "avg_relevance_score"),
            ("commerce_conversion_rate", "commerce_metrics", "conversion_rate"),
            ("revenue", "commerce_metrics", "nullif(revenue, 0)"),
            ("booking_hold_to_confirm_rate", "booking_metrics", "hold_to_confirm_rate"),
            ("overall_quality_score", "quality_daily", "avg_overall_score"),
            ("sessions", "session_metrics", "sessions"),
            ("bounce_rate", "session_metrics", "bounce_rate"),
        )
    ),
    *(
        (
            metric,
            grain,
            f"select period_start, tenant_id, {metric} from marts.period_metrics"
            # MetricFlow's weeks start on Monday
            " inner join seeds.tenants using (tenant_id)"
            f" where period = '{grain}' and week_start = 'monday'",
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
            values = catalogue.values(connection, Query((metric,), by=("month", "tenant")))
            assert values.columns == ("metric_time__month", "tenant", metric)


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


def test_a_tenant_and_dates_narrow_what_is_counted(ask: Callable[[Query], Table], built: Settings) -> None:
    with psycopg.connect() as connection:
        busiest = connection.execute(
            "select date, total_conversations from marts.daily_metrics where tenant_id = 'nordic-bank' order by 2 desc"
        ).fetchone()
    assert busiest
    day, total = busiest
    query = Query(("total_conversations",), tenant="nordic-bank", from_date=day, to_date=day)
    assert ask(query).rows == [(total,)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(("conversations",)), "There is no metric 'conversations': did you mean "),
        (Query(("dau",), by=("colour",)), "dau cannot be parted by 'colour': take one of day, week, month"),
        (
            Query(("dau",), where="{{ Dimension('colour') }} = 1"),
            "This cannot be asked: Name is in an incorrect format",
        ),
        (Query(("dau",), where="{{ Dimension("), "This cannot be asked: "),
        (Query(("wau",), by=("tenant",)), "This cannot be asked: wau looks back from each day: part it by day"),
        (Query(("dau",), tenant="nobody"), "There is no tenant 'nobody' in what is built: take one of nordic-bank"),
        (Query(("dau",), where="nonsense ="), "This cannot be asked: syntax error at"),
    ],
    ids=["metric", "dimension", "condition", "template", "no time", "tenant", "syntax"],
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
