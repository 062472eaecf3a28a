"""Clients that exist already, and ours, send to a real server; what they sent lands, and shows live."""

import os
import re
import subprocess
import threading
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from parley.client import Client
from parley.settings import Settings
from tests.conftest import Rows, parley, read_rows
from tests.support.http_server import Server, make_key, serving, until

pytestmark = pytest.mark.slow
LIVE = "/api/v1/analytics/realtime"
DOCS = Path(__file__).parents[2] / "docs" / "http.md"


def landed(own: Server, count: int) -> list[dict[str, Any]]:
    """The events of the test's tenant, once there are so many."""
    query = "select * from raw.events where tenant_id = %s order by occurred_at, event_name"
    until(lambda: len(read_rows(query, own.tenant)) >= count, "it does not land")
    return read_rows(query, own.tenant)


def test_segments_python_library(own: Server) -> None:
    from segment.analytics.client import Client as Segment

    segment = Segment(write_key=own.key, host=own.url, sync_mode=True)
    segment.identify(user_id="ida", anonymous_id="anon-1", traits={"plan": "free"})
    segment.track(user_id="ida", event="Order Completed", properties={"order_id": "7", "total": 30})
    segment.page(anonymous_id="anon-1", name="Home", properties={"url": "https://shop.example/?secret=1"})
    segment.alias(previous_id="anon-2", user_id="ida")
    found = {row["event_name"]: row for row in landed(own, 4)}
    assert found.keys() == {"user.identified", "commerce.order_completed", "page.viewed", "user.aliased"}
    assert found["commerce.order_completed"]["attributes"] == {"order_id": "7", "revenue": 30}
    assert (found["user.aliased"]["user_id"], found["user.aliased"]["anonymous_id"]) == ("ida", "anon-2")
    assert {row["tenant_id"] for row in found.values()} == {own.tenant}


def test_segments_browser_calls(own: Server) -> None:
    settings = httpx.get(f"{own.url}/v1/projects/{own.key}/settings").json()["integrations"]["Segment.io"]
    assert (settings["apiHost"], settings["protocol"]) == (f"127.0.0.1:{own.port}/v1", "http")
    call = {"anonymousId": "a", "messageId": "m-1", "timestamp": "2026-11-20T10:00:00Z", "name": "Home"}
    plain = {"content-type": "text/plain"}
    for path, body in (
        ("/v1/p", {**call, "writeKey": own.key}),
        ("/v1/t", {**call, "writeKey": own.key, "event": "Product Viewed", "messageId": "m-2"}),
        ("/v1/b", {"writeKey": own.key, "batch": [{**call, "type": "page"}]}),
    ):
        answer = httpx.post(own.url + path, content=orjson.dumps(body), headers=plain)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [row["event_name"] for row in landed(own, 2)] == ["commerce.view", "page.viewed"]
    unknown = httpx.post(f"{own.url}/v1/nothing", json={"writeKey": own.key})
    assert (unknown.status_code, unknown.json()["status"]) == (404, 404)


@pytest.mark.parametrize("as_json", [False, True])
def test_opentelemetrys_exporter(own: Server, as_json: bool) -> None:
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
        answer = httpx.post(f"{own.url}/v1/traces?key={own.key}", json=document)
        assert answer.status_code == 200
        assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        headers = {"Authorization": f"Bearer {own.key}"}
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=f"{own.url}/v1/traces", headers=headers)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small-1", "gen_ai.usage.input_tokens": 12}
        with provider.get_tracer("test").start_as_current_span("chat", attributes=chat):
            pass
        provider.shutdown()
    [row] = landed(own, 1)
    assert row["event_name"] == "ai.response"
    if not as_json:
        assert (row["attributes"]["model"], row["attributes"]["input_tokens"]) == ("small-1", 12)


class _Provider(BaseHTTPRequestHandler):
    """A model's provider as OpenAI's library knows it, on this machine."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = {"role": "assistant", "content": "It comes on Monday; ask monday@example.org."}
        answer = {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1_795_600_000,
            "model": "small-1-2026",
            "choices": [{"index": 0, "finish_reason": "stop", "message": said}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
        }
        body = orjson.dumps(answer)
        self.send_response(200 if "fail" not in self.path else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_opentelemetrys_instrumentation_of_model_calls(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    import openai
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider = TracerProvider()
    headers = {"Authorization": f"Bearer {own.key}"}
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{own.url}/v1/traces", headers=headers)))
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        asked = {"role": "user", "content": "Where is my parcel?"}
        for path in ("v1", "fail"):
            address = f"http://127.0.0.1:{server.server_address[1]}/{path}"
            model = openai.OpenAI(api_key="none", base_url=address, max_retries=0)
            with suppress(openai.InternalServerError):
                model.chat.completions.create(model="small-1", messages=[asked])
    finally:
        instrumentor.uninstrument()
        provider.shutdown()
        server.shutdown()
    found = landed(own, 5)
    [answer] = [row for row in found if row["event_name"] == "ai.response" and not row["attributes"].get("is_error")]
    told = {name: answer["attributes"][name] for name in ("model", "provider", "input_tokens", "output_tokens")}
    assert told == {"model": "small-1-2026", "provider": "openai", "input_tokens": 12, "output_tokens": 5}
    texts = {row["event_name"]: row["attributes"]["text"] for row in found if row["event_name"].startswith("message.")}
    assert texts["message.received"] == "Where is my parcel?"
    assert "Monday" in texts["message.sent"]
    assert "monday@example.org" not in str(found)
    assert sum(bool(row["attributes"].get("is_error")) for row in found) == 1, "a call that failed is one"
    assert len({row["conversation_id"] for row in found}) == 2


def test_curl_as_the_page_of_the_docs_has_it(own: Server) -> None:
    """Every command of docs/http.md that a shell runs as it stands there, but for the port and the key."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    commands = [block.replace("localhost:8090", f"127.0.0.1:{own.port}") for block in blocks]
    assert any("curl" in command for command in commands)
    environment = {**os.environ, "KEY": own.key, "READER": make_key(Settings.load(), own.tenant, ("read",))}
    told = []
    for command in commands:
        done = subprocess.run(["sh", "-ec", command], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stderr)
        told.append(done.stdout)
    [answer] = re.findall(r"```json\n(.*?)\n```", DOCS.read_text(), re.DOTALL)
    assert orjson.loads(told[0]) == orjson.loads(answer)
    assert landed(own, 1)[0]["user_id"] == "u-1"


