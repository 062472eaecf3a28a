"""What Python computes between two dbt models: it reads facts and leaves results in `ops`, where a mart picks them up.

The statistics themselves are in `experiments`, `predictions`, `topics` and `anomalies`; here they meet the database.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT


@dataclass(frozen=True, slots=True)
class Analysis:
    """A step between dbt models."""

    name: str
    reads: tuple[str, ...]
    """dbt models it needs."""
    writes: tuple[str, ...]
    """Tables of `ops` it fills."""
    run: Callable[[Connection, datetime], int]
    """Computes it as of a time, in the caller's transaction; returns the number of rows written."""


def _rows(
    connection: Connection, query: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()


def _replace(connection: Connection, table: str, rows: Sequence[dict[str, Any]], keep: Sequence[str] = ()) -> int:
    """Leave exactly these rows, which have the same columns, in a table of `ops`, besides those of tenants to keep."""
    _keep_only(connection, table, keep)
    _copy(connection, table, rows)
    return len(rows)


def _keep_only(connection: Connection, table: str, tenants: Sequence[str]) -> None:
    connection.execute(
        sql.SQL("delete from {} where tenant_id <> all(%s)").format(sql.Identifier("ops", table)), [list(tenants)]
    )


def _copy(connection: Connection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier("ops", table), columns)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))


def experiments(connection: Connection, as_of: datetime) -> int:
    """`facts.experiment_arms` → `ops.experiment_results`. Experiments that are not declared well raise ParleyError."""
    if _is_up_to_date(connection, "experiments", "experiments.py", ["facts.experiment_arms", "ops.experiment_results"]):
        return 0
    from parley.analytics.experiments import evaluate

    arms = _rows(
        connection,
        "select tenant_id, experiment, metric, variant, kind, is_control, users, conversions, total, total_squares,"
        " weight, multiple_exposures from facts.experiment_arms",
    )
    return _replace(connection, "experiment_results", evaluate(arms))


def predictions(connection: Connection, as_of: datetime) -> int:
    """`facts.purchase_histories` → `ops.customer_predictions`: fitted per tenant, as of the tenant's local date.

    A fit follows from the tenant's histories, the date and the formulas. Where none of them has changed, the tenant's
    rows stand: hourly builds fit a tenant once a day, and when somebody has bought.
    """
    tenants = _rows(
        connection,
        "select tenant_id, today, today::timestamp at time zone time_zone as day_began, md5(concat_ws(' ',"
        " %s::text, today, count(*), sum(hashtextextended(histories::text, 0)))) as fingerprint"
        " from facts.purchase_histories as histories inner join staging.stg_tenants using (tenant_id)"
        " cross join lateral (select (%s::timestamptz at time zone time_zone)::date as today) as clock"
        " group by tenant_id, time_zone, today",
        [_code("predictions.py"), as_of],
    )
    current = {tenant["tenant_id"]: tenant["fingerprint"] for tenant in tenants}
    existing = _unchanged(connection, "predictions", current)
    rows = [row for tenant in tenants if tenant["tenant_id"] not in existing for row in _predicted(connection, tenant)]
    return _replace(connection, "customer_predictions", rows, keep=existing)


def _predicted(connection: Connection, tenant: Mapping[str, Any]) -> list[dict[str, Any]]:
    from parley.analytics.predictions import fit_and_predict

    histories = _rows(
        connection,
        "select tenant_id, user_id, repeat_days as frequency, recency_days,"
        " greatest(%s - first_order_on, recency_days)::double precision as age_days, repeat_value, revenue"
        " from facts.purchase_histories where tenant_id = %s",
        [tenant["today"], tenant["tenant_id"]],
    )
    return fit_and_predict(histories, tenant["day_began"]).to_pylist()


def _unchanged(connection: Connection, analysis: str, fingerprints: Mapping[str, str]) -> list[str]:
    """The tenants whose results were computed under the same fingerprint before; all are noted for the next time."""
    model = f"analyses.{analysis}"
    known = {
        row["tenant_id"]: row["fingerprint"]
        for row in _rows(connection, "delete from ops.definitions where model = %s returning *", [model])
    }
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.definitions (model, tenant_id, fingerprint) values (%s, %s, %s)",
            [(model, tenant, fingerprint) for tenant, fingerprint in fingerprints.items()],
        )
    return [tenant for tenant, fingerprint in fingerprints.items() if known.get(tenant) == fingerprint]


