"""What a report says: the figures of a tenant and a period, read from the marts and not defined here again."""

from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from parley.config import tenants
from parley.config.report_recipients import Kind
from parley.config.tenants import Tenant
from parley.errors import ParleyError
from parley.serving.report import periods
from parley.serving.report.periods import Period
from parley.serving.summary import Refusal
from parley.settings import Settings
from parley.warehouse import database, migrate
from parley.warehouse.database import Connection

Row = TypeVar("Row")
MOST_GAPS = 5
MOST_EXAMPLES = 3
MOST_ERRORS = 5
MOST_ANOMALIES = 6
MOST_COHORTS = 8
LEAST_COHORTS = 3  # fewer make no triangle


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of a period; None where there is nothing to say. Rates and scores are 0 to 1, money is the tenant's."""

    total_conversations: int = 0
    resolution_rate: float | None = None
    escalation_rate: float | None = None
    abandonment_rate: float | None = None
    response_time_ms_p50: float | None = None
    response_time_ms_p95: float | None = None
    response_time_ms_p99: float | None = None
    unanswered_turns: int | None = None
    unique_customers: int | None = None
    """Distinct ones cannot be summed: None of days that are no week or month, as those of the two below."""
    active_users: int | None = None
    new_users: int | None = None
    avg_rating: float | None = None
    ratings: int = 0
    overall_quality_score: float | None = None
    kb_hit_rate: float | None = None
    bookings_confirmed: int | None = None
    booking_value: float | None = None
    orders: int | None = None
    revenue: float | None = None
    other_currency_orders: int = 0
    """Orders in a currency without a rate: in no sum."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the trend."""

    date: date
    conversations: int
    resolution_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    active_users: int


@dataclass(frozen=True, slots=True)
class Savings:
    """A row of `marts.roi`: of the month in which the report's period ends."""

    period_start: date
    is_complete: bool
    savings: float
    savings_low: float
    savings_high: float
    roi_percentage: float


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a funnel; the shares are of those who entered, and of those who reached the step before."""

    funnel_id: str
    funnel_name: str
    step: int
    step_name: str
    reached: int
    conversion_from_start: float | None
    drop_off: int | None
    previous_conversion: float | None
    """Of the period before, from the start."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of a cohort were active so many periods after their first."""

    cohort_name: str
    cohort_start: date
    cohort_size: int
    period_index: int
    retention_rate: float


@dataclass(frozen=True, slots=True)
class Gap:
    """An open content gap that was asked about in the period or later."""

    topic: str
    frequency: int
    customers: int
    is_new: bool
    """First asked in the period."""
    example_questions: list[str]


@dataclass(frozen=True, slots=True)
class Tool:
    """Calls of a tool; the rate is of those that finished."""

    tool_name: str
    calls: int
    failed: int
    success_rate: float | None
    previous_success_rate: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """System errors of a class."""

    error_class: str
    errors: int
    previous_errors: int


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of the lines received in the period."""

    received: int
    accepted: int
    duplicate: int
    rejected: int
    no_consent: int
    erased_subject: int
    blocked_events: int
    """Accepted, and kept out of the figures by the input gate."""
    is_accounted_for: bool


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something out of the usual in the input."""

    date: date
    event_name: str
    metric: str
    observed: float
    expected: float
    severity: str
    details: str | None


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires as the report is made."""

    severity: str
    description: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows. What has no row is None or empty."""

    tenant: Tenant
    period: Period
    as_of: datetime
    """The time that the last build judged by, in the tenant's time zone."""
    is_complete: bool
    now: Figures
    before: Figures
    days: list[Day]
    days_before: list[Day]
    savings: Savings | None
    funnels: list[Step] = field(default_factory=list)
    retention: list[Cell] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    errors: list[Failure] = field(default_factory=list)
    landed: Landed | None = None
    refusals: list[Refusal] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    alerts: list[Firing] = field(default_factory=list)


def gather(settings: Settings, tenant_id: str, kind: Kind = "week", days: tuple[date, date] | None = None) -> Report:
    """The report of these days, by default of the last whole week or month of the tenant.

    Raises ParleyError where nothing is built, the tenant is unknown, or the days are the wrong way round.
    """
    with migrate.connect(settings) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        return read(connection, find_tenant(settings, connection, tenant_id), kind, days)


