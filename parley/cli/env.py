"""`parley env`: the variables by which dbt, psql, MetricFlow and Dagster reach the same database."""

from parley.cli import typer


def env() -> None:
    """Print what other programs need to reach the warehouse, and start the embedded Postgres if it is that.

    Example: [bold]eval "$(parley env)" && psql[/]
    """
    import shlex

    from dagster_project import instance
    from parley import database, migrate
    from parley.settings import Settings

    settings = Settings.load()
    migrate.upgrade(settings)
    variables = {
        **database.variables(settings),
        "PARLEY_PROJECT": str(settings.project),
        "PARLEY_HOME": str(settings.home),
        "DBT_PROJECT_DIR": str(settings.project),
        "DBT_PROFILES_DIR": str(settings.project),
        **instance.prepare(settings),
    }
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
