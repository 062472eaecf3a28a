"""What row-level security costs the charts of the dashboards: each query as the owner, whom no policy binds, and as the
tenant's login, in one run.

    python -m benchmarks.row_security --tenant nordic-bank [--days 31] [--repeat 15]

The goal is at most 1.10 for all of them together. A query's plan must not differ but for what looks up the tenant.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from dashboards.source import Dataset, Source, Spec, charts, follows_dates, listed, used_metrics
from parley.settings import Settings
from parley.warehouse import database, tenant_roles

GOAL = 1.10
MOST_ROWS = 1000


def queries(source: Source, tenant: str, first: str, end: str) -> Iterator[tuple[str, str]]:
    """The query of every chart, as Superset writes it: its name and SQL."""
    for board, spec in source.boards.items():
        for chart in charts(spec):
            dataset = source.datasets[chart["dataset"]]
            yield f"{board}: {chart['name']}", _query(chart, dataset, tenant, first, end)


def _query(chart: Spec, dataset: Dataset, tenant: str, first: str, end: str) -> str:
    rows = f"({dataset.sql}) as virtual_table" if dataset.sql else f"{dataset.schema}.{dataset.name}"
    by = [chart[part] for part in ("x", "y") if part in chart] + listed(chart.get("by"))
    by = list(dict.fromkeys(by or chart.get("columns", [])))
    shown = [dataset.columns[column].get("sql") or column for column in by]
    metrics = [dataset.metrics[metric].sql for metric in dict.fromkeys(used_metrics(chart))]
    conditions = [f"tenant_id in ({_literal(tenant)})"]
    if follows_dates(chart, dataset):
        conditions += [f"{dataset.time} >= '{first}'", f"{dataset.time} < '{end}'"]
    for column, values in chart.get("where", {}).items():
        expression = dataset.columns[column].get("sql") or column
        conditions.append(f"({expression})::text in ({', '.join(map(_literal, _several(values)))})")
    grouped = f" group by {', '.join(shown)}" if shown and metrics else ""
    return (
        f"select {', '.join(shown + metrics)} from {rows} where {' and '.join(conditions)}{grouped} limit {MOST_ROWS}"
    )


def _several(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _literal(value: object) -> str:
    return "'" + str(value).lower().replace("'", "''") + "'" if isinstance(value, bool) else f"'{value}'"


def compare(owner: psycopg.Connection[Any], tenant: psycopg.Connection[Any], query: str, repeat: int) -> list[float]:
    """Median milliseconds of the query as the owner and as the tenant, one after the other each time."""
    taken: list[list[float]] = [[], []]
    for _ in range(repeat + 1):  # the first fills the caches
        for connection, times in zip((owner, tenant), taken, strict=True):
            began = time.perf_counter()
            connection.execute(query.encode(), prepare=False).fetchall()
            times.append(1000 * (time.perf_counter() - began))
    return [statistics.median(times[1:]) for times in taken]


def main() -> None:
    """Compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--repeat", type=int, default=15)
    asked = parser.parse_args()
    settings = Settings.load()
    tenant_roles.prepare(settings, [asked.tenant])
    with (
        database.connect(settings, autocommit=True) as owner,
        psycopg.connect(tenant_roles.conninfo(settings, asked.tenant), autocommit=True) as tenant,
    ):
        row = owner.execute(
            "select (max(date) - %s + 1)::text, (max(date) + 1)::text from marts.daily_metrics where tenant_id = %s",
            [asked.days, asked.tenant],
        ).fetchone()
        assert row
        found = {
            name: compare(owner, tenant, query, asked.repeat)
            for name, query in queries(Source(), asked.tenant, str(row[0]), str(row[1]))
        }
    print(f"{'owner':>9} {'tenant':>9} {'ratio':>6}  milliseconds, medians of {asked.repeat}, slowest first")
    for name, (without, walled) in sorted(found.items(), key=lambda item: -item[1][0]):
        print(f"{without:9.2f} {walled:9.2f} {walled / without:6.2f}  {name}")
    without, walled = (sum(times) for times in zip(*found.values(), strict=True))
    print(f"{without:9.1f} {walled:9.1f} {walled / without:6.2f}  all {len(found)} charts; the goal is {GOAL:.2f}")


if __name__ == "__main__":
    main()