def _is_up_to_date(connection: Connection, analysis: str, code: str, tables: Sequence[LiteralString]) -> bool:
    """Whether nothing that the results follow from has changed since the analysis began: its code, the seeds, and these
    tables (or queries in brackets), which are those that it writes too."""
    sums: list[sql.Composable] = [
        sql.SQL(
            "(select string_agg(fingerprint, ' ' order by model) from ops.definitions"
            " where model like 'seeds.%' and tenant_id = '*file')"
        )
    ]
    sums += [
        sql.SQL("(select concat_ws(' ', count(*), sum(hashtextextended(line::text, 0))) from {} as line)").format(
            sql.SQL(table)
        )
        for table in tables
    ]
    query = sql.SQL("select md5(concat_ws(' ', {}, {}))").format(_code(code), sql.SQL(", ").join(sums))
    [(found,)] = connection.execute(query).fetchall()
    return _unchanged(connection, analysis, {EVERY_TENANT: str(found)}) != []


def _code(name: str) -> str:
    """What the code of an analysis comes to; it is not imported, which takes seconds."""
    place = Path(__file__).with_name(name)
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def topics(connection: Connection, as_of: datetime) -> int:
    """`facts.gap_questions` → `ops.question_topics`, `ops.topics`: new questions join a topic, or found one."""
    models = (
        "(select tenant_id, model, updated_at from ops.topic_models)"  # with another language the topics are others
    )
    kept = ("ops.question_topics", "ops.topics", "ops.merged_topics", "ops.gap_statuses")
    if _is_up_to_date(connection, "topics", "topics", ["facts.gap_questions", models, *kept]):
        return 0
    from parley.analytics.topics.upkeep import keep_up

    return keep_up(connection, as_of)


def input_anomalies(connection: Connection, as_of: datetime) -> int:
    """`marts.input_metrics` → `ops.input_anomalies`: the days that are over, held against the days before them.

    A tenant's rows stand up to the first day whose input is another, or that has ended, since they were computed; all
    are computed again where its settings, the holidays or the formulas have changed, or the clock was turned back.
    """
    tenants = _rows(
        connection,
        "select tenant_id, last_day, concat_ws(' ', %s::text, md5(concat("
        " pg_get_viewdef('marts.input_metrics'::regclass),"
        " (select string_agg(line::text, ' ' order by line::text) from seeds.anomaly_settings as line), ' ',"
        " (select string_agg(line::text, ' ' order by line::text) from seeds.holidays as line)))) as rules,"
        " (select max(date) from ops.anomaly_days as days where days.tenant_id = stg_tenants.tenant_id) as checked_to"
        " from staging.stg_tenants"
        " cross join lateral (select (%s::timestamptz at time zone time_zone)::date - 1 as last_day) as clock"
        " where exists (select from marts.input_metrics as metrics where metrics.tenant_id = stg_tenants.tenant_id)",
        [_code("anomalies.py"), as_of],
    )
    unchanged = _unchanged(connection, "anomalies", {tenant["tenant_id"]: tenant["rules"] for tenant in tenants})
    checked_to = {
        tenant["tenant_id"]: tenant["checked_to"]
        for tenant in tenants
        if tenant["tenant_id"] in unchanged and tenant["checked_to"] and tenant["checked_to"] <= tenant["last_day"]
    }
    for table in ("input_anomalies", "anomaly_days"):
        _keep_only(connection, table, list(checked_to))
    return sum(_checked_again(connection, tenant, checked_to.get(tenant["tenant_id"])) for tenant in tenants)


# The tables that marts.input_metrics is a view of: they have a tenth of its rows.
_FINGERPRINTS = """
    select date, sum(hashtextextended(line, 0)) as fingerprint
    from (
        select date, days::text as line from facts.input_days as days where tenant_id = %(tenant_id)s
        union all
        select date, arrivals::text from marts.event_reconciliation as arrivals where tenant_id = %(tenant_id)s
    ) as lines
    where date <= %(last_day)s
    group by date
"""
_OTHER_DAYS = f"""
    with given as ({_FINGERPRINTS}),
    known as (select date, fingerprint from ops.anomaly_days where tenant_id = %(tenant_id)s)
    select min(date) as other
    from given full join known using (date)
    where coalesce(given.fingerprint, 0) <> coalesce(known.fingerprint, 0)
"""
_EXTENTS = """
    with given as (
        select event_name, metric, min(date) as first, max(date) as last
        from marts.input_metrics
        where tenant_id = %(tenant_id)s and date <= %(last_day)s
        group by event_name, metric
    ),
    checked as (
        select event_name, metric, max(date) as checked_to
        from ops.input_anomalies where tenant_id = %(tenant_id)s group by event_name, metric
    )
    select event_name, metric, first, last, checked_to from given full join checked using (event_name, metric)
"""


