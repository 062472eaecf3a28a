"""What the command line landed, built and checked, shown in Dagster: days, counts and checks, without a run.

A sensor reads what Parley itself writes down (`ops.builds`, `ops.rebuilds`, `raw.loads`), so that the command line
needs no Dagster. It starts nothing and changes no table, and so runs in every environment.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from dagster_project.assets import COLLECTED, LANDING
from dagster_project.checks import INPUTS_ARE_FIT
from dagster_project.reporting import collected_metadata, input_metadata, table_metadata
from dagster_project.retries import without_values
from parley.build import rebuilds
from parley.build.rebuilds import Finished, Rebuild
from parley.landing import loads
from parley.quality_gate import validation
from parley.server import collected
from parley.settings import Settings
from parley.warehouse import migrate
from parley.warehouse.database import Connection

SECONDS_BETWEEN_LOOKS = 30
MOST_DAYS = 366  # each day is an event of every asset in Dagster's log
EVENTS_AT_ONCE = 2_000  # more wait for the next look
ONE_DAY = timedelta(days=1)

Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


@dataclass(frozen=True, slots=True)
class Cursor:
    """How much is shown."""

    built_at: str | None = None
    """When the last build that is shown ended; None: none is."""
    build_id: str | None = None
    """The build that is being shown."""
    before: str | None = None
    """Of that one, the days before this one are still to be shown."""
    load_id: int = 0
    checks: str = ""
    """Which checks there are, as a hash: all are shown once."""
    not_passed: tuple[str, ...] = ()
    """Checks that did not pass the last time."""

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        found = json.loads(text) if text else {}
        return cls(**{**found, "not_passed": tuple(found.get("not_passed", ()))})

    def __str__(self) -> str:
        return json.dumps(asdict(self))


def built_elsewhere(
    settings: Settings,
    built: Collection[dg.AssetKey],
    outside: Collection[dg.AssetKey],
    checks: Sequence[dg.AssetCheckSpec],
    first_day: date,
) -> dg.SensorDefinition:
    """The sensor. `built` are the assets with a partition a day from `first_day` on, `outside` what they read that no
    run makes, `checks` those that dbt has."""

    @dg.sensor(
        name="built_elsewhere",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        description=(
            "Shows what the command line landed and built: each table under the days that it holds, with what changed "
            "and which checks passed. Starts nothing."
        ),
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with without_values(), migrate.connect(settings, autocommit=True) as connection:
            events, cursor = news(
                settings, connection, context.instance, Cursor.read(context.cursor), built, outside, checks, first_day
            )
        return dg.SensorResult(
            asset_events=events,
            cursor=str(cursor),
            skip_reason=dg.SkipReason(f"{len(events)} events shown of what was landed and built elsewhere."),
        )

    return look


def news(
    settings: Settings,
    connection: Connection,
    instance: dg.DagsterInstance,
    cursor: Cursor,
    built: Collection[dg.AssetKey],
    outside: Collection[dg.AssetKey],
    checks: Sequence[dg.AssetCheckSpec],
    first_day: date,
) -> tuple[list[Event], Cursor]:
    """What is to be shown next, and how much is shown then."""
    events: list[Event] = []
    if not cursor.load_id and instance.get_latest_materialization_event(COLLECTED) is None:
        found = collected.since(connection, settings, 0)
        events.append(dg.AssetMaterialization(COLLECTED, metadata=collected_metadata(found)))
    last_load, files, counts = loads.landed_since(connection, cursor.load_id)
    if last_load > cursor.load_id:
        events.append(dg.AssetMaterialization(LANDING, metadata={"files_landed": files, **asdict(counts)}))
        cursor = replace(cursor, load_id=last_load)
    build = _next_build(connection, instance, cursor)
    if build is None:
        return events, cursor
    is_new = build.build_id != cursor.build_id
    if is_new:
        cursor = replace(cursor, build_id=build.build_id, before=None)
        if build.is_everything:
            if not cursor.checks:
                events += _first_look(instance, outside)
            of_checks, cursor = _checks(build, checks, cursor)
            events += [*of_checks, _gate(connection)]
    return _days(connection, instance, build, cursor, built, first_day, events)


def _next_build(connection: Connection, instance: dg.DagsterInstance, cursor: Cursor) -> Finished | None:
    """The build to show: at first the newest of everything, from then on each that was no run of Dagster's."""
    after = datetime.fromisoformat(cursor.built_at) if cursor.built_at else None
    found = [build for build in rebuilds.finished(connection, after) if instance.get_run_by_id(build.build_id) is None]
    if after is None:
        found = [build for build in found if build.is_everything][-1:]
    return next(iter(found), None)


