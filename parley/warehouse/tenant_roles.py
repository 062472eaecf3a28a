"""Postgres roles of tenants: what logs in as one sees the rows of its tenants in `facts` and `marts`, and no other.

The policies of the tables say so (`ops.protect`, made by a migration): they look up in `ops.tenant_roles` which tenants
the role sees, of which it can read its own row alone. Nothing that a session may set has a part in it. A login is a
member of a role that carries the rights: `one_tenant`, whose policies cost a query next to nothing, or
`several_tenants`. Neither sees a row by itself.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database, migrate, role_names
from parley.warehouse.database import Connection
from parley.warehouse.secret import derived

SCHEMAS = ("facts", "marts")
LOCK = 0x726561646572  # "reader" in ASCII: several processes may prepare roles at once
LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "5min",
}
HARD_LIMITS = {"temp_file_limit": "4GB"}  # which only a superuser may set, and the role itself may not change
MOST_CONNECTIONS = 32
GROUPS = {"reader": "reader", "one_tenant": "tenant", "several_tenants": "tenants"}

# Functions that everybody may call, and that run a query given as text, write, or hold a lock that builds wait for.
# Row-level security holds in them too: they go because nobody who reads tables needs them.
FORBIDDEN = (
    r"^(query|cursor|table|schema|database)_to_xml",
    r"^ts_(stat|rewrite)$",
    r"^(lo_|loread$|lowrite$)",
    r"^dblink",
    r"^pg_(try_)?advisory_",
    r"^pg_(logical_emit_message|notify|export_snapshot)$",
)


@dataclass(frozen=True, slots=True)
class Login:
    """A row of `ops.tenant_roles` that logs in."""

    role: str
    tenant_ids: tuple[str, ...]
    label: str | None
    created_at: datetime
    created_by: str | None
    is_there: bool
    """Whether the server knows the role: a restored database knows more than its server."""


def key(settings: Settings) -> str:
    """What names and passwords of the dashboards' logins are derived from; it gives nothing else away."""
    return derived(settings, "tenants' dashboards")


def group(settings: Settings, kind: str) -> str:
    """The name of the role that carries the rights of a kind: `reader`, `one_tenant` or `several_tenants`."""
    return role_names.of_database(database.variables(settings)["PGDATABASE"], GROUPS[kind])


def prepare(settings: Settings, *tenants: Iterable[str]) -> None:
    """Make the roles that carry the rights, protect what is built, and a dashboards' login for each of these tenants,
    or sets of them.

    Raises ParleyError where nothing has been built yet, or the user may not make roles.
    """
    with _changing_roles(settings) as connection:
        _prepare_groups(settings, connection)
        for tenant_ids in map(sorted, map(set, tenants)):
            name, password = dashboards_login(settings, tenant_ids)
            _make_login(settings, connection, name, password, tenant_ids, label=None, by=None)


def create(settings: Settings, tenant_ids: Iterable[str], label: str, by: str | None = None) -> tuple[str, str]:
    """Make a login that sees these tenants, or give the one of this label a new password; its name and password.

    The password is kept nowhere. Raises ParleyError as `prepare` does, and where there is no such tenant.
    """
    seen = sorted(set(tenant_ids))
    with _changing_roles(settings) as connection:
        _check(connection, seen)
        _prepare_groups(settings, connection)
        found = connection.execute(
            "select role_name from ops.tenant_roles where kind = 'login' and tenant_ids = %s and label = %s",
            [seen, label],
        ).fetchone()
        name = str(found[0]) if found else role_names.of_database(_database(settings), f"t_{secrets.token_hex(10)}")
        password = secrets.token_urlsafe(24)
        _make_login(settings, connection, name, password, seen, label=label, by=by)
    return name, password


def check(settings: Settings, tenant_ids: Iterable[str]) -> None:
    """Raises ParleyError where there is no such tenant in the tables."""
    with migrate.connect(settings) as connection:
        _check(connection, tenant_ids)


def _check(connection: Connection, tenant_ids: Iterable[str]) -> None:
    known = {str(row[0]) for row in connection.execute("select tenant_id from marts.tenants_overview")}
    if unknown := sorted(set(tenant_ids) - known):
        raise ParleyError(f"There is no tenant {unknown[0]!r} in the tables: build them first, or correct it.")


