"""The assets: what landed in `raw`, and every seed, view, fact, analysis and mart made of it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtProject,
    dbt_assets,
    get_asset_key_for_model,
)

from dagster_project.reporting import group_of, landing_metadata, landing_table, model_metadata, table_metadata
from dagster_project.resources import BuildChoices, WarehouseDbt
from dagster_project.retries import retried
from parley.alerts import channels, happenings, outbox
from parley.alerts.evaluation import evaluate
from parley.analytics.analyses import Analysis
from parley.build import builds, metrics, plans, quick, rebuilds
from parley.build.dbt import LOG
from parley.build.rebuilds import Rebuild
from parley.build.results import Result
from parley.landing.inbox import land_all, land_file
from parley.serving import docs
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection

COLLECTED = dg.AssetKey(["raw", "collected"])
LANDING = dg.AssetKey(["raw", "landing"])
ALERTS = dg.AssetKey(["alerts", "evaluation"])
ANALYSES = "analyses"  # dbt's source of what Python computes
SHOWN_ALERTS = dg.AssetKey(["marts", "alerts"])  # a view of them: shows what is evaluated, and is not computed itself
BUILD_POOL = "dbt"
OWNERS = ["team:analytics"]  # of what names no other in dbt


collected = dg.AssetSpec(
    COLLECTED,
    group_name="landing",
    owners=OWNERS,
    kinds={"python", "postgres"},
    description=(
        "What came by HTTP: `parley serve` lands it by itself. The sensor `collected_events` shows how much landed, "
        "how far landing is behind and what waits in the spool, and has it built."
    ),
)


@dg.asset(
    key=LANDING,
    deps=[COLLECTED],
    group_name="landing",
    owners=OWNERS,
    kinds={"python", "postgres"},
    pool="landing",
    description=(
        "Everything that landed: the tables of schema `raw`. A run lands the files of the inbox and puts them away "
        "under `done/`; one that cannot land is set aside under `failed/`, fails the check, and holds up nothing."
    ),
)
def landing(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    settings = Settings.load()
    outcomes = []
    with retried():
        for outcome in land_all(settings.inbox, partial(land_file, settings)):
            outcomes.append(outcome)
            context.log.info("%s: %s", outcome.name, outcome.problem or "landed")
    happenings.watch(settings, context.log.warning)
    return dg.MaterializeResult(
        metadata={**landing_metadata(outcomes), "files": dg.MetadataValue.md(landing_table(outcomes))}
    )


class Translator(DagsterDbtTranslator):
    """How dbt's resources look in Dagster: everything that landed is one asset, folders are groups."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self._parley = settings

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source" and dbt_resource_props["source_name"] == "raw":
            return LANDING
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return group_of(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props["description"])  # without the SQL that the default adds

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        page = docs.link(self._parley, dbt_resource_props["resource_type"], dbt_resource_props["unique_id"])
        return {**super().get_metadata(dbt_resource_props), "documentation": dg.MetadataValue.url(page)}

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return [*(super().get_owners(dbt_resource_props) or OWNERS)]


def build_dbt_assets(
    settings: Settings, project: DbtProject, days: dg.PartitionsDefinition[str]
) -> tuple[dg.AssetsDefinition, dg.AssetsDefinition]:
    """The dbt project as assets of daily partitions, with its tests as checks; a range of days is one run.

    Views and tables of whole periods are partitioned too: edges hold between assets of one run only. What is made of
    the analyses is a step of its own, after them. Every run, whatever its partitions, takes in all that changed.
    """

    def step(name: str, select: str, exclude: str | None = None) -> dg.AssetsDefinition:
        @dbt_assets(
            name=name,
            select=select,
            exclude=exclude,
            manifest=project.manifest_path,
            project=project,
            dagster_dbt_translator=Translator(settings),
            partitions_def=days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            pool=BUILD_POOL,
        )
        def run(context: dg.AssetExecutionContext, dbt: WarehouseDbt, choices: BuildChoices) -> Iterator[object]:
            order = choices.order(context)
            with retried(), _turn(settings) as connection:
                validated_to = builds.prepare(connection, settings, order)
                # both steps of a run are one build
                circumstances = order.circumstances(choices.time(context), context.run_id, validated_to)
                project = plans.fingerprint(settings.project)
                with circumstances.in_sessions():
                    only = frozenset(_names(context)) if context.is_subset else None
                    results = quick.attempt(settings, project, circumstances, only=only)
                    if results is None:
                        arguments = builds.arguments(order, circumstances, project)
                        yield from _run_dbt(context, dbt, arguments, connection)
                    else:
                        yield from _show(context, results, connection)

        return run

    return (
        step("dbt_build", select="fqn:*", exclude=builds.AFTER_ANALYSES),
        step("dbt_build_after_analyses", select=builds.AFTER_ANALYSES),
    )


