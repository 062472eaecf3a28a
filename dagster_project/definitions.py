"""The code location: everything that Dagster loads."""

from collections.abc import Mapping

import dagster as dg

from dagster_project.assets import build_alerts, build_analysis, build_dbt_assets, collected, landing
from dagster_project.checks import every_file_landed, inputs_are_fit, mart_freshness
from dagster_project.elsewhere import built_elsewhere
from dagster_project.jobs import (
    build,
    check_inputs,
    export,
    forget,
    land,
    months_ahead,
    publish_docs,
    rebuild,
    reports,
    retention,
)
from dagster_project.partitions import days_since, first_day
from dagster_project.project import prepared_project
from dagster_project.resources import BuildChoices, warehouse_dbt
from dagster_project.schedules import CHECK_FRESHNESS, schedules
from dagster_project.sensors import sensors
from parley.analytics.analyses import ANALYSES
from parley.settings import Settings


def build_defs(resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """All definitions, under the environment's settings; tests may put resources of their own in place."""
    settings = Settings.load()
    project = prepared_project(settings)
    first = first_day(settings)
    days = days_since(first)
    dbt, dbt_after_analyses = build_dbt_assets(settings, project, days)
    analyses = [build_analysis(analysis, dbt, days) for analysis in ANALYSES]
    marts_hold_what_landed = mart_freshness([dbt, *analyses, dbt_after_analyses])
    check_freshness = dg.define_asset_job(
        CHECK_FRESHNESS,
        selection=dg.AssetSelection.checks(*marts_hold_what_landed.check_keys),
        description="Look whether the marts hold what has landed, whoever builds them. Builds nothing.",
    )
    built = {key for assets in (dbt, *analyses, dbt_after_analyses) for key in assets.keys}
    alerts = build_alerts([dbt, dbt_after_analyses], days)
    read = {dep.asset_key for assets in (dbt, dbt_after_analyses) for spec in assets.specs for dep in spec.deps}
    outside = read - built - {collected.key, landing.key}
    dbt_checks = [*dbt.check_specs, *dbt_after_analyses.check_specs]
    return dg.Definitions(
        assets=[collected, landing, dbt, *analyses, dbt_after_analyses, alerts],
        asset_checks=[every_file_landed, inputs_are_fit, marts_hold_what_landed],
        jobs=[
            land,
            build,
            rebuild,
            months_ahead,
            check_inputs,
            check_freshness,
            publish_docs,
            retention,
            export,
            forget,
            reports,
        ],
        schedules=schedules(settings, built, first),
        sensors=[
            *sensors(settings, built, first),
            built_elsewhere(settings, {*built, *alerts.keys}, outside, dbt_checks, first),
        ],
        executor=dg.in_process_executor,
        resources={
            "dbt": warehouse_dbt(project),
            "choices": BuildChoices.configure_at_launch(),
            **(resource_overrides or {}),
        },
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Loaded when asked for, not when imported: the first load of a fresh clone parses the dbt project."""
    return build_defs()
