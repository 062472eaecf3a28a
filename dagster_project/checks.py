"""The checks that are not dbt tests (those come with the dbt assets)."""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from dagster_project.assets import LANDING
from dagster_project.reporting import input_metadata, input_table, set_aside_table
from dagster_project.retries import retried
from parley.build import freshness
from parley.config import tracking_plan
from parley.landing import inbox
from parley.quality_gate import data_docs, validation
from parley.settings import Settings
from parley.warehouse import migrate

EVERY_FILE_LANDED = dg.AssetCheckSpec(
    "every_file_landed",
    asset=LANDING,
    description=(
        "No file lies in the inbox's folder `failed/`, where those are set aside that cannot land or of which most was "
        "rejected, each with its reason beside it. Fix it and move it back to the inbox, or delete it. Builds go on."
    ),
)


@dg.multi_asset_check(specs=[EVERY_FILE_LANDED])
def every_file_landed() -> Iterator[dg.AssetCheckResult]:
    """Red for as long as a file is set aside, and the run stays green: a sensor tells of it, once."""
    failed = inbox.set_aside(Settings.load().inbox)
    yield dg.AssetCheckResult(
        passed=not failed,
        metadata={"files_set_aside": len(failed), "files": dg.MetadataValue.md(set_aside_table(failed))},
    )


INPUTS_ARE_FIT = dg.AssetCheckSpec(
    "inputs_are_fit",
    asset=LANDING,
    blocking=True,
    description=(
        "Every day (UTC) of each tenant is as seeds/input_expectations.csv expects it, or was released by a person. A "
        "blocked day of a tenant is left out of the tables, and all others are built. No build begins where raw.events "
        "is not as declared; the dbt steps refuse by themselves too."
    ),
)


class ValidatedAgain(dg.Config):
    """Which days are validated though nothing new has landed on them."""

    days: int = Field(default=0, ge=0, description="So many days up to today (UTC); 0: only what is new.")


@dg.multi_asset_check(specs=[INPUTS_ARE_FIT], pool="input_gate")
def inputs_are_fit(context: dg.AssetCheckExecutionContext, config: ValidatedAgain) -> Iterator[dg.AssetCheckResult]:
    """Validates the days that landed. A warning, or what is left out, fails the check without stopping the build."""
    settings = Settings.load()
    with retried(), migrate.connect(settings, autocommit=True) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        _, validated = validation.validate_new(connection, settings)
        if config.days:
            first = datetime.now(UTC).date() - timedelta(days=config.days - 1)
            validated = validation.validate_days(connection, settings, first)
        stopping = validation.stopping(connection)
        left_out = validation.left_out(connection)
        findings = validation.findings(connection, {result.day for result in [*validated, *stopping, *left_out]})
    warned = any(result.result == "warned" for result in validated)
    yield dg.AssetCheckResult(
        passed=not (stopping or left_out or warned),
        severity=dg.AssetCheckSeverity.ERROR if stopping else dg.AssetCheckSeverity.WARN,
        metadata={
            **input_metadata(validated, stopping, left_out),
            "findings": dg.MetadataValue.md(input_table(findings)),
            "data_docs": dg.MetadataValue.path(settings.home / data_docs.FOLDER / "index.html"),
        },
    )


HOLDS_WHAT_LANDED = "holds_what_landed"
HOURS_TO_TAKE_IN = 3  # two of the hourly builds may fail before anybody is told


def mart_freshness(built: Sequence[dg.AssetsDefinition]) -> dg.AssetChecksDefinition:
    """A check of each mart, by what it holds and not by when a run was: who built it does not matter."""
    parents = {spec.key: {dep.asset_key for dep in spec.deps} for assets in built for spec in assets.specs}

    @dg.multi_asset_check(
        name="marts_hold_what_landed",
        specs=[
            dg.AssetCheckSpec(
                HOLDS_WHAT_LANDED,
                asset=key,
                description=(
                    f"Nothing that landed more than {HOURS_TO_TAKE_IN} hours ago is still on its way into this table. "
                    "Whether anything lands at all, marts/source_freshness tells."
                ),
            )
            for key in sorted(parents)
            if key.path[0] == "marts"
        ],
        can_subset=True,
    )
    def run(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        with retried(), migrate.connect(Settings.load()) as connection:
            waiting = freshness.waiting(connection)
        oldest_allowed = datetime.now(UTC) - timedelta(hours=HOURS_TO_TAKE_IN)
        for check in sorted(context.selected_asset_check_keys, key=lambda check: check.asset_key):
            on_the_way = {table.path[-1] for table in _lineage(check.asset_key, parents)} & waiting.keys()
            late = sorted(table for table in on_the_way if waiting[table] < oldest_allowed)
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=not late,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "tables_behind": late,
                    **({"since": min(waiting[table] for table in late).isoformat()} if late else {}),
                },
            )

    return run


def _lineage(key: dg.AssetKey, parents: Mapping[dg.AssetKey, Set[dg.AssetKey]]) -> Set[dg.AssetKey]:
    """The asset and all that it is made of."""
    found, open_ones = set(), {key}
    while open_ones:
        found |= open_ones
        open_ones = {parent for child in open_ones for parent in parents.get(child, ())} - found
    return found
