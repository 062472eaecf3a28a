"""What `parley summary` and `parley doctor` say of an empty warehouse, a built one, and one with something wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from parley.landing import loads
from parley.serving.doctor import Finding, examine
from parley.serving.summary import summarise
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import parley
from tests.support.warehouse import copy_project


def execute(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with database.connect(settings, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(settings)}


def test_the_summary_of_nothing_says_how_to_begin(database: Settings) -> None:
    done = parley("summary")
    assert done.returncode == 0
    assert "Nothing has landed yet" in done.stdout
    assert json.loads(parley("summary", "--json").stdout)["landed"]["received"] == 0


@pytest.mark.builds
def test_the_demos_tenants_come_with_the_demo_only(database: Settings) -> None:
    execute(
        database,
        "insert into raw.load_batches (batch_id, tenant_id, load_id, received_at, received, accepted, rejected)"
        " values (1, 'own', 1, now(), 10, 10, 0)",
    )
    assert execute(database, "select tenant_id from staging.stg_tenants") == [("own",)]
    assert execute(database, "select tenant_id from marts.tenants_overview") == []
    listed = parley("tenants", "list").stdout
    assert "own" in listed
    said = listed + parley("summary").stdout + parley("doctor").stdout
    assert [name for name in ("nordic-bank", "salon-paris", "voice-tokyo", "shop-newyork") if name in said] == []
    assert summarise(database).kept_days == {}
    execute(
        database,
        "insert into raw.load_batches (batch_id, tenant_id, load_id, received_at, received, accepted, rejected)"
        " values (2, 'nordic-bank', 1, now(), 10, 10, 0)",
    )
    assert "Nordic Bank" in parley("tenants", "list").stdout
    assert execute(database, "select name from staging.stg_tenants order by 1") == [("Nordic Bank",), ("own",)]


def test_the_summary_of_what_landed_but_was_not_built_says_what_to_do(database: Settings) -> None:
    execute(
        database,
        "insert into raw.load_batches (batch_id, tenant_id, load_id, received_at, received, accepted, rejected)"
        " values (1, 'shop', 1, now(), 10, 9, 1)",
    )
    summary = summarise(database)
    assert (summary.landed.received, summary.landed.accepted, summary.conversations) == (10, 9, None)
    assert "none yet: parley build" in parley("summary").stdout


def test_the_summary_shows_what_the_marts_hold(built: Settings) -> None:
    summary = summarise(built)
    assert summary.landed.received == 400
    assert summary.accounting
    assert (summary.accounting.waiting, summary.accounting.unaccounted) == (0, 0)
    assert summary.conversations
    assert (summary.conversations.total,) == execute(built, "select count(*) from facts.conversations")[0]
    [(resolved,)] = execute(built, "select avg((outcome = 'resolved')::int)::float from facts.conversations")
    assert summary.conversations.resolution_rate == pytest.approx(resolved)
    assert summary.response_times
    [exact] = execute(
        built,
        "select percentile_cont(0.5) within group (order by duration_ms), count(*) from facts.responses",
    )
    assert summary.response_times.p50_ms == pytest.approx(exact[0], rel=0.05)  # between two answers far apart
    assert summary.response_times.responses == exact[1]
    [(newest, active)] = execute(
        built, "select date, sum(dau) from marts.active_users group by date order by date desc limit 1"
    )
    assert (summary.active_users[-1].date, summary.active_users[-1].dau) == (newest, active)
    assert {tenant.tenant_id for tenant in summary.tenants} == {
        "nordic-bank",
        "salon-paris",
        "shop-newyork",
        "voice-tokyo",
    }
    assert sum(each.lines for each in summary.rejected) == summary.landed.rejected
    assert summary.funnel[0].conversion_from_start == 1
    assert summary.build
    assert summary.build.failed + summary.build.errors == 0


def test_the_summary_of_one_tenant_is_of_that_tenant_alone(built: Settings) -> None:
    shares = [summarise(built, tenant.tenant_id) for tenant in summarise(built).tenants]
    whole = summarise(built)
    assert sum(share.landed.accepted for share in shares) == whole.landed.accepted
    assert whole.conversations
    assert sum(share.conversations.total for share in shares if share.conversations) == whole.conversations.total
    assert all(len(share.tenants) == 1 for share in shares)
    assert summarise(built, "nobody").landed.received == 0


def test_the_summary_fits_one_screen(built: Settings) -> None:
    lines = parley("summary").stdout.splitlines()
    assert len(lines) <= 55  # of 80 columns; 45 of 100
    assert max(map(len, lines)) <= 100
    assert any("checks passed, 0 failed" in line for line in lines)


def test_the_summary_names_what_was_unusual_in_the_last_week(built: Settings) -> None:
    assert summarise(built).anomalies == []
    execute(
        built,
        "update marts.input_anomalies set is_anomaly = true, severity = 'warning', expected = 9, score = -5,"
        " direction = 'down' where event_name = 'kb.search' and metric = 'events'"
        " and tenant_id in ('nordic-bank', 'salon-paris') and date in ('2025-06-28', '2025-06-27')",
    )
    [unusual] = summarise(built, "nordic-bank").anomalies  # the day before is more than a week ago
    assert (unusual.tenant_id, unusual.date.isoformat()) == ("nordic-bank", "2025-06-28")
    said = " ".join(parley("summary").stdout.split())
    assert "anomalies of the input: nordic-bank kb.search events down, salon-paris kb.search events down" in said


def test_the_summary_names_events_that_wait_and_checks_that_failed(built: Settings) -> None:
    execute(
        built,
        "insert into raw.load_batches (batch_id, tenant_id, load_id, received_at, received, accepted)"
        " values (nextval('raw.batch_id'), 'shop-newyork', 1, now(), 3, 3)",
    )
    execute(
        built,
        "update ops.builds set failed = 1, problems ="
        """ '[{"name": "a_check", "kind": "test", "status": "fail", "message": "Got 2 results"}]'""",
    )
    said = " ".join(parley("summary").stdout.split())
    assert "3 events have landed since the last build" in said
    assert "1 failed" in said
    assert "a_check: Got 2 results" in said


def test_the_doctor_finds_nothing_wrong_with_a_built_warehouse(built: Settings) -> None:
    wrong = [finding for finding in examine(built) if finding.status == "broken"]
    assert wrong == []
    assert parley("doctor").returncode == 0


def test_the_doctor_tells_of_reports_that_reach_nobody(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(database)["reports"].status == "good"
    project = copy_project(tmp_path / "project", [])
    (project / "seeds/report_recipients.csv").write_text("tenant_id,period,channels\n*,week,boss|team\n")
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    monkeypatch.setenv("PARLEY_CHANNEL_TEAM", "json://localhost/hook")
    finding = found(Settings.load())["reports"]
    assert (finding.status, finding.found) == ("look", "boss not set up, so that nobody gets what is to go there")


def test_the_doctor_makes_what_is_missing_when_asked(database: Settings) -> None:
    execute(database, "drop schema raw, ops cascade")
    assert found(database)["tables"].status == "look"
    assert "loads" not in found(database)
    fixed = {finding.name: finding for finding in examine(database, fix=True)}
    assert {fixed[name].status for name in ("tables", "event types", "partitions", "loads")} == {"good"}
    assert fixed["last build"].status == "look"


@pytest.mark.parametrize(
    ("damage", "name", "status"),
    [
        ("update ops.builds set errors = 1", "last build", "broken"),
        ("update ops.alembic_version set version_num = '9999'", "tables", "broken"),
        (
            "update ops.input_validation set result = 'blocked'",
            "input gate",
            "broken",
        ),
        ("update ops.input_validation set result = 'blocked' where tenant_id <> '*'", "input gate", "look"),
        ("update ops.alembic_version set version_num = '0001'", "tables", "look"),
        ("delete from raw.event_types where event_name = 'kb.search'", "event types", "look"),
        ("update raw.event_types set description = 'x' where event_name = 'kb.search'", "event types", "look"),
        ("update raw.loads set status = 'running'", "loads", "look"),
        ("update raw.loads set status = 'failed'", "loads", "look"),
        ("update ops.watermarks set position = 0 where model = 'stg_events'", "tables up to date", "look"),
        ("insert into ops.changes (model, kind) values ('stg_events', 'all')", "tables up to date", "look"),
    ],
)
def test_the_doctor_sees_what_is_wrong_and_says_what_to_do(
    built: Settings, damage: str, name: str, status: str
) -> None:
    execute(built, damage)
    finding = found(built)[name]
    assert finding.status == status
    assert finding.remedy


def test_a_load_at_work_is_not_called_unfinished(built: Settings) -> None:
    with database.connect(built, autocommit=True) as other:
        load_id = loads.begin(other, source="endless", source_format="parley")
        assert loads.at_work(other) == {load_id}
        assert found(built)["loads"].status == "good"
    assert found(built)["loads"].status == "look"


def test_a_secret_that_others_may_read_is_broken(built: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    own = built.secret
    monkeypatch.delenv("PARLEY_SECRET")
    built.home.mkdir(exist_ok=True)
    (built.home / "secret").write_bytes(own)
    (built.home / "secret").chmod(0o600)
    assert found(built)["secret"].status == "good"
    (built.home / "secret").chmod(0o644)
    assert found(built)["secret"].status == "broken"
    assert parley("doctor").returncode == 1
