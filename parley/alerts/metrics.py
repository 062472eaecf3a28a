"""What rules measure: any column of a mart by tenant and date or period, and a few figures that no column holds."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import sql

from parley.errors import ParleyError
from parley.warehouse import database
from parley.warehouse.database import Connection

ANOMALIES = "anomalies"
EVENTS = "events"
INCIDENTS = ("failed_builds", "failed_runs", "failed_checks")
"""Not measured but reported by who notices (`parley.alerts.evaluation.report`)."""
EVENT = "event"
"""A single one, which `parley.alerts.happenings` looks for as events land."""
LANDINGS = "landings"
"""Of a tenant's events, whenever they happened."""
HEARD = (EVENTS, LANDINGS)
"""Of which the last time is known."""
BUILD_SECONDS = "build_seconds"
"""Of the longest build of a day (UTC), of no tenant."""

_COLUMN = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)")
_ON_A_CLOCK = timedelta(days=1)  # the local date is at most a day from that of UTC


@dataclass(frozen=True, slots=True)
class Named:
    """A figure per tenant and date, as SQL aggregates over the rows of a table."""

    table: str
    value: str
    volume: str | None = None
    note: str | None = None
    """What a message adds."""
    read_from: str | None = None
    """A query in the table's place; `%(first)s` and `%(last)s` bound its dates."""


NAMED: Mapping[str, Named] = {
    EVENTS: Named("facts.event_days", "sum(events)"),
    "error_rate": Named(
        "facts.event_days",
        "coalesce(sum(events) filter (where event_name = 'system.error'), 0) / sum(events)",
        volume="sum(events)",
    ),
    "rejected_share": Named(
        "marts.event_reconciliation",
        "sum(rejected)::float / nullif(sum(received - resent), 0)",
        volume="sum(received - resent)",
    ),
    "duplicate_share": Named(
        "marts.event_reconciliation",
        "sum(duplicate - resent_duplicate)::float / nullif(sum(received - resent), 0)",
        volume="sum(received - resent)",
    ),
    "unanswered_share": Named(
        "marts.daily_metrics", "sum(unanswered_turns)::float / nullif(sum(turns), 0)", volume="sum(turns)"
    ),
    "assistant_p95_ms": Named(  # within 1 %, of the assistant's answers: people are slower by nature
        "marts.latency_histogram",
        "min(bucket_ms) filter (where up_to >= 0.95 * total)",
        volume="max(total)",
        read_from="""
            select
                tenant_id, date, bucket_ms,
                sum(responses) over (partition by tenant_id, date order by bucket) as up_to,
                sum(responses) over (partition by tenant_id, date) as total
            from marts.latency_histogram
            where actor = 'assistant' and date between %(first)s and %(last)s
        """,
    ),
    ANOMALIES: Named(
        "marts.input_anomalies",
        "count(*) filter (where is_anomaly)",
        note="string_agg(concat_ws(' ', event_name, metric, direction), ', ' order by abs(score) desc)"
        " filter (where is_anomaly)",
    ),
}

OWN = (*NAMED, LANDINGS, BUILD_SECONDS, EVENT, *INCIDENTS)
"""What is no column of a mart, and no metric."""
_METRICS = "metrics."

MetricValues = Callable[[Sequence[str], Sequence[str], date, date], Sequence[Sequence[object]]]
"""Values of metrics by day, tenant and these dimensions, from a day to another: rows of these and the values.

Raises ParleyError where there is no such metric."""

