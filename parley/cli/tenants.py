"""`parley tenants`: who they are, whether events are expected of them, and how one goes."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import console
from parley.cli.load import whoami
from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.config.tenants import State

app = typer.Typer(no_args_is_help=True, help="Tenants: list them, pause one, remove one.")
Name = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id, as its events have it.")]
By = Annotated[str | None, typer.Option(help="Who is noted in the audit log.", show_default="you")]


@app.command("list")
def list_tenants() -> None:
    """Show every tenant of seeds/tenants.csv and of what has landed: its state, its events, and when the last landed.

    Example: [bold]parley tenants list[/]
    """
    from rich.table import Table

    from parley.config.tenants import Tenant, overview
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    with migrate.connect(settings) as connection:
        found = overview(settings, connection)
    table = Table("tenant", "name", "state", "events landed", "last landed (UTC)", box=None, header_style="bold")
    table.columns[3].justify = "right"
    for each in found:
        tenant: Tenant = each.tenant
        last = f"{each.last_landed_at:%Y-%m-%d %H:%M}" if each.last_landed_at else ""
        table.add_row(escape(tenant.tenant_id), escape(tenant.name), tenant.state, f"{each.accepted:,}", last)
    console.print(table)


@app.command()
def pause(tenant: Name, by: By = None) -> None:
    """Expect nothing of a tenant for now: no alert and no scheduled report is about it. Its events land all the same.

    Example: [bold]parley tenants pause salon-paris[/]
    """
    _set(tenant, "paused", by)


@app.command()
def resume(tenant: Name, by: By = None) -> None:
    """Expect events of a tenant again: a paused one is what it was before.

    Example: [bold]parley tenants resume salon-paris[/]
    """
    _set(tenant, None, by)


@app.command()
def remove(
    tenant: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, delete everything of it, for good.")] = False,
    by: By = None,
) -> None:
    """Delete everything of a tenant: events, tables, archives, logins, keys and its rows in the seeds.

    It cannot be undone. Stop what sends its events first: what lands later is there again.

    Example: [bold]parley tenants remove salon-paris --yes[/]
    """
    from rich.table import Table

    from parley.people import removal
    from parley.server import collected, news
    from parley.settings import Settings
    from parley.warehouse import database

    settings = Settings.load()
    if not yes:
        events = removal.events_of(settings, tenant)
        raise ParleyError(
            f"This deletes everything of {tenant}, {events:,} events, for good: add --yes if you mean it."
        )
    with console.status("") as status:
        removed = removal.remove(
            settings, tenant, by=by or whoami(), on_step=lambda step: status.update(f"{step.capitalize()} …")
        )
    with database.connect(settings, autocommit=True) as connection:
        news.forget(connection, settings, tenant)
        waiting = collected.since(connection, settings, 0).waiting.bytes
    table = Table("removed from", "rows", box=None, header_style="bold")
    table.columns[1].justify = "right"
    for name, rows in removed.rows.items():
        table.add_row(name, f"{rows:,}")
    console.print(table)
    for login in removed.logins:
        console.print(f"Dropped the login {escape(login)}.", soft_wrap=True)
    if waiting:
        console.print("Events sent by HTTP wait to be landed: run the same command again once they have.")
    if removed.files_left:
        console.print("Files that still name it, which are yours to delete or to keep:")
        for path, times in removed.files_left.items():
            console.print(f"  {escape(path)}" + (f" ({times:,})" if times else ""), soft_wrap=True)


def _set(tenant: str, state: "State | None", by: str | None) -> None:
    """Let a tenant have a state; None is the one in which events are expected of it."""
    from parley.config import tenants
    from parley.settings import Settings
    from parley.warehouse import audit, migrate

    settings = Settings.load()
    with migrate.connect(settings, autocommit=True) as connection:
        known = tenants.find(settings, connection, tenant)
        before = known.state
        if state is None:
            state = before if known.is_active else tenants.state_before_pause(connection, tenant)
        if state == before:
            console.print(f"{escape(tenant)} is {state} already.", soft_wrap=True)
            return
        tenants.set_state(settings.project / tenants.SEED, tenant, state)
        details = {"state": state, "before": before}
        audit.record(connection, "tenant.state_set", tenant_id=tenant, actor=by or whoami(), details=details)
    console.print(f"{escape(tenant)} is {state}; seeds/tenants.csv says so.", soft_wrap=True)
