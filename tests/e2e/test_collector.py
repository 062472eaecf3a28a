"""Events by HTTP, on a real server: what is answered, what lands, and that nothing acknowledged is ever lost."""

import gzip
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import psycopg
import pytest

from parley.landing import partitions
from parley.landing.privacy import subject_hmacs, visitor_hmac
from parley.landing.subjects import Subject
from parley.people import removal, residue
from parley.server.collector import REFRESH_SECONDS
from parley.server.spool import Spool
from parley.server.writer import Writer
from parley.settings import Settings
from parley.warehouse import audit
from tests.conftest import Rows, parley, read_rows
from tests.support.http_server import Server, make_key, serving, until
from tests.support.landing import WAITING, assert_accounted_for

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
def test_bodies_come_in_as_clients_send_them(shared: Server, body: bytes, headers: dict[str, str]) -> None:
    for path in (EVENTS, f"{EVENTS}/batch", f"{EVENTS}/validate"):
        answer = httpx.post(f"{shared.url}{path}?key={shared.key}", content=body, headers=headers)
        assert answer.status_code == (200 if path.endswith("validate") else 202), answer.text
    basic = httpx.post(f"{shared.url}{EVENTS}", content=body, headers=headers, auth=(shared.key, ""))
    assert basic.status_code == 202


