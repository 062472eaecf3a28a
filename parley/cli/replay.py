"""`parley replay-rejected`: validate rejected events again."""

from typing import Annotated

import typer

from parley.cli import check_tenant, console
from parley.cli.load import By, look_for_alerts, show_reports, whoami


def replay_rejected(
    reason: Annotated[str | None, typer.Option(help="Only those rejected for this reason.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only those of this tenant.")] = None,
    load: Annotated[int | None, typer.Option(help="Only those of this load (load_id in raw.loads).")] = None,
    by: By = None,
) -> None:
    """Validate rejected events again, and land those that pass now.

    Run it when the tracking plan or the tenants seed is fixed. What is still rejected stays as it is.

    Example: [bold]parley replay-rejected --reason unknown_event_type[/]
    """
    from parley.landing.replay import SOURCE, Selection, replay
    from parley.settings import Settings

    with console.status("Validating again …"):
        settings = Settings.load()
        check_tenant(settings, tenant)
        result = replay(settings, Selection(reason, tenant, load), loaded_by=by or whoami())
    passed = result.report.counts.received if result.report else 0
    console.print(f"{result.tried:,} rejected events were validated again: {passed:,} of them pass now.")
    if result.not_replayable:
        console.print(
            f"{result.not_replayable:,} would pass, but not as they were sent (not_replayable in raw.rejected_events): "
            f"{result.example}",
            style="yellow",
        )
    if result.report:
        show_reports([(SOURCE, result.report)])
        look_for_alerts(settings)
