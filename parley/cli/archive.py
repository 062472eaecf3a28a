"""`parley archive`: the archives that retention has made, whether they are sound, and how to bring one back."""

from typing import Annotated

import typer

from parley.cli import complain, console, errors
from parley.errors import ParleyError

app = typer.Typer(no_args_is_help=True, help="Archives of events that are past their term.")


@app.command("list")
def list_archives() -> None:
    """Show the archives, and whether events are in them alone.

    Example: [bold]parley archive list[/]
    """
    from rich.filesize import decimal
    from rich.table import Table

    from parley.history import archive_states
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    with migrate.connect(settings) as connection:
        found = archive_states.find(connection, settings)
    if not found:
        console.print("There is no archive.")
        return
    table = Table("archive", "month", "events", "size", "tenants", "state", box=None, header_style="bold")
    for column in table.columns[2:4]:
        column.justify = "right"
    for state in found:
        manifest = state.archive.manifest if state.archive else None
        table.add_row(
            state.archive_id,
            state.month,
            f"{manifest.rows:,}" if manifest else "",
            decimal(manifest.bytes) if manifest else "",
            ", ".join(manifest.rows_by_tenant if manifest else state.tenants),
            state.description,
        )
    console.print(table)


@app.command()
def verify(month: Annotated[str | None, typer.Argument(help="Of this month (YYYY-MM) only.")] = None) -> None:
    """Read the archives from end to end and compare them with their manifests. The status is 1 if one is damaged.

    Example: [bold]parley archive verify 2026-01[/]
    """
    from parley.history import archive_states, archives
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    with migrate.connect(settings) as connection:
        found = [state for state in archive_states.find(connection, settings) if month in (None, state.month)]
    damaged = 0
    for state in found:
        try:
            archives.verify(archive_states.files_of(state))
        except ParleyError as error:
            damaged += 1
            complain(error)
    console.print(f"{len(found) - damaged} of {len(found)} archives are sound.")
    if damaged:
        raise typer.Exit(1)


@app.command()
def restore(month: Annotated[str, typer.Argument(help="The month, YYYY-MM.")]) -> None:
    """Bring a month back into raw.events, and let builds change its days again. Its archives are then deleted.

    Retention archives it again where the tenant's term still says so.

    Example: [bold]parley archive restore 2026-01[/]
    """
    from parley.cli.load import whoami
    from parley.history import restoring
    from parley.settings import Settings

    rows = restoring.restore(
        Settings.load(), month, actor=whoami(), on_progress=lambda message: errors.print(f"{message} …")
    )
    console.print(f"{rows:,} events of {month} are back in raw.events; the next build reads them.")
