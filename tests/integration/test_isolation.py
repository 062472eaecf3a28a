"""A tenant's Postgres role against everybody else's rows: it reads all of its own, and nothing else (docs/security.md).

What is tried is what somebody tries who has a tenant's login: every relation, functions that run SQL given as text,
other roles, settings, statistics, leaky conditions, files, functions and tables of their own.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dashboards.superset import serve
from parley.build.builds import BuildRequest, build
from parley.errors import ParleyError
from parley.server import news
from parley.serving.doctor import Finding, examine
from parley.settings import Settings
from parley.warehouse import bi_role, database, role_names, tenant_roles
from tests.conftest import BUILT_AS_OF, parley
from tests.support.warehouse import PROJECT

OWN, OTHER, THIRD = "salon-paris", "nordic-bank", "voice-tokyo"
SHOWN = """
    select pg_class.oid::regclass::text from pg_class
    where relnamespace in (to_regnamespace('facts'), to_regnamespace('marts')) and relkind in ('r', 'p', 'v', 'm', 'f')
    order by 1
"""
HIDDEN = """
    select pg_class.oid::regclass::text from pg_class
    inner join pg_namespace on relnamespace = pg_namespace.oid
    where nspname in ('raw', 'ops', 'staging', 'seeds', 'metrics') and relkind in ('r', 'p', 'v', 'm', 'f')
    order by 1
"""
OWN_MODELS = {
    "own_table.sql": "{{ config(materialized='table', contract={'enforced': false}) }}\n"
    "select tenant_id, count(*) as days from {{ ref('daily_metrics') }} group by tenant_id\n",
    "own_increments.sql": "{{ config(materialized='incremental', incremental_strategy='append',"
    " on_schema_change='ignore', contract={'enforced': false}) }}\n"
    "select tenant_id, date from {{ ref('daily_metrics') }}\n",
    "own_view.sql": "{{ config(materialized='view', contract={'enforced': false}) }}\n"
    "select tenant_id, date from {{ ref('daily_metrics') }}\n",
    "own_silent_view.sql": "{{ config(materialized='view', contract={'enforced': false}) }}\n"
    "select date, total_conversations from {{ ref('daily_metrics') }}\n",
    "_own.yml": """
models:
  - name: own_view
    columns:
      - {name: tenant_id, data_type: text}
      - {name: date, data_type: date}
""",
}


def connect(settings: Settings, *tenant_ids: str) -> psycopg.Connection[Any]:
    return psycopg.connect(tenant_roles.conninfo(settings, *tenant_ids), autocommit=True)


def owner_rows(settings: Settings, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with database.connect(settings) as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


@pytest.fixture
def tenant(built: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the login of `OWN` to the small built warehouse."""
    tenant_roles.prepare(built, [OWN], [OTHER])
    with connect(built, OWN) as connection:
        yield connection


def assert_walled(settings: Settings, connection: psycopg.Connection[Any], *own: str) -> None:
    """Every row of facts and marts that is the tenants' own, and nobody else's; nothing of any other schema."""
    for (name,) in owner_rows(settings, SHOWN):
        has_tenant = owner_rows(
            settings, "select 1 from pg_attribute where attrelid = %s::regclass and attname = 'tenant_id'", name
        )
        if not has_tenant:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select from {name}".encode())
            continue
        query = f"select tenant_id, count(*) from {name} {{}} group by tenant_id order by 1"
        expected = owner_rows(settings, query.format("where tenant_id = any(%s)"), list(own))
        assert connection.execute(query.format("").encode()).fetchall() == expected, name
    for (name,) in owner_rows(settings, HIDDEN):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select from {name}".encode())


def test_a_login_reads_every_row_of_its_tenants_and_no_other(built: Settings, tenant: psycopg.Connection[Any]) -> None:
    held = [name for (name,) in owner_rows(built, SHOWN) if connection_count(tenant, name)]
    assert len(held) > 40, "there is something to see"
    assert_walled(built, tenant, OWN)
    tenant_roles.prepare(built, [OWN, THIRD])
    with connect(built, THIRD, OWN) as both:
        assert_walled(built, both, OWN, THIRD)


