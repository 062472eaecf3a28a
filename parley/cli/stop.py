"""`parley stop`: end the embedded Postgres."""

from parley.cli import console


def stop() -> None:
    """Stop the embedded Postgres, which otherwise goes on running between commands. Its data stay.

    Example: [bold]parley stop[/]
    """
    from parley.settings import Settings
    from parley.warehouse import embedded

    settings = Settings.load()
    if embedded.stop(settings):
        console.print("The embedded Postgres has stopped; the next command starts it again.")
    else:
        console.print(f"No embedded Postgres is running under {settings.home}.", markup=False, soft_wrap=True)