def logins(connection: Connection) -> list[Login]:
    """Every login that sees some tenants only."""
    found = connection.execute(
        "select role_name, tenant_ids, label, created_at, created_by,"
        " exists (select from pg_roles where rolname = role_name)"
        " from ops.tenant_roles where kind = 'login' order by tenant_ids, label nulls first, role_name"
    ).fetchall()
    return [Login(str(role), tuple(seen), *others) for role, seen, *others in found]  # type: ignore[arg-type]


def revoke(settings: Settings, tenant_id: str, label: str | None = None) -> list[str]:
    """Drop the logins that see this tenant, those of the label or all of them; their names.

    A session that is open sees nothing from then on.
    """
    with _changing_roles(settings) as connection:
        gone = [
            login.role
            for login in logins(connection)
            if tenant_id in login.tenant_ids and (label is None or login.label == label)
        ]
        connection.execute("delete from ops.tenant_roles where role_name = any(%s)", [gone])
        for name in gone:
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))
    return gone


def dashboards_login(settings: Settings, tenant_ids: Iterable[str]) -> tuple[str, str]:
    """Name and password of the login by which dashboards read for who sees exactly these tenants."""
    return role_names.dashboards_login(key(settings), _database(settings), map(role_names.in_superset, tenant_ids))


def conninfo(settings: Settings, *tenant_ids: str) -> str:
    """How to connect as the dashboards' login that sees these tenants, which `prepare` has made."""
    found = database.variables(settings)
    name, password = dashboards_login(settings, tenant_ids)
    return psycopg.conninfo.make_conninfo(
        host=found["PGHOST"] or None,
        port=found["PGPORT"],
        dbname=found["PGDATABASE"],
        sslmode=found.get("PGSSLMODE"),
        options=found["PGOPTIONS"],
        user=name,
        password=password,
    )


def faults(connection: Connection) -> list[str]:
    """What is not as it must be for tenants to see their own rows only, a sentence each."""
    found = connection.execute("select relation::text || ': ' || fault from ops.unprotected() order by 1").fetchall()
    return [str(row[0]) for row in found]


def without_rows(connection: Connection) -> list[str]:
    """Roles that may select from facts or marts and see no row there, as no policy speaks of them."""
    found = connection.execute(
        """
        select distinct grantee.rolname::text
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        cross join lateral aclexplode(pg_class.relacl) as granted
        inner join pg_roles as grantee on granted.grantee = grantee.oid
        where
            pg_namespace.nspname in ('facts', 'marts')
            and pg_class.relrowsecurity
            and not (grantee.rolsuper or grantee.rolbypassrls)
            and not pg_has_role(grantee.oid, pg_class.relowner, 'usage')
            and not exists (
                select from pg_policy
                cross join unnest(pg_policy.polroles) as speaks_of
                where pg_policy.polrelid = pg_class.oid
                and (speaks_of = 0 or pg_has_role(grantee.oid, speaks_of, 'usage'))
            )
        order by 1
        """
    ).fetchall()
    return [str(row[0]) for row in found]


@contextmanager
def _changing_roles(settings: Settings) -> Iterator[Connection]:
    """A transaction in which roles are made or dropped, one at a time."""
    with migrate.connect(settings) as connection:
        built = connection.execute(
            "select count(*) from pg_namespace where nspname = any(%s)", [list(SCHEMAS)]
        ).fetchone()
        if built != (len(SCHEMAS),):
            raise ParleyError("There is nothing to show yet: land events and build the tables with `make run` first.")
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        try:
            yield connection
        except psycopg.errors.InsufficientPrivilege:
            user = database.variables(settings)["PGUSER"]
            raise ParleyError(
                f"The user {user!r} may not make or change the roles that read facts and marts: let an administrator "
                f'run `alter role "{user}" createrole createdb`, or run this once as one. Until then only {user!r} '
                "reads them."
            ) from None


def _prepare_groups(settings: Settings, connection: Connection) -> None:
    for kind in GROUPS:
        name = group(settings, kind)
        _make_role(connection, name, None if kind == "several_tenants" else group_password(settings, kind))
        connection.execute(
            "insert into ops.tenant_roles (role_name, kind) values (%s, %s) on conflict do nothing", [name, kind]
        )
        for schema in map(sql.Identifier, SCHEMAS):
            connection.execute(sql.SQL("grant usage on schema {} to {}").format(schema, sql.Identifier(name)))
            if kind == "reader":  # tables that people make by hand, too
                connection.execute(
                    sql.SQL("alter default privileges in schema {} grant select on tables to {}").format(
                        schema, sql.Identifier(name)
                    )
                )
        if kind != "reader":
            connection.execute(
                sql.SQL("grant select (role_name, tenant_ids) on ops.tenant_roles to {}").format(sql.Identifier(name))
            )
    connection.execute("select ops.protect_everything()")
    _forbid(settings, connection)