def find_tenant(settings: Settings, connection: Connection, tenant_id: str) -> Tenant:
    """What is known of a tenant that has something in the marts. Raises ParleyError where it has not."""
    known = built_tenants(connection)
    if tenant_id not in known:
        raise ParleyError(f"There is no tenant {tenant_id!r} in what is built: take one of {', '.join(known)}.")
    listed = tenants.read(settings.project / tenants.SEED)
    row = connection.execute("select currency from marts.tenants_overview where tenant_id = %s", [tenant_id]).fetchone()
    return replace(listed.get(tenant_id) or Tenant(tenant_id, tenant_id), currency=str(row[0]) if row else None)


def built_tenants(connection: Connection) -> list[str]:
    """The tenants of the marts. Raises ParleyError where nothing has been built."""
    if not database.has(connection, "marts.tenants_overview"):
        raise ParleyError("There are no figures yet: land events with `parley load` and run `parley build`.")
    return [str(row[0]) for row in connection.execute("select tenant_id from marts.tenants_overview order by 1")]


def local_as_of(connection: Connection, tenant: Tenant) -> datetime:
    """The time that the last build judged by, on the tenant's clock. Raises ParleyError where nothing was built."""
    row = connection.execute("select max(as_of) from ops.builds").fetchone()
    if not row or not isinstance(row[0], datetime):
        raise ParleyError("There are no figures yet: land events with `parley load` and run `parley build`.")
    return row[0].astimezone(ZoneInfo(tenant.time_zone))


def read(connection: Connection, tenant: Tenant, kind: Kind, days: tuple[date, date] | None) -> Report:
    """As `gather`, for a tenant that is known."""
    as_of = local_as_of(connection, tenant)
    if days:
        if days[0] > days[1]:
            raise ParleyError(f"--from {days[0]} is after --to {days[1]}: give the earlier day first.")
        period = periods.of_days(*days, tenant.week_start)
    else:
        period = periods.last_whole(kind, as_of.date(), tenant.week_start)
    of = _Reader(connection, tenant, period)
    return Report(
        tenant=tenant,
        period=period,
        as_of=as_of,
        is_complete=period.last < as_of.date(),
        now=of.figures(period),
        before=of.figures(period.before),
        days=of.all(Day, _DAYS),
        days_before=_Reader(connection, tenant, period.before).all(Day, _DAYS),
        savings=of.one(Savings, _SAVINGS),
        funnels=of.all(Step, _FUNNELS),
        retention=of.all(Cell, _RETENTION),
        gaps=of.all(Gap, _GAPS),
        tools=of.all(Tool, _TOOLS),
        errors=of.all(Failure, _ERRORS),
        landed=of.one(Landed, _LANDED),
        refusals=of.all(Refusal, _REFUSALS),
        anomalies=of.all(Anomaly, _ANOMALIES),
        alerts=of.all(Firing, _ALERTS),
    )


class _Reader:
    """Reads rows of a tenant and a period."""

    def __init__(self, connection: Connection, tenant: Tenant, period: Period) -> None:
        self.connection = connection
        self.parameters: dict[str, Any] = {
            "tenant": tenant.tenant_id,
            "zone": tenant.time_zone,
            **_named(period),
            **{f"before_{name}": value for name, value in _named(period.before).items()},
            "cohorts": period.kind or "week",
        }

    def all(self, kind: type[Row], query: str) -> list[Row]:
        with self.connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(query.encode(), self.parameters).fetchall()

    def one(self, kind: type[Row], query: str) -> Row | None:
        return next(iter(self.all(kind, query)), None)

    def figures(self, period: Period) -> Figures:
        """One row of several marts; of a week or month what the marts have of it, else what days add up to."""
        found: dict[str, Any] = {}
        parameters = self.parameters | _named(period)
        for query in (_PERIOD if period.kind else _SUM_OF_DAYS, *_FIGURES):
            cursor = self.connection.execute(query.encode(), parameters)
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                found |= dict(zip(names, row, strict=True))
        return Figures(**{item.name: found[item.name] for item in fields(Figures) if found.get(item.name) is not None})


def _named(period: Period) -> dict[str, Any]:
    return {"first": period.first, "last": period.last, "kind": period.kind}


_IN_PERIOD = "tenant_id = %(tenant)s and date between %(first)s and %(last)s"

_PERIOD = """
    select
        metrics.total_conversations,
        metrics.resolution_rate,
        metrics.escalation_rate,
        metrics.abandonment_rate,
        metrics.p50_response_time_ms as response_time_ms_p50,
        metrics.p95_response_time_ms as response_time_ms_p95,
        metrics.p99_response_time_ms as response_time_ms_p99,
        coalesce(metrics.unanswered_turns, 0) as unanswered_turns,
        coalesce(metrics.unique_customers, 0) as unique_customers,
        metrics.avg_rating::double precision as avg_rating,
        coalesce(metrics.ratings, 0) as ratings,
        coalesce(lifecycle.active_users, 0) as active_users,
        coalesce(lifecycle.new_users, 0) as new_users
    from (select %(tenant)s::text as tenant_id, %(kind)s::text as period, %(first)s::date as period_start) as asked
    left join marts.period_metrics as metrics using (tenant_id, period, period_start)
    left join marts.user_lifecycle as lifecycle using (tenant_id, period, period_start)
"""

