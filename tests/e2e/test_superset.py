"""`make bi` for real: Superset on a built warehouse, boards opened in Chromium, numbers held against the marts.

Needs `.venv-bi` and Chromium, and two minutes: `make test-bi` runs it.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from dashboards import source
from dashboards.superset import serve
from parley.config import tenants
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import database_copy
from tests.support.boards import LONGEST_WAIT, Board, open_board, sign_in
from tests.support.drawn import cut_texts, drawn, listen

pytestmark = [pytest.mark.bi, pytest.mark.timeout(900)]

BOARDS = source.Source().boards
PASSWORD = "a test's password"
WHOLE_DEMO = "2025-06-01 : 2025-07-02"
TENANTS = ("nordic-bank", "salon-paris", "voice-tokyo")
NAMES = {tenant.tenant_id: tenant.name for tenant in tenants.read(source.PROJECT / tenants.SEED).values()}
RANGES = (("2025-06-26", "2025-07-01"), ("2025-06-28", "2025-06-30"))
LOGINS = {"anna": "salon-paris", "bruno": "nordic-bank"}
LONGEST_START = 300  # seconds
WIDTHS = (1366, 1920)
SIZE = {"width": 1366, "height": 3000}  # all of a board at once: what is out of sight is not drawn


@dataclass
class Superset:
    """A running one, on a small warehouse of its own."""

    url: str
    settings: Settings

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the warehouse says."""
        with database.connect(self.settings) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()


@pytest.fixture(scope="module")
def superset(
    server: dict[str, str], built_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Superset]:
    if not serve.PROGRAMS.exists():
        pytest.skip("There is no .venv-bi here: make test-bi makes it.")
    home = tmp_path_factory.mktemp("superset") / "home"
    with (
        pytest.MonkeyPatch.context() as environment,
        database_copy(server, built_template, environment, home) as settings,
    ):
        environment.setenv("PARLEY_BI_PASSWORD", PASSWORD)
        environment.setenv("PARLEY_BI_LOGIN_PASSWORD", PASSWORD)
        port = _free_port()
        process = subprocess.Popen([sys.executable, "-m", "dashboards.superset.serve", "--port", str(port)])
        try:
            _await(f"http://localhost:{port}/health", process)
            for name, tenant in LOGINS.items():
                subprocess.run(
                    [sys.executable, "-m", "dashboards.superset.login", name, "--tenant", tenant], check=True
                )
            yield Superset(f"http://localhost:{port}", settings)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
        assert status == 0, "it stops cleanly"
        with database.connect(settings, database="postgres", autocommit=True) as connection:
            connection.execute(f"drop database {serve.metadata(settings)} with (force)".encode())


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + LONGEST_START
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("Superset does not answer")


@pytest.fixture(scope="module")
def _sessions() -> dict[str, Any]:
    return {}


@pytest.fixture
def visit(superset: Superset, _browser: Browser, _sessions: dict[str, Any], tmp_path: Path) -> Iterator[Any]:
    """Opens a board as a user, with these filters, and waits until every chart is drawn."""
    opened = []

    def go(
        board: str, *, user: str = "admin", tenant: str, dates: str = WHOLE_DEMO, width: int = SIZE["width"]
    ) -> Board:
        size = {**SIZE, "width": width}
        context = _browser.new_context(viewport=size, locale="en-GB", storage_state=_sessions.get(user))
        opened.append(context)
        page = context.new_page()
        listen(page)
        if user not in _sessions:
            sign_in(page, superset.url, user, PASSWORD)
            _sessions[user] = context.storage_state()
        return open_board(page, superset.url, BOARDS[board], board, NAMES.get(tenant, tenant), dates)

    yield go
    for context in opened:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("board", BOARDS)