def build_analysis(
    analysis: Analysis, dbt: dg.AssetsDefinition, days: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    """The tables of an analysis, between the facts that it reads and the marts made of it.

    It takes in all that changed whatever the partitions, which it has so that a range of days runs through it.
    """

    @dg.multi_asset(
        name=f"analyse_{analysis.name}",
        specs=[
            dg.AssetSpec(
                dg.AssetKey([ANALYSES, table]),
                deps=[get_asset_key_for_model([dbt], model) for model in analysis.reads],
                description=analysis.run.__doc__,
                group_name=ANALYSES,
                owners=OWNERS,
                kinds={"python", "postgres"},
            )
            for table in analysis.writes
        ],
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=BUILD_POOL,
    )
    def run(context: dg.AssetExecutionContext, choices: BuildChoices) -> Iterator[dg.MaterializeResult[None]]:
        with retried(), _turn(Settings.load()) as connection, connection.transaction():
            rows = analysis.run(connection, choices.time(context))
        for table in analysis.writes:
            yield dg.MaterializeResult(asset_key=[ANALYSES, table], metadata={"rows_written": rows})

    return run


def build_alerts(dbt: Sequence[dg.AssetsDefinition], days: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The evaluation of the alert rules, after all marts; of a run that fails before it, `sensors` tells."""
    marts = [key for assets in dbt for key in assets.keys if key.path[0] == "marts" and key != SHOWN_ALERTS]

    @dg.asset(
        key=ALERTS,
        deps=sorted(marts),
        group_name="alerts",
        owners=OWNERS,
        kinds={"python", "postgres"},
        description="The rules of `seeds/alert_rules.csv` on the last complete day of each tenant: `ops.alerts`.",
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=BUILD_POOL,
    )
    def run(context: dg.AssetExecutionContext, choices: BuildChoices) -> dg.MaterializeResult[None]:
        settings = Settings.load()
        with retried(), _turn(settings) as connection:
            found = evaluate(settings, connection, choices.time(context), metrics.reader(settings, connection))
            sent = outbox.deliver(connection, channels.load(settings))
        for problem in found.problems:
            context.log.warning(problem)
        return dg.MaterializeResult(
            metadata={
                "evaluated": found.evaluated,
                "notices": found.notices,
                "problems": len(found.problems),
                "sent": sent.sent,
                "not_sent": sent.failed,
            }
        )

    return run


@contextmanager
def _turn(settings: Settings) -> Iterator[Connection]:
    """A connection that holds the build's lock: `parley build` elsewhere waits, or is waited for."""
    with database.connect(settings, autocommit=True) as connection, builds.only_one(connection, wait=True):
        yield connection


def _names(context: dg.AssetExecutionContext) -> Iterator[str]:
    """The tables, seeds and checks that the run is of."""
    yield from (key.path[-1] for key in context.selected_asset_keys)
    yield from (check.name for check in context.selected_asset_check_keys)


def _show(
    context: dg.AssetExecutionContext, results: Sequence[Result], connection: Connection
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """The step's tables and checks after a build without dbt, which left out what had nothing to do."""
    changed = {rebuild.model: rebuild for rebuild in rebuilds.of_build(connection, context.run_id)}
    reasons = {result.name: result.reason for result in results}
    failed, warned, skipped = (
        {result.name for result in results if result.status == status} for status in ("fail", "warn", "skipped")
    )
    depends_on = context.assets_def.asset_deps
    in_order = TopologicalSorter({key: depends_on[key] for key in sorted(context.selected_asset_keys)}).static_order()
    for key in (key for key in in_order if key in context.selected_asset_keys and key.path[-1] not in skipped):
        rebuild = changed.get(key.path[-1], Rebuild(key.path[-1]))
        yield dg.MaterializeResult(asset_key=key, metadata=table_metadata(connection, key.path, rebuild))
    settled = plans.settled(connection)
    for check in sorted(context.selected_asset_check_keys):
        if check.name not in skipped:
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=check.name not in failed | warned,
                severity=dg.AssetCheckSeverity.ERROR if check.name in failed else dg.AssetCheckSeverity.WARN,
                metadata={"checked_at": settled[check.name].isoformat()} if check.name in settled else {},
                description=reasons.get(check.name),
            )
    context.log.info("Built without dbt: %d tables and checks had something to do.", len(results) - len(skipped))
    if failed:
        raise dg.Failure(f"These checks fail: {', '.join(sorted(failed))}. What they look for is in {LOG}.")


def _run_dbt(
    context: dg.AssetExecutionContext, dbt: WarehouseDbt, arguments: Sequence[str], connection: Connection
) -> Iterator[object]:
    """dbt's events as Dagster's, those of tables with their rows and what of them has changed."""
    # dbt's artifacts go where they always go, not to a folder of every run, which would pile up
    target = Path(os.environ.get("DBT_TARGET_PATH", "target"))
    invocation = dbt.cli(arguments, context=context, target_path=target)
    for event in invocation.stream_raw_events():
        for result in event.to_default_asset_events(
            manifest=invocation.manifest,
            dagster_dbt_translator=invocation.dagster_dbt_translator,
            context=invocation.context,
            target_path=invocation.target_path,
            project=invocation.project,
        ):
            if isinstance(result, dg.Output):
                metadata = model_metadata(connection, context.run_id, event.raw_event["data"])
                context.add_output_metadata(metadata, output_name=result.output_name)
            yield result
