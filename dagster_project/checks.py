"""The checks that are not dbt tests (those come with the dbt assets)."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.assets import LANDING

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
