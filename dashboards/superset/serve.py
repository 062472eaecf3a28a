"""`make bi`: Superset on localhost, on the warehouse's Postgres: `python -m dashboards.superset.serve [--port 8088]`.

Runs in Parley's environment; Superset itself lives in `.venv-bi`, because it pins other versions.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from parley.errors import ParleyError
from parley.settings import PRIVATE, Settings
from parley.warehouse import bi_role, database, role_names, tenant_roles

HERE = Path(__file__).parent
PROGRAMS = HERE.parents[1] / ".venv-bi/bin"
_SECRETS = "PARLEY_SECRET", "PARLEY_BI_PASSWORD", "PARLEY_BI_FIRST_PASSWORD", "PARLEY_BI_LOGIN_PASSWORD"
_OF_OWNER = "DATABASE_URL", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE"


def main() -> None:
    """Prepare the role, the metadata and the dashboards, then become the web server until stopped."""
    parser = argparse.ArgumentParser(prog="make bi", description="Superset with Parley's dashboards.")
    parser.add_argument("--port", type=int, default=8088)
    parser.add_argument("--host", default="127.0.0.1")
    asked = parser.parse_args()
    os.umask(PRIVATE)
    try:
        settings = Settings.load()
        tenant_roles.prepare(settings)
        is_new = make_database(settings)
        environment = {**os.environ, **variables(settings)}
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    print("Bringing Superset's database and the dashboards up to date; the first time takes a minute.", flush=True)
    log = settings.home / "superset/apply.log"
    with log.open("w") as output:  # a migration says hundreds of lines
        applied = subprocess.run(
            [PROGRAMS / "python", "-m", "dashboards.superset.apply"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if applied.returncode:
        sys.exit(f"parley: Superset could not be made ready: the last lines of {log} say why.")
    try:
        prepare_logins(settings)
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    print(f"Superset on http://{asked.host}:{asked.port} (Ctrl-C stops it); the user is admin", end="")
    if is_new and "PARLEY_BI_PASSWORD" not in environment:
        print(f", the password {environment['PARLEY_BI_FIRST_PASSWORD']}, which is shown this once", end="")
    print(flush=True)
    arguments = ["--bind", f"{asked.host}:{asked.port}", "--workers", "2", "--worker-class", "gthread"]
    arguments += ["--threads", "8", "--timeout", "120", "--log-level", "warning", "superset.app:create_app()"]
    os.execve(PROGRAMS / "gunicorn", ["gunicorn", *arguments], of_server(environment))


def of_server(environment: Mapping[str, str]) -> dict[str, str]:
    """What the server that people reach runs with: nothing by which ids are hashed, keys derived or tables changed."""
    return {name: value for name, value in environment.items() if name not in (*_SECRETS, *_OF_OWNER)}


def metadata(settings: Settings) -> str:
    """The name of the database in which Superset keeps its own things, beside the warehouse."""
    return f"{database.variables(settings)['PGDATABASE']}_superset"


def make_database(settings: Settings) -> bool:
    """Make Superset's own database; false where it stands already. Raises ParleyError where the user may not."""
    name = metadata(settings)
    with database.connect(settings, autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", [name]).fetchone() is not None:
            _close(connection, name)
            return False
        try:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            raise ParleyError(
                f"The user may not make the database {name!r} in which Superset keeps its own things: "
                f"let an administrator run `createdb {name}`, owned by this user."
            ) from None
        _close(connection, name)
    return True


def _close(connection: database.Connection, name: str) -> None:
    """Let no role of tenants into Superset's own database."""
    connection.execute(sql.SQL("revoke connect, temporary on database {} from public").format(sql.Identifier(name)))


def prepare_logins(settings: Settings) -> None:
    """Make the Postgres login of each tenant, and of each set of tenants that somebody sees in Superset."""
    with database.connect(settings) as connection:
        found = connection.execute("select tenant_id from marts.tenants_overview").fetchall()
    tenants = {role_names.in_superset(str(row[0])): str(row[0]) for row in found}
    with database.connect(settings, database=metadata(settings)) as connection:
        seen = connection.execute(
            "select distinct array_agg(ab_role.name::text order by ab_role.name) from ab_user_role"
            " inner join ab_role on ab_user_role.role_id = ab_role.id where ab_role.name = any(%s)"
            " group by ab_user_role.user_id having count(*) > 1",
            [list(tenants)],
        ).fetchall()
    sets = [[tenants[name] for name in names] for (names,) in seen]  # type: ignore[attr-defined]
    tenant_roles.prepare(settings, *([tenant] for tenant in tenants.values()), *sets)


def variables(settings: Settings) -> dict[str, str]:
    """What Superset and `apply.py` run with, besides what the environment says."""
    home = settings.home / "superset"
    home.mkdir(parents=True, exist_ok=True)
    nobody = tenant_roles.group(settings, "one_tenant")  # which sees no row by itself
    return {
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "SUPERSET_HOME": str(home),
        "SCARF_ANALYTICS": "false",
        "PYTHONPATH": str(HERE.parents[1]),
        "PYTHONWARNINGS": "ignore",
        "PGOPTIONS": database.variables(settings)["PGOPTIONS"],
        "PARLEY_BI_SECRET_KEY": tenant_roles.derived(settings, "superset"),
        "PARLEY_BI_METADATA_URL": database.sqlalchemy_url(settings, "psycopg2", PGDATABASE=metadata(settings)),
        "PARLEY_BI_WAREHOUSE_URL": database.sqlalchemy_url(
            settings, "psycopg2", PGUSER=nobody, PGPASSWORD=tenant_roles.group_password(settings, "one_tenant")
        ),
        "PARLEY_BI_NOBODY": nobody,
        "PARLEY_BI_READER": bi_role.role(settings),
        "PARLEY_BI_READER_PASSWORD": bi_role.password(settings),
        "PARLEY_BI_TENANTS_KEY": tenant_roles.key(settings),
        "PARLEY_BI_FIRST_PASSWORD": tenant_roles.derived(settings, "superset's admin")[:16],
    }


if __name__ == "__main__":
    main()