def _days(
    connection: Connection,
    instance: dg.DagsterInstance,
    build: Finished,
    cursor: Cursor,
    built: Collection[dg.AssetKey],
    first_day: date,
    events: list[Event],
) -> tuple[list[Event], Cursor]:
    """Each asset under the days that the build changed of it; after a build of everything, under all days not shown
    yet too. The newest come first, and as many as fit: the rest the next time."""
    last = min(build.as_of.astimezone(UTC).date(), datetime.now(UTC).date())
    changed = {rebuild.model: rebuild for rebuild in rebuilds.of_build(connection, build.build_id)}
    first = max(first_day, last - (MOST_DAYS - 1) * ONE_DAY)
    until = date.fromisoformat(cursor.before) - ONE_DAY if cursor.before else last
    due: dict[date, list[dg.AssetKey]] = {}
    newest: dict[dg.AssetKey, date] = {}
    for key in sorted(built):
        for day in _due(instance, key, build, changed.get(key.path[-1]), first, until):
            due.setdefault(day, []).append(key)
            newest[key] = day
    for day in sorted(due, reverse=True):
        if len(events) + len(due[day]) > EVENTS_AT_ONCE and len(events) > EVENTS_AT_ONCE // 2:
            return events, replace(cursor, before=(day + ONE_DAY).isoformat())
        for key in due[day]:
            rebuild = changed.get(key.path[-1], Rebuild(key.path[-1]))
            is_newest = cursor.before is None and newest[key] == day
            metadata = _metadata(connection, build, key, rebuild) if is_newest else {"build": build.build_id}
            events.append(dg.AssetMaterialization(key, partition=day.isoformat(), metadata=metadata))
    return events, replace(cursor, built_at=build.finished_at.isoformat(), before=None)


def _due(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    build: Finished,
    rebuild: Rebuild | None,
    first: date,
    last: date,
) -> Iterator[date]:
    days = [first + number * ONE_DAY for number in range((last - first).days + 1)]
    if rebuild is None and not build.is_everything:
        return
    shown = {*instance.get_materialized_partitions(key)} if build.is_everything else set(map(date.isoformat, days))
    stretches = rebuild.stretches if rebuild else []
    for day in days:
        is_changed = (rebuild is not None and rebuild.is_whole) or any(a <= day <= b for a, b in stretches)
        if is_changed or day.isoformat() not in shown:
            yield day


def _metadata(connection: Connection, build: Finished, key: dg.AssetKey, rebuild: Rebuild) -> Mapping[str, Any]:
    shown = table_metadata(connection, key.path, rebuild)
    return {"build": build.build_id, "built_by": "the command line", **shown}


def _first_look(instance: dg.DagsterInstance, outside: Collection[dg.AssetKey]) -> Iterator[Event]:
    """Tables that builds read and that Parley writes by itself."""
    for key in sorted(outside):
        if instance.get_latest_materialization_event(key) is None:
            yield dg.AssetMaterialization(key, metadata={"written_by": "parley, outside of builds"})


def _checks(
    build: Finished, checks: Sequence[dg.AssetCheckSpec], cursor: Cursor
) -> tuple[list[dg.AssetCheckEvaluation], Cursor]:
    """All checks once; from then on those that do not pass, and those that did not the last time."""
    known = hashlib.sha256("\n".join(sorted(check.name for check in checks)).encode()).hexdigest()
    failed = {*build.problems}
    shown = [
        check for check in checks if known != cursor.checks or check.name in failed or check.name in cursor.not_passed
    ]
    evaluations = [
        dg.AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=check.name not in failed,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
            metadata={"build": build.build_id},
        )
        for check in shown
    ]
    return evaluations, replace(cursor, checks=known, not_passed=tuple(sorted(failed)))


def _gate(connection: Connection) -> dg.AssetCheckEvaluation:
    stopping, left_out = validation.stopping(connection), validation.left_out(connection)
    return dg.AssetCheckEvaluation(
        asset_key=LANDING,
        check_name=INPUTS_ARE_FIT.name,
        passed=not (stopping or left_out),
        severity=dg.AssetCheckSeverity.ERROR if stopping else dg.AssetCheckSeverity.WARN,
        metadata=input_metadata([], stopping, left_out),
    )
