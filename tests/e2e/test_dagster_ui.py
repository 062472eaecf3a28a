"""`make ui` as people use it: a real webserver, daemon and code server, a real browser, real faults."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from playwright.sync_api import Page, expect

from parley.settings import Settings
from tests.conftest import BUILT_AS_OF, database_copy
from tests.support.warehouse import Warehouse, at_work, held_up, is_held_up

PROJECT = Path(__file__).resolve().parents[2]
MART = {"path": ["marts", "daily_metrics"]}
TOTALS = {"path": ["marts", "period_totals"]}
SELECTION = 'key:"marts/daily_metrics" or key:"marts/period_totals"'
CONFIG = f'resources: {{choices: {{config: {{as_of: "{BUILT_AS_OF}"}}}}}}'
DAYS = ("2025-06-26", "2025-06-27", "2025-06-28")
SPOILED = 4242
LONGEST = 240  # seconds, on a busy machine

pytestmark = [pytest.mark.ui, pytest.mark.timeout(900)]


class Refused(Exception):
    """The webserver could not answer, as while the database is away."""


@dataclass
class Ui:
    """A running `make ui`."""

    process: subprocess.Popen[bytes]
    url: str

    def ask(self, query: str, **variables: object) -> Any:
        """The `data` of a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        if "errors" in answer:
            raise Refused(answer["errors"])
        return answer["data"]

    def backfill(self, assets: list[dict[str, list[str]]], days: tuple[str, ...], **choices: object) -> str:
        """Launch a backfill, and return its id."""
        launched = self.ask(
            """
            mutation ($backfill: LaunchBackfillParams!) {
                launchPartitionBackfill(backfillParams: $backfill) {
                    ... on LaunchBackfillSuccess { backfillId }
                    ... on PythonError { message }
                }
            }
            """,
            backfill={
                "assetSelection": assets,
                "partitionNames": days,
                "runConfigData": {"resources": {"choices": {"config": {"as_of": BUILT_AS_OF, **choices}}}},
            },
        )["launchPartitionBackfill"]
        return str(launched["backfillId"])

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first."""
        found = self.ask(
            "{ runsOrError { ... on Runs { results { runId status startTime endTime tags { key value } } } } }"
        )
        runs: list[dict[str, Any]] = found["runsOrError"]["results"]
        return runs

    def runs_of(self, backfill: str) -> list[dict[str, Any]]:
        return [run for run in self.runs() if {"key": "dagster/backfill", "value": backfill} in run["tags"]]

    def finished(self, backfill: str) -> list[dict[str, Any]]:
        """The runs of a backfill, once it is over."""
        query = (
            "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
        )
        until(
            lambda: (
                self.ask(query, id=backfill)["partitionBackfillOrError"]["status"]
                in ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
            )
        )
        return self.runs_of(backfill)

    def succeeded(self, backfill: str) -> None:
        """Wait until every day of the backfill is built, by its run or by one that took over from a killed one."""
        until(lambda: any(run["status"] == "SUCCESS" for run in self.runs_of(backfill)), LONGEST)

    def run(self) -> psutil.Process:
        """The process of the run that is at work."""
        [found] = [child for child in self.children() if any("spawn_main" in part for part in child.cmdline())]
        return found

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def partitions(self) -> dict[str, set[str]]:
        """The days of daily_metrics by status; those that were never asked for are missing."""
        answer = self.ask(
            """
            query ($key: AssetKeyInput!) {
                assetNodeOrError(assetKey: $key) {
                    ... on AssetNode {
                        assetPartitionStatuses {
                            ... on TimePartitionStatuses { ranges { status startKey endKey } }
                        }
                    }
                }
            }
            """,
            key=MART,
        )
        found: dict[str, set[str]] = {}
        for days in answer["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]:
            inside = {day for day in ALL_DAYS if days["startKey"] <= day <= days["endKey"]}
            found.setdefault(days["status"], set()).update(inside)
        return found


ALL_DAYS = tuple(f"2025-06-{day:02}" for day in range(20, 31))


@pytest.fixture(scope="module")
def ui(server: dict[str, str], built_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """One for the whole module, over a warehouse that the command line has built."""
    folder = tmp_path_factory.mktemp("ui")
    with pytest.MonkeyPatch.context() as environment, database_copy(server, built_template, environment, folder):
        environment.setenv("PARLEY_PROJECT", str(PROJECT))
        environment.setenv("PARLEY_FIRST_DAY", ALL_DAYS[0])
        environment.setenv("DBT_TARGET_PATH", str(folder / "target"))
        with started(folder) as found:
            yield found


class started:
    """A `make ui` while the block runs; its output is in `folder/ui.log`."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "ui.log"

    def __enter__(self) -> Ui:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagster_project.serve", "--port", str(port)],
                cwd=PROJECT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.ui = Ui(process, f"http://127.0.0.1:{port}")
        until(lambda: process.poll() is not None or answers(self.ui.url))
        assert process.poll() is None, self.log.read_text()
        until(lambda: f"Dagster on {self.ui.url}" in self.log.read_text(), 10)  # said once it answers
        return self.ui

    def __exit__(self, *error: object) -> None:
        if self.ui.process.poll() is None:
            children = self.ui.children()
            self.ui.process.terminate()
            assert self.ui.process.wait(90) == 0, self.log.read_text()
            assert psutil.wait_procs(children, 5)[1] == []


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=5):
            return True
    except OSError:
        return False


