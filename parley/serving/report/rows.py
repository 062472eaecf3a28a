"""The rows of which a report consists, as the page shows them."""

from dataclasses import dataclass, field
from datetime import date, datetime

from parley.config.tenants import Tenant
from parley.serving import summary
from parley.serving.report.periods import Period
from parley.serving.summary import RejectedLines


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
class Landed(summary.Landed):
    """What became of the lines received in the period."""

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
    """The time that the last build was as of, in the tenant's time zone."""
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
    rejected: list[RejectedLines] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    alerts: list[Firing] = field(default_factory=list)