# the median of a range is not that of its days: from the histogram, within 1 %
_SUM_OF_DAYS = f"""
    with days as (
        select
            sum(total_conversations)::bigint as total_conversations,
            coalesce(sum(unanswered_turns), 0)::bigint as unanswered_turns,
            (sum(resolved_conversations) / nullif(sum(answered), 0))::double precision as resolution_rate,
            (sum(escalated_conversations) / nullif(sum(answered), 0))::double precision as escalation_rate,
            (sum(abandoned_conversations) / nullif(sum(answered), 0))::double precision as abandonment_rate
        from (
            select *, total_conversations - no_reply_conversations as answered
            from marts.daily_metrics
            where {_IN_PERIOD}
        ) as metrics
    ),
    buckets as (
        select
            bucket_ms,
            sum(sum(responses)) over (order by bucket) as up_to,
            sum(sum(responses)) over () as responses
        from marts.latency_histogram
        where {_IN_PERIOD}
        group by bucket, bucket_ms
    )
    select
        days.*,
        (select min(bucket_ms) from buckets where up_to >= 0.50 * responses)::double precision as response_time_ms_p50,
        (select min(bucket_ms) from buckets where up_to >= 0.95 * responses)::double precision as response_time_ms_p95,
        (select min(bucket_ms) from buckets where up_to >= 0.99 * responses)::double precision as response_time_ms_p99
    from days
"""

# nothing sold is 0 for who sells, and no figure for who does not
_FIGURES = (
    """
    select avg(overall_score)::double precision as overall_quality_score
    from marts.conversation_quality_scores
    where tenant_id = %(tenant)s and started_on between %(first)s and %(last)s
    """,
    f"""
    select (sum(searches_with_results) / nullif(sum(searches), 0))::double precision as kb_hit_rate
    from marts.kb_metrics
    where {_IN_PERIOD}
    """,
    f"""
    select
        coalesce(sum(confirmed), 0)::bigint as bookings_confirmed,
        coalesce(sum(estimated_total), 0)::double precision as booking_value
    from marts.booking_metrics
    where {_IN_PERIOD}
    having exists (select from marts.booking_metrics where tenant_id = %(tenant)s and requested + confirmed > 0)
    """,
    f"""
    select
        coalesce(sum(orders), 0)::bigint as orders,
        coalesce(sum(revenue), 0)::double precision as revenue,
        coalesce(sum(other_currency_orders), 0)::bigint as other_currency_orders
    from marts.commerce_metrics
    where {_IN_PERIOD}
    having exists (select from marts.commerce_metrics where tenant_id = %(tenant)s and orders > 0)
    """,
)

_DAYS = """
    select
        days.date::date as date,
        coalesce(metrics.total_conversations, 0) as conversations,
        metrics.resolution_rate,
        metrics.p50_response_time_ms as p50_ms,
        metrics.p95_response_time_ms as p95_ms,
        metrics.p99_response_time_ms as p99_ms,
        coalesce(users.dau, 0) as active_users
    from generate_series(%(first)s::date, %(last)s::date, '1 day') as days (date)
    left join marts.daily_metrics as metrics on metrics.tenant_id = %(tenant)s and metrics.date = days.date::date
    left join marts.active_users as users on users.tenant_id = %(tenant)s and users.date = days.date::date
    order by days.date
"""

_SAVINGS = """
    select period_start, is_complete, savings, savings_low, savings_high, roi_percentage
    from marts.roi
    where tenant_id = %(tenant)s and period = 'month' and %(last)s between period_start and last_day
"""

# a funnel that nobody has ever gone beyond the first step of is not this tenant's
_FUNNELS = """
    select
        now.funnel_id,
        now.funnel_name,
        now.step,
        now.step_name,
        now.reached,
        now.conversion_from_start,
        now.drop_off,
        before.conversion_from_start as previous_conversion
    from marts.funnels as now
    left join marts.funnels as before
        on
            now.tenant_id = before.tenant_id
            and now.funnel_id = before.funnel_id
            and now.period = before.period
            and now.breakdown_kind = before.breakdown_kind
            and now.step = before.step
            and before.period_start = %(before_first)s
    where
        now.tenant_id = %(tenant)s
        and now.period = %(kind)s
        and now.period_start = %(first)s
        and now.breakdown_kind = 'all'
        and exists (
            select from marts.funnels as ever
            where
                ever.tenant_id = %(tenant)s
                and ever.funnel_id = now.funnel_id
                and ever.period = 'all'
                and ever.breakdown_kind = 'all'
                and ever.step > 1
                and ever.reached > 0
        )
    order by now.funnel_id, now.step
"""

