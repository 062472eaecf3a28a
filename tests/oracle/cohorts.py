"""`marts.cohort_retention` and `marts.user_lifecycle`: who comes back, by periods of the tenant's calendar."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle.days import tenant_days
from tests.oracle.figures import distinct, ratio
from tests.oracle.funnels import breakdown_value
from tests.oracle.metrics import next_start, period_start
from tests.oracle.money import payments, total
from tests.oracle.users import user_days
from tests.oracle.world import Event, Row, Tenant, World, by_customer, grouped

PERIODS = ("day", "week", "month")
HOUR = timedelta(hours=1)
COHORT_KEY = (
    *("tenant_id", "cohort_id", "period", "cohort_start", "cohort_started_at", "breakdown_kind", "breakdown_value"),
    "period_index",
)
LIFECYCLE_KEY = ("tenant_id", "activity_id", "period", "period_start")
ACTIVITY_KEY = ("tenant_id", "activity_id", "date")


def anything(attributes: dict[str, Any]) -> bool:
    """What holds for the attributes of any event."""
    return True


@dataclass(frozen=True)
class Cohort:
    """A cohort definition as the seed has it; an empty event is any event."""

    cohort_id: str
    kind: str = "first_time"
    cohort_event: str = ""
    cohort_where: str = ""  # a SQL/JSON path, and the same in Python:
    cohort_holds: Callable[[dict[str, Any]], bool] = anything
    returning_event: str = ""
    returning_where: str = ""
    returning_holds: Callable[[dict[str, Any]], bool] = anything
    returning_minimum: int = 1
    breakdown: str = ""  # as a funnel's
    breakdown_limit: int | None = None
    tenant_id: str = "*"
    hour_columns: int = 0
    day_columns: int = 3
    week_columns: int = 3
    month_columns: int = 3

    def columns(self, period: str) -> int:
        """How many periods after the first one are followed; 0 leaves the period out."""
        return {
            "hour": self.hour_columns,
            "day": self.day_columns,
            "week": self.week_columns,
            "month": self.month_columns,
        }[period]

    def enters(self, event: Event) -> bool:
        """Whether it makes its user enter a cohort."""
        return _is_named(self.cohort_event, event) and self.cohort_holds(event["attributes"])

    def returns(self, event: Event) -> bool:
        """Whether its user is active by it."""
        return _is_named(self.returning_event, event) and self.returning_holds(event["attributes"])


def _is_named(names: str, event: Event) -> bool:
    return not names or event["event_name"] in names.split("|")


def cohort_retention(world: World, cohorts: Iterable[Cohort]) -> list[Row]:
    """One row per cohort definition, tenant, period, cohort, group of the breakdown and period index that has begun."""
    done = grouped(filter(by_customer, world.events), lambda event: event["tenant_id"])
    there = {(row["tenant_id"], row["user_id"], row["date"]) for row in user_days(world)}
    spent = [
        row
        for row in payments(world)
        if row["kind"] == "order" and (row["tenant_id"], row["user_id"], row["paid_on"]) in there
    ]
    return [
        row
        for cohort in cohorts
        for tenant_id, events in done.items()
        if cohort.tenant_id in ("*", tenant_id)
        for period in ("hour", *PERIODS)
        if cohort.columns(period)
        for row in _triangles(
            world,
            world.tenant(tenant_id),
            cohort,
            period,
            events,
            [row for row in spent if row["tenant_id"] == tenant_id],
        )
    ]


def _triangles(
    world: World, tenant: Tenant, cohort: Cohort, period: str, events: list[Event], spent: list[Row]
) -> Iterator[Row]:
    returns = Counter(
        (event["user_id"], _began(tenant, period, event["occurred_at"])) for event in events if cohort.returns(event)
    )
    active = {key for key, times in returns.items() if times >= cohort.returning_minimum}
    money: dict[tuple[str, datetime], list[Row]] = grouped(
        spent, lambda row: (row["user_id"], _began(tenant, period, row["paid_at"]))
    )
    for began, members in _members(tenant, cohort, period, events).items():
        columns = [began]
        for _ in range(cohort.columns(period)):
            columns.append(_next(tenant, period, columns[-1]))
        for (kind, value), users in _groups(cohort, members).items():
            there = [users, *({user for user in users if (user, start) in active} for start in columns[1:])]
            cumulative = Decimal(0)
            for index, start in enumerate(columns):
                if index and start > world.as_of:
                    break  # the cohort itself is there whatever the clock says
                revenue = total([row for user in users for row in money.get((user, start), ())])
                cumulative += revenue
                unbounded = len(set().union(*there[index:]))
                yield {
                    "tenant_id": tenant.tenant_id,
                    "cohort_id": cohort.cohort_id,
                    "period": period,
                    "cohort_start": tenant.local_date(began),
                    "cohort_started_at": began,
                    "breakdown_kind": kind,
                    "breakdown_value": value,
                    "period_index": index,
                    "period_start": tenant.local_date(start),
                    "is_complete": _next(tenant, period, start) <= world.as_of,
                    "cohort_size": len(users),
                    "active_users": len(there[index]),
                    "retention_rate": ratio(len(there[index]), len(users)),
                    "cumulative_active_users": unbounded,
                    "cumulative_retention_rate": ratio(unbounded, len(users)),
                    "revenue": revenue,
                    "revenue_per_user": ratio(float(revenue), len(users)),
                    "cumulative_revenue": cumulative,
                }


def _members(tenant: Tenant, cohort: Cohort, period: str, events: list[Event]) -> dict[datetime, dict[str, str | None]]:
    """The users of each cohort by when its period begins, each with what the event says by which they entered."""
    members: defaultdict[datetime, dict[str, str | None]] = defaultdict(dict)
    first: dict[str, datetime] = {}
    for event in filter(cohort.enters, events):
        user, began = str(event["user_id"]), _began(tenant, period, event["occurred_at"])
        if first.setdefault(user, began) == began or cohort.kind == "recurring":
            members[began].setdefault(user, breakdown_value(cohort.breakdown, event))
    return members


def _groups(cohort: Cohort, members: dict[str, str | None]) -> dict[tuple[str, str], set[str]]:
    """The cohort's users as a whole, and by group of the breakdown."""
    groups = defaultdict(set, {("all", ""): set(members)})
    if cohort.breakdown:
        sizes = Counter(value for value in members.values() if value is not None)
        told = sorted(sizes, key=lambda value: (-sizes[value], value))[: cohort.breakdown_limit]
        for user, value in members.items():
            group = ("none", "") if value is None else ("value", value) if value in told else ("other", "")
            groups[group].add(user)
    return groups