RATE = {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"}


def test_what_cannot_be_taken_is_answered_with_what_to_do(shared: Server) -> None:
    settings = Settings.load()
    expired = make_key(settings, expires_at=datetime.now(UTC) + timedelta(hours=1))
    with psycopg.connect() as connection:
        connection.execute("update ops.api_keys set expires_at = now() where expires_at is not null")
    bound = make_key(settings, origins=["https://shop.example"])
    reader = make_key(settings, scopes=("read",))

    def status(key: str | None = None, path: str = EVENTS, **request: Any) -> int:
        headers = {"Authorization": f"Bearer {key or shared.key}", **request.pop("headers", {})}
        answer = httpx.post(f"{shared.url}{path}", headers=headers, **request)
        if answer.status_code >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem["status"] == answer.status_code
            assert problem["detail"].endswith(".")
        assert (answer.status_code == 401) is answer.headers.keys().isdisjoint(RATE), "whose limit it is is known"
        return answer.status_code

    json = {"content-type": "application/json"}
    for path in (EVENTS, "/v1/batch", "/v1/traces"):
        assert status(path=path, content=b"{", headers=json) == 400
        assert status(path=path, json=[7]) == (202 if path == EVENTS else 400)
        assert status(path=path, content=b"x", headers={"content-encoding": "gzip", **json}) == 400
        assert status(path=path, content=b"{}", headers={"content-encoding": "br", **json}) == 415
        assert status(path=path, content=b" " * 600_000, headers=json) == 413
        assert status(path=path, content=b"a=1", headers={"content-type": "application/x-www-form-urlencoded"}) == 415
        assert status(reader, path, json={}) == 403
    assert status(json={"events": 7}) == 400
    assert status(content=gzip.compress(b"{}")[:-9], headers={"content-encoding": "gzip", **json}) == 400
    assert status("parley_0_wrong", json=event()) == 401
    assert httpx.post(f"{shared.url}{EVENTS}", json=event()).status_code == 401
    assert status(expired, json=event()) == 401
    assert status(bound, json=event(), headers={"Origin": "https://evil.example"}) == 403
    assert status(bound, json=event()) == 403, "a page always says where it is from"
    assert status(bound, json=event(), headers={"Origin": "https://shop.example"}) == 202
    assert status(json=[event()] * 501) == 413
    assert status(json=event(attributes={"text": "x" * 70_000})) == 413
    assert status(content=gzip.compress(b" " * 50_000_000), headers={"content-encoding": "gzip", **json}) == 413
    assert httpx.get(f"{shared.url}/nowhere").json()["status"] == 404
    assert httpx.get(f"{shared.url}{EVENTS}").json()["status"] == 405
    with socket.create_connection(("127.0.0.1", shared.port)) as gone:  # a client that ends in the middle of its body
        head = f"POST {EVENTS}?key={shared.key} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        gone.sendall(f"{head}Content-Length: 999\r\n\r\n{{".encode())
    assert status(json=event()) == 202


def test_limits_hold_and_are_told_with_every_answer(shared: Server) -> None:
    settings = Settings.load()
    slow, sparing = make_key(settings, rate_per_second=2), make_key(settings, daily_quota=3, scopes=("write", "read"))
    with shared.client(slow) as client:
        answers = [client.post(EVENTS, json=event()) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {202, 429}
        assert [answer.headers["RateLimit-Limit"] for answer in answers] == ["2"] * 5
        [first, *_] = [answer for answer in answers if answer.status_code == 429]
        assert (first.headers["Retry-After"], first.headers["RateLimit-Remaining"]) == ("1", "0")
        time.sleep(float(first.headers["Retry-After"]))
        assert client.post(EVENTS, json=event()).status_code == 202
    with shared.client(sparing) as client:
        assert client.post(EVENTS, json=[event(), event()]).status_code == 202
        told = client.get("/api/v1/analytics/realtime/snapshot").headers
        assert (told["RateLimit-Limit"], told["RateLimit-Remaining"]) == ("3", "1")
        assert client.post(EVENTS, json=event()).status_code == 202
        answer = client.post(EVENTS, json=event())
        assert (answer.status_code, answer.headers["RateLimit-Remaining"]) == (429, "0")
        until_midnight = int(answer.headers["Retry-After"])
        assert 0 < until_midnight <= 86_401
        assert until_midnight == int(answer.headers["RateLimit-Reset"])
    usage = "select events from ops.api_usage where key_id = %s"
    until(lambda: read_rows(usage, sparing.split("_")[1]) == [{"events": 3}], "what was sent is not counted")


def test_a_key_of_every_tenant_sends_for_those_that_events_name(shared: Server) -> None:
    settings = Settings.load()
    with shared.client(make_key(settings, "*")) as client:
        sent = [event(tenant_id=tenant_id) for tenant_id in ("north", "south", "north")]
        answer = client.post(EVENTS, json=[*sent, event()]).json()
        assert answer["accepted"] == 3
        assert [(one["index"], one["path"]) for one in answer["rejected"]] == [(3, "tenant_id")]
        assert client.get("/api/v1/analytics/realtime/snapshot").status_code == 403
    landed_of = "select tenant_id, count(*)::int as n from raw.events where tenant_id like '%%th' group by 1 order by 1"
    expected = [{"tenant_id": "north", "n": 2}, {"tenant_id": "south", "n": 1}]
    until(lambda: read_rows(landed_of) == expected, "it does not land")


def test_a_large_event_spoils_none_of_its_neighbours(shared: Server) -> None:
    large = event(attributes={"text": "x" * 70_000})
    with shared.client() as client:
        body = client.post(EVENTS, json=[event(), large, event()]).json()
    assert body["accepted"] == 2
    assert [(one["index"], one["reason"]) for one in body["rejected"]] == [(1, "too_large")]


def test_a_key_ends_at_once(shared: Server) -> None:
    settings = Settings.load()
    old, reader = make_key(settings), make_key(settings, scopes=("read",))

    def status(key: str) -> int:
        return httpx.post(f"{shared.url}{EVENTS}?key={key}", json=event()).status_code

    assert status(old) == 202
    rotated = parley("keys", "rotate", old)
    assert rotated.returncode == 0, rotated.stderr
    [new] = [word for word in rotated.stdout.split() if word.startswith("parley_")]
    assert status(new) == 202
    began = time.monotonic()
    until(lambda: status(old) == 401, "the key that was replaced still works")
    assert time.monotonic() - began < REFRESH_SECONDS, "it was not told, but found out"
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(
            "update ops.api_keys set created_at = now() - interval '1 day', expires_at = now() where key_id = %s",
            [new.split("_")[1]],
        )
    until(lambda: status(new) == 401, "the key that has expired still works")
    again = parley("keys", "rotate", new)
    assert again.returncode == 0, again.stderr
    with shared.client(reader) as client, client.stream("GET", "/api/v1/analytics/realtime") as stream:
        lines = stream.iter_lines()
        next(lines)
        parley("keys", "revoke", reader.split("_")[1]).check_returncode()
        assert list(lines), "a stream ends with its key"
    assert parley("keys", "revoke", "000000000000").returncode == 1


def test_keys_that_cannot_be_looked_up_hold_up_nobody_else(shared: Server) -> None:
    shared.client().post(EVENTS, json=event())
    with psycopg.connect() as holding, ThreadPoolExecutor(12) as others:
        holding.execute("lock table ops.api_keys in access exclusive mode")
        unknown = [f"parley_{number:012x}_{'x' * 43}" for number in range(12)]
        asked = [others.submit(httpx.post, f"{shared.url}{EVENTS}?key={key}", timeout=60) for key in unknown]
        time.sleep(0.5)
        began = time.monotonic()
        assert shared.client().post(EVENTS, json=event()).status_code == 202
        assert time.monotonic() - began < 3
        for one in asked:
            answer = one.result()
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    until(lambda: httpx.post(f"{shared.url}{EVENTS}?key={unknown[0]}").status_code == 401, "it asks no more")


def test_the_halves_run_apart(database: Settings, tmp_path: Path) -> None:
    reader = make_key(database, scopes=("read",))
    with (
        serving(database, tmp_path, "--only", "collect") as collecting,
        serving(database, tmp_path, "--only", "read") as reading,
    ):
        with reading.client(reader) as client, client.stream("GET", "/api/v1/analytics/realtime") as stream:
            told = (orjson.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
            assert next(told)["events_30m"] == 0
            assert collecting.client().post(EVENTS, json=event()).status_code == 202
            assert next(one for one in told if one["events_30m"])["active_users_5m"] == 1
        for url, path in (
            (reading.url, EVENTS),
            (reading.url, "/v1/track"),
            (collecting.url, "/api/v1/analytics/realtime/snapshot"),
            (collecting.url, "/live"),
        ):
            assert httpx.get(f"{url}{path}?key={collecting.key}").status_code == 404, path
        for one, parts in ((collecting, {"received", "spool_bytes"}), (reading, set())):
            assert httpx.get(f"{one.url}/health/ready").status_code == 200
            assert parts <= httpx.get(f"{one.url}/stats").json().keys()
        taken = parley("serve", "--port", str(reading.port))
        assert (taken.returncode, "give another --port" in " ".join(taken.stderr.split())) == (1, True)
    wrong = parley("serve", "--only", "neither")
    assert (wrong.returncode, "give collect or read" in " ".join(wrong.stderr.split())) == (1, True)


def test_a_page_may_send_from_any_origin(shared: Server) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = httpx.options(f"{shared.url}{EVENTS}", headers=asked)
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


def test_while_postgres_is_away_events_are_kept_on_disk(rows: Rows, database: Settings, tmp_path: Path) -> None:
    sent = [event(user_id="ana@example.com", attributes={"text": "mail bob@example.com"}) for _ in range(20)]
    filling = [event(attributes={"text": "x" * 4_000}) for _ in range(110)]
    known: set[str] = {one["event_id"] for one in sent}
    with serving(database, tmp_path, "--spool-mib", "1") as running, running.client() as client:
        client.post(EVENTS, json=event(event_id=sent[0]["event_id"]))
        with postgres_away():
            for one in sent:
                assert client.post(EVENTS, json=one).status_code == 202
            until(lambda: client.get("/health/ready").status_code == 503, "it says that it is ready")
            kept = b"".join(path.read_bytes() for path in (database.home / "spool").glob("*/*.rows"))
            assert sent[0]["event_id"].encode() in kept
            assert b"bob@example.com" not in kept
            unknown = httpx.post(f"{running.url}{EVENTS}?key=parley_{'0' * 12}_{'x' * 43}", json=event())
            assert (unknown.status_code, unknown.headers["Retry-After"]) == (503, "5")
            full = [client.post(EVENTS, json=filling) for _ in range(4)]
            assert {answer.status_code for answer in full} == {202, 503}
            assert full[-1].headers["Retry-After"] == "30"
            assert "spool is full" in full[-1].json()["detail"]
            assert client.post(EVENTS, json=event(event_id=sent[1]["event_id"])).status_code == 202, "a small one fits"
            running.stop()
        known |= {one["event_id"] for one in filling}
    with postgres_away(), serving(database, tmp_path, "--only", "collect", key=running.key) as running:
        with running.client() as client:
            assert client.get("/health/ready").status_code == 503
            answer = client.post(EVENTS, json=event())
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            allow_connections(allowed=True)
            until(lambda: client.get("/health/ready").status_code == 200, "it does not come back")
            until(lambda: {str(one) for one in landed(rows)} == known, "what was kept does not land")
            until(lambda: client.post(EVENTS, json=event(event_id=sent[0]["event_id"])).status_code == 202, "no key")
        assert running.stop() in (0, -signal.SIGTERM)
    assert not list((database.home / "spool").iterdir())
    assert rows("select spool_id from ops.spool_positions") == []
    for log in tmp_path.glob("*.log"):
        assert "bob@example.com" not in log.read_text()
        assert "Traceback" not in log.read_text()
    assert_accounted_for(rows)


def allow_connections(*, allowed: bool) -> None:
    """Let connections to the test's database in, or none, those that are open neither."""
    name = os.environ["PGDATABASE"]
    with psycopg.connect(dbname="postgres", autocommit=True) as elsewhere:
        elsewhere.execute(f'alter database "{name}" allow_connections {str(allowed).lower()}'.encode())
        if not allowed:
            ends = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
            elsewhere.execute(ends, [name])


@contextmanager
def postgres_away() -> Iterator[None]:
    """Meanwhile nobody gets into the test's database."""
    allow_connections(allowed=False)
    try:
        yield
    finally:
        allow_connections(allowed=True)


def test_who_is_erased_meanwhile_does_not_land(collector: Server, rows: Rows, database: Settings) -> None:
    [hmac, *_] = subject_hmacs(database.secret, "shop", "ana")
    visitor = visitor_hmac(database.secret, "shop", "v-1")
    with psycopg.connect() as holding, collector.client() as client:
        client.post(EVENTS, json=event(user_id="bo"))
        until(lambda: len(landed(rows)) == 1, "it does not land")
        holding.execute("select pg_advisory_xact_lock(%s)", [0x6C616E64696E67])  # landing waits for its turn
        client.post(EVENTS, json=[event(user_id="ana"), event(user_id="bo"), event(user_id="ana", occurred_at="never")])
        client.post(EVENTS, json=event(user_id=None, anonymous_id="v-1"))
        leaving = collector.client(make_key(database, "leaving"))
        assert leaving.post(EVENTS, json=[event(), event(event_name="no.such")]).status_code == 202
        left = residue.in_files(database, Subject.of(database, "shop", "ana"))
        assert any("spool" in path for path in left), "the search for what is left finds it there"
        for one in (hmac, visitor):
            holding.execute("insert into raw.erased_subjects (tenant_id, subject_hmac) values ('shop', %s)", [one])
        audit.record(holding, removal.ACTION, tenant_id="leaving", details={})
        holding.commit()
    until(lambda: rows("select sum(received)::int as n from raw.loads") == [{"n": 5}], "it does not land")
    assert rows("select 1 from raw.rejected_events") == [], "of a tenant that was removed nothing lands"
    assert rows("select distinct user_id from raw.events") == [{"user_id": "bo"}]
    assert rows("select sum(erased_subject)::int as n from raw.loads") == [{"n": 3}]
    assert residue.in_files(database, Subject.of(database, "shop", "ana")) == {}
    assert_accounted_for(rows)


def test_many_small_requests_become_few_batches(collector: Server, rows: Rows, database: Settings) -> None:
    with psycopg.connect() as other, collector.client() as client:  # a transaction whose end the server did not see
        until(lambda: bool(rows("select 1 from raw.loads")), "the writer does not begin")
        partitions.take_turn(other)
        client.post(EVENTS, json=event())
        until(lambda: bool(rows(WAITING)), "nobody lands the event")
        [segment] = (database.home / "spool").glob("*/*.rows")
        position = [segment.parent.name, int(segment.stem), segment.stat().st_size]
        other.execute("insert into ops.spool_positions values (%s, %s, %s)", position)
    began = time.monotonic()
    with collector.client() as client:
        while time.monotonic() - began < 3:
            assert client.post(EVENTS, json=event()).status_code == 202
    until(lambda: httpx.get(f"{collector.url}/stats").json()["spool_bytes"] == 0, "it does not land")
    [found] = rows("select count(distinct batch_id)::int as batches, sum(received)::int as n from raw.load_batches")
    assert found["batches"] <= time.monotonic() - began + 1 < found["n"] / 2
    assert len(landed(rows)) == found["n"] == httpx.get(f"{collector.url}/stats").json()["received"] - 1


def test_a_spool_that_could_not_be_landed_is_let_go_of(database: Settings, tmp_path: Path) -> None:
    left = Spool.create(tmp_path, max_bytes=1_000)
    left.append([b"a record"])
    os.close(left._lock)
    own = Spool.create(tmp_path, max_bytes=1_000)
    lost = psycopg.connect()
    lost.close()
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError, match="closed"):
            Writer(database, own, tmp_path)._adopt_orphans(lost, 1)
    [found] = Spool.orphans(tmp_path)
    assert found.spool_id == left.spool_id
