"""The schedules, and the environments they run in by themselves; elsewhere they wait to be switched on in the UI."""

from collections.abc import Collection, Sequence
from datetime import UTC, date

import dagster as dg

from dagster_project.jobs import (
    ONLY_CHANGES,
    ExportChoices,
    RetentionChoices,
    build,
    check_inputs,
    export,
    forget,
    months_ahead,
    publish_docs,
    reports,
    retain,
    retention,
    write_exports,
)
from dagster_project.requests import days_to_show
from parley.settings import Settings

RUN_IN = ("production",)
CHECK_FRESHNESS = "check_freshness"  # a job
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def build_request(
    instance: dg.DagsterInstance, first_day: date, built: Collection[dg.AssetKey], today: date
) -> dg.RunRequest | dg.SkipReason:
    """A run of the job `build`, shown under the days not shown yet; skipped while the last one is at work."""
    if instance.get_runs(dg.RunsFilter(job_name=build.name, statuses=list(UNFINISHED)), limit=1):
        return dg.SkipReason("The last build is still at work: the next one takes in what has landed since.")
    shown = [{date.fromisoformat(day) for day in instance.get_materialized_partitions(asset)} for asset in built]
    first, last = days_to_show(shown, first_day, today)
    return dg.RunRequest(
        job_name=build.name,
        run_config=ONLY_CHANGES,
        tags={RANGE_START: first.isoformat(), RANGE_END: last.isoformat()},
    )


def schedules(settings: Settings, built: Collection[dg.AssetKey], first_day: date) -> Sequence[dg.ScheduleDefinition]:
    """All schedules; they run by themselves where PARLEY_ENVIRONMENT is one of `RUN_IN`.

    `built` are the assets with a partition a day, from `first_day` on.
    """
    runs = settings.environment in RUN_IN
    status = dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        job=build,
        cron_schedule="5 * * * *",
        default_status=status,
        description=(
            "Land and build every hour, five minutes past it, when what others export on the hour is there. A build "
            "costs seconds of start-up and otherwise what changed, so that hourly is cheap; more often, the start-up "
            "would be most of it. Skipped while the last one is at work. It is shown under today and the days before "
            "it that no build is shown under yet, a month of them at most: a build brings every day up to date, and a "
            "day without one would look as if nothing had built it."
        ),
    )
    def hourly_build(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(UTC).date()
        return build_request(context.instance, first_day, built, today)

    daily_months = dg.ScheduleDefinition(
        name="daily_months_ahead",
        job=months_ahead,
        cron_schedule="35 0 * * *",
        default_status=status,
        description="Monthly partitions are made months ahead: once a day is far more often than is needed.",
    )
    nightly_docs = dg.ScheduleDefinition(
        name="nightly_docs",
        job=publish_docs,
        cron_schedule="20 3 * * *",
        default_status=status,
        description=(
            "What tables mean changes with releases, their sizes with every build: once a night, when few build, is "
            "often enough for pages that people read."
        ),
    )
    weekly_retention = dg.ScheduleDefinition(
        name="weekly_retention",
        job=retention,
        cron_schedule="20 2 * * 0",
        run_config=dg.RunConfig(ops={retain.name: RetentionChoices(dry_run=False)}),
        default_status=status,
        description="Whole months fall due, so that once a week is soon enough; tenants without a term lose nothing.",
    )
    daily_export = dg.ScheduleDefinition(
        name="daily_export",
        job=export,
        cron_schedule="45 4 * * *",
        run_config=dg.RunConfig(ops={write_exports.name: ExportChoices(tables=list(settings.exports))}),
        default_status=status if settings.exports else dg.DefaultScheduleStatus.STOPPED,
        description="The tables of PARLEY_EXPORTS, early in the morning when the day before is complete everywhere.",
    )
    nightly_inputs = dg.ScheduleDefinition(
        name="nightly_input_check",
        job=check_inputs,
        cron_schedule="20 1 * * *",
        default_status=status,
        description=(
            "Builds validate what landed, at once. Each night, when the day (UTC) is over and little else runs, the "
            "last weeks are validated again: for days that stayed too small, and for expectations that have changed."
        ),
    )
    hourly_freshness = dg.ScheduleDefinition(
        name="hourly_freshness_check",
        job_name=CHECK_FRESHNESS,
        cron_schedule="50 * * * *",
        default_status=status,
        description=(
            "Builds check the marts they have built; this finds those that no build gets to, ten minutes to the hour "
            "when the hourly build has long ended. It reads positions, not events."
        ),
    )
    nightly_erasures = dg.ScheduleDefinition(
        name="nightly_erasures",
        job=forget,
        cron_schedule="50 3 * * *",
        default_status=status,
        description=(
            "People who asked to be forgotten are, every night: the law gives a month, and the search of every "
            "table and file for what is left of them costs reading all of it. Where nobody asked it does nothing."
        ),
    )
    monday_reports = dg.ScheduleDefinition(
        name="monday_reports",
        job=reports,
        cron_schedule="20 * * * 1",
        default_status=status,
        description=(
            "Reports of the week, every hour of Monday (UTC) after the build: each goes out once, from six in the "
            "morning on the tenant's own clock, wherever that is, and what could not be sent is tried again. The "
            "month's goes with the first of these."
        ),
    )
    return [
        hourly_build,
        hourly_freshness,
        daily_months,
        nightly_docs,
        nightly_inputs,
        weekly_retention,
        daily_export,
        nightly_erasures,
        monday_reports,
    ]