def test_a_board_opens_and_every_chart_is_drawn(visit: Any, board: str, width: int) -> None:
    tenant = {"commerce": "salon-paris", "experiments": "shop-newyork"}.get(board, "nordic-bank")
    seen = visit(board, tenant=tenant, width=width)
    assert [answer.text()[:300] for answer in seen.answers() if answer.status != 200] == []
    expect(seen.page.get_by_text("Data error")).to_have_count(0)
    expect(seen.page.locator(".ant-notification-notice-error, .toast--danger")).to_have_count(0)
    holders = seen.page.locator(".dashboard-chart .slice_container")
    charts = sum(len(row.get("charts", [])) for row in BOARDS[board]["rows"])
    expect(holders).to_have_count(charts, timeout=LONGEST_WAIT)
    assert seen.page.locator(".slice_container .ant-empty").count() < charts
    keep_picture(seen, f"{board}-{width}")
    assert cut_texts(seen.page) == []
    on_canvases = drawn(seen.page)
    assert [(one.chart, one.said) for one in on_canvases if one.is_cut] == []
    assert [(one.chart, one.said) for one in on_canvases if re.search(r"\.\d\d+.?%", one.said)] == []
    heats = {chart["name"] for chart in source.charts(BOARDS[board]) if chart["kind"] == "heat"}
    colours = {(one.chart, one.colour) for one in on_canvases if one.colour and one.chart not in heats}
    assert {(chart, colour) for chart, colour in colours if not _is_of_the_scale(colour)} == set()


def keep_picture(seen: Board, name: str) -> None:
    """For people to look at, in the folder that SCREENSHOTS names."""
    if folder := os.environ.get("SCREENSHOTS"):
        seen.page.screenshot(path=Path(folder) / f"{name}.png")


def _is_of_the_scale(colour: str) -> bool:
    """Whether it is one of those that `dashboards/source.py` gives a meaning, or a grey."""
    scale = {*source.SERIES, *source.STEPS, *source.SHADES, *source.LABEL_COLOURS.values()}
    found = re.fullmatch(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})|rgba?\((\d+), ?(\d+), ?(\d+).*\)", colour)
    if not found:
        return False
    parts = [int(part, 16) for part in found.groups()[:3]] if found[1] else [int(part) for part in found.groups()[3:]]
    return max(parts) - min(parts) < 24 or "#{:02x}{:02x}{:02x}".format(*parts) in scale


@pytest.mark.parametrize("board", BOARDS)
def test_a_chart_of_a_tenant_without_data_says_what_would_fill_it(visit: Any, board: str) -> None:
    seen = visit(board, tenant="nobody-yet")
    keep_picture(seen, f"{board}-empty")
    empty = seen.page.locator(".slice_container .ant-empty")
    said = [one.evaluate("empty => getComputedStyle(empty, '::after').content") for one in empty.all()]
    assert said, "there is nothing to draw"
    assert [text for text in said if not text.startswith('"Nothing') or "fill" not in text] == []
    expect(seen.page.get_by_text("No results were returned for this query").locator("visible=true")).to_have_count(0)
    assert [one for one in drawn(seen.page) if one.said] == [], "no axis from nothing"
    figures = [chart["name"] for chart in source.charts(BOARDS[board]) if chart["kind"] == "number"]
    assert [name for name in figures if "No data" in seen.said(name)] == []
    assert cut_texts(seen.page) == []


def test_superset_opens_on_the_overview_of_a_tenant_with_data(visit: Any, superset: Superset) -> None:
    page = visit("overview", tenant="nordic-bank").page
    page.goto(superset.url)
    page.wait_for_url("**/superset/dashboard/overview/**")
    [(busiest,)] = superset.rows("select name from marts.tenants_overview order by events desc, tenant_id limit 1")
    expect(page.locator(f'.ant-select-selection-item[title="{busiest}"]')).to_be_visible()
    expect(page.locator(".slice_container").first).to_be_visible()
    expect(page.locator('[data-test="filter-bar__apply-button"]')).to_be_disabled()
    page.goto(f"{superset.url}/superset/dashboard/inputs/")
    expect(page.locator(".slice_container").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator('[data-test="filter-bar__apply-button"]')).to_be_disabled()
    assert source.GREEN in {one.colour for one in drawn(page) if one.chart == "What became of each line"}
    page.goto(f"{superset.url}/dashboard/list/")
    expect(page.locator("tbody tr.ant-table-row").first).to_contain_text("Overview")


