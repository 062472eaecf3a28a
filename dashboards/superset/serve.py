"""`make bi`: Superset on localhost, on the warehouse's Postgres: `python -m dashboards.superset.serve [--port 8088]`.

Runs in Parley's environment; Superset itself lives in `.venv-bi`, because it pins other versions.

In two steps, for a Superset that has no right of Parley's: `--prepare FILE` makes the roles and the database with the
rights of Parley's user, and writes what Superset may know into the file; `--prepared FILE` serves with that alone.
"""

import argparse
import json
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
    """Prepare the roles, the metadata and the dashboards, then become the web server until stopped."""
    parser = argparse.ArgumentParser(prog="make bi", description="Superset with Parley's dashboards.")
    parser.add_argument("--port", type=int, default=8088)
    parser.add_argument("--host", default="127.0.0.1")
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--prepare", type=Path, metavar="FILE", help="only make roles and database, and say in FILE how")
    steps.add_argument("--prepared", type=Path, metavar="FILE", help="serve what --prepare has made")
    asked = parser.parse_args()
    os.umask(PRIVATE)
    try:
        if asked.prepared:
            environment, is_new = {**os.environ, **_written(asked.prepared)}, False
        else:
            settings = Settings.load()
            tenant_roles.prepare(settings)
            is_new = make_database(settings)
            prepare_logins(settings)
            if asked.prepare:
                _write(asked.prepare, settings)
                return
            environment = {**os.environ, **variables(settings)}
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    print("Bringing Superset's database and the dashboards up to date; the first time takes a minute.", flush=True)
    log = Path(environment["SUPERSET_HOME"], "apply.log")
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
    print(f"Superset on http://{asked.host}:{asked.port} (Ctrl-C stops it); the user is admin", end="")
    if is_new and "PARLEY_BI_PASSWORD" not in environment:
        print(f", the password {environment['PARLEY_BI_FIRST_PASSWORD']}, which is shown this once", end="")
    print(flush=True)
    arguments = ["--bind", f"{asked.host}:{asked.port}", "--workers", "2", "--worker-class", "gthread"]
    arguments += ["--threads", "8", "--timeout", "120", "--log-level", "warning", "superset.app:create_app()"]
    os.execve(PROGRAMS / "gunicorn", ["gunicorn", *arguments], of_server(environment))


def _write(path: Path, settings: Settings) -> None:
    """Write what Superset may know, for its user alone."""
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({**variables(settings), "SUPERSET_HOME": str(path.parent)}, file)
    draft.replace(path)


def _written(path: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(path.read_text())
    except (OSError, ValueError):
        raise ParleyError(f"{path} cannot be read: make it with --prepare first.") from None
    return found


def of_server(environment: Mapping[str, str]) -> dict[str, str]:
    """What the server that people reach runs with: nothing by which ids are hashed, keys derived or tables changed."""
    return {name: value for name, value in environment.items() if name not in (*_SECRETS, *_OF_OWNER)}


def metadata(settings: Settings) -> str:
    """The name of the database in which Superset keeps its own things, beside the warehouse."""
    return f"{database.variables(settings)['PGDATABASE']}_superset"


def role(settings: Settings) -> str:
    """The name of the role to which Superset's own database belongs, and nothing else."""
    return role_names.of_database(database.variables(settings)["PGDATABASE"], "superset")


def password(settings: Settings) -> str:
    """The password of that role."""
    return tenant_roles.derived(settings, f"superset's role {role(settings)}")


def make_database(settings: Settings) -> bool:
    """Make Superset's own database and the role that owns it; false where the database exists already.

    Raises ParleyError where the user may not.
    """
    name = metadata(settings)
    with database.connect(settings, autocommit=True) as connection:
        try:
            _make_role(connection, role(settings), password(settings))
            is_new = connection.execute("select from pg_database where datname = %s", [name]).fetchone() is None
            made = "create database {} owner {}" if is_new else "alter database {} owner to {}"
            connection.execute(sql.SQL(made).format(sql.Identifier(name), sql.Identifier(role(settings))))
        except psycopg.errors.InsufficientPrivilege:
            raise ParleyError(
                f"The user may not make the database {name!r} in which Superset keeps its own things, or the role that "
                f"owns it: let an administrator run `alter role {database.variables(settings)['PGUSER']} createrole "
                f"createdb`, and give that user the database where it exists."
            ) from None
        connection.execute(  # no role of tenants comes in
            sql.SQL("revoke connect, temporary on database {} from public").format(sql.Identifier(name))
        )
    if not is_new:
        with database.connect(settings, database=name) as connection:
            _give_away(connection, role(settings))
    return is_new


def _make_role(connection: database.Connection, name: str, password: str) -> None:
    """A role that logs in, and has what it owns and nothing else. Parley's user is a member: erasure reads its log."""
    tenant_roles.put_role(connection, name, password)
    is_member = connection.execute("select pg_has_role(%s::name, 'usage')", [name]).fetchone()
    if is_member != (True,):
        connection.execute(sql.SQL("grant {} to current_user with inherit true, set true").format(sql.Identifier(name)))


def _give_away(connection: database.Connection, name: str) -> None:
    """What former versions had Parley's user own in Superset's database."""
    found = connection.execute(
        """
        with owner as (select oid, quote_ident(rolname) as name from pg_roles where rolname = %s)
        select 'alter table ' || pg_class.oid::regclass || ' owner to ' || owner.name from pg_class cross join owner
        where
            relnamespace = to_regnamespace('public') and relowner <> owner.oid
            and relkind in ('r', 'p', 'v', 'm')
        union all
        select 'alter sequence ' || pg_class.oid::regclass || ' owner to ' || owner.name from pg_class cross join owner
        where
            relnamespace = to_regnamespace('public') and relowner <> owner.oid and relkind = 'S'
            and not exists (select from pg_depend where objid = pg_class.oid and deptype in ('a', 'i'))
        union all
        select 'alter type ' || pg_type.oid::regtype || ' owner to ' || owner.name from pg_type cross join owner
        where typnamespace = to_regnamespace('public') and typowner <> owner.oid and typtype in ('e', 'd')
        """,
        [name],
    ).fetchall()
    for (statement,) in found:
        connection.execute(str(statement).encode())


def prepare_logins(settings: Settings) -> None:
    """Make the Postgres login of each tenant, and of each set of tenants that somebody sees in Superset."""
    with database.connect(settings) as connection:
        found = connection.execute("select tenant_id from marts.tenants_overview").fetchall()
    tenants = {role_names.in_superset(str(row[0])): str(row[0]) for row in found}
    with database.connect(settings, database=metadata(settings)) as connection:
        if not database.has(connection, "ab_user_role", "ab_role"):
            seen = []
        else:
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
        "PARLEY_BI_METADATA_URL": database.sqlalchemy_url(
            settings, "psycopg2", PGDATABASE=metadata(settings), PGUSER=role(settings), PGPASSWORD=password(settings)
        ),
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