def connection_count(connection: psycopg.Connection[Any], name: str) -> int:
    row = connection.execute(f"select count(*) from {name}".encode()).fetchone()
    assert row
    return int(row[0])


TELLING = re.compile("nordic|tokyo|newyork", re.IGNORECASE)
ATTACKS = [
    line
    for line in Path(__file__).with_name("tenant_attacks.sql").read_text().splitlines()
    if not line.startswith("--")
]


def test_no_sql_of_a_tenant_tells_of_another(built: Settings) -> None:
    tenant_roles.prepare(built, [OWN], [OTHER])
    roles = {
        ":owner": owner_rows(built, "select current_user")[0][0],
        ":reader": bi_role.role(built),
        ":group": tenant_roles.group(built, "one_tenant"),
        ":other": tenant_roles.dashboards_login(built, [OTHER])[0],
    }
    holes = {}
    for attack in ATTACKS:
        for name, role in roles.items():
            attack = re.sub(rf"{name}\b", role, attack)
        with connect(built, OWN) as tenant:
            told = [one for one in said(tenant, attack) if TELLING.search(one.replace(attack, ""))]
        if [one for one in told if one not in attack]:
            holes[attack] = told
        with connect(built, OWN) as afresh:
            seen = afresh.execute("select distinct tenant_id from marts.daily_metrics").fetchall()
            assert seen == [(OWN,)], attack
    assert holes == {}
    assert owner_rows(built, "select relation::text, fault from ops.unprotected()") == []


def test_what_servers_tell_each_other_no_login_hears_or_says(built: Settings, tenant: psycopg.Connection[Any]) -> None:
    """Whoever may connect may listen: all tenants' sums go over a channel that only the installation can name."""
    own, other = news.channel(built), news.channel(replace(built, home=built.home / "another"))
    assert own == other, "the secret makes it, which the environment gives here"
    told: list[str] = []
    with database.connect(built, autocommit=True) as hearing, database.connect(built, autocommit=True) as telling:
        hearing.execute(sql.SQL("listen {}").format(sql.Identifier(own)))
        for name in ("parley_live", "parley", "parley_%", "live"):
            tenant.execute(sql.SQL("listen {}").format(sql.Identifier(name)))
        seen = tenant.execute("select string_agg(a::text, ' ') from pg_stat_activity as a").fetchone()
        assert own not in str(seen)
        news.forget(telling, built, OTHER)
        told += [each.payload for each in hearing.notifies(timeout=10, stop_after=1)]
        assert [each.payload for each in tenant.notifies(timeout=0.2)] == []
    assert told == [f'["{OTHER}",null]']


def said(connection: psycopg.Connection[Any], attack: str) -> list[str]:
    """Every value, notice and error that the statements of an attack, one after another, are answered with."""
    heard: list[str] = []
    connection.add_notice_handler(lambda notice: heard.append(str(notice.message_primary)))
    whole = attack.startswith("do ") or "create function" in attack
    for statement in [attack] if whole else attack.split("; "):
        try:
            heard += answered(connection, statement)
        except psycopg.Error as error:
            heard += [str(error.diag.message_primary), str(error.diag.message_detail)]
    return heard


def answered(connection: psycopg.Connection[Any], statement: str) -> list[str]:
    if statement.startswith("copy") and statement.endswith("stdout"):
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            return [bytes(part).decode() for part in copy]
    cursor = connection.execute(statement.encode())
    rows = cursor.fetchall() if cursor.description else []
    return [str(value) for row in rows for value in row]