def test_times_are_on_the_clock_of_the_tenant(visit: Any, superset: Superset) -> None:
    seen = visit("overview", tenant="voice-tokyo")
    [(last,)] = superset.rows(
        "select to_char(max(started_at) at time zone 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI') from facts.conversations"
        " where tenant_id = 'voice-tokyo' and started_on < '2025-07-02'"
    )
    expect(seen.chart("The conversations behind these numbers")).to_contain_text(str(last))
    expect(seen.page.get_by_text("2025-06-01 to before 2025-07-02")).to_be_visible()


def test_money_has_its_currency_and_is_never_less_than_it_is(visit: Any, superset: Superset) -> None:
    small = "case when date = any('{2025-06-27,2025-06-28}') then 0.00423 else 0 end"
    with database.connect(superset.settings) as connection:
        for table, column in (("model_usage", "cost"), ("commerce_metrics", "revenue")):
            connection.execute(f"update marts.{table} set {column} = {small}".encode())
    dates = "2025-06-28 : 2025-06-29"
    calls = visit("responses", tenant="nordic-bank", dates=dates).chart("Calls of models")
    expect(calls).to_contain_text("SEK 0.0042")
    seen = visit("commerce", tenant="salon-paris", dates=dates)
    assert seen.said("Revenue") == "€ 0.0042 € 0.0042 in the day before ±0 %"


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize(("first", "end"), RANGES)
def test_numbers_on_the_page_equal_the_mart(visit: Any, superset: Superset, tenant: str, first: str, end: str) -> None:
    seen = visit("overview", tenant=tenant, dates=f"{first} : {end}")
    [(total, resolved, escalated)] = superset.rows(
        "select sum(total_conversations)::int, sum(resolved_conversations)::int, sum(escalated_conversations)::int"
        " from marts.daily_metrics where tenant_id = %s and date >= %s and date < %s",
        tenant,
        first,
        end,
    )
    [(customers,)] = superset.rows(
        "select count(distinct user_id) from facts.conversations"
        " where tenant_id = %s and started_on >= %s and started_on < %s",
        tenant,
        first,
        end,
    )
    expect(seen.chart("Conversations")).to_contain_text(f"{total:,}")
    expect(seen.chart("Resolution rate")).to_contain_text(_percent(resolved / total))
    expect(seen.chart("Escalation rate")).to_contain_text(_percent(escalated / total))
    expect(seen.chart("Customers")).to_contain_text(f"{customers:,}")
    *_, counted = [result["data"] for result in seen.results() if result["colnames"] == ["rowcount"]]
    assert counted == [{"rowcount": total}], "the table has as many rows as the number says"


def test_a_figure_says_in_words_what_it_was_before(visit: Any, superset: Superset) -> None:
    first, end = RANGES[1]
    begin = date.fromisoformat(first) - (date.fromisoformat(end) - date.fromisoformat(first))
    count = (
        "select count(*)::int, (count(*) filter (where outcome = 'resolved'))::float"
        " / nullif(count(*) filter (where outcome <> 'no_reply'), 0) from facts.conversations"
        " where tenant_id = 'nordic-bank' and started_on >= %s and started_on < %s"
    )
    [(now, rate)], [(before, rate_before)] = superset.rows(count, first, end), superset.rows(count, begin, first)
    seen = visit("overview", tenant="nordic-bank", dates=f"{first} : {end}")
    change, points = 100 * (now - before) / before, 100 * (rate - rate_before)
    assert seen.said("Conversations") == f"{now:,} {before:,} in the 2 days before {change:+.0f} %".replace("-", "−")
    expected = f"{_percent(rate)} {_percent(rate_before)} in the 2 days before {points:+.1f} points"
    assert seen.said("Resolution rate") == expected.replace("-", "−")
    data_begin = _first_day(superset)
    begins = f"The data begins on {data_begin.day} {data_begin:%b %Y}"
    seen = visit("overview", tenant="nordic-bank")
    assert seen.said("Conversations").endswith(f" {begins}")
    assert seen.said("The assistant answers within (p95)").endswith(f" {begins}")
    nothing = visit("overview", tenant="nordic-bank", dates="2025-01-01 : 2025-01-08")
    assert nothing.said("Conversations") == f"0 {begins}"
    assert nothing.said("Average rating") == f"N/A {begins}"


