"""What there is, on one screen: the figures of `parley summary`, read from the marts and not defined here again."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from psycopg.rows import class_row

from parley.analytics import anomalies
from parley.analytics.anomalies import Anomaly
from parley.config import retention_periods, tenants
from parley.settings import Settings
from parley.warehouse import database, migrate
from parley.warehouse.database import Connection

Row = TypeVar("Row")
DAYS = 28
MOST_REASONS = 6
MOST_TENANTS = 8
MOST_GAPS = 5


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of every line received."""

    received: int
    accepted: int
    duplicate: int
    rejected: int
    no_consent: int
    erased_subject: int


@dataclass(frozen=True, slots=True)
class RejectedLines:
    """Lines rejected for one reason and not replayed since; `example` is the sentence that most of them got."""

    reason: str
    lines: int
    example: str


@dataclass(frozen=True, slots=True)
class Accounting:
    """Whether the tables hold what landed."""

    waiting: int
    """Accepted since the last build."""
    unaccounted: int
    """Accepted, built, and yet missing from staging or facts: always 0, or something is broken."""
    left_out: int
    """Accepted, built, and kept out of the tables by the input gate."""
    late_share: float | None
    """Of the events, those that arrived on a later day than they happened (tenant's calendar)."""


@dataclass(frozen=True, slots=True)
class Conversations:
    """Counts, and rates of the total."""

    total: int
    resolution_rate: float | None
    escalation_rate: float | None
    abandonment_rate: float | None
    open: int
    unanswered_turns: int


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """Percentiles read from `marts.latency_histogram`: within 1 %."""

    responses: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Day:
    """Customers active on a local date."""

    date: date
    dau: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions ever, and the share of them with a booking, a confirmed cart or an order."""

    total: int
    conversion_rate: float | None


@dataclass(frozen=True, slots=True)
class Revenue:
    """Of completed orders in one currency, refunds not subtracted."""

    currency: str
    orders: int
    amount: float


@dataclass(frozen=True, slots=True)
class Tenant:
    """A row of `marts.tenants_overview`, and its resolution rate."""

    tenant_id: str
    name: str
    events: int
    conversations: int
    customers: int
    resolution_rate: float | None
    rejected_share: float | None
    last_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """A step of the funnel that most units entered."""

    tenant_id: str
    funnel_name: str
    step_name: str
    reached: int
    conversion_from_start: float | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Something customers asked for in vain."""

    tenant_id: str
    topic: str
    frequency: int
    customers: int


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires, acknowledged or not."""

    alert_id: int
    severity: str
    rule_id: str
    tenant_id: str
    subject: str


@dataclass(frozen=True, slots=True)
class Build:
    """The last run of dbt that checked anything."""

    as_of: datetime
    finished_at: datetime
    passed: int
    warned: int
    failed: int
    errors: int
    problems: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Summary:
    """What `parley summary` shows. What has no table, or no row, is None or empty."""

    tenant: str | None
    landed: Landed
    landed_first: Landed
    """The same without lines of files that were sent again: what shares are of."""
    rejected: list[RejectedLines]
    accounting: Accounting | None
    conversations: Conversations | None
    response_times: ResponseTimes | None
    active_users: list[Day]
    sessions: Sessions | None
    revenue: list[Revenue]
    tenants: list[Tenant]
    funnel: list[FunnelStep]
    gaps: list[Gap]
    alerts: list[Firing]
    anomalies: list[Anomaly]
    """Of the last week that is over."""
    build: Build | None
    kept_days: dict[str, int | None]
    """For how many days the events of each tenant are kept; None for ever."""


def summarise(settings: Settings, tenant: str | None = None) -> Summary:
    """The figures, of one tenant or of all. Raises ParleyError where the database cannot be reached."""
    with migrate.connect(settings) as connection:
        read = _Reader(connection, tenant)
        return Summary(
            tenant=tenant,
            landed=read.one(Landed, _LANDED, "raw.load_batches") or Landed(0, 0, 0, 0, 0, 0),
            landed_first=read.one(Landed, _LANDED_FIRST, "raw.load_batches") or Landed(0, 0, 0, 0, 0, 0),
            rejected=read.all(RejectedLines, _REJECTED, "raw.rejected_events", limit=MOST_REASONS),
            accounting=read.one(Accounting, _ACCOUNTING, "marts.event_reconciliation", "facts.event_days"),
            conversations=read.one(Conversations, _CONVERSATIONS, "marts.daily_metrics"),
            response_times=read.one(ResponseTimes, _RESPONSE_TIMES, "marts.latency_histogram"),
            active_users=read.all(Day, _ACTIVE_USERS, "marts.active_users", limit=DAYS),
            sessions=read.one(Sessions, _SESSIONS, "marts.session_metrics"),
            revenue=read.all(Revenue, _REVENUE, "facts.orders"),
            tenants=read.all(Tenant, _TENANTS, "marts.tenants_overview", "marts.daily_metrics", limit=MOST_TENANTS),
            funnel=read.all(FunnelStep, _FUNNEL, "marts.funnels"),
            gaps=read.all(Gap, _GAPS, "marts.content_gaps", limit=MOST_GAPS),
            alerts=read.all(Firing, _FIRING, "ops.alerts"),
            anomalies=anomalies.newest(connection, tenant) if database.has(connection, "marts.input_anomalies") else [],
            build=read.one(Build, _BUILD, "ops.builds"),
            kept_days=_kept_days(settings, connection, tenant),
        )


def _kept_days(settings: Settings, connection: Connection, tenant: str | None) -> dict[str, int | None]:
    terms = retention_periods.read_terms(settings.project / retention_periods.SEED)
    listed = tenants.present(tenants.read(settings.project / tenants.SEED, connection), connection)
    periods = {name: retention_periods.period_of(found, terms) for name, found in listed.items()}
    return {name: period.days if period else None for name, period in periods.items() if tenant in (None, name)}


class _Reader:
    """Reads rows of a tenant (or of all) from tables that may not be there yet."""

    def __init__(self, connection: Connection, tenant: str | None) -> None:
        self.connection = connection
        self.tenant = tenant

    def all(self, kind: type[Row], query: str, *tables: str, limit: int | None = None) -> list[Row]:
        """The rows that the query selects from these tables; none where one of them is missing."""
        if not database.has(self.connection, *tables):
            return []
        parameters: dict[str, Any] = {"tenant": self.tenant, "limit": limit}
        with self.connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(query.encode(), parameters).fetchall()

    def one(self, kind: type[Row], query: str, *tables: str) -> Row | None:
        """The only row, or None."""
        return next(iter(self.all(kind, query, *tables)), None)


_OF_TENANT = "(%(tenant)s::text is null or tenant_id = %(tenant)s)"

_LANDED = f"""
    select
        coalesce(sum(received), 0)::bigint as received,
        coalesce(sum(accepted), 0)::bigint as accepted,
        coalesce(sum(duplicate), 0)::bigint as duplicate,
        coalesce(sum(rejected), 0)::bigint as rejected,
        coalesce(sum(no_consent), 0)::bigint as no_consent,
        coalesce(sum(erased_subject), 0)::bigint as erased_subject
    from raw.load_batches
    where {_OF_TENANT}