def test_names_of_roles_tell_no_tenant_and_are_short_enough(built: Settings) -> None:
    for tenant_id in ("t" * 64, "é" * 64, 'o"hara; drop role', "nordic-bank"):
        for dbname in ("parley", "p" * 63):
            name, _ = role_names.dashboards_login("key", dbname, [tenant_id])
            assert len(name.encode()) <= 63
            assert tenant_id[:8] not in name
            assert name != role_names.dashboards_login("another key", dbname, [tenant_id])[0]
    tenant_roles.prepare(built, ["t" * 64], ['o"hara; drop role'])
    with connect(built, 'o"hara; drop role') as connection:
        assert connection.execute("select count(*) from facts.conversations").fetchone() == (0,)


def test_what_later_builds_make_is_walled_too(built: Settings, tmp_path: Path, tenant: psycopg.Connection[Any]) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for part in ("dbt_project.yml", "profiles.yml", "macros", "docs", "tests", "tracking_plan", "seeds"):
        (project / part).symlink_to(PROJECT / part)
    shutil.copytree(PROJECT / "models", project / "models")
    for name, text in OWN_MODELS.items():
        (project / "models/marts" / name).write_text(text)
    settings = replace(built, project=project)
    own = tuple(name.removesuffix(".sql") for name in OWN_MODELS if name.endswith(".sql"))
    selected = ("daily_metrics", "conversations", "alerts", "tenants_overview", *own)
    as_of = owner_rows(built, "select %s::timestamptz", BUILT_AS_OF)[0][0]
    for full_refresh in (False, True):
        outcome = build(settings, BuildRequest(as_of=as_of, select=selected, full_refresh=full_refresh))
        assert [one for one in outcome.problems if one.status != "warn"] == []
        assert owner_rows(built, "select relation::text, fault from ops.unprotected()") == []
        assert_walled(built, tenant, OWN)
        seen = tenant.execute("select count(*) from marts.own_view")
        assert seen.fetchone() != (0,)
    with database.connect(built) as owner:  # an incremental build writes into what stands
        owner.execute("insert into marts.daily_metrics select * from marts.daily_metrics where false")
    assert_walled(built, tenant, OWN)


@pytest.mark.parametrize(
    "damage",
    [
        "alter table facts.conversations disable row level security",
        "drop policy parley_one_tenant on facts.conversations",
        "drop policy parley_reader on facts.conversations",
        "create table marts.by_hand as select tenant_id from facts.conversations",
        "revoke select on marts.daily_metrics from {group}",
    ],
)
def test_a_table_without_its_wall_is_told_and_mended(
    built: Settings, tenant: psycopg.Connection[Any], damage: str
) -> None:
    assert isolation(built).status == "good"
    with database.connect(built) as owner:
        owner.execute(damage.format(group=tenant_roles.group(built, "one_tenant")).encode())
    assert isolation(built).status == "broken"
    examine(built, fix=True)
    assert isolation(built).status == "good"
    assert_walled(built, tenant, OWN)


def test_what_shows_tenants_more_is_told(built: Settings, tenant: psycopg.Connection[Any]) -> None:
    group = tenant_roles.group(built, "one_tenant")
    for opened in (
        "create policy mine on facts.conversations using (true)",
        "create view marts.careless as select tenant_id from facts.conversations;"
        f"grant select on marts.careless to {group}",
        f"grant usage on schema staging to {group}; grant select on staging.stg_events to {group}",
    ):
        with database.connect(built) as owner:
            owner.execute(opened.encode())
        assert isolation(built).status == "broken"
        with database.connect(built) as owner:
            owner.execute(
                "drop policy if exists mine on facts.conversations; drop view if exists marts.careless;"
                f"revoke usage on schema staging from {group}".encode()
            )
        assert isolation(built).status == "good"


def isolation(settings: Settings) -> Finding:
    return next(finding for finding in examine(settings) if finding.name == "isolation")


