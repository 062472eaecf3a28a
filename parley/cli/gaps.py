"""`parley gaps`: what customers ask that the knowledge base does not answer, and what became of it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console, instant
from parley.errors import ParleyError
from parley.serving.report import formats

if TYPE_CHECKING:
    from parley.analytics.gaps import Gap, Status

EXAMPLES_SHOWN = 2
ID_SHOWN = 8  # characters, which hardly ever begin two ids

app = typer.Typer(no_args_is_help=True, help="Content gaps: what customers ask and nothing answers.")


@app.command("list")
def list_gaps(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    status: Annotated[str | None, typer.Option(help="identified, in_progress or resolved.")] = None,
    most: Annotated[int, typer.Option(help="How many to show.", min=1)] = 20,
) -> None:
    """Show the gaps, the most frequent first.

    Example: [bold]parley gaps list --tenant nordic-bank --status identified[/]
    """
    from parley.analytics import gaps
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    check_tenant(settings, tenant)
    with migrate.connect(settings) as connection:
        found = gaps.find(connection, tenant, _status(status) if status else None)
    if not found:
        console.print("No gap is known that fits.")
        return
    for gap in found[:most]:
        _show(gap)
    if len(found) > most:
        console.print(f"{len(found) - most:,} more; --most shows them.")


@app.command("set")
def set_status(
    gap: Annotated[str, typer.Argument(help="The gap's id, or its beginning, as `parley gaps list` shows it.")],
    status: Annotated[str, typer.Argument(help="identified, in_progress or resolved.")],
    tenant: Annotated[str, typer.Option(help="The tenant whose gap it is.")],
    note: Annotated[str | None, typer.Option(help="What was done.")] = None,
    by: Annotated[str | None, typer.Option(help="Who says so.", show_default="you")] = None,
    since: Annotated[
        str | None, typer.Option(help="Since when, such as 2026-01-31T18:00:00Z.", show_default="now")
    ] = None,
) -> None:
    """Say that a gap is being worked on, is filled, or is open again. Builds keep it.

    Example: [bold]parley gaps set 5f0c11ab resolved --tenant nordic-bank --note "Article 312"[/]
    """
    from parley.analytics import gaps
    from parley.cli.load import whoami
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    check_tenant(settings, tenant)
    with migrate.connect(settings) as connection:
        gaps.set_status(
            connection,
            gap,
            _status(status),
            tenant_id=tenant,
            by=by or whoami(),
            note=note,
            since=instant("--since", since),
        )
    console.print(f"The gap is {status}; marts.content_gaps shows it from the next build on.")


def _show(gap: "Gap") -> None:
    facts = [
        gap.tenant_id,
        gap.status,
        f"asked {gap.frequency:,} times by {gap.customers:,} customers",
        *([f"{gap.frequency_after:,} times since it was resolved"] if gap.frequency_after is not None else []),
        *([f"{formats.share(gap.escalation_rate)} escalated"] if gap.escalation_rate is not None else []),
    ]
    console.print(f"[bold]{gap.gap_id[:ID_SHOWN]}  {escape(gap.topic)}[/]", soft_wrap=True)
    for line in (", ".join(facts), *gap.example_questions[:EXAMPLES_SHOWN]):
        console.print(f"{'':{ID_SHOWN}}  [dim]{escape(line)}[/]", soft_wrap=True)


def _status(given: str) -> "Status":
    from parley.analytics import gaps

    for status in gaps.STATUSES:
        if given == status:
            return status
    raise ParleyError(f"There is no status {given!r}: write one of {', '.join(gaps.STATUSES)}.")
