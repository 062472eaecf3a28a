"""A board of Superset in a browser, as somebody sees it who has signed in: for tests and benchmarks."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Error, Locator, Page, Request, Response, expect

_SAID = """tile => {
    const said = node => {
        if (node.nodeType === Node.TEXT_NODE) return node.textContent;
        const style = getComputedStyle(node);
        if (style.display === "none") return "";
        const own = style.fontSize === "0px" ? [] : [...node.childNodes].map(said);
        const added = getComputedStyle(node, "::after").content;
        return [...own, added === "none" || added === "normal" ? "" : JSON.parse(added)].join(" ");
    };
    return said(tile);
}"""
LONGEST_WAIT = 60_000  # milliseconds until a board is drawn


@dataclass
class Board:
    """An open board: its page, and the requests that its charts were drawn from."""

    page: Page
    requests: list[Request] = field(default_factory=list)

    def chart(self, name: str) -> Locator:
        """The chart with this title."""
        title = self.page.get_by_text(name, exact=True)
        return self.page.locator(".dashboard-component-chart-holder").filter(has=title)

    def said(self, name: str) -> str:
        """All that a figure's tile says, what its style adds too; parts that are not shown are left out."""
        tile = self.chart(name).locator(".pop_kpi, .big_number_total")
        expect(tile).to_be_visible()
        return " ".join(str(tile.evaluate(_SAID)).replace("↑", "").replace("↓", "").split())

    def pick(self, name: str, option: str) -> None:
        """Choose an option of the filter with this name, and apply it."""
        self.page.locator(f'[data-test="NATIVE_FILTER-{name}"]').click()
        self.page.locator(f'.ant-select-item-option[title="{option}"]').click()
        self.page.keyboard.press("Escape")
        self.page.locator('[data-test="filter-bar__apply-button"]').click()

    def answers(self) -> list[Response]:
        """Superset's answers to its charts, in the order in which they came."""
        return [answer for request in self.requests if (answer := request.response())]

    def results(self) -> list[dict[str, Any]]:
        """Every result of every chart: `query`, `data`, `colnames` and so on."""
        found = []
        for answer in self.answers():
            with suppress(Error):  # a chart asked again, and the browser has thrown away what it was told first
                found += answer.json()["result"]
        return found


def sign_in(page: Page, url: str, user: str, password: str) -> None:
    """Past the login page."""
    page.goto(f"{url}/login/")
    page.fill("#username", user)
    page.fill("#password", password)
    page.press("#password", "Enter")
    page.wait_for_url("**/superset/dashboard/overview/", timeout=LONGEST_WAIT)  # what it opens on


def open_board(page: Page, url: str, spec: dict[str, Any], name: str, tenant: str, dates: str) -> Board:
    """Open a board with these filters, and wait until every chart of its `spec` is drawn."""
    board = Board(page)
    page.on("requestfinished", lambda request: board.requests.append(request) if _is_of_a_chart(request) else None)
    page.goto(f"{url}/superset/dashboard/{name}/?native_filters={_filters(tenant, dates)}")
    charts = sum(len(row.get("charts", [])) for row in spec["rows"])
    holders = page.locator(".dashboard-component-chart-holder:has(.dashboard-chart)")
    expect(holders).to_have_count(charts, timeout=LONGEST_WAIT)
    page.wait_for_load_state("networkidle", timeout=LONGEST_WAIT)
    expect(page.get_by_text("Waiting on")).to_have_count(0, timeout=LONGEST_WAIT)  # a filter that has no value yet
    expect(page.get_by_test_id("loading-indicator")).to_have_count(0, timeout=LONGEST_WAIT)
    return board


def _is_of_a_chart(request: Request) -> bool:
    return "/api/v1/chart/data" in request.url and request.method == "POST" and "dashboard_id" in request.url


def _filters(tenant: str, dates: str) -> str:
    """The filters as Superset's address has them (Rison)."""
    return (
        f"(NATIVE_FILTER-tenant:(id:NATIVE_FILTER-tenant,extraFormData:(filters:!((col:tenant,op:IN,"
        f"val:!('{tenant}')))),filterState:(label:'{tenant}',value:!('{tenant}')),ownState:()),"
        f"NATIVE_FILTER-dates:(id:NATIVE_FILTER-dates,extraFormData:(time_range:'{dates}'),"
        f"filterState:(value:'{dates}'),ownState:()))"
    )