def test_who_is_let_in_by_hand_sees_nothing_until_he_is_made_a_reader(built: Settings) -> None:
    tenant_roles.prepare(built)
    with database.connect(built, autocommit=True) as owner:
        owner.execute("drop role if exists parley_test_analyst")
        owner.execute("create role parley_test_analyst login")
        owner.execute("grant usage on schema marts to parley_test_analyst")
        owner.execute("grant select on marts.daily_metrics, marts.alerts to parley_test_analyst")
        found = database.variables(built)
        try:
            with psycopg.connect(
                host=found["PGHOST"], dbname=found["PGDATABASE"], user="parley_test_analyst", autocommit=True
            ) as analyst:
                assert analyst.execute("select count(*) from marts.daily_metrics").fetchone() == (0,)
                assert "parley_test_analyst" in isolation(built).found
                owner.execute(f"grant {bi_role.role(built)} to parley_test_analyst".encode())
                assert isolation(built).status == "good"
                for table in ("marts.daily_metrics", "marts.alerts"):
                    query = f"select count(*), count(distinct tenant_id) from {table}"
                    assert analyst.execute(query.encode()).fetchall() == owner_rows(built, query)
        finally:
            owner.execute("drop owned by parley_test_analyst")
            owner.execute("drop role parley_test_analyst")


def test_the_command_line_makes_shows_and_drops_logins(built: Settings) -> None:
    made = parley("bi-role", "create", "--tenant", OWN, "--label", "tableau")
    made.check_returncode()
    shown = dict(line.split(None, 1) for line in made.stdout.splitlines() if line.startswith("  "))
    assert shown["database"] == database.variables(built)["PGDATABASE"]
    found = database.variables(built)
    with psycopg.connect(
        host=found["PGHOST"],
        dbname=found["PGDATABASE"],
        user=shown["user"],
        password=shown["password"],
        autocommit=True,
    ) as tableau:
        assert_walled(built, tableau, OWN)
        again = parley("bi-role", "create", "--tenant", OWN, "--label", "tableau")
        assert shown["user"] in again.stdout
        assert shown["password"] not in again.stdout
        assert "tableau" in parley("bi-role", "list").stdout
        parley("bi-role", "revoke", "--tenant", OWN, "--label", "tableau").check_returncode()
        with suppress(psycopg.Error):  # a role that is no more
            assert tableau.execute("select count(*) from facts.conversations").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=found["PGHOST"], dbname=found["PGDATABASE"], user=shown["user"])
    assert "tableau" not in parley("bi-role", "list").stdout
    for wrong in (("create",), ("create", "--tenant", "nobody"), ("revoke", "--tenant", OWN, "--label", "tableau")):
        refused = parley("bi-role", *wrong)
        assert refused.returncode == 1
        assert refused.stderr.startswith("parley: ")


