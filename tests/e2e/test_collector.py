"""Events by HTTP, on a real server: what is answered, what lands, and that nothing acknowledged is ever lost."""

import gzip
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import psycopg
import pytest

from parley.landing.privacy import subject_hmacs
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.http_server import Server, make_key, serving, until
from tests.support.landing import assert_accounted_for

pytestmark = pytest.mark.slow
EVENTS = "/api/v1/analytics/events"
KILLS = int(os.environ.get("PARLEY_KILLS", "4"))


@pytest.fixture
def collector(database: Settings, tmp_path: Path) -> Iterator[Server]:
    with serving(database, tmp_path) as running:
        yield running


def event(**fields: Any) -> dict[str, Any]:
    return {
        "event_id": str(uuid4()),
        "event_name": "message.received",
        "occurred_at": "2026-11-20T10:00:00Z",
        "conversation_id": "c1",
        "user_id": "ana",
        "attributes": {"text": "Where is my parcel?"},
        **fields,
    }


def landed(rows: Rows) -> set[UUID]:
    found = [row["event_id"] for row in rows("select event_id from raw.events")]
    assert len(found) == len(set(found)), "an event landed twice"
    return set(found)


def test_each_event_of_a_request_is_answered_and_lands_by_itself(collector: Server, rows: Rows) -> None:
    good, doubled = event(), event()
    sent = [
        good,
        event(event_name="kb.search", attributes={"query": "parcel"}),
        doubled,
        doubled,
        event(tenant_id="another"),
        event(context={"consent": {"analytics": False}}),
        "no event",
    ]
    with collector.client() as client:
        answer = client.post(EVENTS, json={"events": sent})
        assert answer.status_code == 202
        body = answer.json()
        assert (body["received"], body["accepted"], body["no_consent"], body["erased_subject"]) == (7, 3, 1, 0)
        assert [(one["index"], one["reason"], one["path"]) for one in body["rejected"]] == [
            (1, "missing_field", "attributes.results_count"),
            (4, "wrong_tenant", "tenant_id"),
            (6, "invalid_type", "$"),
        ]
        again = client.post(EVENTS, json=good)
        assert again.json()["accepted"] == 1, "whether it is a duplicate shows where it lands"
    until(lambda: rows("select coalesce(sum(received), 0)::int as n from raw.loads") == [{"n": 8}], "it does not land")
    assert landed(rows) == {UUID(good["event_id"]), UUID(doubled["event_id"])}
    assert rows("select tenant_id, sum(duplicate)::int as n from raw.load_batches group by 1") == [
        {"tenant_id": "shop", "n": 2}
    ]
    assert_accounted_for(rows)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (orjson.dumps(event()), {"content-type": "application/json; charset=utf-8"}),
        (orjson.dumps(event()), {"content-type": "text/plain;charset=UTF-8"}),
        (orjson.dumps(event()) + b"\n\n" + orjson.dumps(event()), {"content-type": "application/x-ndjson"}),
        (gzip.compress(orjson.dumps([event()])), {"content-encoding": "gzip", "content-type": "application/json"}),
    ],
)
def test_bodies_come_in_as_clients_send_them(collector: Server, body: bytes, headers: dict[str, str]) -> None:
    for path in (EVENTS, f"{EVENTS}/batch", f"{EVENTS}/validate"):
        answer = httpx.post(f"{collector.url}{path}?key={collector.key}", content=body, headers=headers)
        assert answer.status_code == (200 if path.endswith("validate") else 202), answer.text
    basic = httpx.post(f"{collector.url}{EVENTS}", content=body, headers=headers, auth=(collector.key, ""))
    assert basic.status_code == 202


def test_what_cannot_be_taken_is_answered_with_what_to_do(collector: Server, database: Settings) -> None:
    expired = make_key(database, expires_at=datetime.now(UTC) + timedelta(hours=1))
    with psycopg.connect() as connection:
        connection.execute("update ops.api_keys set expires_at = now() where expires_at is not null")
    limited = make_key(database, rate_per_second=1)
    bound = make_key(database, origins=["https://shop.example"])
    reader = make_key(database, scopes=("read",))

    def status(key: str | None = None, **request: Any) -> int:
        headers = {"Authorization": f"Bearer {key or collector.key}", **request.pop("headers", {})}
        answer = httpx.post(f"{collector.url}{EVENTS}", headers=headers, **request)
        if answer.status_code >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem["status"] == answer.status_code
            assert problem["detail"].endswith(".")
        return answer.status_code

    json = {"content-type": "application/json"}
    assert status(content=b"{", headers=json) == 400
    assert status(json={"events": 7}) == 400
    assert status(content=b"x", headers={"content-encoding": "gzip", **json}) == 400
    assert status(content=gzip.compress(b"{}")[:-9], headers={"content-encoding": "gzip", **json}) == 400
    assert status("parley_0_wrong", json=event()) == 401
    assert httpx.post(f"{collector.url}{EVENTS}", json=event()).status_code == 401
    assert status(expired, json=event()) == 401
    assert status(reader, json=event()) == 403
    assert status(bound, json=event(), headers={"Origin": "https://evil.example"}) == 403
    assert status(bound, json=event(), headers={"Origin": "https://shop.example"}) == 202
    assert status(json=[event()] * 501) == 413
    assert status(content=b" " * 600_000, headers=json) == 413
    assert status(content=gzip.compress(b" " * 50_000_000), headers={"content-encoding": "gzip", **json}) == 413
    assert status(content=b"a=1", headers={"content-type": "application/x-www-form-urlencoded"}) == 415
    assert status(content=b"{}", headers={"content-encoding": "br", **json}) == 415
    assert {status(limited, json=event()) for _ in range(4)} == {202, 429}
    assert httpx.get(f"{collector.url}/nowhere").json()["status"] == 404
    assert httpx.get(f"{collector.url}{EVENTS}").json()["status"] == 405


