"""How long the SQL of every chart takes: p50 and p99 in milliseconds of every statement, the slowest first.

    export PARLEY_BI_PASSWORD=…
    make bi, and beside it
    python -m benchmarks.dashboards --tenant nordic-bank --dates "2026-05-01 : 2026-06-01" [--repeat 30]

Opens every board in Chromium, takes the SQL that Superset made for each chart, and runs it on the warehouse as the
dashboards' role, one after another. The goal is a p99 under 100 ms.
"""

import argparse
import os
import time
from typing import TYPE_CHECKING

import psycopg

from dashboards.source import Source
from parley.settings import Settings
from parley.warehouse import bi_role, database

if TYPE_CHECKING:
    from tests.support.boards import Board

GOAL = 100.0  # milliseconds


def collect(url: str, password: str, tenant: str, dates: str) -> dict[str, str]:
    """The statements of every chart: by their board, and their number on it."""
    from tests.support.boards import open_board, sign_in
    from tests.support.browser import launched

    with launched() as browser:
        page = browser.new_context(viewport={"width": 1366, "height": 3000}).new_page()
        sign_in(page, url, "admin", password)
        return {
            f"{name} {number}": query
            for name, spec in Source().boards.items()
            for number, query in enumerate(_queries(open_board(page, url, spec, name, tenant, dates)), start=1)
        }


def _queries(board: "Board") -> list[str]:
    """The statements of a board, each once. A figure beside that of the time before is two."""
    shown = (result["query"] for result in board.results())
    return sorted({statement.strip() for query in shown for statement in query.split(";\n") if statement.strip()})


def milliseconds(connection: psycopg.Connection, query: str, repeat: int) -> list[float]:
    """What each of the runs took, sorted; the first one, which fills the caches, is left out."""
    found = []
    for _ in range(repeat + 1):
        began = time.perf_counter()
        connection.execute(query.encode())
        found.append(1000 * (time.perf_counter() - began))
    return sorted(found[1:])


def main() -> None:
    """Collect, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8088")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--dates", default="Last month")
    parser.add_argument("--repeat", type=int, default=30)
    asked = parser.parse_args()
    settings = Settings.load()
    queries = collect(asked.url, os.environ["PARLEY_BI_PASSWORD"], asked.tenant, asked.dates)
    found = {**database.variables(settings), "PGUSER": bi_role.role(settings), "PGPASSWORD": bi_role.password(settings)}
    os.environ.update(found)
    with psycopg.connect(autocommit=True) as connection:
        times = {name: milliseconds(connection, query, asked.repeat) for name, query in queries.items()}
    print(f"{'p50':>8} {'p99':>8}  ms, of {len(times)} statements, {asked.repeat} times each")
    for name, runs in sorted(times.items(), key=lambda item: -item[1][-1]):
        p50, p99 = runs[len(runs) // 2], runs[min(int(len(runs) * 0.99), len(runs) - 1)]
        print(f"{p50:8.1f} {p99:8.1f}  {name}{'  over the goal:' if p99 > GOAL else ''}")
        if p99 > GOAL:
            print(f"{'':19}{' '.join(queries[name].split())}")


if __name__ == "__main__":
    main()
