"""`parley keys`: who may send and read by HTTP."""

from typing import Annotated

from parley.cli import console, instant, typer

app = typer.Typer(no_args_is_help=True, help="Keys of the HTTP server: who may send events and read answers.")

ONCE = "This is the only time that the key is shown."
KeyId = Annotated[str, typer.Argument(help="The key's id, as `parley keys list` shows it.")]


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose events it sends or reads; '*' for servers that send for many.")],
    scope: Annotated[str, typer.Option(help="write, read, admin; several with commas between.")] = "write",
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends, such as 2027-01-31T00:00:00Z.")] = None,
    rate: Annotated[str | None, typer.Option(help="Requests a second at the most, such as 100/s.")] = None,
    quota: Annotated[int | None, typer.Option(help="Events a day at the most.", min=1)] = None,
    origin: Annotated[list[str] | None, typer.Option(help="A web origin that may use it; repeat for several.")] = None,
) -> None:
    """Make a key. It is shown once; the database keeps its hash.

    Example: [bold]parley keys create --tenant my-shop --scope write --name website --rate 100/s[/]
    """
    from parley.cli.load import whoami
    from parley.server import keys
    from parley.settings import Settings
    from parley.warehouse import migrate

    with migrate.connect(Settings.load(), autocommit=True) as connection:
        key = keys.create(
            connection,
            tenant,
            [part.strip() for part in scope.split(",") if part.strip()],
            name=name,
            origins=origin or (),
            rate_per_second=_rate(rate),
            daily_quota=quota,
            expires_at=instant("--expires", expires),
            actor=whoami(),
        )
    typer.echo(key)
    typer.echo(ONCE, err=True)


@app.command(name="list")
def list_() -> None:
    """List the keys in use.

    Example: [bold]parley keys list[/]
    """
    from rich.table import Column, Table

    from parley.server import keys
    from parley.settings import Settings
    from parley.warehouse import migrate

    key_id = Column("key", no_wrap=True, min_width=12)  # `revoke` asks for all of it
    table = Table(key_id, "tenant", "scope", "name", "created", "last used", "expires")
    with migrate.connect(Settings.load(), autocommit=True) as connection:
        for key in keys.listed(connection):
            times = (key.created_at, key.last_used_at, key.expires_at)
            shown = (f"{time:%Y-%m-%d %H:%M}" if time else "–" for time in times)
            table.add_row(key.key_id, key.tenant_id, ",".join(key.scopes), key.name or "", *shown)
    console.print(table)


@app.command()
def revoke(key: KeyId) -> None:
    """End a key. Servers notice within five seconds.

    Example: [bold]parley keys revoke 5f2a90c1d3e4[/]
    """
    from parley.cli.load import whoami
    from parley.server import keys
    from parley.settings import Settings
    from parley.warehouse import migrate

    with migrate.connect(Settings.load(), autocommit=True) as connection:
        keys.revoke(connection, key, actor=whoami())
    console.print("Revoked.")


@app.command()
def rotate(key: KeyId) -> None:
    """Replace a key by a new one with the same rights. The old one ends.

    Example: [bold]parley keys rotate 5f2a90c1d3e4[/]
    """
    from parley.cli.load import whoami
    from parley.server import keys
    from parley.settings import Settings
    from parley.warehouse import migrate

    with migrate.connect(Settings.load(), autocommit=True) as connection:
        typer.echo(keys.rotate(connection, key, actor=whoami()))
    typer.echo(ONCE, err=True)


def _rate(text: str | None) -> int | None:
    from parley.errors import ParleyError

    if text is None:
        return None
    number, _, unit = text.partition("/")
    if not number.isdecimal() or int(number) < 1 or unit not in ("", "s"):
        raise ParleyError(f"--rate {text!r} is no rate: write it as 100/s.")
    return int(number)
