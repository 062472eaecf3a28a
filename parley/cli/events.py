"""`parley events`: the event types of the tracking plan, and whether events of a file keep to it."""

from pathlib import Path
from typing import Annotated

import typer

from parley.cli import console

app = typer.Typer(no_args_is_help=True, help="Event types: what may land, and whether a file's events would.")

Tenant = Annotated[str | None, typer.Option(help="The tenant that it is about.")]


@app.command("list")
def list_types(tenant: Tenant = None) -> None:
    """Show the event types that may land, for one tenant or for all.

    Example: [bold]parley events list --tenant nordic-bank[/]
    """
    from rich.table import Table

    from parley import database, migrate, tracking_plan
    from parley.settings import Settings
    from parley.tenants import EVERY_TENANT

    settings = Settings.load()
    migrate.upgrade(settings)
    with database.connect(settings) as connection:
        types = tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER).types
    if tenant is not None:
        types = tuple(sorted(tracking_plan.seen_by(tenant, types), key=lambda kind: kind.event_name))
    table = Table("event type", "aliases", "required attributes", "version", "for", box=None, header_style="bold")
    for kind in types:
        table.add_row(
            kind.event_name if kind.is_active else f"{kind.event_name} (inactive)",
            ", ".join(kind.aliases),
            ", ".join(kind.attributes_schema.get("required", ())),
            str(kind.version),
            "all tenants" if kind.tenant_id == EVERY_TENANT else kind.tenant_id,
        )
    console.print(table)


@app.command()
def register(
    file: Annotated[Path, typer.Argument(help="YAML in the form of the files in tracking_plan/.")],
    tenant: Tenant = None,
) -> None:
    """Add event types of your own, or replace them: for one tenant, or for all. They hold from the next load on.

    Example: [bold]parley events register loyalty.yml --tenant shop-newyork[/]
    """
    from parley import database, migrate, tenants, tracking_plan
    from parley.settings import Settings

    if tenant is not None:
        tenants.check_id(tenant)
    settings = Settings.load()
    types = tracking_plan.read_types(file, tenant or tenants.EVERY_TENANT, "custom")
    migrate.upgrade(settings)
    with database.connect(settings) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        tracking_plan.register_custom(connection, types)
    console.print(f"Registered for {tenant or 'all tenants'}: {', '.join(kind.event_name for kind in types)}.")
