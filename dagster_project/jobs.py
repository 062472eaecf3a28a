"""The jobs: what people and schedules start."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from dagster_project.assets import BUILD_POOL, LANDING
from dagster_project.checks import EVERY_FILE_LANDED, INPUTS_ARE_FIT, ValidatedAgain
from dagster_project.resources import BuildChoices
from dagster_project.retries import retried
from parley.history import exports
from parley.history import retention as retaining
from parley.landing.partitions import ensure_ahead
from parley.people import erasure
from parley.serving import docs
from parley.serving.report import sending
from parley.settings import Settings
from parley.warehouse import migrate

_landing = dg.AssetSelection.assets(LANDING)
_built = dg.AssetSelection.all() - _landing

ONLY_CHANGES = dg.RunConfig(resources={"choices": BuildChoices(only_changes=True)})

land = dg.define_asset_job(
    "land",
    selection=_landing.without_checks() | dg.AssetSelection.checks(EVERY_FILE_LANDED.key),
    description="Land the files of the inbox, nothing more.",
)

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
        "says so. With `full_refresh` everything is rebuilt."
    ),
)


check_inputs = dg.define_asset_job(
    "check_inputs",
    selection=dg.AssetSelection.checks(INPUTS_ARE_FIT.key),
    config=dg.RunConfig(ops={"inputs_are_fit": ValidatedAgain(days=35)}),
    description=(
        "Validate the raw events of the last 35 days again, by the expectations, tenants and event types of today, "
        "now that the days are over. Builds nothing. 35 days hold a month and the days most late events come in."
    ),
)


@dg.op(pool=BUILD_POOL)
def work_off_erasures(context: dg.OpExecutionContext) -> None:
    """Bring every erasure that was asked for to its end. Whom, only `ops.erasures` knows, and by hashes."""
    with retried():
        outcomes = erasure.work_off(Settings.load(), by="dagster", on_step=context.log.info)
    for outcome in outcomes:
        context.log.info("Erasure %d: %d rows deleted.", outcome.erasure_id, sum(outcome.rows_deleted.values()))
    places = sorted({place for outcome in outcomes for place in outcome.places_left})
    context.add_output_metadata({"erasures": len(outcomes), "places_left": places})
    if places:
        raise dg.Failure("A person who was erased is still named somewhere.", metadata={"places_left": places})


@dg.job(executor_def=dg.in_process_executor)
def forget() -> None:
    """Erase the people for whom `parley forget --request` has asked, and whatever was made of what they did."""
    work_off_erasures()


@dg.op(pool="landing")
def make_months() -> None:
    """Make the monthly partitions of raw.events ahead, so that landing need not."""
    settings = Settings.load()
    with retried(), migrate.connect(settings) as connection:
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


class RetentionChoices(dg.Config):
    """What a run of retention does."""

    dry_run: bool = Field(default=True, description="Only show what is due; false archives it and takes it out.")


@dg.op(pool=BUILD_POOL)
def retain(context: dg.OpExecutionContext, config: RetentionChoices) -> None:
    """Archive events that are past their tenant's term, and take them out of raw.events."""
    settings = Settings.load()
    now = datetime.now(UTC)
    with retried():
        with migrate.connect(settings) as connection:
            due = retaining.plan(connection, settings, now)
            elsewhere = retaining.plan_elsewhere(connection, settings, now)
        context.add_output_metadata(
            {
                "dry_run": config.dry_run,
                "events_due": sum(sum(part.rows.values()) for part in due),
                "months_due": [part.month for part in due],
                **{f"rows_due/{table}": rows for table, rows in elsewhere.items()},
            }
        )
        if not config.dry_run:
            outcome = retaining.run(settings, now, actor="dagster", on_progress=context.log.info)
            context.add_output_metadata(
                {
                    "events_archived": outcome.archived,
                    "archives": list(outcome.archives),
                    "partitions_dropped": list(outcome.dropped),
                    **{f"rows_deleted/{table}": rows for table, rows in outcome.deleted.items()},
                }
            )


@dg.job(executor_def=dg.in_process_executor)
def retention() -> None:
    """Archive events that are past their tenant's term: a dry run, unless the run config says otherwise."""
    retain()


class ExportChoices(dg.Config):
    """What a run exports."""

    tables: list[str] = Field(description="Marts and facts, such as daily_metrics.")
    format: str = Field(default="parquet", description="csv, json or parquet.")
    tenant: str | None = Field(default=None, description="Of this tenant only.")


@dg.op
def write_exports(context: dg.OpExecutionContext, config: ExportChoices) -> None:
    """Write marts and facts to files under PARLEY_HOME/exports, over those of the last time."""
    settings = Settings.load()
    rows = {}
    with retried():
        migrate.upgrade(settings)
        for table in config.tables:
            order = exports.ExportRequest(table, exports.format_of(config.format), tenant=config.tenant)
            manifest = exports.export(settings, order, actor="dagster")
            context.log.info("%s: %d rows in %s", manifest.table, manifest.rows, manifest.file)
            rows[f"rows/{manifest.table}"] = manifest.rows
    context.add_output_metadata({"files": len(rows), **rows})


@dg.job(executor_def=dg.in_process_executor)
def export() -> None:
    """Write marts and facts to files, with a manifest beside each."""
    write_exports()


@dg.op(pool=BUILD_POOL)
def send_reports(context: dg.OpExecutionContext) -> None:
    """Send the reports that are due to whom they were not sent yet; no build changes the tables meanwhile."""
    with retried():
        deliveries = sending.send_due(Settings.load(), actor="dagster")
    problems = []
    for delivery in deliveries:
        what = f"{delivery.tenant_id}, {delivery.period.name}, to {delivery.channel}"
        if delivery.is_sent:
            context.log.info("Sent: %s.", what)
        else:
            problems.append(f"{what}: {delivery.problem}")
    context.add_output_metadata({"sent": len(deliveries) - len(problems), "problems": problems})
    if problems:
        raise dg.Failure("Reports could not be sent.", metadata={"problems": problems})


@dg.job(executor_def=dg.in_process_executor)
def reports() -> None:
    """Send each tenant's report of its last week or month to whom `seeds/report_recipients.csv` says."""
    send_reports()
