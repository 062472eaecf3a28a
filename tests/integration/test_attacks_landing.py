"""What attackers sent, and what must come of it: injection through names of tenants, odd files, odd consent."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from parley.build.builds import BuildRequest, arguments
from parley.config import seeds
from parley.errors import ParleyError
from parley.landing.loader import load
from parley.landing.sources import SourceError
from parley.serving.doctor import examine
from parley.settings import Settings
from parley.warehouse import database as warehouse
from tests.conftest import Rows, parley
from tests.support.landing import content, event, totals, write
from tests.support.warehouse import execute

JINJA = "{{ run_query('create table public.pwned (a int)') }}"


@pytest.mark.parametrize("tenant_id", [JINJA, "a{b", "{% do x %}", " a", "a ", "null", "NULL", "a\u2028b"])
def test_a_tenant_whose_id_could_do_harm_is_not_admitted(
    database: Settings, rows: Rows, tmp_path: Path, tenant_id: str
) -> None:
    report = load(database, write(tmp_path / "a.ndjson", [event(1, tenant_id=tenant_id)]))
    assert (report.counts.accepted, report.counts.rejected) == (0, 1)
    assert rows("select reason, path from raw.rejected_events") == [{"reason": "invalid_value", "path": "$.tenant_id"}]


@pytest.mark.parametrize("tenant_id", ["salon-paris", "a b", "a|b", "O'Hara & Söhne", "x" * 64, "店"])
def test_other_names_are_admitted(database: Settings, tmp_path: Path, tenant_id: str) -> None:
    assert load(database, write(tmp_path / "a.ndjson", [event(1, tenant_id=tenant_id)])).counts.accepted == 1


def test_an_installation_says_by_a_pattern_who_its_tenants_may_be(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_TENANT_PATTERN", "shop-[0-9]+")
    path = write(tmp_path / "a.ndjson", [event(1, tenant_id="shop-1"), event(2, tenant_id="other")])
    assert load(Settings.load(), path).counts.rejected == 1
    monkeypatch.setenv("PARLEY_TENANT_PATTERN", "(")
    with pytest.raises(ParleyError, match="no regular expression"):
        Settings.load()


def test_nothing_that_people_write_reaches_dbt_as_text_that_it_renders() -> None:
    from datetime import UTC, datetime

    order = BuildRequest(tenant=JINJA)
    command = arguments(order, order.circumstances(datetime.now(UTC), "b", 1), "p")
    assert "{{" not in " ".join(command)
    variables = json.loads(command[command.index("--vars") + 1])
    assert bytes.fromhex(variables["tenant"]).decode() == JINJA
    with pytest.raises(ParleyError, match="braces"):
        BuildRequest(select=(JINJA,))


def test_a_stray_quote_in_csv_spoils_its_own_line_only(database: Settings, rows: Rows, tmp_path: Path) -> None:
    lines = ["event_name,occurred_at,tenant_id,conversation_id"]
    lines += [f"cart.confirmed,2024-05-01T10:00:0{n}Z,shop,c{n}" for n in range(8)]
    lines[2] = 'cart.confirmed,2024-05-01T10:00:01Z,shop,"c1'
    lines[6] = 'cart.confirmed,2024-05-01T10:00:05Z,shop,c"5'
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    report = load(database, str(tmp_path / "a.csv"))
    assert report.counts.received == 8
    assert report.counts.accepted >= 6
    found = {row["conversation_id"] for row in rows("select conversation_id from raw.events")}
    assert {f"c{n}" for n in range(8)} - {"c1", "c5"} <= found


def test_a_cell_in_quotes_may_still_hold_lines(database: Settings, rows: Rows, tmp_path: Path) -> None:
    header = "event_name,occurred_at,tenant_id,attributes.text"
    (tmp_path / "a.csv").write_text(
        f'{header}\nmessage.received,2024-05-01T10:00:00Z,shop,"one, two\n\nthree ""four"", five"\n'
    )
    assert load(database, str(tmp_path / "a.csv")).counts.accepted == 1
    assert content(rows)[0]["attributes"] == {"text": 'one, two\n\nthree "four", five'}


def test_no_line_is_lost_where_a_block_of_the_file_ends(database: Settings, rows: Rows, tmp_path: Path) -> None:
    first, second = (json.dumps(event(n)).encode() for n in (1, 2))
    path = tmp_path / "a.ndjson"
    path.write_bytes(b" " * (2 * 1024 * 1024 - len(first)) + first + b"\n" + second + b"\n")
    load(database, str(path))
    assert totals(rows) == [(2, 0, 0, 0, 0)]


def test_a_parquet_column_whose_name_is_no_utf_8_is_a_sentence(database: Settings, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    columns: dict[str, Any] = {
        "event_name": ["x"],
        "occurred_at": ["x"],
        "tenant_id": ["x"],
        "attributes.zzzzzz": ["x"],
    }
    pq.write_table(pa.table(columns), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"attributes.zzzzzz", b"attributes.z\xf2zzzz"))
    with pytest.raises(SourceError, match="no UTF-8"):
        load(database, str(path))


def test_a_consent_that_is_neither_yes_nor_no_is_told(database: Settings, tmp_path: Path) -> None:
    lines = [event(n, context={"consent": {"analytics": said}}) for n, said in enumerate(("0", "perhaps", "yes"), 1)]
    report = load(database, write(tmp_path / "a.ndjson", lines))
    assert (report.counts.no_consent, report.counts.accepted, report.unclear_consent) == (2, 1, 1)


@pytest.mark.parametrize("cell", ["salon-paris ", " Europe/Paris", "null", "NULL"])
def test_a_seed_that_dbt_would_read_otherwise_is_rejected(tmp_path: Path, cell: str) -> None:
    (tmp_path / "tenants.csv").write_text(f"tenant_id,name\na,{cell}\n")
    with pytest.raises(ParleyError, match=r"tenants.csv, row 2, name: "):
        seeds.check_written(tmp_path)


@pytest.mark.parametrize("content", ["", "  \n", "\0" * 64])
def test_an_empty_secret_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.delenv("PARLEY_SECRET", raising=False)
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path))
    (tmp_path / "secret").write_text(content)
    with pytest.raises(ParleyError, match="is empty"):
        _ = Settings.load().secret


@pytest.mark.parametrize("given", ["", " "])
def test_a_variable_that_is_set_to_nothing_is_no_secret(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("PARLEY_SECRET", given)
    with pytest.raises(ParleyError, match="PARLEY_SECRET is blank"):
        _ = Settings.load().secret


def test_a_secret_is_written_wholly_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_SECRET", raising=False)
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ParleyError, match="No space left"):
            _ = Settings.load().secret
    assert list((tmp_path / "home").iterdir()) == []
    secret = Settings.load().secret
    assert len(secret) == 64
    assert (tmp_path / "home/secret").stat().st_mode & 0o777 == 0o600
    assert Settings.load().secret == secret


def test_with_another_secret_than_the_warehouses_nobody_is_hashed(
    database: Settings, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is lost, or another machine's: people would be somebody else, and who was erased would come back."""
    path = write(tmp_path / "a.ndjson", [event(1)])
    assert parley("load", path).returncode == 0
    person = ("--tenant", "tenant-1", "--user", "user-1")
    own = database.secret
    with monkeypatch.context() as changed:
        changed.delenv("PARLEY_SECRET")
        assert Settings.load().secret != own
        for command in (
            ("load", write(tmp_path / "b.ndjson", [event(4)])),
            ("forget", *person, "--yes"),
            ("forget", *person, "--dry-run"),
            ("forget", "--open"),
            ("forget", *person, "--verify"),
            ("export-subject", *person, "--out", str(tmp_path / "theirs")),
            ("replay-rejected",),
        ):
            done = parley(*command)
            assert done.returncode == 1, command
            assert "is not the one that this warehouse knows its people by" in " ".join(done.stderr.split()), command
        [finding] = [found for found in examine(Settings.load()) if "of another warehouse" in found.found]
        assert finding.status == "broken"
        held = "select (select count(*) from raw.events) as events, (select count(*) from ops.erasures) as erasures"
        assert rows(held) == [{"events": 1, "erasures": 0}]
        execute("delete from ops.secret")  # the warehouse's is lost for good
        assert parley("load", str(tmp_path / "b.ndjson")).returncode == 0
    assert parley("load", path).returncode == 1
    assert len(rows("select from raw.events")) == 2


