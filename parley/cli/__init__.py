"""The `parley` command: one module per command or family, each importing its work when called."""

import sys

import typer
from rich.console import Console

from parley.errors import ParleyError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and status 1."""
    from parley.cli.app import app

    try:
        app()
    except ParleyError as error:
        errors.print(f"[bold red]parley:[/] {error}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("[bold red]parley:[/] stopped.")
        sys.exit(130)


__all__ = ["console", "errors", "main", "typer"]
