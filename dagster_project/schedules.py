"""The schedules, and the environments they run in by themselves; elsewhere they wait to be switched on in the UI."""

from collections.abc import Sequence
from datetime import UTC

import dagster as dg

from dagster_project.jobs import build, months_ahead
from parley.settings import Settings

RUN_IN = ("production",)
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def schedules(settings: Settings) -> Sequence[dg.ScheduleDefinition]:
    """All schedules; they run by themselves where PARLEY_ENVIRONMENT is one of `RUN_IN`."""
    runs = settings.environment in RUN_IN
    status = dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(job=build, cron_schedule="5 * * * *", default_status=status)
    def hourly_build(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Land and build every hour, five minutes past it, when what others export on the hour is there.

        A build costs seconds of start-up and otherwise what changed, so that hourly is cheap; more often, the start-up
        would be most of it. Skipped while the last one is at work.
        """
        if context.instance.get_runs(dg.RunsFilter(job_name=build.name, statuses=list(UNFINISHED)), limit=1):
            return dg.SkipReason("The last build is still at work: the next one takes in what has landed since.")
        return dg.RunRequest(partition_key=context.scheduled_execution_time.astimezone(UTC).date().isoformat())

    daily_months = dg.ScheduleDefinition(
        name="daily_months_ahead",
        job=months_ahead,
        cron_schedule="35 0 * * *",
        default_status=status,
        description="Monthly partitions are made months ahead: once a day is far more often than is needed.",
    )
    return [hourly_build, daily_months]
