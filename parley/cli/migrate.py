"""`parley migrate`: the tables that are not dbt's."""

from parley.cli import console


def migrate() -> None:
    """Bring the tables of raw and ops to what this Parley expects, all or nothing, and wall off tenants in the others.

    Loading and building do so by themselves; this is for an installation that wants it done first, and once.

    Example: [bold]parley migrate[/]
    """
    from parley.settings import Settings
    from parley.warehouse import migrate

    with migrate.connect(Settings.load()) as connection:
        connection.execute("select ops.protect_everything()")
    console.print(f"The tables of raw and ops are at revision {migrate.head()}.")
