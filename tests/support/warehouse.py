"""A real warehouse for tests of the models: files land and dbt builds, with tenants of the test's own."""

import csv
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from parley.build.builds import BuildRequest, build
from parley.landing.loader import load
from parley.settings import Settings
from tests.oracle import Event, Row, Tenant
from tests.oracle.files import write
from tests.support.seeds import write_seed

PROJECT = Path(__file__).resolve().parents[2]
MODELS = "resource_type:model"  # without seeds and checks
STAYS = ("event_types", "alembic_version", "plans", "scripts", "definitions", "owed", "watermarks")


def copy_project(folder: Path, tenants: Iterable[Tenant]) -> Path:
    """The project in another folder, with these tenants in its seed."""
    listed = list(tenants)
    folder.mkdir(parents=True)
    for name in ("dbt_project.yml", "profiles.yml", "models", "macros", "docs", "tests", "tracking_plan"):
        (folder / name).symlink_to(PROJECT / name)
    shutil.copytree(PROJECT / "seeds", folder / "seeds")
    gate = folder / "seeds/input_expectations.csv"  # expects nothing here: validating costs a second or more per build
    gate.write_text(gate.read_text().partition("\n")[0] + "\n")
    with (PROJECT / "seeds/tenants.csv").open() as file:
        columns = next(csv.reader(file))
    with (folder / "seeds/tenants.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        rows.writeheader()
        rows.writerows({"name": tenant.tenant_id, **vars(tenant)} for tenant in listed)
    write_seed(folder, "rating_settings", [vars(Tenant("*")), *map(vars, listed)])
    return folder


KILLED = """
import os, signal, sys
from datetime import datetime
from itertools import count
from parley.build import builds, quick
from parley.settings import Settings

execute, number = quick._execute, count(1)

def execute_or_die(connection, sql):
    if next(number) > int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(connection, sql)

quick._execute = execute_or_die
builds.build(Settings.load(), builds.BuildRequest(as_of=datetime.fromisoformat(sys.argv[1])))
"""


class Warehouse:
    """The warehouse of `settings`: what lands in it, what is built of it, and what the tables then hold."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._files = (folder / f"load-{number}.ndjson.gz" for number in count(1))

    def land(self, events: Iterable[Event]) -> int:
        """Land the events as a file, in which nothing may be rejected; the load's id."""
        return self.land_file(write(next(self._files), events))

    def land_file(self, path: Path) -> int:
        """Land a file in which nothing may be rejected; the load's id."""
        report = load(self.settings, str(path))
        counts = report.counts
        assert counts.accepted + counts.duplicate + counts.erased_subject == counts.received
        return report.load_id

    def build(self, order: BuildRequest) -> None:
        """Build what the order selects and nothing else, of checks too; all of it must succeed."""
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("DBT_INDIRECT_SELECTION", "empty")  # dbt adds the checks of what is selected otherwise
            outcome = build(self.settings, order, wait=True)
        assert outcome.is_good, outcome.problems

    def build_in_part(self, as_of: datetime, statements: int) -> bool:
        """Build what changed in a process that dies, as by kill -9, after so many statements of a build without dbt.

        Returns whether it has died: where dbt builds, it does not.
        """
        done = subprocess.run(
            [sys.executable, "-c", KILLED, as_of.isoformat(), str(statements)], check=False, capture_output=True
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode != 0

    def empty(self) -> None:
        """Forget all that landed, and empty every table; seeds, tracking plan and what a build consists of stay."""
        with _connect() as connection:
            tables = connection.execute(
                "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
                " and table_schema in ('raw', 'ops', 'staging', 'facts', 'marts', 'analyses')"
                " and table_name <> all(%s)",
                [[*STAYS]],
            ).fetchall()
            names = (sql.Identifier(*table.values()) for table in tables)
            connection.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(names)))
            connection.execute("delete from ops.definitions where tenant_id = '*as_of'")
            connection.execute("update ops.owed set is_owed = true")

    def read(self, table: str) -> list[Row]:
        """The rows of a table, named with its schema."""
        with _connect() as connection:
            return connection.execute(sql.SQL("select * from {}").format(sql.Identifier(*table.split(".")))).fetchall()

    def contents(self) -> dict[str, list[str]]:
        """Every row of every fact and mart, as sorted text in which no digit is lost."""
        with _connect() as connection:
            tables = connection.execute(
                "select table_schema, table_name from information_schema.tables"
                " where table_schema in ('facts', 'marts') and table_type = 'BASE TABLE'"
            ).fetchall()
            return {
                ".".join(table.values()): [
                    row["line"]
                    for row in connection.execute(
                        sql.SQL("select existing::text as line from {} as existing order by 1").format(
                            sql.Identifier(*table.values())
                        )
                    )
                ]
                for table in tables
            }


@contextmanager
def held_up(model: str) -> Iterator[psycopg.Connection]:
    """Builds come no further than this rebuilt model while the block runs."""
    with psycopg.connect() as connection:
        connection.execute("select from ops.watermarks where model = %s for update", [model])
        yield connection


def at_work() -> list[int]:
    """The processes of Postgres in which something of Parley is at work; those that wait their turn are not."""
    with psycopg.connect() as connection:
        found = connection.execute(
            "select pid from pg_stat_activity where datname = current_database() and application_name like 'parley%'"
            " and state <> 'idle' and coalesce(wait_event, '') <> 'advisory'"
        )
        return [pid for (pid,) in found]


def is_held_up() -> bool:
    """Whether a build has come to the model of `held_up`."""
    with psycopg.connect() as connection:
        query = "select exists (select from pg_stat_activity where pid = any(%s) and wait_event = 'transactionid')"
        return connection.execute(query, [at_work()]).fetchone() == (True,)


def execute(statements: str) -> None:
    """Run SQL on the database that the environment names."""
    with _connect() as connection:
        connection.execute(statements.encode())


def _connect() -> psycopg.Connection[Row]:
    """To the database that the environment names."""
    return psycopg.connect(options="-c timezone=UTC", row_factory=dict_row)
