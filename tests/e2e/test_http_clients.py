"""Clients that exist already, and ours, send to a real server; what they sent lands, and shows live."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from parley.client import Client
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.http_server import Server, make_key, serving, until

pytestmark = pytest.mark.slow
LIVE = "/api/v1/analytics/realtime"


@pytest.fixture
def collector(database: Settings, tmp_path: Path) -> Iterator[Server]:
    with serving(database, tmp_path) as running:
        yield running


def landed(rows: Rows, count: int) -> list[dict[str, Any]]:
    """The events, once there are so many."""
    query = "select * from raw.events order by occurred_at, event_name"
    until(lambda: len(rows(query)) >= count, "it does not land")
    return rows(query)


def test_segments_python_library(collector: Server, rows: Rows) -> None:
    from segment.analytics.client import Client as Segment

    segment = Segment(write_key=collector.key, host=collector.url, sync_mode=True)
    segment.identify(user_id="ida", anonymous_id="anon-1", traits={"plan": "free"})
    segment.track(user_id="ida", event="Order Completed", properties={"order_id": "7", "total": 30})
    segment.page(anonymous_id="anon-1", name="Home", properties={"url": "https://shop.example/?secret=1"})
    segment.alias(previous_id="anon-2", user_id="ida")
    found = {row["event_name"]: row for row in landed(rows, 4)}
    assert found.keys() == {"user.identified", "commerce.order_completed", "page.viewed", "user.aliased"}
    assert found["commerce.order_completed"]["attributes"] == {"order_id": "7", "revenue": 30}
    assert (found["user.aliased"]["user_id"], found["user.aliased"]["anonymous_id"]) == ("ida", "anon-2")
    assert {row["tenant_id"] for row in found.values()} == {"shop"}


def test_segments_browser_calls(collector: Server, rows: Rows) -> None:
    settings = httpx.get(f"{collector.url}/v1/projects/{collector.key}/settings").json()["integrations"]["Segment.io"]
    assert (settings["apiHost"], settings["protocol"]) == (f"127.0.0.1:{collector.port}/v1", "http")
    call = {"anonymousId": "a", "messageId": "m-1", "timestamp": "2026-11-20T10:00:00Z", "name": "Home"}
    plain = {"content-type": "text/plain"}
    for path, body in (
        ("/v1/p", {**call, "writeKey": collector.key}),
        ("/v1/t", {**call, "writeKey": collector.key, "event": "Product Viewed", "messageId": "m-2"}),
        ("/v1/b", {"writeKey": collector.key, "batch": [{**call, "type": "page"}]}),
    ):
        answer = httpx.post(collector.url + path, content=orjson.dumps(body), headers=plain)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [row["event_name"] for row in landed(rows, 2)] == ["commerce.view", "page.viewed"]
    unknown = httpx.post(f"{collector.url}/v1/nothing", json={"writeKey": collector.key})
    assert (unknown.status_code, unknown.json()["status"]) == (404, 404)


@pytest.mark.parametrize("as_json", [False, True])
def test_opentelemetrys_exporter(collector: Server, rows: Rows, as_json: bool) -> None:
    if as_json:
        value = {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}
        times = {"startTimeUnixNano": "1795600000000000000", "endTimeUnixNano": "1795600001250000000"}
        span = {
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174",
            "attributes": [value],
            **times,
        }
        document = {"resourceSpans": [{"scopeSpans": [{"spans": [span, 7]}]}]}
        answer = httpx.post(f"{collector.url}/v1/traces?key={collector.key}", json=document)
        assert answer.status_code == 200
        assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        headers = {"Authorization": f"Bearer {collector.key}"}
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces", headers=headers)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small-1", "gen_ai.usage.input_tokens": 12}
        with provider.get_tracer("test").start_as_current_span("chat", attributes=chat):
            pass
        provider.shutdown()
    [row] = landed(rows, 1)
    assert row["event_name"] == "ai.response"
    if not as_json:
        assert (row["attributes"]["model"], row["attributes"]["input_tokens"]) == ("small-1", 12)


def test_our_client_queues_batches_and_never_raises(collector: Server, rows: Rows) -> None:
    client = Client(collector.url, collector.key, source="server")
    for number in range(250):
        client.track("message.received", conversation_id=f"c{number}", attributes={"text": "hello"})
    with pytest.raises(ZeroDivisionError), client.track_tool_call("divide", conversation_id="c1"):
        _ = 1 / 0
    client.track_search("parcel", 3, user_id="ana")
    client.track("no.such_type")
    assert client.flush()
    found = landed(rows, 253)
    assert len(found) == 253
    [call] = [row for row in found if row["event_name"] == "ai.tool_call_completed"]
    assert call["attributes"]["success"] is False
    gone = Client("http://127.0.0.1:9", collector.key, retries=1)
    gone.track("message.received")
    assert gone.flush()
    assert gone.dropped == 1


def test_what_was_acknowledged_shows_live_to_its_tenant_alone(collector: Server, database: Settings) -> None:
    reader, other = make_key(database, scopes=("read",)), make_key(database, "other", ("read",))
    order = {
        "event_name": "commerce.order_completed",
        "occurred_at": "2026-11-20T10:00:00Z",
        "user_id": "ana",
        "attributes": {"order_id": "1", "revenue": 12.5},
    }
    with collector.client(reader) as client, client.stream("GET", LIVE) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: snapshot"
        assert orjson.loads(next(lines).removeprefix("data: "))["orders_30m"] == 0
        httpx.post(f"{collector.url}/api/v1/analytics/events?key={collector.key}", json=order)
        told = (orjson.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        changed = next(one for one in told if one["orders_30m"])
        assert (changed["orders_30m"], changed["revenue_30m"], changed["active_users_5m"]) == (1, 12.5, 1)
    with collector.client(other) as client:
        assert client.get(f"{LIVE}/snapshot").json()["events_30m"] == 0
        assert client.get(f"{LIVE}/snapshot?metrics=orders_30m").json().keys() == {"at", "orders_30m"}
    assert httpx.get(f"{collector.url}{LIVE}/snapshot?key={collector.key}").status_code == 403, "a write key reads"


def test_the_live_numbers_outlive_a_restart(database: Settings, tmp_path: Path, rows: Rows) -> None:
    with serving(database, tmp_path) as running:
        body = {"event_name": "message.received", "occurred_at": "2026-11-20T10:00:00Z", "user_id": "ana"}
        running.client().post("/api/v1/analytics/events", json=body)
        landed(rows, 1)
    reader = make_key(database, scopes=("read",))
    with serving(database, tmp_path) as running:
        assert running.client(reader).get(f"{LIVE}/snapshot").json()["active_users_30m"] == 1
