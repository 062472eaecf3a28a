"""What Python works out between two dbt models: it reads facts and leaves results in `ops`, where a mart picks them up.

The statistics themselves are in `experiments`, `predictions` and `topics`; here they meet the database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from parley.database import Connection


@dataclass(frozen=True, slots=True)
class Analysis:
    """A step between dbt models."""

    name: str
    reads: tuple[str, ...]
    """dbt models it needs."""
    writes: tuple[str, ...]
    """Tables of `ops` it fills."""
    run: Callable[[Connection, datetime], int]
    """Works it out as of a time, in the caller's transaction; returns the number of rows written."""


def _rows(connection: Connection, query: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()


def _replace(connection: Connection, table: str, rows: Sequence[dict[str, Any]]) -> int:
    """Leave exactly these rows, which have the same columns, in a table of `ops`."""
    name = sql.Identifier("ops", table)
    connection.execute(sql.SQL("delete from {}").format(name))
    if rows:
        columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        statement = sql.SQL("copy {} ({}) from stdin").format(name, columns)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    return len(rows)


def experiments(connection: Connection, as_of: datetime) -> int:
    """`facts.experiment_arms` → `ops.experiment_results`. Experiments that are not declared well raise ParleyError."""
    from parley.experiments import evaluate

    arms = _rows(
        connection,
        "select tenant_id, experiment, metric, variant, kind, is_control, users, conversions, total, total_squares,"
        " weight, multiple_exposures from facts.experiment_arms",
    )
    return _replace(connection, "experiment_results", evaluate(arms))


def predictions(connection: Connection, as_of: datetime) -> int:
    """`facts.purchase_histories` → `ops.customer_predictions`: fitted per tenant, as of the tenant's local date."""
    from parley.predictions import fit_and_predict

    histories = _rows(
        connection,
        "select histories.tenant_id, histories.user_id, histories.repeat_days as frequency, histories.recency_days,"
        " greatest((%s::timestamptz at time zone tenants.time_zone)::date - first_order_on, recency_days)"
        "::double precision as age_days, histories.repeat_value, histories.revenue"
        " from facts.purchase_histories as histories inner join staging.stg_tenants as tenants using (tenant_id)",
        [as_of],
    )
    return _replace(connection, "customer_predictions", fit_and_predict(histories, as_of).to_pylist())


def topics(connection: Connection, as_of: datetime) -> int:
    """`facts.gap_questions` → `ops.question_topics`, `ops.topics`: new questions join a topic, or found one."""
    from parley.topics.upkeep import keep_up

    return keep_up(connection, as_of)


ANALYSES = (
    Analysis("experiments", ("experiment_arms",), ("experiment_results",), experiments),
    Analysis("predictions", ("purchase_histories",), ("customer_predictions",), predictions),
    Analysis("topics", ("gap_questions",), ("topics", "question_topics", "topic_models"), topics),
)
