"""What fails on a row says so without the row: whatever keeps or shows a message holds no word of an event.

A name in a free text stays in the tables, as nothing tells it by its form. Postgres quotes it in its errors.
`make test-ui` runs the builds that fail: that dbt tells no row is pinned by `integration/test_build.py`, too.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from dagster_project.definitions import build_defs
from dagster_project.retries import retried
from parley.build import dbt
from parley.settings import Settings
from parley.warehouse import dagster_home, postgres_errors
from tests.conftest import parley
from tests.oracle import Tenant
from tests.support.receivers import webhook
from tests.support.seeds import write_seed
from tests.support.warehouse import copy_project, execute

pytestmark = [pytest.mark.slow, pytest.mark.builds]

SENT = "sent.ndjson"

AS_OF = "2025-07-05T12:00:00Z"
NAME = "Wendeline Quastenflosser"
MASKED = ("wendeline.q@quasten.example", "+33 6 12 34 56 78", "4111 1111 1111 1111", "FR1420041010050500013M02606")
PRIVATE = re.compile("|".join(re.escape(text) for each in MASKED for text in (each, each.replace(" ", ""))))
WORDS = re.compile(f"Quastenflosser|{PRIVATE.pattern}")
TABLES_WITH_TEXTS = ("raw", "staging", "facts", "marts")


@pytest.fixture
def settings(database: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """A warehouse with its logs to itself, two searches with a person's name, and events full of personal data."""
    monkeypatch.setattr(dbt, "LOG", str(tmp_path / "logs/dbt.log"))
    monkeypatch.setenv("PARLEY_FIRST_DAY", "2025-06-01")
    _land(tmp_path, datetime(2025, 6, 30, 12, tzinfo=UTC))
    return database


def _land(folder: Path, moment: datetime) -> None:
    file = folder / SENT
    file.write_text("".join(json.dumps({"event_id": str(uuid4()), **event}) + "\n" for event in _events(moment)))
    done = parley("load", str(file))
    assert "Traceback" not in done.stderr
    assert WORDS.search(done.stdout + done.stderr) is None


def _events(moment: datetime) -> Iterator[dict[str, object]]:
    at = f"{moment:%Y-%m-%dT%H:%M}:{{:02}}Z"
    about = {"tenant_id": "salon-paris", "conversation_id": "c-1", "user_id": "u-1"}
    for number in range(2):
        search = {"query": f"a table for {NAME}", "results_count": 1}
        yield {**about, "event_name": "kb.search", "occurred_at": at.format(number), "attributes": search}
    for number, text in enumerate((*MASKED, NAME), start=2):
        said = {"content": f"it is {text}", "text": f"it is {text}", "phone": text}
        yield {**about, "event_name": "message.received", "occurred_at": at.format(number), "attributes": said}
        yield {**about, "event_name": text, "occurred_at": text, "attributes": {"note": text}}


def _in_tables() -> dict[str, str]:
    """Every row of the database, by table."""
    with psycopg.connect() as connection:
        tables = connection.execute("select schemaname::text, relname::text from pg_stat_user_tables").fetchall()
        return {
            ".".join(table): "\n".join(
                str(row[0])
                for row in connection.execute(
                    sql.SQL("select kept::text from {} as kept").format(sql.Identifier(*table))  # type: ignore[arg-type]
                )
            )
            for table in tables
        }


def _check(folder: Path, **said: str) -> dict[str, str]:
    """Everything that was written or said, by file or table, once no word of an event is found in it."""
    tables = _in_tables()
    assert any("Quastenflosser" in text for name, text in tables.items() if name.startswith("raw.")), "what can leak"
    assert [name for name, text in tables.items() if PRIVATE.search(text)] == []
    files = {str(path): path.read_bytes().decode(errors="replace") for path in folder.rglob("*.*") if path.is_file()}
    kept = {
        name: text
        for name, text in {**files, **tables, **said}.items()
        if not name.startswith(TABLES_WITH_TEXTS) and not name.endswith(SENT)
    }
    assert [name for name, text in kept.items() if WORDS.search(text)] == []
    return kept


@pytest.mark.ui
def test_a_build_that_fails_on_a_row_quotes_none(settings: Settings, tmp_path: Path) -> None:
    execute("create unique index broken on facts.kb_searches (tenant_id, query)")
    done = parley("build", "--as-of", AS_OF)
    assert done.returncode == 1
    assert "duplicate key value violates unique constraint" in done.stdout
    kept = _check(tmp_path, said=done.stdout + done.stderr)
    assert "broken" in kept["ops.builds"]
    assert "broken" in kept[str(tmp_path / "logs/dbt.log")]


