"""A tenant that is paused is not alerted about, and one that is removed leaves nothing behind."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from parley.alerts import evaluation
from parley.build.builds import BuildRequest, build
from parley.config import tenants
from parley.errors import ParleyError
from parley.history import archives
from parley.landing import loads
from parley.people import removal
from parley.server import keys
from parley.settings import Settings
from parley.warehouse import audit, tenant_roles
from parley.warehouse import database as postgres
from tests.conftest import Rows, parley
from tests.oracle import Tenant
from tests.support.landing import assert_accounted_for, event, write
from tests.support.seeds import write_seed
from tests.support.warehouse import Warehouse, copy_project

NOW = datetime(2024, 12, 20, 6, tzinfo=UTC)
GONE, LEFT = "tenant-1", ("tenant-0", "tenant-2")
KEPT = {"ops.audit_log", "raw.erased_subjects", "ops.erasures"}


def holding(tenant_id: str) -> dict[str, int]:
    """The tables of this database that have rows of a tenant."""
    found = {}
    with psycopg.connect(autocommit=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.columns inner join information_schema.tables"
            " using (table_schema, table_name) where column_name = 'tenant_id' and table_type = 'BASE TABLE'"
        ).fetchall()
        for table in tables:
            query = sql.SQL("select count(*) from {} where tenant_id = %s").format(sql.Identifier(*table))
            row = connection.execute(query, [tenant_id]).fetchone()
            if row and row[0]:
                found[".".join(table)] = row[0]
    return found


@pytest.fixture
def project(tmp_path: Path, database: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = copy_project(tmp_path / "project", [Tenant(name) for name in (GONE, *LEFT)])
    monkeypatch.setenv("PARLEY_PROJECT", str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.builds
def test_a_removed_tenant_leaves_nothing_and_the_others_all(project: Path, rows: Rows, tmp_path: Path) -> None:
    gaps = list(csv.DictReader((project / "seeds/gap_settings.csv").open()))
    write_seed(project, "gap_settings", [*gaps, gaps[0] | {"tenant_id": GONE}])
    settings = Settings.load()
    warehouse = Warehouse(settings, tmp_path)
    mixed = [event(number) for number in range(60)]
    mixed += [event(number, event_name="no.such.type") for number in range(60, 66)]
    parley("load", write(tmp_path / "mixed.ndjson", mixed))
    own = write(tmp_path / "own.ndjson", [event(number, tenant_id=GONE) for number in range(100, 120)])
    parley("load", own, "--tenant", GONE)
    assert build(settings, BuildRequest(as_of=NOW)).is_whole
    tenant_roles.create(settings, [GONE], "theirs")
    with postgres.connect(settings, autocommit=True) as connection:
        keys.create(connection, GONE, ["write"])
        connection.execute("insert into ops.raw_horizon values (%s, '2024-01-01')", [GONE])
    with postgres.connect(settings) as connection:
        archives.write(connection, settings.home, "2024-02", [GONE], number=1)
        archives.write(connection, settings.home, "2024-03", [GONE, "tenant-2"], number=1)
    assert holding(GONE).keys() > {"raw.events", "facts.turns", "marts.daily_metrics", "ops.alerts", "raw.loads"}
    before = {tenant: holding(tenant) for tenant in LEFT}
    contents = warehouse.contents()

    done = parley("tenants", "remove", GONE)
    assert done.returncode == 1
    assert "add --yes" in " ".join(done.stderr.split())
    assert warehouse.contents() == contents

    done = parley("tenants", "remove", GONE, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert GONE not in done.stdout.partition("Files that still name it")[2]  # no file does
    assert holding(GONE).keys() <= KEPT
    assert {tenant: holding(tenant) for tenant in LEFT} == before
    assert_accounted_for(rows)
    assert [archive.manifest.rows_by_tenant.keys() for archive in archives.find(settings.home)] == [{"tenant-2"}]
    with postgres.connect(settings) as connection:
        assert tenant_roles.logins(connection) == []
        audit.verify(connection)
    assert not any(GONE in path.read_text() for path in (project / "seeds").glob("*.csv"))
    assert GONE not in parley("tenants", "list").stdout

    assert build(settings, BuildRequest(as_of=NOW)).is_whole
    incremental = warehouse.contents()
    assert not any(GONE in line for table in incremental.values() for line in table)
    assert build(settings, BuildRequest(as_of=NOW, full_refresh=True)).is_whole
    assert warehouse.contents() == incremental
    assert incremental == {table: [line for line in lines if GONE not in line] for table, lines in contents.items()}
    done = parley("tenants", "remove", GONE, "--yes")
    assert done.returncode == 1
    assert f"There is no tenant '{GONE}'" in " ".join(done.stderr.split())


@pytest.mark.builds
def test_a_paused_tenant_is_not_alerted_about(project: Path, rows: Rows, tmp_path: Path) -> None:
    rule = {"rule_id": "no_data", "tenant_id": "*", "metric": "events", "condition": "silent_hours", "threshold": "48"}
    write_seed(project, "alert_rules", [rule | {"description": "No events arrive"}])
    settings = Settings.load()
    Warehouse(settings, tmp_path).land_file(Path(write(tmp_path / "a.ndjson", [event(0), event(1), event(2)])))
    assert build(settings, BuildRequest(as_of=NOW)).is_whole
    states = "select tenant_id, state from ops.alerts where rule_id = 'no_data' order by 1"
    assert rows(states) == [{"tenant_id": f"tenant-{number}", "state": "FIRING"} for number in range(3)]
    done = parley("tenants", "pause", GONE)
    assert done.returncode == 0, done.stderr
    with postgres.connect(settings, autocommit=True) as connection:
        evaluation.evaluate(settings, connection, NOW + timedelta(hours=1))
    assert [row["state"] for row in rows(states)] == ["FIRING", "OK", "FIRING"]
    assert rows("select reason from ops.alert_transitions where to_state = 'OK'") == [
        {"reason": "The tenant's state is paused."}
    ]
    assert build(settings, BuildRequest(as_of=NOW + timedelta(hours=2))).is_whole
    assert rows("select tenant_id, state from seeds.tenants where state is not null") == [
        {"tenant_id": GONE, "state": "paused"}
    ]
    assert "paused" in parley("tenants", "list").stdout
    assert parley("tenants", "resume", GONE).returncode == 0
    with postgres.connect(settings, autocommit=True) as connection:
        evaluation.evaluate(settings, connection, NOW + timedelta(hours=3))
    assert {row["state"] for row in rows(states)} == {"FIRING"}
    assert parley("tenants", "pause", "nobody").returncode == 1


def test_a_seed_without_the_column_gets_it(tmp_path: Path) -> None:
    seed = tmp_path / "tenants.csv"
    seed.write_text(f"{','.join(tenants.COLUMNS)}\nshop,My Shop{',' * (len(tenants.COLUMNS) - 2)}\n")
    assert tenants.read(seed)["shop"].is_active
    tenants.set_state(seed, "other", "paused")
    tenants.set_state(seed, "shop", "left")
    found = tenants.read(seed)
    assert {name: (each.name, each.state) for name, each in found.items()} == {
        "shop": ("My Shop", "left"),
        "other": ("other", "paused"),
    }


def test_a_tenant_that_is_resumed_is_what_it_was(project: Path, database: Settings, tmp_path: Path) -> None:
    seed = project / tenants.SEED
    tenants.set_state(seed, GONE, "demo")
    tenants.set_state(seed, LEFT[0], "left")
    parley("load", write(tmp_path / "a.ndjson", [event(number) for number in range(3)])).check_returncode()
    for tenant_id, resumed in ((GONE, "demo"), (LEFT[0], "active"), (LEFT[1], "active")):
        for command, state in (("pause", "paused"), ("resume", resumed), ("resume", resumed)):
            parley("tenants", command, tenant_id).check_returncode()
            assert tenants.read(seed)[tenant_id].state == state
    with postgres.connect(database) as connection:
        noted = [entry.details["state"] for entry in audit.latest(connection, 10, "tenant.state_set", GONE)]
    assert noted == ["demo", "paused"], "what changes nothing is not noted"


def test_a_load_that_begins_while_a_tenant_is_removed_keeps_the_tenant(
    project: Path, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load()
    parley("load", write(tmp_path / "a.ndjson", [event(number) for number in range(6)])).check_returncode()
    with postgres.connect(settings, autocommit=True) as other:

        def begin(*_: object) -> dict[str, int]:
            loads.begin(other, source="b.ndjson", source_format="parley", fingerprint="f", tenant_id=GONE)
            return {}

        monkeypatch.setattr(removal, "_from_archives", begin)
        with pytest.raises(ParleyError, match=f"of {GONE} is still at work"):
            removal.remove(settings, GONE)
    assert len(rows("select from raw.events where tenant_id = %s", GONE)) == 2


def test_star_and_unknown_are_no_tenants(database: Settings) -> None:
    for name in ("*", "(unknown)"):
        with pytest.raises(ParleyError, match="is no tenant"):
            removal.remove(database, name)