def test_a_user_who_may_make_no_roles_is_told_and_nothing_is_opened(
    built: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dbname = database.variables(built)["PGDATABASE"]
    with database.connect(built, autocommit=True) as owner:
        owner.execute("drop role if exists parley_test_builder")
        owner.execute("create role parley_test_builder login")
        owner.execute(f"alter database {dbname} owner to parley_test_builder".encode())
        for schema in ("facts", "marts", "ops", "raw"):
            owner.execute(sql.SQL("alter schema {} owner to parley_test_builder").format(sql.Identifier(schema)))
            owner.execute(
                f"do $$ declare r record; begin for r in select oid::regclass as name from pg_class where relkind in"
                f" ('r', 'p', 'v') and relnamespace = '{schema}'::regnamespace loop execute format("
                "'alter table %s owner to parley_test_builder', r.name); end loop; end $$".encode()
            )
        owner.execute("alter function ops.unprotected() owner to parley_test_builder")
        owner.execute("alter function ops.protect_everything() owner to parley_test_builder")
        owner.execute("alter function ops.protect(regclass) owner to parley_test_builder")
    monkeypatch.setenv("PGUSER", "parley_test_builder")
    try:
        with pytest.raises(ParleyError, match="may not make or change the roles"):
            tenant_roles.prepare(built, [OWN])
        assert owner_rows(built, "select fault from ops.unprotected()") == []
        assert owner_rows(
            built,
            "select bool_and(relrowsecurity) from pg_class where relkind = 'r' and"
            " relnamespace in ('facts'::regnamespace, 'marts'::regnamespace)",
        ) == [(True,)]
    finally:
        monkeypatch.setenv("PGUSER", "postgres")
        with database.connect(built, autocommit=True) as owner:
            owner.execute("reassign owned by parley_test_builder to postgres")
            owner.execute("drop owned by parley_test_builder")
            owner.execute("drop role parley_test_builder")


def test_superset_owns_its_own_database_and_has_no_other_right(
    built: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Made by a user who is no superuser, over what a former version had that user own."""
    tenant_roles.prepare(built)
    name, role = serve.metadata(built), serve.role(built)
    with database.connect(built, autocommit=True) as owner:
        owner.execute("create role parley_test_maker login createrole createdb")
    monkeypatch.setenv("PGUSER", "parley_test_maker")
    try:
        with database.connect(built, autocommit=True) as maker:
            maker.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        with database.connect(built, database=name) as maker:
            maker.execute("create type colour as enum ('red'); create sequence counted; create table logs (id serial)")
        assert serve.make_database(built) is False
        assert serve.make_database(built) is False
        foreign = f"""
            select relname::text from pg_class
            where relnamespace = 'public'::regnamespace and relowner <> '{role}'::regrole
            union all
            select typname::text from pg_type
            where typnamespace = 'public'::regnamespace and typowner <> '{role}'::regrole
        """
        with database.connect(built, database=name) as maker:
            assert maker.execute(foreign.encode()).fetchall() == []
            maker.execute("insert into logs default values; delete from logs")  # as erasure does
        url = serve.variables(built)["PARLEY_BI_METADATA_URL"].replace("+psycopg2", "")
        with psycopg.connect(url) as own:
            assert own.execute("select current_user::text, current_database()::text").fetchone() == (role, name)
            own.execute("create table kept (id int); alter table logs add note text")
        monkeypatch.setenv("PGUSER", "postgres")
        every = [*owner_rows(built, SHOWN), *owner_rows(built, HIDDEN)]
        warehouse = psycopg.conninfo.make_conninfo(url, dbname=database.variables(built)["PGDATABASE"])
        with psycopg.connect(warehouse, autocommit=True) as outside:
            for (table,) in every:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    outside.execute(f"select from {table}".encode())
            for attempt in (
                "set role postgres",
                "set role parley_test_maker",
                "create schema mine",
                "create role mine",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    outside.execute(attempt.encode())
        path = tmp_path / "environment.json"
        serve._write(path, built)
        written = serve._written(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert built.secret.decode() not in path.read_text()
        assert (
            psycopg.conninfo.conninfo_to_dict(written["PARLEY_BI_METADATA_URL"].replace("+psycopg2", ""))["user"]
            == role
        )
    finally:
        monkeypatch.setenv("PGUSER", "postgres")
        with database.connect(built, autocommit=True) as owner:
            owner.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
            owner.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
            owner.execute("drop role parley_test_maker")


def test_the_guard_sees_every_table(built: Settings) -> None:
    """As the catalogue has it, beside what `ops.unprotected` says: three policies on each table, and no other."""
    tenant_roles.prepare(built)
    found = owner_rows(
        built,
        """
        select pg_class.oid::regclass::text, relrowsecurity, array_agg(polname::text order by polname)
        from pg_class left join pg_policy on polrelid = pg_class.oid
        where relnamespace in ('facts'::regnamespace, 'marts'::regnamespace) and relkind in ('r', 'p')
        group by pg_class.oid order by 1
        """,
    )
    expected = ["parley_one_tenant", "parley_reader", "parley_several_tenants"]
    assert [row for row in found if row[1:] != (True, expected)] == []
    assert len(found) > 50
