"""What a report says: the figures of a tenant and a period, read from the marts and not defined here again."""

from dataclasses import fields, replace
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from parley.config import tenants
from parley.config.report_recipients import Kind
from parley.config.tenants import Tenant
from parley.errors import ParleyError
from parley.serving.report import periods, queries
from parley.serving.report.periods import Period
from parley.serving.report.rows import (
    Anomaly,
    Cell,
    Day,
    Failure,
    Figures,
    Firing,
    Gap,
    Landed,
    Report,
    Savings,
    Step,
    Tool,
)
from parley.serving.summary import RejectedLines
from parley.settings import Settings
from parley.warehouse import database, migrate
from parley.warehouse.database import Connection

Row = TypeVar("Row")


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
    """The time that the last build was as of, on the tenant's clock. Raises ParleyError where nothing was built."""
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
        days=of.all(Day, queries.DAYS),
        days_before=_Reader(connection, tenant, period.before).all(Day, queries.DAYS),
        savings=of.one(Savings, queries.SAVINGS),
        funnels=of.all(Step, queries.FUNNELS),
        retention=of.all(Cell, queries.RETENTION),
        gaps=of.all(Gap, queries.GAPS),
        tools=of.all(Tool, queries.TOOLS),
        errors=of.all(Failure, queries.ERRORS),
        landed=of.one(Landed, queries.LANDED),
        rejected=of.all(RejectedLines, queries.REJECTED),
        anomalies=of.all(Anomaly, queries.ANOMALIES),
        alerts=of.all(Firing, queries.ALERTS),
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
        for query in (queries.PERIOD if period.kind else queries.SUM_OF_DAYS, *queries.FIGURES):
            cursor = self.connection.execute(query.encode(), parameters)
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                found |= dict(zip(names, row, strict=True))
        return Figures(**{item.name: found[item.name] for item in fields(Figures) if found.get(item.name) is not None})


def _named(period: Period) -> dict[str, Any]:
    return {"first": period.first, "last": period.last, "kind": period.kind}
