"""Builds without dbt, by the SQL that dbt ran when the project was built last (`parley.build.plans`).

The order is dbt's: a table or analysis comes after what it reads, and after the checks of that. Where a check fails,
what comes after it is skipped. An error is left to dbt: `attempt` then returns None, and what it has built until then
stays, as after any build that broke off.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from os import environ
from queue import SimpleQueue
from time import monotonic
from typing import Any

import psycopg

from parley.analytics.analyses import ANALYSES, Analysis
from parley.build import dbt, plans, seed_tables, selection, work
from parley.build.circumstances import Circumstances
from parley.build.plans import Check, Plan, Script, Table
from parley.build.results import OnProgress, Progress, Result
from parley.build.work import Work
from parley.settings import Settings
from parley.warehouse import database, postgres_errors
from parley.warehouse.database import Connection

SECONDS_BETWEEN_CANCELS = 0.2

SHORT = 0.01
"""Seconds that nobody has to hear of: what takes less is not recorded."""


class _Unusual(Exception):
    """Something that dbt has to build."""


def attempt(
    settings: Settings,
    project: str,
    circumstances: Circumstances,
    threads: int | None = None,
    on_progress: OnProgress = lambda progress: None,
    *,
    select: Sequence[str] = (),
    only: frozenset[str] | None = None,
) -> list[Result] | None:
    """What was built and checked; None where dbt has to build.

    With selectors (`parley.build.selection`), or with names in `only`, nothing but these tables, seeds and checks. The
    sessions that it opens must have the circumstances (`Circumstances.in_sessions`).
    """
    try:
        with database.connect(settings, autocommit=True) as connection:
            [(begun,)] = connection.execute("select clock_timestamp()").fetchall()
            plan, scripts = plans.find(connection, project)
            if select:
                only = selection.selected(plan, select)
            seeds = tuple(seed for seed in plan.seeds if only is None or seed.name in only)
            loaded = seed_tables.load_changed(connection, settings.project, seeds)
            found = work.find(connection, plan, scripts, circumstances)
            build = _Build(plan, scripts, found, loaded, circumstances, only)
            seconds = _seconds(connection)
            results = build.run(settings, threads or int(environ.get("PARLEY_THREADS", "2")), on_progress, seconds)
            _record(connection, plan, circumstances, begun, results, build.seconds, select)
    except (plans.Unknown, _Unusual, psycopg.Error) as error:
        dbt.note(settings, [f"Left to dbt: {postgres_errors.without_values(error)}."])
        return None
    checks = {check.name: check for check in plan.checks}
    dbt.note(
        settings,
        [
            "Built without dbt.",
            *(f"{each.name} warns: {each.reason}" for each in results if each.status == "warn"),
            *(
                f"{each.name} fails: {each.reason}\n{checks[each.name].sql}"
                for each in results
                if each.status == "fail"
            ),
        ],
    )
    return results


class _Build:
    def __init__(
        self,
        plan: Plan,
        scripts: Mapping[str, Script],
        work: Work,
        loaded: set[str],
        circumstances: Circumstances,
        only: frozenset[str] | None,
    ) -> None:
        self._plan = plan
        self._only = only
        self._is_asked_for = circumstances.full_refresh or only is not None
        """Whether all is looked at, and checked, whatever changed."""
        self._scripts = scripts
        self._work = work
        self._loaded = loaded
        self._circumstances = circumstances
        self._tables = {table.name: table for table in plan.tables}
        self._checks = {check.name: check for check in plan.checks}
        self._analyses = {plans.job_of(analysis): analysis for analysis in ANALYSES}
        self.seconds: dict[str, float] = {}
        """Of what has been done, by name."""

    def run(
        self, settings: Settings, threads: int, on_progress: OnProgress, expected: Mapping[str, float]
    ) -> list[Result]:
        """Build and check in the order of what reads what, first what the most time is expected to go by after.

        `expected` are seconds by name. Raises _Unusual where dbt has to go on.
        """
        results: list[Result] = []
        visited = {*self._work.tables, *self._loaded}
        skipped: set[str] = set()
        running: dict[Future[list[Result]], str] = {}
        before = _before(self._plan)
        to_the_end = seconds_to_the_end(before, expected)
        wanted: list[tuple[float, str]] = []  # what can be done now, the most urgent first
        order = TopologicalSorter(before)
        order.prepare()
        total, done = len(before) if self._only is None else len(self._only & before.keys()), 0
        with _workers(settings, threads, running) as (pool, connections):
            while order.is_active():
                for name in order.get_ready():
                    is_asked_for = self._only is None or name in self._only
                    if is_asked_for and name not in skipped and self._is_wanted(name, visited):
                        visited.add(name)
                        heappush(wanted, (-to_the_end[name], name))
                        continue
                    if is_asked_for and name in skipped:
                        results += self._skipped(name)
                    done += is_asked_for
                    order.done(name)
                while wanted and len(running) < threads:
                    _, name = heappop(wanted)
                    running[pool.submit(self._do, connections, name)] = name
                on_progress(Progress(total, done, tuple(running.values())))
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    found = future.result()
                    results += found
                    done += 1
                    name = running.pop(future)
                    if any(result.status == "fail" for result in found):
                        skipped |= {each for each, reads in plans.beneath(before).items() if name in reads}
                    order.done(name)
        return results

    def _skipped(self, name: str) -> list[Result]:
        if name in self._analyses:
            return []
        return [Result(name, "model" if name in self._tables else "test", "skipped", "Something before it failed.")]

    def _is_wanted(self, name: str, visited: set[str]) -> bool:
        """Whether to look: at a table or check that has something to do, or reads one. Analyses look themselves."""
        if self._is_asked_for:
            return True
        if table := self._tables.get(name):
            return name in visited or not visited.isdisjoint(table.upstream)
        if check := self._checks.get(name):
            is_touched = not check.is_daily and not visited.isdisjoint(check.reads)
            return check.is_always_due or name in self._work.owed or is_touched
        return True

    def _do(self, connections: "SimpleQueue[Connection]", name: str) -> list[Result]:
        with _taken(connections) as connection:
            began = monotonic()
            if name in self._tables:
                results = [self._table(connection, self._tables[name])]
            elif name in self._checks:
                results = self._check(connection, self._checks[name])
            else:
                results = self._analyse(connection, self._analyses[name])
            self.seconds[name] = monotonic() - began
            return [replace(result, seconds=self.seconds[name]) for result in results]

    def _table(self, connection: Connection, table: Table) -> Result:
        script = self._scripts[table.name]
        with connection.transaction():
            if table.is_rebuilt:
                self._rebuild(connection, table, script)
            else:
                _execute(connection, script.steps["refresh"])
                connection.execute(
                    "update ops.owed set is_owed = false, settled_at = clock_timestamp() where name = %s", [table.name]
                )
        return Result(table.name, "model", "success")

    def _rebuild(self, connection: Connection, table: Table, script: Script) -> None:
        [(reread, is_frozen)] = _execute(connection, script.steps["look"])
        keeps_frozen = is_frozen and script.steps["freezes"]
        if self._circumstances.full_refresh and not keeps_frozen:
            _execute(connection, script.steps["refresh"])
            return
        is_all = self._circumstances.full_refresh or reread == "everything"
        way = "everything" if is_all else self._circumstances.asked or reread
        *_, is_affected = _execute(connection, script.steps["collect"][way])[0]
        if is_affected:
            if _execute(connection, script.steps["recompute"]):
                raise _Unusual(f"{table.name} has other columns")
            _execute(connection, script.steps["write_beside_frozen" if is_frozen else "write"])

    def _analyse(self, connection: Connection, analysis: Analysis) -> list[Result]:
        try:
            with connection.transaction():
                analysis.run(connection, self._circumstances.as_of)
        except Exception as error:  # whoever builds by dbt says what is wrong
            raise _Unusual(f"the analysis {analysis.name} failed") from error
        return []

    def _check(self, connection: Connection, check: Check) -> list[Result]:
        with connection.transaction():
            # what changes a table meanwhile waits, and owes the check again
            query = "select is_owed from ops.owed where name = %s for update"
            is_owed = connection.execute(query, [check.name]).fetchone() != (False,)
            is_due = self._is_asked_for or check.is_always_due or check.name in self._work.owed or is_owed
            if not is_due:
                return []
            [(failures, is_warning, is_error)] = _execute(
                connection,
                f"select {check.fail_calc}, {check.fail_calc} {check.warn_if}, {check.fail_calc} {check.error_if}"
                f" from ({check.sql}) as failed",
            )
            is_failed = is_error and not check.is_warning
            connection.execute(
                "update ops.owed set is_owed = %s, settled_at = clock_timestamp() where name = %s",
                [bool(is_failed or is_warning), check.name],
            )
        said = f"Got {failures} result{'' if failures == 1 else 's'}, configured to"
        if is_failed:
            return [Result(check.name, "test", "fail", f"{said} fail if {check.error_if}")]
        if is_warning:
            return [Result(check.name, "test", "warn", f"{said} warn if {check.warn_if}")]
        return [Result(check.name, "test", "pass")]


def _before(plan: Plan) -> dict[str, set[str]]:
    """Of each table, analysis and check the jobs that it comes after, and is skipped after where one of them fails.

    They are what it reads, and the checks of that. Seeds are loaded before all.
    """
    seeds = {seed.name for seed in plan.seeds}
    reads = {table.name: {*table.upstream} - seeds for table in plan.tables}
    reads |= {name: {*of_analysis} - seeds for name, of_analysis in plan.analyses.items()}
    beneath = plans.beneath(reads)
    before = {name: set(found) for name, found in reads.items()}
    for check in plan.checks:
        before[check.name] = {*check.reads} - seeds
        for name in reads:
            if beneath[name] >= before[check.name]:
                before[name].add(check.name)
    return before


@contextmanager
def _workers(
    settings: Settings, threads: int, running: Collection[Future[list[Result]]]
) -> Iterator[tuple[ThreadPoolExecutor, "SimpleQueue[Connection]"]]:
    """Threads, and a connection for each. Who is interrupted (Ctrl-C, a terminated run of Dagster) ends `running`."""
    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
        opened = [stack.enter_context(database.connect(settings, autocommit=True)) for _ in range(threads)]
        free: SimpleQueue[Connection] = SimpleQueue()
        for connection in opened:
            free.put(connection)
        try:
            yield pool, free
        except Exception:
            raise  # what is at work may end: dbt goes on from there
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in running):
                for connection in opened:
                    connection.cancel_safe()
                wait(running, SECONDS_BETWEEN_CANCELS)  # a job may have more statements
            raise


def _seconds(connection: Connection) -> dict[str, float]:
    """What tables, checks and analyses took lately, by name."""
    found = connection.execute(
        "select name, max(took::double precision)"
        " from (select seconds from ops.builds order by finished_at desc limit 5) as lately"
        " cross join jsonb_each_text(lately.seconds) as each (name, took)"
        " group by name"
    )
    return {str(name): float(str(seconds)) for name, seconds in found}


def seconds_to_the_end(before: Mapping[str, set[str]], expected: Mapping[str, float]) -> dict[str, float]:
    """Of each job, how long it and the longest chain of those that come after it are expected to take."""
    found = {name: expected.get(name, SHORT) for name in before}
    for name in reversed([*TopologicalSorter(before).static_order()]):
        for earlier in before[name]:
            found[earlier] = max(found[earlier], expected.get(earlier, SHORT) + found[name])
    return found


def _execute(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    """The rows of the last of several statements."""
    cursor = connection.execute(sql.encode())
    while cursor.nextset():
        pass
    return cursor.fetchall() if cursor.description else []


@contextmanager
def _taken(connections: "SimpleQueue[Connection]") -> Iterator[Connection]:
    connection = connections.get()
    try:
        yield connection
    finally:
        connections.put(connection)


def _record(
    connection: Connection,
    plan: Plan,
    circumstances: Circumstances,
    begun: object,
    results: Iterable[Result],
    seconds: Mapping[str, float],
    select: Sequence[str],
) -> None:
    """What dbt's hooks do after a run: forget changes that all have taken in, protect what is new, record the build."""
    statuses = [result.status for result in results]
    problems = [
        {"name": result.name, "kind": result.kind, "status": result.status, "message": result.reason}
        for result in results
        if result.status in ("warn", "fail")
    ]
    with connection.transaction():
        rebuilt = [table.name for table in plan.tables if table.is_rebuilt]
        connection.execute("select ops.forget_taken_changes(%s)", [rebuilt])
        connection.execute("select ops.protect_everything()")
        connection.execute(
            "insert into ops.builds (build_id, command, as_of, started_at, finished_at, arguments,"
            " built, passed, warned, failed, errors, skipped, problems, seconds)"
            " values (%s, 'build', %s, %s, clock_timestamp(), %s, %s, %s, %s, %s, 0, %s, %s, %s)"
            " on conflict (build_id) do update set finished_at = excluded.finished_at,"
            " built = builds.built + excluded.built, passed = builds.passed + excluded.passed,"
            " warned = builds.warned + excluded.warned, failed = builds.failed + excluded.failed,"
            " errors = builds.errors + excluded.errors, skipped = builds.skipped + excluded.skipped,"
            " problems = builds.problems || excluded.problems, seconds = builds.seconds || excluded.seconds",
            [
                circumstances.build_id,
                circumstances.as_of,
                begun,
                json.dumps(
                    {
                        "full_refresh": circumstances.full_refresh,
                        "select": list(select),
                        "vars": circumstances.variables,
                    }
                ),
                statuses.count("success"),
                statuses.count("pass"),
                statuses.count("warn"),
                statuses.count("fail"),
                statuses.count("skipped"),
                json.dumps(problems),
                json.dumps({name: round(took, 3) for name, took in seconds.items() if took >= SHORT}),
            ],
        )
