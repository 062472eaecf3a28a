"""`parley env`: the variables by which dbt, psql, MetricFlow and Dagster reach the same database."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parley.cli import typer

if TYPE_CHECKING:
    from parley.settings import Settings


def env() -> None:
    """Print what other programs need to reach the warehouse, and start the embedded Postgres if it is that.

    Puts parley, dbt, mf and dagster on the PATH, and a psql and pg_dump that fit the embedded Postgres.

    Example: [bold]eval "$(parley env)" && psql[/]
    """
    import shlex

    from parley.settings import Settings
    from parley.warehouse import dagster_home, database, migrate

    settings = Settings.load()
    migrate.upgrade(settings)
    variables = {
        **database.variables(settings),
        "PARLEY_PROJECT": str(settings.project),
        "PARLEY_HOME": str(settings.home),
        "DBT_PROJECT_DIR": str(settings.project),
        "DBT_PROFILES_DIR": str(settings.project),
        **dagster_home.prepare(settings),
        "PATH": _path(settings),
    }
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _path(settings: "Settings") -> str:
    from parley.warehouse import database, embedded

    ours, brought = str(Path(sys.executable).parent), str(embedded.programs())
    others = [
        folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder not in (ours, brought)
    ]
    folders = [ours, brought, *others] if database.is_embedded(settings) else [ours, *others, brought]
    return os.pathsep.join(folders)