"""

_LANDED_FIRST = f"""
    select
        coalesce(sum(received - resent), 0)::bigint as received,
        coalesce(sum(accepted), 0)::bigint as accepted,
        coalesce(sum(duplicate) filter (where resent = 0), 0)::bigint as duplicate,
        coalesce(sum(rejected), 0)::bigint as rejected,
        coalesce(sum(no_consent) filter (where resent = 0), 0)::bigint as no_consent,
        coalesce(sum(erased_subject) filter (where resent = 0), 0)::bigint as erased_subject
    from raw.load_batches
    where {_OF_TENANT}
"""

_REJECTED = f"""
    select reason, count(*) as lines, mode() within group (order by message) as example
    from raw.rejected_events
    where replayed_by is null and {_OF_TENANT}
    group by reason
    order by lines desc, reason
    limit %(limit)s
"""

_ACCOUNTING = f"""
    with landed as (
        select coalesce(sum(accepted), 0) as accepted from raw.load_batches where {_OF_TENANT}
    ),
    built as (
        select
            coalesce(sum(accepted), 0) as accepted,
            coalesce(sum(unaccounted_events), 0) as unaccounted,
            coalesce(sum(blocked_events), 0) as left_out
        from marts.event_reconciliation
        where {_OF_TENANT}
    ),
    arrivals as (
        select sum(events) filter (where received_on > date) / nullif(sum(events), 0) as late_share
        from facts.event_days
        where {_OF_TENANT}
    )
    select
        (landed.accepted - built.accepted)::bigint as waiting,
        built.unaccounted::bigint as unaccounted,
        built.left_out::bigint as left_out,
        arrivals.late_share::double precision as late_share
    from landed cross join built cross join arrivals
