"""Migrations: that they make what parley.warehouse.schema says, once, whoever runs them."""

import subprocess
import sys

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import migrate, schema
from tests.conftest import Rows, parley

# everything that Postgres knows of the two schemas, as text
CATALOG = {
    "columns": """
        select
            table_schema, table_name, column_name, ordinal_position, data_type, udt_name, is_nullable, column_default,
            is_identity, identity_generation,
            col_description(to_regclass(table_schema || '.' || table_name), ordinal_position)
        from information_schema.columns where table_schema in ('raw', 'ops') order by 1, 2, 4
    """,
    "constraints": """
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
        where connamespace in (to_regnamespace('raw'), to_regnamespace('ops')) order by 1, 2
    """,
    "indexes": """
        select schemaname, indexname, indexdef from pg_indexes where schemaname in ('raw', 'ops') order by 1, 2
    """,
    "tables": """
        select oid::regclass::text, relkind, pg_get_partkeydef(oid), obj_description(oid) from pg_class
        where relnamespace in (to_regnamespace('raw'), to_regnamespace('ops')) and relkind in ('r', 'p', 'S') order by 1
    """,
}


def catalog(rows: Rows) -> dict[str, list[dict[str, object]]]:
    return {name: [row for row in rows(query) if "alembic" not in str(row)] for name, query in CATALOG.items()}


def start_anew() -> None:
    with psycopg.connect() as connection:
        connection.execute("drop schema raw cascade; drop schema ops cascade")


def test_the_migrations_make_what_the_schema_says(database: Settings, rows: Rows) -> None:
    migrated = catalog(rows)
    start_anew()
    with psycopg.connect() as connection:
        connection.execute("create schema raw; create schema ops")
    engine = create_engine("postgresql+psycopg://", creator=psycopg.connect)
    schema.metadata.create_all(engine)
    engine.dispose()
    described = catalog(rows)
    assert migrated["tables"]
    for name in CATALOG:
        assert migrated[name] == described[name]


def test_raw_events_is_partitioned_and_indexed_by_batch_and_lightly_by_time(database: Settings, rows: Rows) -> None:
    assert rows("select pg_get_partkeydef('raw.events'::regclass) as key") == [{"key": "RANGE (occurred_at)"}]
    assert rows("select indexdef from pg_indexes where tablename = 'events' order by 1") == [
        {"indexdef": "CREATE INDEX events_batch_id_idx ON ONLY raw.events USING btree (batch_id)"},
        {
            "indexdef": "CREATE INDEX events_occurred_at_idx ON ONLY raw.events USING brin (occurred_at)"
            " WITH (autosummarize='on')"
        },
        {
            "indexdef": "CREATE INDEX events_tenant_id_anonymous_id_idx ON ONLY raw.events USING btree"
            " (tenant_id, anonymous_id) WHERE (anonymous_id IS NOT NULL)"
        },
    ]


@pytest.mark.parametrize(
    "insert",
    [
        "insert into raw.loads (source, dialect, received, accepted) values ('f', 'parley', 2, 1)",
        "insert into raw.load_batches (batch_id, tenant_id, load_id, received_at, rejected)"
        " values (1, 'shop', 1, now(), 1)",
    ],
)
def test_counts_that_do_not_add_up_cannot_be_stored(database: Settings, insert: str) -> None:
    with psycopg.connect() as connection, pytest.raises(psycopg.errors.CheckViolation, match="counts_add_up"):
        connection.execute(insert.encode())


def test_the_head_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.head()


def test_at_head_there_is_nothing_to_do_and_no_right_to_create_is_needed(database: Settings, rows: Rows) -> None:
    with psycopg.connect() as connection:
        connection.execute("create role reader login; grant usage on schema ops to reader")
        connection.execute("grant select on ops.alembic_version to reader")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGUSER", "reader")
        migrate.upgrade(Settings.load())
    with psycopg.connect() as connection:
        connection.execute("drop owned by reader; drop role reader")


def test_a_user_who_may_not_create_schemas_is_told_what_to_grant(database: Settings) -> None:
    start_anew()
    with psycopg.connect() as connection:
        connection.execute("create role outsider login")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGUSER", "outsider")
        with pytest.raises(ParleyError, match=r"'outsider' may not create schemas in .* `grant create on database"):
            migrate.upgrade(Settings.load())
    with psycopg.connect() as connection:
        connection.execute("drop role outsider")


def test_a_database_of_a_newer_parley_is_left_alone(database: Settings) -> None:
    with psycopg.connect() as connection:
        connection.execute("update ops.alembic_version set version_num = '9999'")
    with pytest.raises(ParleyError, match=r"at revision 9999, .* use the newer Parley"):
        migrate.upgrade(database)


def test_processes_that_migrate_at_once_take_turns(database: Settings, rows: Rows) -> None:
    start_anew()
    code = (
        "from parley.warehouse import migrate; from parley.settings import Settings; migrate.upgrade(Settings.load())"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=database.project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(3)
    ]
    for racer in racers:
        said, _ = racer.communicate(timeout=120)
        assert (racer.returncode, said) == (0, b"")
    assert rows("select version_num from ops.alembic_version") == [{"version_num": migrate.head()}]


def test_a_migration_that_fails_leaves_nothing_behind(database: Settings, rows: Rows) -> None:
    start_anew()
    with psycopg.connect() as connection:  # in the way of the first migration's last table
        connection.execute("create schema ops; create table ops.raw_horizon ()")
    with pytest.raises(Exception, match="already exists"):
        migrate.upgrade(database)
    assert rows("select to_regclass('raw.loads') as loads, to_regclass('ops.alembic_version') as version") == [
        {"loads": None, "version": None}
    ]
    with psycopg.connect() as connection:
        connection.execute("drop table ops.raw_horizon")
    migrate.upgrade(database)
    assert rows("select count(*) as n from raw.loads") == [{"n": 0}]


@pytest.mark.usefixtures("database")
def test_the_command_says_where_the_tables_stand() -> None:
    done = parley("migrate")
    assert done.returncode == 0
    assert f"at revision {migrate.head()}." in done.stdout
