"""`parley consume` on librdkafka's own mock cluster: what lands, where it goes on, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from parley.landing import partitions
from parley.settings import Settings
from tests.conftest import Rows, parley
from tests.support.http_server import WAIT, until
from tests.support.landing import WAITING, assert_accounted_for

pytestmark = pytest.mark.slow
TOPIC = "events"
FORGOTTEN_SOON = ("--option", "session.timeout.ms=6000")
"""The group waits so long, 45 s unless it is told otherwise, for a consumer that has ended."""


@pytest.fixture
def producer() -> Producer:
    return Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})


@pytest.fixture
def brokers(producer: Producer) -> str:
    """The mock cluster's address; it lives as long as its producer."""
    [broker] = producer.list_topics(TOPIC, timeout=30).brokers.values()
    return f"{broker.host}:{broker.port}"


def event(**fields: object) -> bytes:
    standard = {
        "event_id": str(uuid4()),
        "event_name": "message.received",
        "occurred_at": "2026-11-20T10:00:00Z",
        "conversation_id": "c1",
        "attributes": {"text": "Where is my parcel?"},
    }
    return orjson.dumps({**standard, **fields})


def send(producer: Producer, *messages: bytes | None) -> None:
    for message in messages:
        producer.produce(TOPIC, message, partition=0)
    assert producer.flush(WAIT) == 0


def committed(brokers: str) -> int:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "parley"})
    [partition] = consumer.committed([TopicPartition(TOPIC, 0)], timeout=WAIT)
    consumer.close()
    return int(partition.offset)


@pytest.fixture
def consuming(database: Settings, brokers: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = ["consume", "--brokers", brokers, "--topic", TOPIC, "--tenant", "shop", *FORGOTTEN_SOON]
    with (tmp_path / "consume.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "parley", *command], stdout=log, stderr=log)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_messages_land_like_lines_and_sigterm_drains(
    producer: Producer, brokers: str, consuming: subprocess.Popen[bytes], rows: Rows, tmp_path: Path
) -> None:
    doubled = event()
    pretty = orjson.dumps(orjson.loads(event()), option=orjson.OPT_INDENT_2)
    send(
        producer,
        event(),
        doubled,
        doubled,
        pretty,
        b"{no json",
        b"7",
        None,
        b"",
        b"\xff\xfe",
        event(event_name="no.such"),
    )
    send(producer, event(context={"consent": {"analytics": False}}), event(attributes={"text": "x" * 70_000}))
    received = "select coalesce(sum(received), 0)::int as n from raw.loads"
    until(lambda: rows(received) == [{"n": 12}], "the messages do not land")
    send(producer, *(event() for _ in range(30)))
    consuming.send_signal(signal.SIGTERM)
    assert consuming.wait(WAIT) == 0, (tmp_path / "consume.log").read_text()
    [load] = rows("select status, source, dialect, accepted, duplicate, rejected, no_consent from raw.loads")
    assert (load["status"], load["source"], load["dialect"]) == ("complete", "kafka:events", "parley")
    assert (load["duplicate"], load["rejected"], load["no_consent"]) == (1, 7, 1)
    reasons = rows("select reason, count(*)::int as n from raw.rejected_events group by 1 order by 1")
    assert {row["reason"]: row["n"] for row in reasons} == {
        "invalid_json": 4,
        "invalid_type": 1,
        "too_large": 1,
        "unknown_event_type": 1,
    }
    assert all(row["message"].endswith(".") for row in rows("select message from raw.rejected_events"))
    in_all = rows(received)[0]["n"]
    assert committed(brokers) == in_all, "what has landed is committed, and nothing else"
    again = parley(
        "consume", "--brokers", brokers, "--topic", TOPIC, "--tenant", "shop", "--until-end", *FORGOTTEN_SOON
    )
    assert again.returncode == 0, again.stderr
    assert rows("select sum(received)::int as n, sum(accepted)::int as accepted from raw.loads") == [
        {"n": 42, "accepted": 33}
    ]
    assert_accounted_for(rows)


def test_a_killed_consumer_loses_nothing_and_counts_nothing_twice(
    producer: Producer, brokers: str, consuming: subprocess.Popen[bytes], rows: Rows
) -> None:
    send(producer, event())
    until(lambda: committed(brokers) == 1, "the message does not land")
    with psycopg.connect() as other:  # a consumer that the partition went to, or a transaction whose end was not seen
        partitions.take_turn(other)
        send(producer, *(event(event_id=str(UUID(int=number))) for number in range(3)))
        until(lambda: bool(rows(WAITING)), "nobody lands the messages")
        other.execute("update ops.spool_positions set byte_offset = byte_offset + 3")
    send(producer, *(event() for _ in range(199)), b"no json")
    until(lambda: len(rows("select 1 from raw.events")) > 1, "the messages do not land")
    send(producer, *(event() for _ in range(200)))
    os.kill(consuming.pid, signal.SIGKILL)
    consuming.wait(WAIT)
    rest = parley("consume", "--brokers", brokers, "--topic", TOPIC, "--tenant", "shop", "--until-end", *FORGOTTEN_SOON)
    assert rest.returncode == 0, rest.stderr
    assert rows(
        "select sum(received)::int as n, sum(accepted)::int as accepted, sum(rejected)::int as rejected from raw.loads"
    ) == [{"n": 401, "accepted": 400, "rejected": 1}]
    assert rows("select 1 from raw.events where event_id < '00000000-0000-0000-0000-00000000000f'") == []
    assert_accounted_for(rows)


def test_another_cluster_with_a_topic_of_the_same_name_is_read_from_its_beginning(
    producer: Producer, brokers: str, database: Settings, rows: Rows
) -> None:
    to_end = ("--topic", TOPIC, "--tenant", "shop", "--until-end", *FORGOTTEN_SOON)
    send(producer, *(event() for _ in range(5)))
    assert parley("consume", "--brokers", brokers, *to_end).returncode == 0
    another = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    [broker] = another.list_topics(TOPIC, timeout=30).brokers.values()
    send(another, event(), event())
    assert parley("consume", "--brokers", f"{broker.host}:{broker.port}", *to_end).returncode == 0
    assert rows("select count(*)::int as n from raw.events") == [{"n": 7}]


def test_what_cannot_be_read_is_said(database: Settings, brokers: str) -> None:
    wrong = parley("consume", "--brokers", brokers, "--topic", TOPIC, "--option", "no.such=1")
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (1, False)
    assert "no.such" in wrong.stderr
