"""Builds the tables: dbt, in this process, on the warehouse that the environment names.

dbt runs twice: in between, Python computes what SQL cannot (`parley.analytics.analyses`), from facts for marts.
"""

import json
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from parley.alerts import channels, evaluation, outbox, rules
from parley.analytics.analyses import ANALYSES
from parley.build import dbt, definitions, metrics, plans, quick, rebuilds
from parley.build.circumstances import Circumstances
from parley.build.rebuilds import Rebuild
from parley.build.results import OnProgress, Progress, Result
from parley.config import tenants, tracking_plan
from parley.errors import MistakeError, ParleyError, did_you_mean, mistakes
from parley.quality_gate import validation
from parley.settings import Settings
from parley.warehouse import database, migrate, statistics
from parley.warehouse.database import Connection

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

LOCK = 0x6275696C64  # "build" in ASCII: held by the process that builds
COMMAND = "parley build"
AFTER_ANALYSES = "source:analyses+"
INPUTS = "inputs_are_fit"  # what alerts call the input gate: as Dagster's check


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is to be built: by default whatever changed, as of now."""

    as_of: datetime | None = None
    from_date: date | None = None
    """Tenant-local, like `to_date`: days to build again besides what changed, both included."""
    to_date: date | None = None
    tenant: str | None = None
    """Of these days, only this tenant's; without them, all of it."""
    select: tuple[str, ...] = ()
    """dbt's selectors; none is everything."""
    full_refresh: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.from_date and self.to_date and self.from_date > self.to_date:
            raise ParleyError(f"--from {self.from_date} is after --to {self.to_date}: give the earlier day first.")
        if self.full_refresh and (self.from_date or self.to_date or self.tenant):
            raise ParleyError("--full-refresh builds every day of every tenant: leave out --from, --to and --tenant.")
        if self.as_of and self.as_of.tzinfo is None:
            raise ParleyError("--as-of has no offset: write it as 2026-01-31T18:00:00Z.")
        if any(set("{}") & set(name) for name in self.select):
            raise ParleyError("--select has braces: write names of models, such as daily_metrics or +marts.")
        if self.threads is not None and self.threads < 1:
            raise ParleyError(f"--threads {self.threads} is none: give 1 or more.")

    def circumstances(self, as_of: datetime, build_id: str, validated_to: int) -> Circumstances:
        """Of a build of this."""
        return Circumstances(
            as_of, build_id, validated_to, self.from_date, self.to_date, self.tenant, self.full_refresh
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """A table that was not built, or a check that did not pass."""

    name: str
    kind: str
    """model, seed, test, unit_test, alert or input"""
    status: str
    """error, fail or warn"""
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a build."""

    as_of: datetime
    built: int
    """Tables, views and seeds."""
    passed: int
    """Checks."""
    skipped: int
    """Tables and checks left out because of an error before them."""
    problems: tuple[Problem, ...]
    seconds: float
    changed: tuple[Rebuild, ...] = ()
    """What became of each incremental table that the build changed."""

    @property
    def is_whole(self) -> bool:
        """Whether every table was built, whatever the checks after it said."""
        return not self.skipped and all(problem.status != "error" for problem in self.problems)

    @property
    def is_good(self) -> bool:
        """Whether every table was built and no check failed; warnings are no failure."""
        return not self.skipped and all(problem.status == "warn" for problem in self.problems)


def build(
    settings: Settings,
    order: BuildRequest,
    *,
    wait: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> Outcome:
    """Bring the tables up to date and check them.

    Failed tables and checks are in the outcome. Raises ParleyError where no build can begin: the database is down,
    nothing is selected, or another build runs and `wait` is false. Where the user's seeds, tracking plan or project are
    wrong that is a MistakeError, and no failed build: the tables stay as they are.
    """
    with database.explained("the build"):
        return _build(settings, order, wait, on_progress)


def _build(settings: Settings, order: BuildRequest, wait: bool, on_progress: OnProgress) -> Outcome:
    began = time.monotonic()
    as_of = order.as_of or datetime.now(UTC)
    build_id = str(uuid.uuid4())
    with migrate.connect(settings, autocommit=True) as connection, only_one(connection, wait):
        try:
            validated_to = prepare(connection, settings, order)
            circumstances = order.circumstances(as_of, build_id, validated_to)
            with circumstances.in_sessions():
                results = _build_all(settings, connection, order, circumstances, on_progress)
        except Exception as error:
            if not order.select and not isinstance(error, MistakeError):
                with suppress(ParleyError, psycopg.Error):  # what broke off is raised, whatever becomes of the alert
                    _alert(settings, connection, as_of, failure=f"It broke off: {COMMAND} says why.")
            raise
        outcome = _outcome(results, as_of, time.monotonic() - began)
        left_out = _left_out(connection)
        alerts = _alerts(settings, connection, order, outcome, results, left_out)
        return replace(
            outcome,
            problems=(*outcome.problems, *left_out, *alerts),
            changed=tuple(rebuilds.of_build(connection, build_id)),
        )


def _build_all(
    settings: Settings,
    connection: Connection,
    order: BuildRequest,
    circumstances: Circumstances,
    on_progress: OnProgress,
) -> list[Result]:
    """By the SQL that dbt has run before where that is known, else by dbt."""
    project = plans.fingerprint(settings.project)
    results = quick.attempt(settings, project, circumstances, order.threads, on_progress, select=order.select)
    if results is not None:
        return results
    with mistakes():
        manifest = dbt.parse(settings)
    asked = arguments(order, circumstances, project)
    of_dbt = _run_all(
        settings, connection, manifest, asked, circumstances.as_of, on_progress, in_one_run=bool(order.select)
    )
    if not order.select and all(result.status.value not in ("error", "skipped") for result in of_dbt):
        if asking := plans.asking(manifest):
            dbt.note(settings, [f"Every build is dbt's: {', '.join(asking)} ask the database while it compiles them."])
        else:
            plans.remember(connection, project, manifest, of_dbt)
    return [Result.of_dbt(result) for result in of_dbt if result.node.resource_type != "operation"]


def _left_out(connection: Connection) -> list[Problem]:
    """What the input gate keeps out of the tables, by tenant and day."""
    results = validation.left_out(connection)
    found = validation.findings(connection, {result.day for result in results})
    return [
        Problem(f"{result.tenant_id} {result.day}", "input", "warn", validation.omission(result, found))
        for result in results
    ]


def _alerts(
    settings: Settings,
    connection: Connection,
    order: BuildRequest,
    outcome: Outcome,
    results: list[Result],
    left_out: Sequence[Problem],
) -> Iterator[Problem]:
    """See to alerts of what was built, of the build and of its checks; yields what is wrong with the alerts themselves.

    A part of the tables, where the order selects, is no basis for any.
    """
    if order.select:
        return
    wrong = ", ".join(problem.name for problem in outcome.problems if problem.status != "warn")
    try:
        values = metrics.reader(settings, connection)
        found = evaluation.evaluate(settings, connection, outcome.as_of, values)
        evaluation.report(
            settings,
            connection,
            "failed_checks",
            failed={
                problem.name: f"{problem.name} warns; what it found is in {dbt.LOG}."
                for problem in outcome.problems
                if problem.status == "warn"
            }
            | ({INPUTS: " ".join(problem.reason for problem in left_out[:3])} if left_out else {}),
            succeeded=[
                *(result.name for result in results if result.status == "pass"),
                *([] if left_out else [INPUTS]),
            ],
            at=outcome.as_of,
        )
        _alert(
            settings,
            connection,
            outcome.as_of,
            failure=None if outcome.is_good else f"These failed: {wrong}. The messages are in {dbt.LOG}.",
        )
    except ParleyError as error:
        yield Problem("alerts", "alert", "warn", str(error))
    else:
        yield from (Problem(rules.SEED.stem, "alert", "warn", problem) for problem in found.problems)


def _alert(settings: Settings, connection: Connection, as_of: datetime, *, failure: str | None) -> None:
    """Take in whether the build failed, and send what is to be sent."""
    failed, succeeded = ({COMMAND: failure}, ()) if failure else ({}, (COMMAND,))
    evaluation.report(settings, connection, "failed_builds", failed=failed, succeeded=succeeded, at=as_of)
    outbox.deliver(connection, channels.load(settings))


def _run_all(
    settings: Settings,
    connection: Connection,
    manifest: "Manifest",
    asked: list[str],
    as_of: datetime,
    on_progress: OnProgress,
    *,
    in_one_run: bool,
) -> list[Any]:
    """The results of dbt, then of the analyses' marts; of dbt alone in one run, as where the order selects."""
    if in_one_run:
        return _run(settings, manifest, asked, on_progress)
    results = _run(settings, manifest, [*asked, "--exclude", AFTER_ANALYSES], on_progress)
    if any(result.status.value in ("error", "skipped") for result in results):
        return results  # facts are missing: what is made of them keeps its last state
    for analysis in ANALYSES:
        on_progress(Progress(total=len(ANALYSES), done=ANALYSES.index(analysis), running=(analysis.name,)))
        try:
            with connection.transaction():
                analysis.run(connection, as_of)
        except (psycopg.Error, ParleyError):
            raise
        except Exception as error:
            dbt.note(settings, traceback.format_exception(error))
            raise ParleyError(  # what went wrong may quote what somebody wrote
                f"The analysis {analysis.name} failed ({type(error).__name__}; {dbt.LOG} says where). The facts are "
                f"built: run `{COMMAND}` again, and report it where it fails again."
            ) from error
    return results + _run(settings, manifest, [*asked, "--select", AFTER_ANALYSES], on_progress)


def arguments(order: BuildRequest, circumstances: Circumstances, project: str) -> list[str]:
    """The arguments of dbt, without those that say where the project is.

    dbt records what it runs for `project`, which `plans.fingerprint` gives: its sessions must have the circumstances.
    """
    return [
        "build",
        *("--exclude-resource-type", "unit_test"),  # they test the models, not the data: `make test` runs them
        *("--vars", json.dumps({**circumstances.variables, "project": project})),
        *(("--full-refresh",) if order.full_refresh else ()),
        *(("--select", *order.select) if order.select else ()),
        *(("--threads", str(order.threads)) if order.threads else ()),
    ]


def rebuilt_models(settings: Settings) -> dict[str, dict[str, Any]]:
    """What each rebuilt model says of its rebuilding (macros/rebuild/README.md), by schema and name."""
    manifest = dbt.parsed(settings)
    return {
        f"{node.schema}.{node.name}": node.config.meta["rebuild"]
        for node in manifest.nodes.values()
        if node.resource_type.value == "model" and node.config.materialized == "rebuild"
    }


def is_running(connection: Connection) -> bool:
    """Whether a build is at work in this database."""
    row = connection.execute(
        "select exists (select from pg_locks where locktype = 'advisory' and database ="
        " (select oid from pg_database where datname = current_database())"
        " and ((classid::bigint << 32) | objid::bigint) = %s and objsubid = 1)",
        [LOCK],
    ).fetchone()
    return row == (True,)


@contextmanager
def only_one(connection: Connection, wait: bool) -> Iterator[None]:
    """Hold the build's lock. The connection's end lets go of it, however this process ends."""
    busy = None if wait else "Another build is at work on this database: let it end, or wait for it with --wait."
    with database.taking_turns(connection, LOCK, else_raise=busy):
        yield


def prepare(connection: Connection, settings: Settings, order: BuildRequest) -> int:
    """Stop what would fail in the middle of a build, let the tracking plan's files hold, and validate what landed.

    Returns the last batch that was validated: what lands meanwhile is the next build's. Raises MistakeError where a
    seed is wrong, and ParleyError where raw.events is not as declared. What the input gate blocks of a tenant, the
    build leaves out.
    """
    with mistakes():
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        listed = definitions.check(connection, settings.project)
    if order.tenant and order.tenant not in listed:
        landed = connection.execute("select exists (select from raw.load_batches where tenant_id = %s)", [order.tenant])
        if landed.fetchone() != (True,):
            raise MistakeError(
                f"There is no tenant {order.tenant!r} in {tenants.SEED}, nor in what has landed: correct it."
            )
    statistics.refresh(connection)
    validated_to, _ = validation.validate_new(connection, settings)
    validation.apply(connection)
    return validated_to


def _run(settings: Settings, manifest: "Manifest", command: list[str], on_progress: OnProgress) -> list[Any]:
    """dbt's results, of hooks too."""
    running: dict[str, str] = {}
    counts = {"total": 0, "done": 0}

    def follow(event: "EventMsg") -> None:
        if event.info.name == "NoNodesForSelectionCriteria":
            raise MistakeError(_names_nothing(event.data.spec_raw, manifest))
        if event.info.name == "ConcurrencyLine":
            counts["total"] = event.data.node_count
        elif event.info.name == "NodeStart":
            running[event.data.node_info.unique_id] = event.data.node_info.node_name
        elif event.info.name == "NodeFinished":
            running.pop(event.data.node_info.unique_id, None)
            counts["done"] += 1
        else:
            return
        on_progress(Progress(**counts, running=tuple(running.values())))

    result = dbt.invoke(settings, ["--no-write-json", *command], manifest, follow)  # `parse` wrote what others read
    if not counts["total"]:
        raise ParleyError("Nothing is selected: give --select names of models, such as daily_metrics or +marts.")
    return list(result.results)


def _names_nothing(selector: str, manifest: "Manifest") -> str:
    """What is wrong with a selector that fits nothing."""
    names = [node.name for node in manifest.nodes.values() if node.resource_type.value in ("model", "seed")]
    guess = did_you_mean(selector.strip("+@"), names) or "give names of models, such as daily_metrics or +marts."
    return f"Nothing is called {selector!r} in --select: {guess}"


def _outcome(results: list[Result], as_of: datetime, seconds: float) -> Outcome:
    statuses = [result.status for result in results]
    return Outcome(
        as_of=as_of,
        built=statuses.count("success"),
        passed=statuses.count("pass"),
        skipped=statuses.count("skipped"),
        problems=tuple(
            Problem(result.name, result.kind, result.status, result.reason)
            for result in results
            if result.status in ("error", "fail", "warn")
        ),
        seconds=seconds,
    )
