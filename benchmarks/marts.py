"""What each mart costs to build, and what it saves its readers.

    python -m benchmarks.marts [--size 1000000] [--days 60]

Makes the demo's world, lands and builds all of it but its last day, and prints the seconds of every mart. Then a funnel
of four steps and a retention matrix are read from their marts, and computed from raw.events on the fly by one query
each, which must say the same. Last, the tables take in one more day. It starts a server of its own in a temporary
folder.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.build import build, land, write_world

READS = 20  # of which the median counts
FUNNEL_TABLES = (
    *("stg_cohort_events", "stg_funnel_events", "funnel_attempts", "funnel_journeys"),
    *("funnels", "funnel_times", "funnel_paths"),
)

FUNNEL = """
    select step, entered, reached from marts.funnels
    where tenant_id = 'shop-newyork' and funnel_id = 'shop_purchase' and period = 'all' and breakdown_kind = 'all'
    order by step
"""
# Each window looks from an event to the end of its user's time: from what follows a checkout to what follows a view.
FUNNEL_FROM_RAW = """
    with events as (
        select
            user_id, occurred_at,
            case event_name
                when 'commerce.view' then 1
                when 'commerce.add_to_cart' then 2
                when 'commerce.checkout' then 3
                else 4
            end as step
        from raw.events
        where tenant_id = 'shop-newyork' and user_id is not null and event_name in (
            'commerce.view', 'commerce.add_to_cart', 'commerce.checkout', 'commerce.order_completed'
        )
    ),
    to_four as (
        select *, min(occurred_at) filter (where step = 4) over onwards as fourth
        from events window onwards as (partition by user_id order by occurred_at desc)
    ),
    to_three as (
        select
            *,
            min(occurred_at) filter (where step = 3) over onwards as third,
            min(fourth) filter (where step = 3) over onwards as fourth_by_third
        from to_four window onwards as (partition by user_id order by occurred_at desc)
    ),
    to_two as (
        select
            user_id, occurred_at, step,
            min(occurred_at) filter (where step = 2) over onwards as second,
            min(third) filter (where step = 2) over onwards as third,
            min(fourth_by_third) filter (where step = 2) over onwards as fourth
        from to_three window onwards as (partition by user_id order by occurred_at desc)
    ),
    users as (
        select
            user_id,
            max(
                1 + (second <= ends_at and second is not null)::integer
                + (third <= ends_at and third is not null)::integer
                + (fourth <= ends_at and fourth is not null)::integer
            ) as reached
        from (select *, occurred_at + interval '1 day' as ends_at from to_two where step = 1) as attempts
        group by user_id
    )
    select step::integer, count(*) as entered, count(*) filter (where users.reached >= step) as reached
    from users cross join generate_series(1, 4) as step
    group by step
    order by step
"""
RETENTION = """
    select cohort_start, period_index, cohort_size, active_users from marts.cohort_retention
    where tenant_id = 'nordic-bank' and cohort_id = 'first_activity' and period = 'week' and active_users > 0
    order by cohort_start, period_index
"""
RETENTION_FROM_RAW = """
    with weeks as (
        select distinct user_id, date_trunc('week', occurred_at at time zone 'Europe/Stockholm')::date as week
        from raw.events
        where tenant_id = 'nordic-bank' and user_id is not null
    ),
    cohorts as (
        select user_id, week, min(week) over (partition by user_id) as cohort_start from weeks
    ),
    sizes as (
        select cohort_start, count(distinct user_id) as cohort_size from cohorts group by cohort_start
    )
    select cohort_start, (week - cohort_start) / 7 as period_index, cohort_size, count(*) as active_users
    from cohorts inner join sizes using (cohort_start)
    where week - cohort_start <= 26 * 7
    group by cohort_start, week, cohort_size
    order by cohort_start, period_index
"""
ANSWERS = (
    ("a funnel of 4 steps", FUNNEL, FUNNEL_FROM_RAW),
    ("a retention matrix", RETENTION, RETENTION_FROM_RAW),
)


def timed(connection: psycopg.Connection[Any], query: str, times: int) -> tuple[float, Sequence[object]]:
    """Milliseconds, the median of so many reads, and what was read."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        rows = connection.execute(query.encode()).fetchall()
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent), rows


def show_marts(console: Console, connection: psycopg.Connection[Any], spent: dict[str, float]) -> None:
    names = [str(name) for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'marts'")]
    table = Table("mart", "rows", "seconds", box=None, header_style="bold")
    for name in sorted(names, key=lambda name: -spent[name]):
        [count] = connection.execute(f"select count(*) from marts.{name}".encode()).fetchone() or [0]
        table.add_row(name, f"{count:,}", f"{spent[name]:.2f}")
    console.print(table)


def show_answers(console: Console, connection: psycopg.Connection[Any]) -> None:
    table = Table("answer", "from its mart, ms", "from raw, ms", "ratio", box=None, header_style="bold")
    for name, from_mart, from_raw in ANSWERS:
        quick, rows = timed(connection, from_mart, READS)
        slow, same = timed(connection, from_raw, 3)
        if rows != same or not rows:
            raise SystemExit(f"{name}: the mart says {rows}, raw.events say {same}.")
        table.add_row(name, f"{quick:.1f}", f"{slow:.0f}", f"{slow / quick:,.0f}")
    console.print(table)


def measure(console: Console, folder: Path, home: Path, size: int, days: int) -> None:
    from parley.settings import Settings
    from parley.warehouse import database, embedded

    os.environ["PARLEY_HOME"] = str(home)
    for name in ("DATABASE_URL", "PGHOST"):
        os.environ.pop(name, None)
    try:
        files = write_world(folder, size, days, short=days - 1)
        events, _ = land([files["old"], files["recent"]])
        full = build()
        console.print(f"{events:,} events over {days} days\nfull build    {full}\n", soft_wrap=True)
        with database.connect(Settings.load(), autocommit=True) as connection:
            show_marts(console, connection, full.spent)
            console.print()
            show_answers(console, connection)
        new, _ = land([files["last_day"]])
        day = build()
        in_full, increment = (sum(cost.spent[name] for name in FUNNEL_TABLES) for cost in (full, day))
        console.print(
            f"\none day more  {day} ({new:,} events)\n"
            f"the funnels' tables: {in_full:.1f} s in full, {increment:.1f} s for one day more, "
            f"{increment / in_full:.2f} of it.",
            soft_wrap=True,
        )
    finally:
        embedded.stop(Settings.load())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="events in all")
    parser.add_argument("--days", type=int, default=60, help="days that they are spread over")
    parser.add_argument("--keep", type=Path, help="an empty folder in which the warehouse is to stay, as PARLEY_HOME")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="parley-benchmark-"))
    folder.chmod(0o755)
    try:
        measure(Console(), folder, options.keep or folder / "warehouse", options.size, options.days)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
