"""The jobs: what people and schedules start."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.assets import BUILD_POOL, LANDING
from dagster_project.resources import BuildChoices
from dagster_project.retries import retried
from parley import database, docs, migrate
from parley.landing.partitions import ensure_ahead
from parley.settings import Settings

_landing = dg.AssetSelection.assets(LANDING)
_built = dg.AssetSelection.all() - _landing

ONLY_CHANGES = dg.RunConfig(resources={"choices": BuildChoices(only_changes=True)})

land = dg.define_asset_job("land", selection=_landing, description="Land the files of the inbox, nothing more.")

build = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.all(),
    config=ONLY_CHANGES,
    description=(
        "Land the inbox and take in everything that changed since the last build, on whichever day. The partition "
        "asked for is marked as built, and needs no building again."
    ),
)

rebuild = dg.define_asset_job(
    "rebuild",
    selection=_built,
    description=(
        "Build a range of days again, in one run, after taking in what changed; of one tenant where the run config "
        "says so. With `full_refresh` everything is built anew."
    ),
)


@dg.op(pool="landing")
def make_months() -> None:
    """Make the monthly partitions of raw.events ahead, so that landing need not."""
    settings = Settings.load()
    with retried():
        migrate.upgrade(settings)
        with database.connect(settings) as connection:
            ensure_ahead(connection, datetime.now(UTC).date())


@dg.job(executor_def=dg.in_process_executor)
def months_ahead() -> None:
    """Make the monthly partitions of raw.events ahead."""
    make_months()


@dg.op(pool=BUILD_POOL)
def write_docs(context: dg.OpExecutionContext) -> None:
    """dbt's documentation of every table and column, as one file; no build changes the tables meanwhile."""
    with retried():
        context.log.info("The documentation is in %s.", docs.publish(Settings.load()))


@dg.job(executor_def=dg.in_process_executor)
def publish_docs() -> None:
    """Publish what every table and column means to PARLEY_DOCS."""
    write_docs()