def test_a_large_event_spoils_none_of_its_neighbours(collector: Server) -> None:
    large = event(attributes={"text": "x" * 70_000})
    with collector.client() as client:
        body = client.post(EVENTS, json=[event(), large, event()]).json()
    assert body["accepted"] == 2
    assert [(one["index"], one["reason"]) for one in body["rejected"]] == [(1, "too_large")]


def test_a_revoked_key_ends_within_seconds(collector: Server, database: Settings) -> None:
    with psycopg.connect(autocommit=True) as connection, collector.client() as client:
        assert client.post(EVENTS, json=event()).status_code == 202
        connection.execute("update ops.api_keys set revoked_at = now()")
        until(lambda: client.post(EVENTS, json=event()).status_code == 401, "the revoked key still works")


def test_a_page_may_send_from_any_origin(collector: Server) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = httpx.options(f"{collector.url}{EVENTS}", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true", "sendBeacon asks with credentials"


def send_forever(server: Server, acknowledged: set[UUID], stop: threading.Event) -> None:
    """Send small batches; remember what was acknowledged."""
    while not stop.is_set():
        batch = [event() for _ in range(5)]
        try:
            answer = httpx.post(
                f"{server.url}{EVENTS}", json=batch, headers={"Authorization": f"Bearer {server.key}"}, timeout=10
            )
        except httpx.HTTPError:
            continue
        if answer.status_code == 202:
            acknowledged.update(UUID(one["event_id"]) for one in batch)


def test_killed_servers_lose_nothing_and_double_nothing(database: Settings, tmp_path: Path, rows: Rows) -> None:
    acknowledged: set[UUID] = set()
    for number in range(KILLS):
        stop = threading.Event()
        with serving(database, tmp_path, "--processes", "2" if number % 2 else "1") as running:
            senders = [threading.Thread(target=send_forever, args=(running, acknowledged, stop)) for _ in range(2)]
            for sender in senders:
                sender.start()
            before = len(acknowledged)
            until(lambda: len(acknowledged) > before + 60, "nothing is acknowledged")  # noqa: B023
            running.stop(signal.SIGKILL)
            stop.set()
            for sender in senders:
                sender.join()
    with serving(database, tmp_path) as running:
        until(lambda: not list((database.home / "spool").glob("*/*.rows")), "spools are left over")
        running.stop(signal.SIGTERM)
    assert rows("select status from raw.loads order by load_id desc limit 1") == [{"status": "complete"}]
    assert acknowledged <= landed(rows)
    assert_accounted_for(rows)


def test_while_postgres_is_away_events_are_kept_on_disk(collector: Server, rows: Rows, database: Settings) -> None:
    name = os.environ["PGDATABASE"]
    sent = [event(user_id="ana@example.com", attributes={"text": "mail bob@example.com"}) for _ in range(20)]
    with collector.client() as client, psycopg.connect(dbname="postgres", autocommit=True) as elsewhere:
        client.post(EVENTS, json=event())
        elsewhere.execute(f'alter database "{name}" allow_connections false'.encode())
        try:
            ends = (
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"
            )
            elsewhere.execute(ends, [name])
            for one in sent:
                assert client.post(EVENTS, json=one).status_code == 202
            until(lambda: client.get("/health/ready").status_code == 503, "it says that it is ready")
            kept = b"".join(path.read_bytes() for path in (database.home / "spool").glob("*/*.rows"))
            assert sent[0]["event_id"].encode() in kept
            assert b"bob@example.com" not in kept
        finally:
            elsewhere.execute(f'alter database "{name}" allow_connections true'.encode())
        until(lambda: client.get("/health/ready").status_code == 200, "it does not come back")
    until(lambda: len(landed(rows)) == 21, "what was kept does not land")
    assert "bob@example.com" not in collector.log.read_text()
    assert_accounted_for(rows)


def test_who_is_erased_meanwhile_does_not_land(collector: Server, rows: Rows, database: Settings) -> None:
    [hmac, *_] = subject_hmacs(database.secret, "shop", "ana")
    with psycopg.connect() as holding, collector.client() as client:
        client.post(EVENTS, json=event(user_id="bo"))
        until(lambda: len(landed(rows)) == 1, "it does not land")
        holding.execute("select pg_advisory_xact_lock(%s)", [0x6C616E64696E67])  # landing waits for its turn
        client.post(EVENTS, json=[event(user_id="ana"), event(user_id="bo")])
        holding.execute("insert into raw.erased_subjects (tenant_id, subject_hmac) values ('shop', %s)", [hmac])
        holding.commit()
    until(lambda: len(landed(rows)) == 2, "it does not land")
    assert rows("select distinct user_id from raw.events") == [{"user_id": "bo"}]
    assert rows("select sum(erased_subject)::int as n from raw.loads") == [{"n": 1}]
    assert_accounted_for(rows)
