"""The checks that are not dbt tests (those come with the dbt assets)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from dagster_project.assets import LANDING
from dagster_project.reporting import input_metadata, input_table
from dagster_project.retries import retried
from parley import migrate, tracking_plan
from parley.inputs import data_docs, verdicts
from parley.settings import Settings

EVERY_FILE_LANDED = dg.AssetCheckSpec(
    "every_file_landed",
    asset=LANDING,
    description="No file of the inbox was left there because it is broken. Builds go on all the same.",
)


@dg.multi_asset_check(specs=[EVERY_FILE_LANDED])
def every_file_landed(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Fails its step too, so that the run is red: a failed check that blocks nothing would leave it green."""
    landed = context.instance.get_latest_materialization_event(LANDING)
    metadata = landed.asset_materialization.metadata if landed and landed.asset_materialization else {}
    broken = metadata["files_broken"].value if "files_broken" in metadata else 0
    shown = {name: metadata[name] for name in ("files_broken", "files") if name in metadata}
    yield dg.AssetCheckResult(passed=not broken, metadata=shown)
    if broken:
        raise dg.Failure(f"{broken} files of the inbox cannot be landed: mend or remove them.", metadata=shown)


INPUTS_ARE_FIT = dg.AssetCheckSpec(
    "inputs_are_fit",
    asset=LANDING,
    blocking=True,
    description=(
        "Every day (UTC) with events that no build has taken in yet is as seeds/input_expectations.csv expects it, or "
        "was released by a person. Nothing is built while one is blocked; the dbt steps refuse by themselves too."
    ),
)


class JudgedAgain(dg.Config):
    """Which days are judged though nothing new has landed on them."""

    days: int = Field(default=0, ge=0, description="So many days up to today (UTC); 0: only what is new.")


@dg.multi_asset_check(specs=[INPUTS_ARE_FIT], pool="input_gate")
def inputs_are_fit(context: dg.AssetCheckExecutionContext, config: JudgedAgain) -> Iterator[dg.AssetCheckResult]:
    """Judges the days that landed. A warning fails the check without stopping the build."""
    settings = Settings.load()
    with retried(), migrate.connect(settings, autocommit=True) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        _, judged = verdicts.judge_new(connection, settings)
        if config.days:
            first = datetime.now(UTC).date() - timedelta(days=config.days - 1)
            judged = verdicts.judge_days(connection, settings, first)
        stopping = verdicts.stopping(connection)
        findings = verdicts.findings(connection, {verdict.day for verdict in [*judged, *stopping]})
    blocked = bool(stopping) or any(verdict.stops_builds for verdict in judged)
    warned = any(verdict.verdict == "warned" for verdict in judged)
    yield dg.AssetCheckResult(
        passed=not (blocked or warned),
        severity=dg.AssetCheckSeverity.ERROR if blocked else dg.AssetCheckSeverity.WARN,
        metadata={
            **input_metadata(judged, stopping),
            "findings": dg.MetadataValue.md(input_table(findings)),
            "data_docs": dg.MetadataValue.path(settings.home / data_docs.FOLDER / "index.html"),
        },
    )