def until(condition: Callable[[], object], seconds: float = LONGEST) -> None:
    """Wait until something is so, whatever cannot answer meanwhile; fails where it never is."""
    end = time.monotonic() + seconds
    while True:
        with suppress(OSError, Refused):
            if condition():
                return
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.3)


def contents(folder: Path) -> dict[str, list[str]]:
    return Warehouse(Settings.load(), folder).contents()


def builds_at_once() -> int:
    """How many pairs of builds overlapped in time."""
    with psycopg.connect() as connection:
        row = connection.execute(
            "select count(*) from ops.builds as one inner join ops.builds as other on one.build_id < other.build_id"
            " and tstzrange(one.started_at, one.finished_at) && tstzrange(other.started_at, other.finished_at)"
        ).fetchone()
    assert row
    return int(row[0])


def spoil(*days: str) -> None:
    """Write what is not so into a mart, in a column that no invariant holds to another."""
    with psycopg.connect() as connection:
        connection.execute(
            "update marts.daily_metrics set unique_customers = %s where date = any(%s::date[])", [SPOILED, [*days]]
        )


@pytest.fixture(autouse=True)
def _mended(ui: Ui) -> Iterator[None]:
    """What a test spoils and does not have built again is right again for the next one."""
    with psycopg.connect() as connection:
        right = connection.execute("select unique_customers, tenant_id, date from marts.daily_metrics").fetchall()
    yield
    with psycopg.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "update marts.daily_metrics set unique_customers = %s where tenant_id = %s and date = %s"
            f" and unique_customers = {SPOILED}",
            right,
        )


def spoiled() -> set[tuple[str, str]]:
    with psycopg.connect() as connection:
        found = connection.execute(
            "select tenant_id, date::text from marts.daily_metrics where unique_customers = %s", [SPOILED]
        )
        return {(tenant, day) for tenant, day in found}


def materialize(page: Page, button: str) -> None:
    """Ask for the dialog of `launch`, which may come after a question: what is upstream may not be shown as built."""
    page.get_by_role("button", name=button).first.click()
    confirm = page.get_by_role("button", name="Confirm")
    expect(confirm.or_(page.get_by_text("Partition selection")).first).to_be_visible()
    if confirm.is_visible():
        confirm.click()