"""

_ANSWERED = "nullif(sum(total_conversations - no_reply_conversations), 0)"  # no rate counts the others

_CONVERSATIONS = f"""
    select
        sum(total_conversations)::bigint as total,
        (sum(resolved_conversations) / {_ANSWERED})::double precision as resolution_rate,
        (sum(escalated_conversations) / {_ANSWERED})::double precision as escalation_rate,
        (sum(abandoned_conversations) / {_ANSWERED})::double precision as abandonment_rate,
        sum(open_conversations)::bigint as open,
        sum(unanswered_turns)::bigint as unanswered_turns
    from marts.daily_metrics
    where {_OF_TENANT}
    having sum(total_conversations) > 0
"""

_RESPONSE_TIMES = f"""
    with buckets as (
        select bucket_ms, sum(responses) as responses, sum(sum(responses)) over (order by bucket) as up_to
        from marts.latency_histogram
        where {_OF_TENANT}
        group by bucket, bucket_ms
    ),
    total as (
        select sum(responses) as responses from buckets
    )
    select
        total.responses::bigint as responses,
        min(bucket_ms) filter (where up_to >= 0.50 * total.responses)::double precision as p50_ms,
        min(bucket_ms) filter (where up_to >= 0.95 * total.responses)::double precision as p95_ms,
        min(bucket_ms) filter (where up_to >= 0.99 * total.responses)::double precision as p99_ms
    from buckets cross join total
    group by total.responses
"""

_ACTIVE_USERS = f"""
    select date, dau
    from (
        select date, sum(dau)::bigint as dau from marts.active_users where {_OF_TENANT}
        group by date order by date desc limit %(limit)s
    ) as newest
    order by date
"""

_SESSIONS = f"""
    select
        sum(sessions)::bigint as total,
        sum(conversion_rate * sessions) / sum(sessions)::double precision as conversion_rate
    from marts.session_metrics
    where {_OF_TENANT}
    having sum(sessions) > 0
"""

_REVENUE = """
    select
        orders.currency,
        count(*) as orders,
        sum(orders.amount)::double precision as amount
    from facts.orders
    where orders.amount > 0 and (%(tenant)s::text is null or orders.tenant_id = %(tenant)s)
    group by 1
    order by orders desc, currency
"""

_TENANTS = f"""
    select
        overview.tenant_id,
        overview.name,
        overview.events,
        overview.conversations,
        overview.customers,
        daily.resolution_rate,
        overview.rejected_share,
        overview.last_event_at
    from marts.tenants_overview as overview
    left join (
        select
            tenant_id,
            (sum(resolved_conversations) / {_ANSWERED})::double precision as resolution_rate
        from marts.daily_metrics
        group by tenant_id
    ) as daily using (tenant_id)
    where {_OF_TENANT}
    order by overview.events desc, overview.tenant_id
    limit %(limit)s
"""

_FUNNEL = f"""
    select tenant_id, funnel_name, step_name, reached, conversion_from_start
    from marts.funnels
    where period = 'all' and breakdown_kind = 'all' and (tenant_id, funnel_id) = (
        select tenant_id, funnel_id from marts.funnels
        where period = 'all' and breakdown_kind = 'all' and step = 1 and {_OF_TENANT}
        order by entered desc, tenant_id, funnel_id
        limit 1
    )
    order by step
"""

_GAPS = f"""
    select tenant_id, topic, frequency, customers
    from marts.content_gaps
    where status <> 'resolved' and {_OF_TENANT}
    order by frequency desc, topic
    limit %(limit)s
"""

_FIRING = f"""
    select alert_id, severity, rule_id, tenant_id, subject
    from ops.alerts
    where state in ('FIRING', 'ACKNOWLEDGED') and {_OF_TENANT}
    order by array_position(array['critical', 'warning', 'info'], severity), fired_at desc, alert_id
"""

_BUILD = """
    select as_of, finished_at, passed, warned, failed, errors, problems
    from ops.builds
    where passed + warned + failed + errors > 0
    order by finished_at desc
    limit 1
"""
