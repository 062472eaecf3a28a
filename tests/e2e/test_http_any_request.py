"""Any request to the HTTP server gets an answer that a person can act on, and leaves no personal data behind."""

import asyncio
import gzip
import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import psycopg
import pytest

from parley.server.app import create
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.http_server import Server, make_key, serving, until
from tests.support.landing import assert_accounted_for

pytestmark = pytest.mark.slow
BASE = "/api/v1/analytics"
REQUESTS = int(os.environ.get("PARLEY_MUTATED_REQUESTS", "3000"))
AT_ONCE, SEED = 25, 20261127
MOST_GROWTH = 40 * 2**20  # bytes, from the first quarter of the requests to the last
JSON, LINES, TEXT = "application/json", "application/x-ndjson", "text/plain"
ANSWERS = {200, 202, 400, 401, 403, 404, 405, 413, 415}

EVENT = {
    "event_id": "5f0f6a0e-6a9b-4a57-9f1b-0d6f3c1f2b11",
    "event_name": "message.received",
    "occurred_at": "2026-11-20T10:00:00Z",
    "conversation_id": "c1",
    "user_id": "ana",
    "sequence": 3,
    "attributes": {"text": "Where is my parcel?", "channel": "web"},
    "context": {"page": "/home", "consent": {"analytics": True}},
}
SEGMENT = {
    "userId": "ana",
    "event": "Order Completed",
    "messageId": "m-1",
    "properties": {"order_id": "7", "total": 30},
}
SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "startTimeUnixNano": "1795600000000000000",
    "endTimeUnixNano": "1795600001250000000",
    "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}],
}
OTLP = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [SPAN]}]}]}
WHOLE = [  # method, path, content type, document
    ("POST", f"{BASE}/events", JSON, EVENT),
    ("POST", f"{BASE}/events", TEXT, {"events": [EVENT, EVENT]}),
    ("POST", f"{BASE}/events", LINES, EVENT),
    ("POST", f"{BASE}/events/batch", JSON, {"batch_id": "b", "events": [EVENT, EVENT, EVENT]}),
    ("POST", f"{BASE}/events/validate", JSON, [EVENT]),
    ("POST", "/v1/track", JSON, SEGMENT),
    ("POST", "/v1/batch", TEXT, {"batch": [{**SEGMENT, "type": "track"}, {"type": "identify", "userId": "ana"}]}),
    ("POST", "/v1/traces", JSON, OTLP),
    ("POST", "/v1/traces", "application/x-protobuf", OTLP),
    ("GET", f"{BASE}/realtime/snapshot?metrics=orders_30m&event=kb.search", JSON, None),
]
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 10**30, 1.5e308, "", " ", "\x00", "\U0001f600" * 300, "x" * 70_000, "null", "NaN", [], {}, [[]],
    {"": {"": ""}}, "2026-13-45T99:99:99Z", "9999-12-31T23:59:59-12:00", "' or 1=1 --", "{{ 7 * 7 }}", "\\N", "a\tb\nc",
]  # fmt: skip
RAW = [
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b"\xff\xfe",
    b"1e999",
    b"123456789012345678901234567890.5",
    b"[" * 5000,
    b"\x00",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def with_odd_value(document: Any, chance: random.Random) -> Any:
    """The document with a value replaced or taken out, or a field that nobody knows."""
    copy = deepcopy(document)
    *way, last = chance.choice(list(places(copy)))
    holder = copy
    for step in way:
        holder = holder[step]
    if chance.random() < 0.2:
        del holder[last]
    elif chance.random() < 0.1 and isinstance(holder, dict):
        holder[chance.choice(["", "x" * 200, "tenant_id", "load_id", "$ref"])] = chance.choice(ODD_VALUES)
    else:
        holder[last] = chance.choice(ODD_VALUES)
    return copy


def with_odd_bytes(body: bytes, chance: random.Random) -> bytes:
    """The body cut, doubled, flipped, or with something in it that does not belong there."""
    at, to = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    changes: list[Callable[[], bytes]] = [
        lambda: body[:at],
        lambda: body[:at] + body[to:],
        lambda: body[:to] + body[at:],
        lambda: body[:at] + chance.choice(RAW) + body[at:],
        lambda: body[:at] + chance.randbytes(chance.randrange(1, 20)) + body[at:],
        lambda: body * chance.choice([2, 40]),
    ]
    return chance.choice(changes)()


def mutated(key: str, chance: random.Random) -> tuple[str, str, dict[str, str], bytes]:
    """A request that differs from a right one in one to three ways."""
    method, path, kind, document = chance.choice(WHOLE)
    headers = {"authorization": f"Bearer {key}", "content-type": kind}
    steps = chance.choices(["value", "bytes", "header", "gzip", "path"], [50, 35, 8, 4, 3], k=chance.randint(1, 3))
    for _ in range(steps.count("value")):
        document = with_odd_value(document, chance) if isinstance(document, dict | list) and document else document
    body = json.dumps(document).encode() if document is not None else b""  # orjson writes no large numbers
    if kind.endswith("protobuf"):
        body = chance.randbytes(chance.randrange(200)) if chance.random() < 0.5 else b"\n\x00" * chance.randrange(99)
    for _ in range(steps.count("bytes")):
        body = with_odd_bytes(body, chance)
    if "gzip" in steps:
        body, headers["content-encoding"] = gzip.compress(body, 1), "gzip"
        body = with_odd_bytes(body, chance) if chance.random() < 0.5 else body
    if "header" in steps:
        name = chance.choice(["authorization", "content-type", "content-encoding", "origin", "x-other"])
        headers[name] = chance.choice(
            ["", "Basic !!!", "Bearer", "Bearer x", "text/html", "br", "gzip, gzip", "a" * 9000]
        )
    if "path" in steps:
        path += chance.choice(["/", "?key=1", "?key=%00", "/%2e%2e", "x", "?metrics=%ff"])
        method = chance.choice(["POST", "GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
    return method, path, headers, body


def assert_acts_on(answer: httpx.Response) -> None:
    """The answer says what became of the request, or in a sentence what is wrong and what to do."""
    assert answer.status_code in ANSWERS, (answer.request.method, str(answer.request.url), answer.status_code)
    assert "Traceback" not in answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json", answer.request.url
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["detail"].endswith(".")
        assert " " in problem["detail"]
    elif answer.status_code == 202:
        body = answer.json()
        became = body["accepted"] + len(body["rejected"]) + body["no_consent"] + body["erased_subject"]
        assert body["received"] == became
        assert all(one["message"].endswith(".") for one in body["rejected"]), body


def test_mutated_requests_are_answered(database: Settings, rows: Rows, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    key = make_key(database, scopes=("write", "read"))
    chance = random.Random(SEED)
    statuses: dict[int, int] = {}
    sizes: list[int] = []

    async def send() -> None:
        app = create()
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://t") as client,
        ):

            async def one() -> None:
                method, path, headers, body = mutated(key, chance)
                answer = await client.request(method, path, headers=headers, content=body)
                assert_acts_on(answer)
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1

            for number in range(REQUESTS // AT_ONCE):
                await asyncio.gather(*(one() for _ in range(AT_ONCE)))
                if number % 10 == 0:
                    sizes.append(psutil.Process().memory_info().rss)

    asyncio.run(send())
    assert sum(statuses.values()) == REQUESTS
    assert {202, 400, 401, 404, 405, 415} <= statuses.keys(), statuses
    assert statuses[202] > REQUESTS / 10, statuses
    quarter = len(sizes) // 4
    assert max(sizes[-quarter:]) - max(sizes[:quarter]) < MOST_GROWTH, sizes
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []
    assert rows("select sum(received) > 300 as is_landed from raw.loads") == [{"is_landed": True}]
    assert_accounted_for(rows)


@pytest.fixture
def collector(database: Settings, tmp_path: Path) -> Iterator[Server]:
    with serving(database, tmp_path) as running:
        yield running


def test_the_server_keeps_to_its_openapi_document(collector: Server, database: Settings, tmp_path: Path) -> None:
    """By schemathesis, which makes requests of the document."""
    key = make_key(database, scopes=("write", "read"))
    found = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run"),
            f"{collector.url}{BASE}/openapi.json",
            *("--header", f"Authorization: Bearer {key}", "--exclude-path", f"{BASE}/realtime", "--no-color"),
            *("--max-examples", "25", "--seed", "7", "--phases", "examples,fuzzing", "--generation-database", "none"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance,unsupported_method"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-5000:] + found.stderr[-2000:]
    assert "Traceback" not in collector.log.read_text()


MAIL, PHONE, CARD, SECRET = "plant@example.org", "+46 70 174 06 05", "4111 1111 1111 1111", "plant-of-a-secret-7f3a"


def test_personal_data_of_a_request_is_in_no_log_spool_or_table(
    collector: Server, database: Settings, rows: Rows
) -> None:
    text = f"write to {MAIL} or call {PHONE}, my card is {CARD}"
    planted = {
        **EVENT,
        "event_id": None,
        "attributes": {"text": text, "email": MAIL, "password": SECRET, "phone_number": PHONE},
        "context": {"page": f"https://shop.example/a?mail={MAIL}&s={SECRET}"},
    }
    del planted["event_id"]
    unread = {**planted, "event_name": "no.such_type"}
    headers = {
        "User-Agent": SECRET,
        "Cookie": f"s={SECRET}",
        "Referer": f"https://shop.example/?{MAIL}",
        "X-Mail": MAIL,
    }
    spool = database.home / "spool"
    kept = b""
    with psycopg.connect() as holding, httpx.Client(base_url=collector.url, headers=headers) as client:
        until(lambda: bool(rows("select 1 from raw.loads")), "the writer does not begin")
        holding.execute("select pg_advisory_xact_lock(%s)", [0x6C616E64696E67])  # landing waits: all stays in the spool
        query = {"key": collector.key, "mail": MAIL, "secret": SECRET}
        sent = [
            (
                f"{BASE}/events",
                [planted, unread, MAIL, {"email": MAIL}, {**planted, "occurred_at": f"{MAIL} {CARD}"}],
            ),
            (
                f"{BASE}/events",
                {"event_name": f"{PHONE} {MAIL}", "occurred_at": 7, "attributes": planted["attributes"]},
            ),
            ("/v1/identify", {"userId": "u1", "messageId": "m1", "traits": {"email": MAIL, "password": SECRET}}),
            ("/v1/track", {"userId": "u1", "messageId": "m2", "event": "Signed Up", "properties": {"email": MAIL}}),
            ("/v1/traces", orjson.loads(orjson.dumps(OTLP).replace(b'"chat"', orjson.dumps(text)))),
        ]
        for path, document in sent:
            assert client.post(path, params=query, json=document).status_code in (200, 202)
        broken = orjson.dumps(planted)[:-1]
        answer = client.post(f"{BASE}/events", params=query, content=broken, headers={"content-type": JSON})
        assert answer.status_code == 400
        assert not any(plant in answer.text for plant in (MAIL, SECRET))
        assert client.post(f"/v1/{SECRET}", params=query, json={}).status_code == 404
        kept = b"".join(path.read_bytes() for path in spool.glob("*/*.rows"))
        assert kept
    collector.stop()
    tables = rows(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('raw', 'ops')"
    )
    stored = {table["name"]: orjson.dumps(rows(f"select t::text from {table['name']} as t")) for table in tables}
    assert b"message.received" in stored["raw.events"]
    for plant in (MAIL, PHONE, CARD, SECRET, CARD.replace(" ", ""), collector.key):
        assert plant.encode() not in kept, "in the spool"
        assert plant not in collector.log.read_text(), "in the log"
        assert [name for name, content in stored.items() if plant.encode() in content] == [], plant