def launch(page: Page, days: str, counted: str, config: str, button: str) -> None:
    """Fill in the dialog that asks which days to materialize, and send it by its button."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Show all partitions").click()  # of itself it offers those of the last ninety days
    dialog.get_by_text("Custom", exact=True).click()  # of all days, not only of the failed and missing ones
    partitions = dialog.get_by_role("textbox").first
    expect(partitions).to_have_value(re.compile(DAYS[0][:4]))  # the days are there
    partitions.fill(days)
    partitions.blur()
    expect(dialog.get_by_text(counted, exact=True)).to_be_visible()
    dialog.get_by_text("Config", exact=True).click()
    dialog.get_by_role("button", name="Add config").click()
    editor = page.get_by_role("dialog").last
    editor.locator(".CodeMirror").first.click()
    page.keyboard.insert_text(config)
    editor.get_by_role("button", name="Save config").click()
    dialog.get_by_role("button", name=button).click()


def test_a_range_of_days_is_backfilled_in_the_browser(ui: Ui, page: Page, tmp_path: Path) -> None:
    until(lambda: ui.partitions() == {"MATERIALIZED": set(ALL_DAYS)})  # the command line built them all
    spoil(*DAYS, "2025-06-29")
    page.goto(f"{ui.url}/asset-groups")
    page.locator(".CodeMirror").click()
    page.keyboard.type(SELECTION)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Materialize all")).to_be_enabled()
    materialize(page, "Materialize all")
    expect(page.get_by_role("dialog").get_by_text("Launch runs to materialize 2 assets")).to_be_visible()
    launch(page, f"[{DAYS[0]}...{DAYS[-1]}]", "3 partitions", CONFIG, "Launch backfill")
    until(lambda: ui.runs())
    [run] = ui.runs()
    [backfill] = [tag["value"] for tag in run["tags"] if tag["key"] == "dagster/backfill"]
    page.goto(f"{ui.url}/runs/b/{backfill}")
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=LONGEST * 1000)
    [run] = ui.finished(backfill)
    assert run["status"] == "SUCCESS"
    assert {day for _, day in spoiled()} == {"2025-06-29"}
    page.goto(f"{ui.url}/assets/marts/daily_metrics?view=partitions")
    page.wait_for_timeout(3000)
    page.screenshot(path=tmp_path / "partitions.png")


def test_a_day_and_then_everything_are_built_in_the_browser(ui: Ui, page: Page, tmp_path: Path) -> None:
    whole = contents(tmp_path)
    spoil(*DAYS[:2])

    def built() -> None:
        """Wait for the run that is launched next."""
        until(lambda: len(ui.runs()) > len(earlier))
        page.goto(f"{ui.url}/runs/{ui.runs()[0]['runId']}")
        expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=LONGEST * 1000)

    earlier = ui.runs()
    page.goto(f"{ui.url}/assets/marts/daily_metrics?view=partitions")
    materialize(page, "Materialize")
    launch(page, DAYS[0], "1 partition", CONFIG, "Launch 1 run")
    built()
    assert {day for _, day in spoiled()} == {DAYS[1]}

    earlier = ui.runs()
    page.goto(f"{ui.url}/locations/parley/jobs/rebuild")
    materialize(page, "Materialize all")
    launch(page, DAYS[0], "1 partition", CONFIG.replace("}}}", ", full_refresh: true}}}"), "Launch 1 run")
    built()
    assert contents(tmp_path) == whole


def test_what_a_terminated_run_left_is_built_by_the_next(ui: Ui, page: Page, tmp_path: Path) -> None:
    whole = contents(tmp_path)
    spoil(*DAYS)
    with held_up("daily_metrics"):
        backfill = ui.backfill([MART, TOTALS], DAYS)
        until(is_held_up)
        process = ui.run()
        [run] = ui.runs_of(backfill)
        page.goto(f"{ui.url}/runs/{run['runId']}")
        page.get_by_role("button", name="Terminate").click()
        page.get_by_role("dialog").get_by_role("button", name="Terminate 1 run").click()
        until(lambda: [run["status"] for run in ui.runs_of(backfill)] == ["CANCELED"])
        assert psutil.wait_procs([process], 15)[1] == []  # nothing builds behind Dagster's back
        until(lambda: not at_work())
    ui.succeeded(ui.backfill([MART, TOTALS], DAYS))
    assert contents(tmp_path) == whole


def test_a_killed_run_is_taken_over_while_another_waits_its_turn(ui: Ui, tmp_path: Path) -> None:
    whole = contents(tmp_path)
    spoil(*DAYS)
    wrong = spoiled()
    with held_up("daily_metrics"):
        first = ui.backfill([MART, TOTALS], DAYS, tenant="nordic-bank")
        until(is_held_up)
        killed = ui.run()
        second = ui.backfill([MART], DAYS[:1], tenant="salon-paris")
        builds = at_work()
        killed.kill()
        until(lambda: not {*at_work()} & {*builds})  # a build that nobody watches would be in the next one's way
    ui.succeeded(first)
    ui.succeeded(second)
    assert [run["status"] for run in ui.runs_of(first)] == ["SUCCESS", "FAILURE"]
    assert builds_at_once() == 0
    fixed = {("nordic-bank", day) for day in DAYS} | {("salon-paris", DAYS[0])}
    assert spoiled() == wrong - fixed
    changed = {table for table, rows in contents(tmp_path).items() if rows != whole[table]}
    assert changed == {"marts.daily_metrics"}


def test_a_database_that_crashes_in_the_middle_costs_a_retry(ui: Ui, tmp_path: Path) -> None:
    whole = contents(tmp_path)
    spoil(*DAYS)
    with suppress(psycopg.OperationalError), held_up("daily_metrics") as connection:
        backfill = ui.backfill([MART, TOTALS], DAYS)
        until(is_held_up)
        os.kill(connection.info.backend_pid, signal.SIGKILL)  # Postgres ends every session then, and recovers
        until(lambda: connected())
    ui.succeeded(backfill)
    until(lambda: ui.partitions() == {"MATERIALIZED": set(ALL_DAYS)})  # the webserver lost its connections too
    assert contents(tmp_path) == whole


def connected() -> bool:
    try:
        psycopg.connect().close()
    except psycopg.Error:
        return False
    return True


def test_a_killed_daemon_ends_all_and_the_next_start_goes_on(ui: Ui, tmp_path: Path) -> None:
    whole = contents(tmp_path)
    spoil(*DAYS)
    with held_up("daily_metrics"):
        backfill = ui.backfill([MART, TOTALS], DAYS)
        until(is_held_up)
        children = ui.children()
        [daemon] = [child for child in children if any(part.endswith("dagster-daemon") for part in child.cmdline())]
        daemon.kill()
        assert ui.process.wait(60) == 1
        assert psutil.wait_procs(children, 5)[1] == []
        until(lambda: not at_work())
    assert spoiled()
    with started(tmp_path) as again:
        again.succeeded(backfill)
        assert contents(tmp_path) == whole
        assert not [run for run in again.runs() if run["status"] not in ("SUCCESS", "FAILURE", "CANCELED")]