# what a period came to holds from its last day on, until the next period has come to something
_PERIODS = """
    select held.date::date as date, of_periods.*
    from (
        select
            source.*,
            spans.span,
            {last_day} as ends_on
        from {table} as source
        cross join lateral (
            select case period when 'quarter' then interval '3 months' else ('1 ' || period)::interval end as span
        ) as spans
        where period in ('day', 'week', 'month', 'quarter', 'year')
    ) as of_periods
    cross join lateral generate_series(ends_on, ends_on + 2 * span, interval '1 day') as held (date)
"""
_LAST_DAY = "(period_start + span)::date - 1"


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured of a tenant on a day."""

    value: float | None
    volume: float | None = None
    note: str | None = None
    happened: bool = True
    """Whether there was anything: tables have rows of days without; a count or a sum is 0 there, a rate null."""


Series = Mapping[date, Point]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that has events, at the time of an evaluation."""

    tenant_id: str
    last_day: date
    """The last complete day of its calendar."""
    last_event_at: datetime
    last_landed_at: datetime | None = None


def is_column(metric: str) -> bool:
    """Whether it is written as a column of a mart, or as one of the metrics of models/metrics/."""
    return _COLUMN.fullmatch(metric) is not None


def is_of_the_catalogue(metric: str) -> bool:
    """Whether it is one of the metrics of models/metrics/, written with `metrics.` before its name."""
    return metric.startswith(_METRICS)


def table_of(metric: str) -> str:
    """The table that a metric is read from, with its schema."""
    if metric in (BUILD_SECONDS, LANDINGS):
        return "ops.builds" if metric == BUILD_SECONDS else "raw.load_batches"
    return NAMED[metric].table if metric in NAMED else f"marts.{metric.partition('.')[0]}"


def tenants(connection: Connection, as_of: datetime) -> list[Tenant]:
    """Those with events; none before the first build."""
    if not database.has(connection, "marts.tenants_overview"):
        return []
    found = connection.execute(
        "select tenant_id, (%(as_of)s::timestamptz at time zone time_zone)::date - 1, last_event_at, last_landed_at"
        " from marts.tenants_overview"
        " left join ("
        "   select tenant_id, max(received_at) as last_landed_at from raw.load_batches"
        "   where accepted > 0 and received_at <= %(as_of)s group by tenant_id"
        " ) as landed using (tenant_id)"
        " where last_event_at is not null order by tenant_id",
        {"as_of": as_of},
    ).fetchall()
    return [Tenant(*row) for row in found]  # type: ignore[arg-type]


def columns_of(connection: Connection, table: str) -> set[str]:
    """The columns of a table or view; none where there is no such one."""
    schema, _, name = table.partition(".")
    found = connection.execute(
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
        [schema, name],
    )
    return {str(column) for (column,) in found}


