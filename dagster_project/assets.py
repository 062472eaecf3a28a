"""The assets: what landed in `raw`, and every dbt seed, view, fact and mart made of it."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets
from pydantic import Field

from dagster_project.arguments import dbt_arguments
from dagster_project.inbox import land_all, land_file
from dagster_project.partitions import days
from dagster_project.reporting import group_of, landing_metadata, landing_table, model_metadata
from dagster_project.resources import WarehouseDbt
from dagster_project.retries import retried
from parley import database
from parley.settings import Settings

LANDING = dg.AssetKey(["raw", "landing"])
DBT_BUILD = "dbt_build"  # the op, by whose name run config reaches it
DEFAULT_OWNERS = ["team:analytics"]


@dg.asset(
    key=LANDING,
    group_name="landing",
    owners=DEFAULT_OWNERS,
    kinds={"python", "postgres"},
    pool="landing",
    description=(
        "Everything that landed: the tables of schema `raw`. A run lands the files of the inbox and puts them "
        "away under `done/`; a broken one stays, fails the check, and holds up nothing."
    ),
)
def landing(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    settings = Settings.load()
    outcomes = []
    with retried():
        for outcome in land_all(settings.inbox, partial(land_file, settings)):
            outcomes.append(outcome)
            context.log.info("%s: %s", outcome.name, outcome.problem or "landed")
    return dg.MaterializeResult(
        metadata={**landing_metadata(outcomes), "files": dg.MetadataValue.md(landing_table(outcomes))}
    )


class Translator(DagsterDbtTranslator):
    """How dbt's resources look in Dagster: everything that landed is one asset, folders are groups."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return LANDING
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return group_of(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props["description"])  # without the SQL that the default adds

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return [*(super().get_owners(dbt_resource_props) or DEFAULT_OWNERS)]


class BuildConfig(dg.Config):
    """Run config of the dbt assets."""

    only_changes: bool = Field(
        default=False, description="Take in what changed since the last build; do not build the partitions' days again."
    )
    tenant: str | None = Field(default=None, description="Of the partitions' days, build only this tenant's again.")
    full_refresh: bool = Field(default=False, description="Build every table anew, whatever the partitions.")
    as_of: str | None = Field(
        default=None, description='The build\'s "now" (RFC 3339 with an offset); else when the run started.'
    )


def build_dbt_assets(settings: Settings, project: DbtProject) -> dg.AssetsDefinition:
    """The dbt project as assets of daily partitions, with its tests as checks; a range of days is one run.

    Staging views and tables of whole periods are in the same set: edges hold between assets of one run only. Every run,
    whatever its partitions, also takes in all that changed since the last.
    """

    @dbt_assets(
        manifest=project.manifest_path,
        project=project,
        dagster_dbt_translator=Translator(),
        partitions_def=days(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        name=DBT_BUILD,
        pool="dbt",
    )
    def dbt_build(context: dg.AssetExecutionContext, dbt: WarehouseDbt, config: BuildConfig) -> Iterator[object]:
        asked = context.partition_key_range
        arguments = dbt_arguments(
            as_of=config.as_of or started_at(context).isoformat(),
            only_changes=config.only_changes,
            days=(asked.start, asked.end),
            tenant=config.tenant,
            full_refresh=config.full_refresh,
        )
        with retried(), database.connect(Settings.load(), autocommit=True) as connection:
            invocation = dbt.cli(arguments, context=context, target_path=target_path())
            for event in invocation.stream_raw_events():
                for result in event.to_default_asset_events(
                    manifest=invocation.manifest,
                    dagster_dbt_translator=invocation.dagster_dbt_translator,
                    context=invocation.context,
                    target_path=invocation.target_path,
                    project=invocation.project,
                ):
                    if isinstance(result, dg.Output):
                        metadata = model_metadata(connection, event.raw_event["data"])
                        context.add_output_metadata(metadata, output_name=result.output_name)
                    yield result

    return dbt_build


def target_path() -> Path:
    """Where dbt leaves its artifacts: where it always does, and not in a folder of every run, which would pile up."""
    return Path(os.environ.get("DBT_TARGET_PATH", "target"))


def started_at(context: dg.AssetExecutionContext) -> datetime:
    """When the run began: the same for every attempt of it."""
    record = context.instance.get_run_record_by_id(context.run_id)
    assert record is not None
    return datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.create_timestamp