@pytest.mark.ui
def test_a_run_of_dagster_that_fails_on_a_row_quotes_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    execute("create index broken on facts.kb_searches ((query::int))")
    for name, value in dagster_home.prepare(settings).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        job = build_defs().resolve_job_def("build")
        result = job.execute_in_process(
            instance=instance,
            partition_key="2025-06-30",
            run_config={"resources": {"choices": {"config": {"as_of": AS_OF, "only_changes": True}}}},
            raise_on_error=False,
        )
        assert not result.success
        events = "\n".join(str(record) for record in instance.all_logs(result.run_id))
    assert 'invalid input syntax for type integer: "…"' in events
    kept = _check(tmp_path, events=events)
    assert any(name.startswith("dagster.") and "invalid input syntax" in text for name, text in kept.items())


RULE = {"tenant_id": "*", "severity": "warning", "channels": "team"}
RULES = (
    {
        "rule_id": "failed",
        "description": "Something fails",
        "metric": "failed_checks",
        "condition": "fails",
    },
    {
        "rule_id": "said",
        "description": "Somebody says something",
        "metric": "event",
        "condition": "happens",
        "event_names": "message.received",
        "predicate": '$.text like_regex "it is"',
    },
)


def test_what_is_left_out_and_alerts_quote_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = copy_project(tmp_path / "project", [Tenant("salon-paris")])
    write_seed(project, "alert_rules", [RULE | rule for rule in RULES])
    few = {"expectation": "few", "tenant_id": "*", "metric": "events", "maximum": "1", "severity": "block"}
    write_seed(project, "input_expectations", [few | {"description": "No tenant has more than one event in a day"}])
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    with webhook() as team:
        monkeypatch.setenv("PARLEY_CHANNEL_TEAM", team.url)
        _land(tmp_path, datetime.now(UTC) - timedelta(hours=1))
        built = parley("build")
        assert built.returncode == 0, built.stdout + built.stderr
        said = {
            command: parley(*command.split()).stdout
            for command in ("summary", "doctor", "inputs list", "alerts list", "audit")
        }
    posts = json.dumps(team.posts)
    assert {"Something fails", "Somebody says something"} <= {*re.findall("Some[a-z ]+", posts)}
    _check(tmp_path, posts=posts, build=built.stdout + built.stderr, **said)


QUOTING = f'{NAME} "W"'
ROWS = {
    "create temporary table kept (name text unique)": 'unique constraint "kept_name_key" (name)',
    "create temporary table kept (name text check (length(name) > 99))": 'check constraint "kept_name_check"',
    "create temporary table kept (name text, other text not null)": 'null value in column "other"',
    "create temporary table kept (name int)": 'invalid input syntax for type integer: "…"',
    "create temporary table kept (name date)": 'invalid input syntax for type date: "…"',
    "create temporary table kept (name jsonb)": "invalid input syntax for type json",
    "create temporary table kept (name varchar(3))": "value too long",
    "create temporary table kept (name text) partition by list (name)": "no partition of relation",
}


def _insert(connection: psycopg.Connection) -> None:
    connection.execute("insert into kept (name) values (%(said)s), (%(said)s)", {"said": QUOTING})


def _copy(connection: psycopg.Connection) -> None:
    with connection.cursor().copy("copy kept (name) from stdin") as copy:
        copy.write(f"{QUOTING}\n{QUOTING}\n")


@pytest.mark.parametrize("write", [_insert, _copy])
def test_an_error_is_told_without_the_row(
    server: dict[str, str], monkeypatch: pytest.MonkeyPatch, write: Callable[[psycopg.Connection], None]
) -> None:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    quoted = 0
    for table, told in ROWS.items():
        with psycopg.connect(dbname="postgres") as connection:
            connection.execute(table.encode())
            with pytest.raises(psycopg.Error) as raised:
                write(connection)
        quoted += "Quasten" in str(raised.value)
        assert told in postgres_errors.without_values(raised.value)
        with pytest.raises(dg.Failure) as failure, retried():
            raise raised.value
        for said in (postgres_errors.without_values(raised.value), str(failure.value.description)):
            assert "Quasten" not in said
        assert failure.value.__suppress_context__
    assert quoted > len(ROWS) // 2, "Postgres does quote the row"


def test_any_other_error_of_a_run_is_told_by_its_place() -> None:
    with pytest.raises(dg.Failure) as failure, retried():
        int(NAME)
    assert "Quasten" not in str(failure.value.description)
    assert "ValueError" in str(failure.value.description)