def read(
    connection: Connection,
    metric: str,
    *,
    conditions: Sequence[tuple[str, str]] = (),
    volume: str | None = None,
    as_of: datetime,
    days: int,
) -> dict[str, Series]:
    """The last `days` complete days of every tenant; of a mart by periods, each day has that of the last one.

    Days that a mart marks as not complete are left out. Raises ParleyError where the mart, or a column, is not there,
    or where a day has several rows and a filter has to choose.
    """
    table = table_of(metric)
    columns = columns_of(connection, table)
    if not columns:
        raise ParleyError(f"there is no table {table}: correct the metric {metric!r}, or run `parley build`")
    is_by_period = metric not in NAMED and "date" not in columns and {"period", "period_start"} <= columns
    named = NAMED.get(metric) or _of_column(metric, volume, _periods(table, columns) if is_by_period else None)
    asked = [name for name, _ in conditions]
    if metric not in NAMED:
        asked += [
            "tenant_id",
            *([] if is_by_period else ["date"]),
            metric.partition(".")[2],
            *([volume] if volume else []),
        ]
    for name in asked:
        if name not in columns:
            raise ParleyError(f"{table} has no column {name!r}: correct the rule")
    where: list[sql.Composable] = [
        sql.SQL("{}::text = {}").format(sql.Identifier("source", name), value) for name, value in conditions
    ]
    if "is_complete" in columns:
        where.append(sql.SQL("source.is_complete"))
    query = sql.SQL(
        """
        select source.tenant_id, source.date, ({value})::float, ({volume})::float, ({note})::text, count(*),
            ({value}) is not null and (({value})::float <> 0 or pg_typeof({value}) = 'double precision'::regtype)
        from ({source}) as source
        inner join (
            select tenant_id, (%(as_of)s::timestamptz at time zone time_zone)::date from marts.tenants_overview
        ) as clocks (clock_of, local_today) on clock_of = source.tenant_id
        where source.date between %(first)s and %(last)s and source.date < local_today and {where}
        group by source.tenant_id, source.date, {ends_on}
        order by source.tenant_id, source.date, {ends_on}
        """
    ).format(
        ends_on=sql.Identifier("source", "ends_on" if is_by_period else "date"),
        value=sql.SQL(named.value),
        volume=sql.SQL(named.volume or "null"),
        note=sql.SQL(named.note or "null"),
        source=sql.SQL(named.read_from or f"select * from {table}"),
        where=sql.SQL(" and ").join(where or [sql.SQL("true")]),
    )
    bounds = {"first": (as_of - _ON_A_CLOCK).date() - timedelta(days=days), "last": as_of.date() + _ON_A_CLOCK}
    series: dict[str, dict[date, Point]] = {}
    for tenant_id, day, value, of, note, rows, happened in connection.execute(
        query, {"as_of": as_of, **bounds}
    ).fetchall():
        if metric not in NAMED and rows != 1:
            raise ParleyError(f"{table} has {rows} rows of one tenant and day: add a filter that chooses one")
        series.setdefault(str(tenant_id), {})[day] = Point(value, of, note, happened)  # type: ignore[index, arg-type]
    return dict(series)


def read_builds(connection: Connection, as_of: datetime, days: int) -> Series:
    """How long the longest build of each of the last `days` days took, in seconds."""
    found = connection.execute(
        """
        select date, max(seconds)::float, count(*)::float
        from (
            select
                (as_of at time zone 'UTC')::date as date,
                extract(epoch from max(finished_at) - min(started_at)) as seconds
            from ops.builds
            where as_of > %(as_of)s::timestamptz - %(days)s * interval '1 day' and as_of <= %(as_of)s
            group by as_of
        ) as each_build
        group by date
        """,
        {"as_of": as_of, "days": days + 1},
    ).fetchall()
    return {day: Point(seconds, builds) for day, seconds, builds in found}  # type: ignore[misc, arg-type]


def read_values(
    values: MetricValues,
    metric: str,
    *,
    conditions: Sequence[tuple[str, str]] = (),
    volume: str | None = None,
    as_of: datetime,
    days: int,
) -> dict[str, Series]:
    """As `read`, of one of the metrics of models/metrics/."""
    asked = [metric.removeprefix(_METRICS), *([volume] if volume else [])]
    dimensions = [name for name, _ in conditions]
    first, last = (as_of - _ON_A_CLOCK).date() - timedelta(days=days), (as_of + _ON_A_CLOCK).date()
    wanted = [value for _, value in conditions]
    series: dict[str, dict[date, Point]] = {}
    for day, tenant_id, *rest in values(asked, dimensions, first, last):
        if [str(value) for value in rest[: len(wanted)]] != wanted:
            continue
        measured = [None if value is None else float(str(value)) for value in rest[len(wanted) :]]
        at = day.date() if isinstance(day, datetime) else day
        assert isinstance(at, date)
        series.setdefault(str(tenant_id), {})[at] = Point(
            measured[0], measured[1] if volume else None, happened=bool(measured[0])
        )
    return dict(series)


def _of_column(metric: str, volume: str | None, read_from: str | None) -> Named:
    """The only row of a day or period; names are checked before."""
    value = f"min({metric.partition('.')[2]})"
    return Named(table_of(metric), value, f"min({volume})" if volume else None, read_from=read_from)


def _periods(table: str, columns: Collection[str]) -> str:
    return _PERIODS.format(table=table, last_day="last_day" if "last_day" in columns else _LAST_DAY)