@pytest.mark.parametrize(
    "statement",
    ["begin read only; create table public.t (a int)", "select pg_terminate_backend(pg_backend_pid())"],
)
def test_what_stops_postgres_is_a_sentence(database: Settings, statement: str) -> None:
    def work() -> None:
        with warehouse.explained("the build"), psycopg.connect() as connection:
            connection.execute(statement.encode())

    with pytest.raises(ParleyError, match=r"Postgres stopped the build \("):
        work()


def test_a_session_has_the_settings_that_parley_reads_by(database: Settings) -> None:
    with psycopg.connect() as connection:
        connection.execute("alter role current_user set datestyle = 'SQL, DMY'")
        connection.execute("alter role current_user set idle_in_transaction_session_timeout = '1min'")
    try:
        with warehouse.connect(database) as connection:
            assert connection.execute("select '2026-05-31'::date::text").fetchone() == ("2026-05-31",)
            assert connection.execute("show idle_in_transaction_session_timeout").fetchone() == ("0",)
    finally:
        with psycopg.connect() as connection:
            connection.execute("alter role current_user reset datestyle")
            connection.execute("alter role current_user reset idle_in_transaction_session_timeout")


def test_what_the_command_line_writes_is_nobody_elses_to_read(database: Settings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "PARLEY_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "parley", "demo", "--size", "10", str(home / "d.ndjson.gz")],
        cwd=database.project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [oct(path.stat().st_mode & 0o77) for path in home.rglob("*")] == ["0o0"]
