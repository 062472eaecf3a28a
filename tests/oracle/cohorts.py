"""`marts.cohort_retention` and `marts.user_lifecycle`: who comes back, by periods of the tenant's calendar."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tests.oracle.figures import ratio
from tests.oracle.metrics import next_start, period_start
from tests.oracle.users import user_days
from tests.oracle.world import Event, Row, Tenant, World, by_customer, grouped

PERIODS = ("day", "week", "month")


@dataclass(frozen=True)
class Cohort:
    """A cohort definition as the seed has it; an empty event is any event."""

    cohort_id: str
    kind: str = "first_time"
    cohort_event: str = ""
    returning_event: str = ""
    tenant_id: str = "*"
    day_columns: int = 3
    week_columns: int = 3
    month_columns: int = 3

    def columns(self, period: str) -> int:
        """How many periods after the first one are followed; 0 leaves the period out."""
        return {"day": self.day_columns, "week": self.week_columns, "month": self.month_columns}[period]


def cohort_retention(world: World, cohorts: Iterable[Cohort]) -> list[Row]:
    """One row per cohort definition, tenant, period, cohort and period index that has begun."""
    revenue = user_days(world)
    rows = []
    for cohort in cohorts:
        of_cohort = [event for event in world.events if cohort.tenant_id in ("*", event["tenant_id"])]
        for tenant_id, events in grouped(of_cohort, lambda event: event["tenant_id"]).items():
            enters = _days_by_user(world, events, cohort.cohort_event)
            returns = _days_by_user(world, events, cohort.returning_event)
            days = [row for row in revenue if row["tenant_id"] == tenant_id]
            for period in PERIODS:
                if cohort.columns(period):
                    rows += _triangle(world, world.tenant(tenant_id), cohort, period, enters, returns, days)
    return rows


def _triangle(
    world: World,
    tenant: Tenant,
    cohort: Cohort,
    period: str,
    enters: dict[str, set[date]],
    returns: dict[str, set[date]],
    days: list[Row],
) -> list[Row]:
    members: dict[date, set[str]] = defaultdict(set)
    for user, dates in enters.items():
        starts = sorted({period_start(tenant, period, day) for day in dates})
        for start in starts[:1] if cohort.kind == "first_time" else starts:
            members[start].add(user)
    active = {(user, period_start(tenant, period, day)) for user, user_dates in returns.items() for day in user_dates}
    rows = []
    for cohort_start, users in members.items():
        start, cumulative = cohort_start, Decimal(0)
        for index in range(cohort.columns(period) + 1):
            if index and start > tenant.local_date(world.as_of):
                break  # the cohort itself is there whatever the clock says
            active_users = len(users) if index == 0 else sum((user, start) in active for user in users)
            money = sum(
                (
                    row["revenue"]
                    for row in days
                    if row["user_id"] in users and period_start(tenant, period, row["date"]) == start
                ),
                Decimal(0),
            )
            cumulative += money
            rows.append(
                {
                    "tenant_id": tenant.tenant_id,
                    "cohort_id": cohort.cohort_id,
                    "period": period,
                    "cohort_start": cohort_start,
                    "period_index": index,
                    "period_start": start,
                    "is_complete": tenant.midnight(next_start(period, start)) <= world.as_of,
                    "cohort_size": len(users),
                    "active_users": active_users,
                    "retention_rate": ratio(active_users, len(users)),
                    "revenue": money,
                    "revenue_per_user": ratio(float(money), len(users)),
                    "cumulative_revenue": cumulative,
                }
            )
            start = next_start(period, start)
    return rows


def _days_by_user(world: World, events: Iterable[Event], name: str) -> dict[str, set[date]]:
    """The local dates on which each user did the event; with no name, any event."""
    days: dict[str, set[date]] = defaultdict(set)
    for event in events:
        if by_customer(event) and name in ("", event["event_name"]):
            days[str(event["user_id"])].add(world.local_date(event))
    return days


def user_lifecycle(world: World) -> list[Row]:
    """One row per tenant, period and period start, the current at most, with an active user or one just lapsed."""
    rows = []
    for tenant_id, days in grouped(user_days(world), lambda row: row["tenant_id"]).items():
        tenant = world.tenant(tenant_id)
        for period in PERIODS:
            active: dict[date, set[str]] = defaultdict(set)
            for row in days:
                active[period_start(tenant, period, row["date"])].add(row["user_id"])
            for start in sorted({*active, *(next_start(period, start) for start in active)}):
                if start > tenant.local_date(world.as_of):
                    continue
                now = active.get(start, set())
                before = active.get(period_start(tenant, period, start - timedelta(1)), set())
                ever = set().union(*(users for earlier, users in active.items() if earlier < start))
                if now or before - now:
                    rows.append(
                        {
                            "tenant_id": tenant_id,
                            "period": period,
                            "period_start": start,
                            "new_users": len(now - ever),
                            "returning_users": len(now & before),
                            "resurrected_users": len((now & ever) - before),
                            "dormant_users": len(before - now),
                            "active_users": len(now),
                            "is_complete": tenant.midnight(next_start(period, start)) <= world.as_of,
                        }
                    )
    return rows