def group_password(settings: Settings, kind: str) -> str:
    """The password of a role that carries rights, the same on every machine that has the installation's secret."""
    return derived(settings, group(settings, kind))


def _make_login(
    settings: Settings,
    connection: Connection,
    name: str,
    password: str,
    tenant_ids: list[str],
    *,
    label: str | None,
    by: str | None,
) -> None:
    _make_role(connection, name, password)
    connection.execute(
        sql.SQL("alter role {} connection limit {}").format(sql.Identifier(name), sql.Literal(MOST_CONNECTIONS))
    )
    rights = group(settings, "one_tenant" if len(tenant_ids) == 1 else "several_tenants")
    connection.execute(
        sql.SQL("grant {} to {} with inherit true, set false").format(sql.Identifier(rights), sql.Identifier(name))
    )
    connection.execute(
        "insert into ops.tenant_roles (role_name, kind, tenant_ids, label, created_by)"
        " values (%s, 'login', %s, %s, %s) on conflict (role_name) do nothing",
        [name, tenant_ids, label, by],
    )


def put_role(connection: Connection, name: str, password: str | None) -> None:
    """Make a role, or change the one there is: it logs in where it has a password, and has no rights of its own."""
    known = connection.execute("select from pg_roles where rolname = %s", [name]).fetchone()
    login = sql.SQL("nologin") if password is None else sql.SQL("login password {}").format(sql.Literal(password))
    connection.execute(
        sql.SQL("{} role {} with {}").format(
            sql.SQL("create" if known is None else "alter"), sql.Identifier(name), login
        )
    )


def _make_role(connection: Connection, name: str, password: str | None) -> None:
    """A role that can read what it is granted, log in where it has a password, and do nothing else."""
    put_role(connection, name, password)
    role = sql.Identifier(name)
    for setting, value in LIMITS.items():
        connection.execute(
            sql.SQL("alter role {} set {} = {}").format(role, sql.Identifier(setting), sql.Literal(value))
        )
    for setting, value in HARD_LIMITS.items():
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(
                sql.SQL("alter role {} set {} = {}").format(role, sql.Identifier(setting), sql.Literal(value))
            )


def _forbid(settings: Settings, connection: Connection) -> None:
    """Take from everybody but Parley what tenants' roles need not, as far as the user may."""
    row = connection.execute(
        """
        select
            nspowner::regrole::text,
            (select pg_has_role(datdba, 'usage') from pg_database where datname = current_database()),
            (select rolsuper from pg_roles where rolname = current_user)
        from pg_namespace where nspname = 'ops'
        """
    ).fetchone()
    assert row
    owner, owns_database, is_superuser = sql.SQL(str(row[0])), row[1], row[2]
    if owns_database or is_superuser:
        name = sql.Identifier(_database(settings))
        connection.execute(sql.SQL("grant temporary on database {} to {}").format(name, owner))
        connection.execute(sql.SQL("revoke temporary on database {} from public").format(name))
    if database.is_embedded(settings):  # whose other databases are nobody's business
        connection.execute("revoke connect on database postgres, template1 from public")
    if is_superuser:
        functions = forbidden(connection)
        for function in map(sql.SQL, functions):
            connection.execute(sql.SQL("grant execute on function {} to {}").format(function, owner))
            connection.execute(sql.SQL("revoke execute on function {} from public").format(function))


def forbidden(connection: Connection) -> list[str]:
    """The functions of `FORBIDDEN` that everybody may call still."""
    found = connection.execute(
        "select oid::regprocedure::text from pg_proc where proname ~ any(%s)"
        " and exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner)))"
        " where grantee = 0 and privilege_type = 'EXECUTE') order by 1",
        [list(FORBIDDEN)],
    ).fetchall()
    return [str(row[0]) for row in found]


def _database(settings: Settings) -> str:
    return database.variables(settings)["PGDATABASE"]
