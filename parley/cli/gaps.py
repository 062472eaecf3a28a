"""`parley gaps`: what customers ask that the knowledge base does not answer, and what became of it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import console
from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.gaps import Status

EXAMPLES_SHOWN = 2

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
    from rich.table import Table

    from parley import database, gaps, migrate
    from parley.settings import Settings

    settings = Settings.load()
    migrate.upgrade(settings)
    with database.connect(settings) as connection:
        found = gaps.find(connection, tenant, _status(status) if status else None)
    if not found:
        console.print("No gap is known that fits.")
        return
    table = Table("gap", "tenant", "topic", "status", "asked", "customers", "escalated", box=None, header_style="bold")
    table.columns[0].no_wrap = True
    for column in table.columns[4:]:
        column.justify = "right"
    for gap in found[:most]:
        examples = "".join(f"\n[dim]{escape(question)}[/]" for question in gap.example_questions[:EXAMPLES_SHOWN])
        asked = f"{gap.frequency}" + (f" ({gap.frequency_after} since)" if gap.frequency_after is not None else "")
        escalated = "" if gap.escalation_rate is None else f"{gap.escalation_rate:.0%}"
        table.add_row(
            gap.gap_id, gap.tenant_id, escape(gap.topic) + examples, gap.status, asked, f"{gap.customers}", escalated
        )
    console.print(table)
    if len(found) > most:
        console.print(f"{len(found) - most:,} more; --most shows them.")


@app.command("set")
def set_status(
    gap: Annotated[str, typer.Argument(help="The gap's id, as `parley gaps list` shows it.")],
    status: Annotated[str, typer.Argument(help="identified, in_progress or resolved.")],
    tenant: Annotated[str, typer.Option(help="The tenant whose gap it is.")],
    note: Annotated[str | None, typer.Option(help="What was done.")] = None,
    by: Annotated[str | None, typer.Option(help="Who says so.", show_default="you")] = None,
) -> None:
    """Say that a gap is being worked on, is filled, or is open again. Builds keep it.

    Example: [bold]parley gaps set 5f0c… resolved --tenant nordic-bank --note "Article 312"[/]
    """
    from parley import database, gaps, migrate
    from parley.cli.load import whoami
    from parley.settings import Settings

    settings = Settings.load()
    migrate.upgrade(settings)
    with database.connect(settings) as connection:
        gaps.set_status(connection, gap, _status(status), tenant_id=tenant, by=by or whoami(), note=note)
    console.print(f"The gap is {status}; marts.content_gaps shows it from the next build on.")


def _status(given: str) -> "Status":
    from parley import gaps

    for status in gaps.STATUSES:
        if given == status:
            return status
    raise ParleyError(f"There is no status {given!r}: write one of {', '.join(gaps.STATUSES)}.")
