"""`parley doctor`: whether everything is in order, and what to do where it is not."""

from typing import Annotated

from rich.markup import escape

from parley.cli import console, typer

MARKS = {"good": "[green]✓[/]", "look": "[yellow]![/]", "broken": "[red]✗[/]"}


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="First make what is missing: tables, event types, partitions ahead.")
    ] = False,
) -> None:
    """Check everything that Parley stands on, and say what to do where something is wrong.

    The status is 1 if anything is broken; what only wants a look (!) is no failure.

    Example: [bold]parley doctor --fix[/]
    """
    from rich.table import Table

    from parley.serving.doctor import examine
    from parley.settings import Settings

    findings = examine(Settings.load(), fix=fix)
    table = Table.grid(padding=(0, 1))
    for finding in findings:
        remedy = f"\n[bold]→ {escape(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(MARKS[finding.status], finding.name, escape(finding.found) + remedy)
    console.print(table)
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(1)
