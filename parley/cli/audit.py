"""`parley audit`: who did what, and whether the log of it is whole."""

from typing import Annotated

import typer
from rich.markup import escape

from parley.cli import console

app = typer.Typer(no_args_is_help=True, help="The audit log: erasures, exports, releases, statuses set by hand.")


@app.command("list")
def list_entries(
    action: Annotated[str | None, typer.Option(help="Of this action only, such as export.written.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    most: Annotated[int, typer.Option(help="How many to show.", min=1)] = 50,
) -> None:
    """Show the entries, the newest first.

    Example: [bold]parley audit list --action input.released[/]
    """
    import orjson
    from rich.table import Table

    from parley.settings import Settings
    from parley.warehouse import audit, migrate

    with migrate.connect(Settings.load()) as connection:
        entries = audit.latest(connection, most, action, tenant)
    if not entries:
        console.print("The audit log holds nothing that fits.")
        return
    table = Table("entry", "when", "what", "tenant", "who", "details", box=None, header_style="bold")
    table.columns[0].justify = "right"
    for entry in entries:
        table.add_row(
            f"{entry.number}",
            f"{entry.recorded_at:%Y-%m-%d %H:%M:%S}",
            entry.action,
            entry.tenant_id or "",
            escape(entry.actor or ""),
            escape(orjson.dumps(entry.details, option=orjson.OPT_SORT_KEYS).decode()),
        )
    console.print(table)


@app.command("verify")
def verify(
    expect: Annotated[
        str | None, typer.Option(help="A hash that an earlier `verify` printed: the log must still hold its entry.")
    ] = None,
) -> None:
    """Check that no entry was changed, removed or put in between; exit with status 1 where one was.

    Keep the hash that it prints outside the database: with --expect a cut end shows too.

    Example: [bold]parley audit verify --expect 9f2c…[/]
    """
    from parley.settings import Settings
    from parley.warehouse import audit, migrate

    with migrate.connect(Settings.load()) as connection:
        count, last_hash = audit.verify(connection, expect)
    console.print(f"The audit log is whole: {count:,} {'entry' if count == 1 else 'entries'}. Hash of the last:")
    console.print(last_hash)
