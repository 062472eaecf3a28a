"""The sensors: what failed is reported to `parley.alerts`, messages that wait are sent, and what came by HTTP is built.

A non-blocking check that fails leaves its run green, so that runs are looked through whichever way they end. As with
schedules, sensors run by themselves in production, elsewhere when they are switched on in the UI.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime

import dagster as dg

from dagster_project.assets import COLLECTED
from dagster_project.jobs import build
from dagster_project.reporting import collected_metadata
from dagster_project.retries import without_values
from dagster_project.schedules import RUN_IN, build_request
from parley.alerts import channels, outbox
from parley.alerts.evaluation import report
from parley.server import collected
from parley.settings import Settings
from parley.warehouse import migrate
from parley.warehouse.database import Connection

SECONDS_BETWEEN_DELIVERIES = 60
SECONDS_BETWEEN_LOOKS = 60


def sensors(settings: Settings, built: Collection[dg.AssetKey], first_day: date) -> Sequence[dg.SensorDefinition]:
    """All sensors that act; they run by themselves where PARLEY_ENVIRONMENT is one of `RUN_IN`.

    `built` are the assets with a partition a day, from `first_day` on.
    """
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

    @dg.sensor(
        job=build,
        default_status=status,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        description=(
            "Shows what came by HTTP since the last look, how far landing is behind and what waits in the spool, and "
            "builds once something has landed and no build is at work."
        ),
    )
    def collected_events(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen = json.loads(context.cursor or '{"shown": 0, "built": 0}')
        settings = Settings.load()
        with _warehouse(settings) as connection:
            found = collected.since(connection, settings, seen["shown"])
        events = [dg.AssetMaterialization(COLLECTED, metadata=collected_metadata(found))]
        is_new, is_owed = found.last_batch_id > seen["shown"], found.last_batch_id > seen["built"]
        request: dg.RunRequest | dg.SkipReason = dg.SkipReason("Nothing has landed by HTTP since the last build.")
        if is_owed:
            request = build_request(context.instance, first_day, built, datetime.now(UTC).date())
        is_asked = isinstance(request, dg.RunRequest)
        return dg.SensorResult(
            run_requests=[request] if isinstance(request, dg.RunRequest) else [],
            skip_reason=None if isinstance(request, dg.RunRequest) else request,
            asset_events=events if is_new or found.waiting.bytes else [],
            cursor=json.dumps(
                {"shown": found.last_batch_id, "built": found.last_batch_id if is_asked else seen["built"]}
            ),
        )

    return [failed_runs, succeeded_runs, waiting_messages, collected_events]


@contextmanager
def _warehouse(settings: Settings) -> Iterator[Connection]:
    with without_values(), migrate.connect(settings, autocommit=True) as connection:
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
