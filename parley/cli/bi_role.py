"""`parley bi-role`: Postgres logins for people and tools that read facts and marts."""

from typing import Annotated

import typer
from rich.markup import escape

from parley.cli import console
from parley.errors import ParleyError

app = typer.Typer(no_args_is_help=True, help="Postgres logins that read facts and marts: of a tenant, or of all.")


@app.command("create")
def create(
    tenant: Annotated[
        list[str] | None, typer.Option(help="The tenant whose rows the login sees; several may be named.")
    ] = None,
    label: Annotated[str, typer.Option(help="What the login is for; each tenant has one of each label.")] = "sql",
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="The login that sees every tenant: for your own analysts.")
    ] = False,
) -> None:
    """Make a login and show its password, or give an existing one of this label a new password.

    It reads the tables of facts and marts and writes nothing; Postgres shows it the rows of its tenants only.

    Example: [bold]parley bi-role create --tenant salon-paris --label tableau[/]
    """
    from parley.cli.load import whoami
    from parley.settings import Settings
    from parley.warehouse import bi_role, database, tenant_roles

    settings = Settings.load()
    if all_tenants == bool(tenant):
        raise ParleyError("Say whose rows the login sees: --tenant TENANT, or --all-tenants.")
    if tenant:
        role, password = tenant_roles.create(settings, tenant, label, whoami())
        sees = ", ".join(sorted(set(tenant)))
    else:
        bi_role.prepare(settings)
        role, password, sees = bi_role.role(settings), bi_role.password(settings), "every tenant"
    found = database.variables(settings)
    console.print(
        f"Sees {escape(sees)}. Postgres at {escape(found['PGHOST'] or 'the local socket')}, port {found['PGPORT']}."
    )
    for name, value in (("database", found["PGDATABASE"]), ("user", role), ("password", password)):
        console.print(f"  {name:8} {value}", markup=False, highlight=False, soft_wrap=True)
    if tenant:
        console.print("The password is kept nowhere: the same command makes a new one.")


@app.command("list")
def list_roles() -> None:
    """Show which logins see which tenants.

    Example: [bold]parley bi-role list[/]
    """
    from rich.table import Table

    from parley.settings import Settings
    from parley.warehouse import migrate, tenant_roles

    with migrate.connect(Settings.load()) as connection:
        found = tenant_roles.logins(connection)
    if not found:
        console.print("There is no login of a tenant yet: parley bi-role create makes one.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("sees", "for", "role", "since", "made by"):
        table.add_column(heading, overflow="fold")
    for login in found:
        table.add_row(
            escape(", ".join(login.tenant_ids)),
            escape(login.label or "dashboards"),
            escape(login.role) + ("" if login.is_there else " [red](not on this server)[/]"),
            f"{login.created_at:%Y-%m-%d}",
            escape(login.created_by or ""),
        )
    console.print(table)


@app.command("revoke")
def revoke(
    tenant: Annotated[str, typer.Option(help="The tenant whose logins go.")],
    label: Annotated[str | None, typer.Option(help="Only those for this.", show_default="all")] = None,
) -> None:
    """Drop the logins that see a tenant; open sessions see nothing from then on.

    Those of the dashboards come back with `make bi`, whose people have logins of Superset.

    Example: [bold]parley bi-role revoke --tenant salon-paris --label tableau[/]
    """
    from parley.settings import Settings
    from parley.warehouse import tenant_roles

    gone = tenant_roles.revoke(Settings.load(), tenant, label)
    if not gone:
        raise ParleyError(f"There is no such login of {tenant!r}: parley bi-role list shows them.")
    console.print(f"{len(gone)} gone: {', '.join(gone)}.", markup=False, soft_wrap=True)