def _checked_again(connection: Connection, tenant: Mapping[str, Any], checked_to: date | None) -> int:
    """Check a tenant's days from the first one on that is another than it was; the number of rows written."""
    [days] = _rows(connection, _OTHER_DAYS, tenant)
    if days["other"] is None and checked_to in (None, tenant["last_day"]):
        return 0
    from parley.analytics import anomalies

    settings = anomalies.Settings(_rows(connection, "select * from seeds.anomaly_settings"))
    starts = [days["other"], checked_to and checked_to + timedelta(days=1)]
    begins: dict[tuple[str, str], date] = {}
    for series in _rows(connection, _EXTENTS, tenant):
        name = (series["event_name"], series["metric"])
        begins[name] = series["first"]
        setting = settings.of(tenant["tenant_id"], *name)
        end = anomalies.end(series["metric"], setting, series["last"], tenant["last_day"])
        if series["checked_to"] and (end is None or end < series["checked_to"]):
            connection.execute(
                "delete from ops.input_anomalies"
                " where tenant_id = %s and event_name = %s and metric = %s and date > coalesce(%s, '-infinity'::date)",
                [tenant["tenant_id"], *name, end],
            )
        elif series["checked_to"] and end and series["checked_to"] < end and anomalies.goes_on(series["metric"]):
            starts.append(series["checked_to"] + timedelta(days=1))  # it had been given up, and is back
    asked = {**tenant, "since": min(day for day in starts if day), "learned": settings.longest_training}
    holidays = [(row["tenant_id"], row["date"]) for row in _rows(connection, "select * from seeds.holidays")]
    known = anomalies.Known(asked["since"], begins, _residuals(connection, asked))
    rows = [*anomalies.find(_rows(connection, _INPUT, asked), settings, holidays, tenant["last_day"], known)]
    connection.execute("delete from ops.input_anomalies where tenant_id = %(tenant_id)s and date >= %(since)s", asked)
    _copy(connection, "input_anomalies", rows)
    connection.execute("delete from ops.anomaly_days where tenant_id = %(tenant_id)s and date >= %(since)s", asked)
    connection.execute(_CHECKED_DAYS.encode(), asked)
    return len(rows)


_INPUT = """
    select tenant_id, event_name, metric, date, observed, base
    from marts.input_metrics
    where tenant_id = %(tenant_id)s and date >= %(since)s - %(learned)s and date <= %(last_day)s
    order by event_name, metric, date
"""
_CHECKED_DAYS = f"""
    insert into ops.anomaly_days (tenant_id, date, fingerprint)
    select %(tenant_id)s, date, sum(fingerprint)
    from (select date, fingerprint from ({_FINGERPRINTS}) as days union all select %(last_day)s, 0) as days
    where date >= %(since)s
    group by date
"""


def _residuals(connection: Connection, asked: Mapping[str, Any]) -> dict[tuple[str, str], dict[int, float]]:
    """`Series.residuals`: of the days of a year on the days of the month that are checked."""
    found: defaultdict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in _rows(
        connection,
        """
        select event_name, metric, date - '1970-01-01'::date as day, residual
        from ops.input_anomalies
        where
            tenant_id = %(tenant_id)s
            and residual is not null
            and date >= %(since)s - 366
            and date < %(since)s
            and extract(day from date) in (
                select extract(day from day)
                from generate_series(%(since)s::timestamp, %(last_day)s::timestamp, interval '1 day') as day
            )
        """,
        asked,
    ):
        found[row["event_name"], row["metric"]][row["day"]] = row["residual"]
    return found


ANALYSES = (
    Analysis("experiments", ("experiment_arms",), ("experiment_results",), experiments),
    Analysis("predictions", ("purchase_histories",), ("customer_predictions",), predictions),
    Analysis("topics", ("gap_questions",), ("topics", "question_topics", "topic_models", "merged_topics"), topics),
    Analysis(
        "anomalies", ("input_metrics", "input_days", "event_reconciliation"), ("input_anomalies",), input_anomalies
    ),
)