def test_days_before_are_compared_by_one_rule(visit: Any, superset: Superset) -> None:
    """0 where they are in the data and have nothing; and so many of them as are in the data."""
    first = _first_day(superset) + timedelta(days=1)
    dates = f"{first} : {first + timedelta(days=2)}"
    partly = visit("overview", tenant="nordic-bank", dates=dates)
    assert re.fullmatch(r"[\d,]+ [\d,]+ in the day of data before", partly.said("Conversations"))
    sold = visit("commerce", tenant="nordic-bank", dates="2025-06-28 : 2025-06-30")
    for name in ("Orders", "Bookings requested", "Suggestions accepted"):
        assert sold.said(name) == "0 0 in the 2 days before"


def test_filters_act_when_they_are_clicked(visit: Any, superset: Superset) -> None:
    seen = visit("overview", tenant="nordic-bank")
    tenant = "salon-paris"
    channel, of_channel, total = superset.rows(
        "select channel, count(*)::int, (sum(count(*)) over ())::int from facts.conversations"
        " where tenant_id = %s group by channel order by 2, 1 limit 1",
        tenant,
    )[0]
    assert of_channel < total
    seen.pick("tenant", NAMES[tenant])
    expect(seen.chart("Conversations")).to_contain_text(f"{total:,}", timeout=LONGEST_WAIT)
    seen.pick("channel", channel)
    expect(seen.chart("Conversations")).to_contain_text(f"{of_channel:,}", timeout=LONGEST_WAIT)
    waited = 0
    while (shown := _by_outcome(seen)) != of_channel and waited < LONGEST_WAIT:
        seen.page.wait_for_timeout(1000)
        waited += 1000
    assert shown == of_channel


def _first_day(superset: Superset) -> date:
    """Of the data of the bank."""
    [(first,)] = superset.rows(
        "select (first_event_at at time zone time_zone)::date from marts.tenants_overview"
        " where tenant_id = 'nordic-bank'"
    )
    assert isinstance(first, date)
    return first


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _by_outcome(board: Any) -> int:
    """How many conversations the bars by day and outcome, as they were last drawn, add up to."""
    *_, days = [result["data"] for result in board.results() if "open_conversations" in result["colnames"]]
    return sum(int(count) for day in days for name, count in day.items() if name.endswith("_conversations"))


@pytest.mark.parametrize(("user", "own"), LOGINS.items())
def test_a_login_sees_its_own_tenant_only(visit: Any, superset: Superset, user: str, own: str) -> None:
    [(total,)] = superset.rows(
        "select sum(total_conversations)::int from marts.daily_metrics where tenant_id = %s", own
    )
    seen = visit("overview", user=user, tenant=own)
    expect(seen.chart("Conversations")).to_contain_text(f"{total:,}")
    assert "The data begins on" in seen.said("Conversations")
    other = next(tenant for tenant in LOGINS.values() if tenant != own)
    elsewhere = visit("overview", user=user, tenant=other)
    expect(elsewhere.chart("Outcomes")).to_contain_text("No results")
    listed = visit("inputs", user=user, tenant=own).chart("Tenants, as of now")
    expect(listed).to_contain_text(own)
    expect(listed).not_to_contain_text(other)


def test_importing_again_changes_nothing(superset: Superset) -> None:
    before = _contents(superset)
    environment = {**os.environ, **serve.variables(superset.settings)}
    subprocess.run(
        [serve.PROGRAMS / "python", "-m", "dashboards.superset.apply"], env=environment, check=True, capture_output=True
    )
    assert _contents(superset) == before


def _contents(superset: Superset) -> dict[str, list[str]]:
    """Every dashboard, chart, dataset, rule and role in Superset's own database, but for when they were written."""
    tables = ("dashboards", "slices", "tables", "table_columns", "sql_metrics", "dashboard_slices", "dbs")
    tables += ("row_level_security_filters", "rls_filter_roles", "rls_filter_tables", "ab_role", "ab_user_role")
    ignored = ["changed_on", "last_saved_at", "password", "id"]
    with database.connect(superset.settings, database=serve.metadata(superset.settings)) as connection:
        return {
            table: [
                json.dumps(row)
                for (row,) in connection.execute(
                    f"select to_jsonb(kept) - %s::text[] from {table} as kept order by 1".encode(), [ignored]
                )
            ]
            for table in tables
        }
