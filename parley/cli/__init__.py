"""The `parley` command: one module per command or family, each importing its work when called."""

import os
import sys
from datetime import datetime
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from parley.errors import ParleyError
from parley.settings import PRIVATE, Settings

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def complain(error: ParleyError) -> None:
    """Print the error's sentence on standard error."""
    errors.print(f"[bold red]parley:[/] {escape(str(error))}", soft_wrap=True)


def instant(option: str, text: str | None) -> datetime | None:
    """The time that an option was given, if any. Raises ParleyError where it is none, or has no offset."""
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ParleyError(f"{option} {text!r} is no time: write it as 2026-01-31T18:00:00Z.") from None
    if time and time.tzinfo is None:
        raise ParleyError(f"{option} has no offset: write it as 2026-01-31T18:00:00Z.")
    return time


def check_tenant(settings: Settings, tenant: str | None) -> None:
    """Raises ParleyError where a tenant was given, and there is none of this id."""
    if tenant is None:
        return
    from parley.config import tenants
    from parley.warehouse import migrate

    with migrate.connect(settings) as connection:
        tenants.find(settings, connection, tenant)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and status 1."""
    from parley.cli.app import app

    os.umask(PRIVATE)
    try:
        app()
    except ParleyError as error:
        complain(error)
        sys.exit(1)
    except Exception as error:
        if (why := _why_stopped(error)) is None:
            _raise_without_values(error)
        complain(ParleyError(f"Postgres stopped the command ({why}): correct that and run it again."))
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("[bold red]parley:[/] stopped.")
        sys.exit(130)


def _raise_without_values(error: Exception) -> NoReturn:
    """With its traceback, which is seen, logged and mailed, but without what Postgres quotes of rows."""
    from parley.warehouse import postgres_errors

    if not postgres_errors.is_of_postgres(error):
        raise error
    said = postgres_errors.without_values(error)
    raise RuntimeError(f"Postgres: {said}").with_traceback(error.__traceback__) from None


def _why_stopped(error: Exception) -> str | None:
    from parley.warehouse import database

    return database.why_stopped(error)


__all__ = ["check_tenant", "complain", "console", "errors", "instant", "main", "typer"]
