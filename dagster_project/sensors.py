"""The sensors: what failed is reported to `parley.alerts`, and messages that wait are sent.

A non-blocking check that fails leaves its run green, so that runs are looked through whichever way they end. As with
schedules, sensors run by themselves in production, elsewhere when they are switched on in the UI.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg

from dagster_project.schedules import RUN_IN
from parley.alerts import channels, outbox
from parley.alerts.evaluation import report
from parley.settings import Settings
from parley.warehouse import migrate
from parley.warehouse.database import Connection

SECONDS_BETWEEN_DELIVERIES = 60


def sensors(settings: Settings) -> Sequence[dg.SensorDefinition]:
    """All sensors; they run by themselves where PARLEY_ENVIRONMENT is one of `RUN_IN`."""
    runs = settings.environment in RUN_IN
    status = dg.DefaultSensorStatus.RUNNING if runs else dg.DefaultSensorStatus.STOPPED

    @dg.run_failure_sensor(
        default_status=status,
        description="Alerts of a run that failed, and of its checks that failed and stop nothing.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        _report_run(context, failed=True)

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        default_status=status,
        description="Alerts of checks that failed in a green run; resolves the alert of a job that failed before.",
    )
    def succeeded_runs(context: dg.RunStatusSensorContext) -> None:
        _report_run(context, failed=False)

    @dg.sensor(
        default_status=status,
        minimum_interval_seconds=SECONDS_BETWEEN_DELIVERIES,
        description="Sends the messages of alerts that wait for another attempt.",
    )
    def waiting_messages() -> dg.SkipReason:
        with _warehouse(Settings.load()) as connection:
            outcome = outbox.deliver(connection, channels.load(settings))
        return dg.SkipReason(f"{outcome.sent} messages sent, {outcome.failed} could not be.")

    return [failed_runs, succeeded_runs, waiting_messages]


@contextmanager
def _warehouse(settings: Settings) -> Iterator[Connection]:
    with migrate.connect(settings, autocommit=True) as connection:
        yield connection


def _report_run(context: dg.RunStatusSensorContext, *, failed: bool) -> None:
    settings = Settings.load()
    run = context.dagster_run
    broken, passed = _checks(context.instance, run.run_id)
    now = datetime.now(UTC)
    with _warehouse(settings) as connection:
        report(
            settings,
            connection,
            "failed_runs",
            failed={run.job_name: f"Run {run.run_id} failed; Dagster's UI shows why."} if failed else {},
            succeeded=() if failed else (run.job_name,),
            at=now,
        )
        report(settings, connection, "failed_checks", failed=broken, succeeded=passed, at=now)
        outbox.deliver(connection, channels.load(settings))


def _checks(instance: dg.DagsterInstance, run_id: str) -> tuple[Mapping[str, str], Sequence[str]]:
    """Of the checks of a run, those that failed without stopping anything, and the names of those that passed."""
    failed, passed = {}, []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        assert entry.dagster_event
        check = entry.dagster_event.asset_check_evaluation_data
        if check.passed:
            passed.append(check.check_name)
        elif not check.blocking:
            asset = check.asset_key.to_user_string()
            failed[check.check_name] = f"{check.check_name} of {asset} failed in run {run_id}; Dagster's UI shows why."
    return failed, [name for name in passed if name not in failed]