def test_our_client_queues_batches_and_never_raises(own: Server) -> None:
    client = Client(own.url, own.key, source="server")
    for number in range(250):
        client.track("message.received", conversation_id=f"c{number}", attributes={"text": "hello"})
    with pytest.raises(ZeroDivisionError), client.track_tool_call("divide", conversation_id="c1"):
        _ = 1 / 0
    client.track_search("parcel", 3, user_id="ana")
    client.track("no.such_type")
    assert client.flush()
    found = landed(own, 253)
    assert len(found) == 253
    [call] = [row for row in found if row["event_name"] == "ai.tool_call_completed"]
    assert call["attributes"]["success"] is False
    gone = Client("http://127.0.0.1:9", own.key, retries=1)
    gone.track("message.received")
    assert gone.flush()
    assert gone.dropped == 1


def test_what_was_acknowledged_shows_live_to_its_tenant_alone(own: Server) -> None:
    reader, other = make_key(Settings.load(), own.tenant, ("read",)), make_key(Settings.load(), "other", ("read",))
    order = {
        "event_name": "commerce.order_completed",
        "occurred_at": "2026-11-20T10:00:00Z",
        "user_id": "ana",
        "attributes": {"order_id": "1", "revenue": 12.5},
    }
    with own.client(reader) as client, client.stream("GET", LIVE) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: snapshot"
        assert orjson.loads(next(lines).removeprefix("data: "))["orders_30m"] == 0
        httpx.post(f"{own.url}/api/v1/analytics/events?key={own.key}", json=order)
        told = (orjson.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        changed = next(one for one in told if one["orders_30m"])
        assert (changed["orders_30m"], changed["revenue_30m"], changed["active_users_5m"]) == (1, 12.5, 1)
    with own.client(other) as client:
        assert client.get(f"{LIVE}/snapshot").json()["events_30m"] == 0
        assert client.get(f"{LIVE}/snapshot?metrics=orders_30m").json().keys() == {"at", "orders_30m"}
    assert httpx.get(f"{own.url}{LIVE}/snapshot?key={own.key}").status_code == 403, "a write key reads"


def test_a_web_socket_tells_what_changes(own: Server) -> None:
    reader = make_key(Settings.load(), own.tenant, ("read",))
    address = f"ws://127.0.0.1:{own.port}{LIVE}"
    with connect(f"{address}?key={reader}&metrics=events_30m,events_per_second&event=kb.search") as socket:
        assert orjson.loads(socket.recv(60)).keys() == {"at", "events_30m", "events_per_second"}
        sent = [
            {"event_name": "message.received", "occurred_at": "2026-11-20T10:00:00Z", "attributes": {"text": text}}
            for text in ("one", "two")
        ]
        assert own.client().post("/api/v1/analytics/events", json=sent).json()["accepted"] == 2
        told = orjson.loads(socket.recv(60))
        assert (told["events_30m"], told["events_per_second"]) == (2, 0)
        parley("keys", "revoke", reader).check_returncode()
        with pytest.raises(ConnectionClosed, match="The key has ended"):
            list(iter(partial(socket.recv, 60), None))
    for key in (own.key, reader, "none"):
        with pytest.raises(InvalidStatus), connect(f"{address}?key={key}"):
            pass


def test_the_live_numbers_outlive_a_restart(database: Settings, tmp_path: Path, rows: Rows) -> None:
    with serving(database, tmp_path) as running:
        body = {"event_name": "message.received", "occurred_at": "2026-11-20T10:00:00Z", "user_id": "ana"}
        running.client().post("/api/v1/analytics/events", json=body)
        until(lambda: len(rows("select 1 from raw.events")) == 1, "it does not land")
    reader = make_key(database, scopes=("read",))
    with serving(database, tmp_path) as running:
        assert running.client(reader).get(f"{LIVE}/snapshot").json()["active_users_30m"] == 1
