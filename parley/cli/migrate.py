"""`parley migrate`: the tables that are not dbt's."""

from parley.cli import console


def migrate() -> None:
    """Bring the tables of raw and ops to what this Parley expects, all or nothing.

    Loading and building do so by themselves; this is for an installation that wants it done first, and once.

    Example: [bold]parley migrate[/]
    """
    from parley.settings import Settings
    from parley.warehouse import migrate

    migrate.upgrade(Settings.load())
    console.print(f"The tables of raw and ops are at revision {migrate.head()}.")
