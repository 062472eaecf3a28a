"""A web page of another origin sends: by Segment's browser library, by sendBeacon, and by fetch."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page, expect

from parley.settings import Settings
from tests.conftest import Rows
from tests.support.http_server import Server, make_key, serving, until
from tests.support.node import module

pytestmark = pytest.mark.slow
EVENTS = "/api/v1/analytics/events"
EVENT = """{
  event_name: "message.received", occurred_at: new Date().toISOString(), user_id: "ana", conversation_id: "c1",
  attributes: {text: "Where is my parcel?"}
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector(database: Settings, tmp_path: Path) -> Iterator[Server]:
    with serving(database, tmp_path) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The folder and the address of a web site."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>Shop</title><h1>Shop</h1>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://localhost:{server.server_address[1]}"
    server.shutdown()


def names(rows: Rows, count: int) -> list[str]:
    """The names of the events, once there are so many."""
    query = "select event_name from raw.events order by 1"
    until(lambda: len(rows(query)) >= count, f"it does not land: {rows('select * from raw.rejected_events')}")
    return [row["event_name"] for row in rows(query)]


def test_beacons_and_fetches_of_a_page(
    collector: Server, database: Settings, rows: Rows, page: Page, shop: tuple[Path, str]
) -> None:
    _, address = shop
    key = make_key(database, origins=[address])
    url = f"{collector.url}{EVENTS}?key={key}"
    page.goto(address)
    for kind in ("application/json", "text/plain"):
        beacon = f'navigator.sendBeacon("{url}", new Blob([JSON.stringify({EVENT})], {{type: "{kind}"}}))'
        assert page.evaluate(beacon) is True
    assert page.evaluate(f'navigator.sendBeacon("{url}", JSON.stringify({EVENT}))') is True
    fetched = f"""async () => {{
        const answer = await fetch("{collector.url}{EVENTS}", {{
            method: "POST", keepalive: true, credentials: "include", body: JSON.stringify([{EVENT}]),
            headers: {{"Content-Type": "application/json", "Authorization": "Bearer {key}"}},
        }});
        return [answer.status, (await answer.json()).accepted, answer.headers.get("RateLimit-Limit")];
    }}"""
    assert page.evaluate(fetched) == [202, 1, "5000"]
    assert names(rows, 4) == ["message.received"] * 4
    page.goto(address.replace("localhost", "127.0.0.1"))
    elsewhere = f"""async () => (await fetch("{url}", {{method: "POST", body: JSON.stringify({EVENT})}})).status"""
    assert page.evaluate(elsewhere) == 403, "the key is bound to another origin"


def test_segments_browser_library(collector: Server, rows: Rows, page: Page, shop: tuple[Path, str]) -> None:
    folder, address = shop
    (folder / "segment").symlink_to(module("@segment/analytics-next") / "dist" / "umd")
    (folder / "index.html").write_text(f"""<!doctype html><title>Shop</title>
        <script src="/segment/index.js"></script>
        <script>
          const analytics = AnalyticsNext.AnalyticsBrowser.load(
            {{writeKey: "{collector.key}", cdnURL: "{collector.url}"}}, {{disableClientPersistence: true}});
        </script>""")
    page.goto(f"{address}/?secret=7")
    page.evaluate("""async () => {
        await analytics.page("Home");
        await analytics.track("Product Viewed", {product_id: "p1"});
        await analytics.identify("ana", {plan: "free"});
        await analytics.track("Order Completed", {order_id: "7", total: 30, conversation_id: "c1"});
    }""")
    assert names(rows, 4) == ["commerce.order_completed", "commerce.view", "page.viewed", "user.identified"]
    found = {row["event_name"]: row for row in rows("select * from raw.events")}
    order, viewed = found["commerce.order_completed"], found["commerce.view"]
    assert (order["user_id"], order["conversation_id"], order["attributes"]["revenue"]) == ("ana", "c1", 30)
    assert viewed["user_id"] is None
    assert viewed["anonymous_id"] == order["anonymous_id"] is not None, "the visitor is one from the first event on"
    assert "secret" not in str(found)


def test_the_live_page_moves(collector: Server, database: Settings, page: Page) -> None:
    reader = make_key(database, scopes=("read",))
    page.goto(f"{collector.url}/live")
    page.get_by_label("A key with scope").fill("parley_000000000000_" + "x" * 43)
    page.get_by_role("button").click()
    expect(page.get_by_text("The server does not accept this key.")).to_be_visible()
    page.goto(f"{collector.url}/live#{reader}")
    users = page.locator(".tile", has_text="Active users")
    expect(users).to_contain_text("0 in 30 minutes")
    assert reader not in page.url
    with collector.client() as client:
        for number in range(3):
            event = {
                "event_name": "commerce.order_completed",
                "occurred_at": "2026-11-20T10:00:00Z",
                "user_id": f"u{number}",
                "attributes": {"order_id": str(number), "revenue": 10, "currency": "USD" if number else "JPY"},
            }
            assert client.post(EVENTS, json=event).json()["accepted"] == 1
            expect(users.locator(".value")).to_have_text(str(number + 1))
    revenue = page.locator(".tile", has_text="Revenue")
    expect(revenue.locator(".value")).to_have_text("$20.00")
    expect(revenue).to_contain_text("¥10")
    expect(page.locator("#top")).to_contain_text("commerce.order_completed")
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(
            "insert into ops.alerts"
            " (rule_id, tenant_id, subject, state, since, severity, detail, evaluated_at, incident, firings)"
            " select 'slow_answers', tenant_id, '', 'FIRING', now(), 'critical', detail, now(), 1, '{}'"
            " from (values ('shop', 'p95 is 9 s'), ('other', 'not to be seen')) as given (tenant_id, detail)"
        )
        expect(page.locator("#alerts")).to_contain_text("slow answersp95 is 9 s")
        expect(page.locator("#alerts")).not_to_contain_text("not to be seen")
        connection.execute("update ops.alerts set state = 'RESOLVED'")
        expect(page.locator("#alerts .note")).to_have_count(0)
    for width in (1366, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        texts = "[...document.querySelectorAll('.tile *, td, h2')]"
        cut = f"{texts}.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"
        assert page.evaluate(cut) == [], "a text is cut off"
