"""The resources: dbt on the warehouse that the environment names, and what a run is to build."""

import os
from datetime import UTC, datetime

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject
from pydantic import Field

from dagster_project.programs import program
from dagster_project.requests import order, parse_as_of
from parley.build.builds import BuildRequest
from parley.settings import Settings
from parley.warehouse import database


class WarehouseDbt(DbtCliResource):
    """dbt, with libpq's variables of the warehouse set; starts the embedded server where none is named."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        super().setup_for_execution(context)
        os.environ.update(database.variables(Settings.load()))


def warehouse_dbt(project: DbtProject) -> WarehouseDbt:
    """dbt of this Python environment on the project, by way of `parley-dbt` (`parley.build.dbt`)."""
    return WarehouseDbt(
        project_dir=str(project.project_dir),
        profiles_dir=str(project.profiles_dir),
        dbt_executable=program("parley-dbt"),
    )


class BuildChoices(dg.ConfigurableResource[None]):
    """What a run builds besides what changed: its partitions' days, unless it is told otherwise. For all its steps."""

    only_changes: bool = Field(default=False, description="Do not build the partitions' days again.")
    tenant: str | None = Field(default=None, description="Of the partitions' days, build only this tenant's again.")
    full_refresh: bool = Field(default=False, description="Rebuild every table, whatever the partitions.")
    as_of: str | None = Field(
        default=None, description='The build\'s "now" (RFC 3339 with an offset); else when the run started.'
    )

    def time(self, context: dg.AssetExecutionContext) -> datetime:
        """The build's "now": the same for every step of a run, and every attempt."""
        return parse_as_of(self.as_of) if self.as_of else _started_at(context)

    def order(self, context: dg.AssetExecutionContext) -> BuildRequest:
        """What the run asks of a build."""
        days = context.partition_key_range
        return order(
            as_of=self.time(context),
            days=(days.start, days.end),
            only_changes=self.only_changes,
            tenant=self.tenant,
            full_refresh=self.full_refresh,
        )


def _started_at(context: dg.AssetExecutionContext) -> datetime:
    record = context.instance.get_run_record_by_id(context.run_id)
    assert record is not None
    return datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.create_timestamp