def _began(tenant: Tenant, period: str, moment: datetime) -> datetime:
    """When the period began in which the moment lies."""
    if period == "hour":
        return tenant.hour(moment)
    return tenant.midnight(period_start(tenant, period, tenant.local_date(moment)))


def _next(tenant: Tenant, period: str, began: datetime) -> datetime:
    """When the period after the one begins that began then."""
    return began + HOUR if period == "hour" else tenant.midnight(next_start(period, tenant.local_date(began)))


@dataclass(frozen=True)
class Activity:
    """An activity as the seed has it; no name is any event."""

    activity_id: str
    event_names: tuple[str, ...] = ()
    predicate: str = ""  # a SQL/JSON path, and the same in Python:
    holds: Callable[[dict[str, Any]], bool] = anything
    tenant_id: str = "*"

    def row(self) -> dict[str, str]:
        """Its row of the seed."""
        return {
            "activity_id": self.activity_id,
            "tenant_id": self.tenant_id,
            "event_names": "|".join(self.event_names),
            "predicate": self.predicate,
        }

    def matches(self, event: Event) -> bool:
        """Whether a customer does it by the event."""
        return (
            by_customer(event)
            and self.tenant_id in ("*", event["tenant_id"])
            and (not self.event_names or event["event_name"] in self.event_names)
            and self.holds(event["attributes"])
        )


def activity_users(world: World, activities: Iterable[Activity]) -> list[Row]:
    """One row per activity, tenant and local date from the tenant's first event's to today's."""
    rows = []
    for activity in activities:
        done = grouped(
            filter(activity.matches, world.events), lambda event: (event["tenant_id"], world.local_date(event))
        )
        for tenant_id, day in ((row["tenant_id"], row["date"]) for row in tenant_days(world)):
            if activity.tenant_id not in ("*", tenant_id):
                continue
            dau, wau, mau = (
                distinct(
                    event["user_id"] for ago in range(days) for event in done.get((tenant_id, day - timedelta(ago)), [])
                )
                for days in (1, 7, 30)
            )
            rows.append(
                {
                    "tenant_id": tenant_id,
                    "activity_id": activity.activity_id,
                    "date": day,
                    "dau": dau,
                    "wau": wau,
                    "mau": mau,
                    "stickiness": ratio(dau, mau),
                    "events": len(done.get((tenant_id, day), [])),
                }
            )
    return rows


def activity_lifecycle(world: World, activities: Iterable[Activity]) -> list[Row]:
    """As `user_lifecycle`, for each activity."""
    return [
        {"activity_id": activity.activity_id, **row}
        for activity in activities
        for row in _lifecycle(
            world,
            (
                (event["tenant_id"], str(event["user_id"]), world.local_date(event))
                for event in filter(activity.matches, world.events)
            ),
        )
        if activity.tenant_id in ("*", row["tenant_id"])
    ]


def user_lifecycle(world: World) -> list[Row]:
    """One row per tenant, period and period start, from the tenant's first day to the current period."""
    return _lifecycle(world, ((row["tenant_id"], row["user_id"], row["date"]) for row in user_days(world)))


def _lifecycle(world: World, days_of_users: Iterable[tuple[str, str, date]]) -> list[Row]:
    rows = []
    days_of = grouped(days_of_users, lambda day: day[0])
    there = grouped(tenant_days(world), lambda row: row["tenant_id"])
    for tenant_id in {*days_of, *there}:
        days = days_of.get(tenant_id, [])
        tenant = world.tenant(tenant_id)
        for period in PERIODS:
            active: dict[date, set[str]] = defaultdict(set)
            for _, user_id, day in days:
                active[period_start(tenant, period, day)].add(user_id)
            begun = {period_start(tenant, period, row["date"]) for row in there.get(tenant_id, [])}
            for start in sorted({*begun, *active, *(next_start(period, start) for start in active)}):
                if start > tenant.local_date(world.as_of):
                    continue
                now = active.get(start, set())
                before = active.get(period_start(tenant, period, start - timedelta(1)), set())
                ever = set().union(*(users for earlier, users in active.items() if earlier < start))
                if now or before - now or start in begun:
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
