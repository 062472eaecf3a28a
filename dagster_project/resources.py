"""The resources: dbt on the warehouse that the environment names."""

import os

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject

from dagster_project.project import dbt_executable
from parley import database
from parley.settings import Settings


class WarehouseDbt(DbtCliResource):
    """dbt, with libpq's variables of the warehouse set; starts the embedded server where none is named."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        super().setup_for_execution(context)
        os.environ.update(database.variables(Settings.load()))


def warehouse_dbt(project: DbtProject) -> WarehouseDbt:
    """dbt of this Python environment on the project."""
    return WarehouseDbt(
        project_dir=str(project.project_dir), profiles_dir=str(project.profiles_dir), dbt_executable=dbt_executable()
    )
