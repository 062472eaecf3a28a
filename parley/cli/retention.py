"""`parley retention`: archive what is past its term, and take it out of raw.events."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from parley.cli import console, errors
from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.history.retirement import Part


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is due.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is taken out.")] = False,
) -> None:
    """Archive events that are past their tenant's raw_retention_days, and take them out of raw.events; then delete
    what is past its term in the tables of seeds/retention_terms.csv.

    Tables keep what was made of them, frozen. Killed, it goes on where it was when it is run again.

    Example: [bold]parley retention --dry-run[/]
    """
    from parley.cli.load import whoami
    from parley.history import retention as retaining
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    now = datetime.now(UTC)
    with migrate.connect(settings) as connection:
        due = retaining.plan(connection, settings, now)
        elsewhere = retaining.plan_elsewhere(connection, settings, now)
    _show(due)
    for table, rows in elsewhere.items():
        if rows:
            console.print(f"{rows:,} rows of {table} are past their term (seeds/retention_terms.csv).")
    if dry_run:
        return
    if (due or any(elsewhere.values())) and not yes:
        if not console.is_terminal:
            raise ParleyError("Nobody is there to ask: look at --dry-run, then give --yes.")
        typer.confirm("Archive these events and take them out of raw.events, and delete these rows?", abort=True)
    outcome = retaining.run(settings, now, actor=whoami(), on_progress=lambda message: errors.print(f"{message} …"))
    console.print(
        f"{outcome.archived:,} events archived in {len(outcome.archives)} archives, "
        f"{len(outcome.dropped)} partitions dropped."
    )
    for table, rows in outcome.deleted.items():
        if rows:
            console.print(f"{rows:,} rows deleted from {table}.")


def _show(due: "list[Part]") -> None:
    from rich.table import Table

    if not due:
        console.print("Nothing is past its term (raw_retention_days in seeds/tenants.csv).")
        return
    table = Table("month", "tenant", "events due", "raw.events_…", box=None, header_style="bold")
    table.columns[2].justify = "right"
    for part in due:
        what = f"keeps {part.kept:,} events of other tenants" if part.kept else "is dropped"
        for tenant_id, rows in part.rows.items():
            table.add_row(part.month, tenant_id, f"{rows:,}", what)
    console.print(table)