_RETENTION = f"""
    with cells as (
        select *
        from marts.cohort_retention
        where
            tenant_id = %(tenant)s
            and period = %(cohorts)s
            and breakdown_kind = 'all'
            and is_complete
            and period_start <= %(last)s
    ),
    largest as (
        select cohort_id
        from cells
        where period_index = 0
        group by cohort_id
        having count(*) >= {LEAST_COHORTS}
        order by sum(cohort_size) desc, cohort_id
        limit 1
    )
    select cohort_name, cohort_start, cohort_size, period_index, retention_rate::double precision as retention_rate
    from cells
    where
        cohort_id = (select cohort_id from largest)
        and cohort_start > (
            select case
                when %(cohorts)s = 'month' then max(cohort_start) - interval '{MOST_COHORTS} months'
                else max(cohort_start) - interval '{MOST_COHORTS} weeks'
            end
            from cells
            where cohort_id = (select cohort_id from largest)
        )
    order by cohort_start, period_index
"""

_GAPS = f"""
    select
        topic,
        frequency,
        customers,
        (first_seen_at at time zone %(zone)s)::date >= %(first)s as is_new,
        example_questions[:{MOST_EXAMPLES}] as example_questions
    from marts.content_gaps
    where
        tenant_id = %(tenant)s
        and status <> 'resolved'
        and (first_seen_at at time zone %(zone)s)::date <= %(last)s
        and (last_seen_at at time zone %(zone)s)::date >= %(first)s
    order by frequency desc, topic, gap_id
    limit {MOST_GAPS}
"""

_TOOLS = """
    select
        tool_name,
        coalesce(sum(calls) filter (where date >= %(first)s), 0)::bigint as calls,
        coalesce(sum(failed) filter (where date >= %(first)s), 0)::bigint as failed,
        (
            sum(succeeded) filter (where date >= %(first)s)
            / nullif(sum(succeeded + failed) filter (where date >= %(first)s), 0)
        )::double precision as success_rate,
        (
            sum(succeeded) filter (where date < %(first)s)
            / nullif(sum(succeeded + failed) filter (where date < %(first)s), 0)
        )::double precision as previous_success_rate
    from marts.tool_metrics
    where tenant_id = %(tenant)s and date between %(before_first)s and %(last)s
    group by tool_name
    order by calls desc, tool_name
"""

_ERRORS = f"""
    select
        error_class,
        coalesce(sum(errors) filter (where date >= %(first)s), 0)::bigint as errors,
        coalesce(sum(errors) filter (where date < %(first)s), 0)::bigint as previous_errors
    from marts.error_metrics
    where tenant_id = %(tenant)s and date between %(before_first)s and %(last)s
    group by error_class
    having sum(errors) > 0
    order by errors desc, previous_errors desc, error_class
    limit {MOST_ERRORS}
"""

_LANDED = f"""
    select
        sum(received)::bigint as received,
        sum(accepted)::bigint as accepted,
        sum(duplicate)::bigint as duplicate,
        sum(rejected)::bigint as rejected,
        sum(no_consent)::bigint as no_consent,
        sum(erased_subject)::bigint as erased_subject,
        sum(blocked_events)::bigint as blocked_events,
        bool_and(is_accounted_for) as is_accounted_for
    from marts.event_reconciliation
    where {_IN_PERIOD}
    having sum(received) > 0
"""

_REFUSALS = """
    select reason, count(*) as lines, mode() within group (order by message) as example
    from raw.rejected_events
    where
        tenant_id = %(tenant)s
        and replayed_by is null
        and (received_at at time zone %(zone)s)::date between %(first)s and %(last)s
    group by reason
    order by lines desc, reason
"""

_ANOMALIES = f"""
    select date, event_name, metric, observed, expected, severity, details
    from marts.input_anomalies
    where {_IN_PERIOD} and is_anomaly
    order by severity, abs(score) desc, date desc, event_name, metric
    limit {MOST_ANOMALIES}
"""

_ALERTS = """
    select severity, coalesce(description, rule_id) as description, detail, since
    from marts.alerts
    where tenant_id = %(tenant)s and is_firing
    order by array_position(array['critical', 'warning', 'info'], severity), since desc, alert_id
"""
