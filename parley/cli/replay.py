"""`parley replay-rejected`: judge refused events again."""

from typing import Annotated

import typer

from parley.cli import console
from parley.cli.load import By, show_reports, whoami


def replay_rejected(
    reason: Annotated[str | None, typer.Option(help="Only those refused for this, such as unknown_event_type.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only those of this tenant.")] = None,
    load: Annotated[int | None, typer.Option(help="Only those of this load (load_id in raw.loads).")] = None,
    by: By = None,
) -> None:
    """Judge refused events again, and land those that pass now.

    To be run when the tracking plan or the seed of tenants is mended. What is still refused stays as it is.

    Example: [bold]parley replay-rejected --reason unknown_event_type[/]
    """
    from parley.landing.replay import SOURCE, Selection, replay
    from parley.settings import Settings

    with console.status("Judging again …"):
        result = replay(Settings.load(), Selection(reason, tenant, load), loaded_by=by or whoami())
    passed = result.report.counts.received if result.report else 0
    console.print(f"{result.tried:,} refused events were judged again: {passed:,} are refused no longer.")
    if result.not_replayable:
        console.print(
            f"{result.not_replayable:,} would pass, but not as they were sent (not_replayable in raw.rejected_events): "
            f"{result.example}",
            style="yellow",
        )
    if result.report:
        show_reports([(SOURCE, result.report)])
