"""Lands the messages of a Kafka topic, by the rules that files are landed by: a message is read as a line is.

How far a topic has landed is stored in the transaction that stores its events; the group's offsets are committed after
it. A consumer that starts goes on from what is stored, so that a kill between the two doubles nothing.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from parley.errors import ParleyError, may_pass
from parley.landing import batches, loads, partitions, positions
from parley.landing.batches import Counts, SubjectsErased
from parley.landing.positions import Position
from parley.landing.rules import Rules, arguments
from parley.landing.sources import Chunk, RejectedLine
from parley.landing.validation import validate_chunk
from parley.settings import Settings
from parley.warehouse import database, migrate
from parley.warehouse.database import Connection

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

SECONDS_OF_BATCH = 1.0
MESSAGES_OF_BATCH = 5_000
SECONDS_BETWEEN_RULES = 5.0
PAUSE = 5.0  # seconds, where Postgres is away
SECONDS_TO_ANSWER = 30.0


@dataclass(frozen=True, slots=True)
class Topic:
    """Where messages come from, and how they are read."""

    brokers: str
    name: str
    group: str
    source_format: str
    tenant: str | None = None
    """Of events that name none."""
    options: Mapping[str, str] = field(default_factory=dict)
    """librdkafka's own, such as security.protocol."""


def consume(
    settings: Settings,
    topic: Topic,
    *,
    say: Callable[[str], None],
    until_end: bool = False,
    on_landed: Callable[[], None] = lambda: None,
) -> Counts:
    """Land the topic's messages until SIGTERM or Ctrl-C, or to its present end. Returns what became of them.

    What was fetched lands before it returns; `on_landed` is called after each batch. Raises ParleyError where the
    topic cannot be read.
    """
    try:
        from confluent_kafka import Consumer, KafkaException
    except ImportError:
        raise ParleyError("confluent-kafka is not installed: pip install 'parley-warehouse[kafka]'.") from None
    stopping = threading.Event()
    settings_of_client = {
        "bootstrap.servers": topic.brokers,
        "group.id": topic.group,
        "auto.offset.reset": "earliest",
        **topic.options,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    try:
        consumer = Consumer(settings_of_client, logger=None)
    except KafkaException as error:
        raise ParleyError(f"The options of Kafka make no sense: {_reason(error)}.") from None
    try:
        with _ended_by_signals(stopping):
            return _Landing(settings, topic, consumer, say, stopping, on_landed).run(until_end=until_end)
    except KafkaException as error:
        raise ParleyError(f"{topic.name} cannot be read: {_reason(error)}. Correct it and start again.") from None
    finally:
        consumer.close()


class _Landing:
    """One consumer of a topic and what it has landed."""

    def __init__(
        self,
        settings: Settings,
        topic: Topic,
        consumer: "Consumer",
        say: Callable[[str], None],
        stopping: threading.Event,
        on_landed: Callable[[], None],
    ) -> None:
        self._settings, self._topic, self._consumer, self._say = settings, topic, consumer, say
        self._stopping, self._on_landed = stopping, on_landed
        self._assigned: set[int] = set()
        self._at_end: set[int] = set()
        self._is_lost = False
        self._cluster = ""
        self._fetched: list[Message] = []
        self._total = Counts()
        self._lines = 0

    def run(self, *, until_end: bool) -> Counts:
        self._consumer.subscribe([self._topic.name], on_assign=self._assign, on_revoke=self._revoke)
        while True:
            try:
                with migrate.connect(self._settings, autocommit=True) as connection:
                    self._land_until_stopped(connection, until_end)
                return self._total
            except (psycopg.Error, ParleyError) as error:
                if not may_pass(error):
                    raise
                if self._stopping.is_set():
                    message = "Postgres went away: what had not landed is fetched again at the next start."
                    raise ParleyError(message) from error
            self._say("Postgres is away: trying again.")
            self._stopping.wait(PAUSE)
            self._fetched = []  # whether it landed is not known here: what is stored says so
            self._is_lost = True

    def _land_until_stopped(self, connection: Connection, until_end: bool) -> None:
        batches.prepare(connection)
        source = f"kafka:{self._topic.name}"
        load_id = loads.begin(connection, source=source, source_format=self._topic.source_format)
        self._lines = 0
        if self._is_lost:
            self._assign(self._consumer, self._consumer.assignment())
            self._is_lost = False
        with loads.ending(connection, load_id):
            rules, erased, read_at = self._rules(connection)
            while True:
                is_last = self._stopping.is_set()
                if not is_last:
                    self._fetch()
                if self._fetched:
                    if time.monotonic() - read_at > SECONDS_BETWEEN_RULES:
                        rules, erased, read_at = self._rules(connection)
                    while self._fetched:
                        try:
                            self._land(connection, load_id, rules, erased)
                        except SubjectsErased:
                            rules, erased, read_at = self._rules(connection)
                if is_last or (until_end and self._assigned and self._assigned <= self._at_end):
                    return

    def _rules(self, connection: Connection) -> tuple[Rules, int, float]:
        found = arguments(connection, self._settings, self._topic.source_format, self._topic.tenant)
        return Rules(**found), len(found["erased"]), time.monotonic()

    def _fetch(self) -> None:
        """Messages of about a second, or a batch full."""
        from confluent_kafka import KafkaError, KafkaException

        end = time.monotonic() + SECONDS_OF_BATCH
        while len(self._fetched) < MESSAGES_OF_BATCH and (left := end - time.monotonic()) > 0:
            for message in self._consumer.consume(MESSAGES_OF_BATCH - len(self._fetched), min(left, 0.2)):
                error, partition = message.error(), message.partition()
                if error is None:
                    self._fetched.append(message)
                    self._at_end.discard(partition or 0)
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._at_end.add(partition or 0)
                elif not error.retriable():
                    raise KafkaException(error)
            if self._stopping.is_set() or (self._assigned and self._assigned <= self._at_end and self._fetched):
                return

    def _land(self, connection: Connection, load_id: int, rules: Rules, erased: int) -> None:
        """Store what was fetched and how far that is, in one transaction; then tell Kafka."""
        from confluent_kafka import TopicPartition

        chunk = as_chunk([message.value() for message in self._fetched], self._lines + 1)
        after = {message.partition() or 0: (message.offset() or 0) + 1 for message in self._fetched}
        validated = validate_chunk(rules, chunk)
        with connection.transaction():
            partitions.take_turn(connection)
            left = self._not_landed(connection)
            if len(left) < len(self._fetched):
                self._fetched = left
                return
            lines = self._lines + chunk.lines
            counts = batches.store(connection, load_id, validated, lines_done=lines, fingerprint=None, erased=erased)
            for partition, offset in sorted(after.items()):
                positions.store(connection, self._position_id(partition), Position(0, offset))
        self._fetched = []
        self._lines, self._total = lines, self._total + counts
        self._on_landed()
        offsets = [TopicPartition(self._topic.name, partition, offset) for partition, offset in after.items()]
        self._consumer.commit(offsets=offsets, asynchronous=False)

    def _not_landed(self, connection: Connection) -> "list[Message]":
        """What of it has not landed since it was fetched: by a consumer that its partition went to, or by a transaction
        that was stored though its connection was lost."""
        numbers = {message.partition() or 0 for message in self._fetched}
        found = {number: positions.read(connection, self._position_id(number)) for number in numbers}
        landed = {number: position.offset for number, position in found.items() if position}
        return [one for one in self._fetched if (one.offset() or 0) >= landed.get(one.partition() or 0, 0)]

    def _assign(self, consumer: "Consumer", given: "list[TopicPartition]") -> None:
        """Go on after what has landed, whatever Kafka knows of it."""
        self._cluster = consumer.list_topics(self._topic.name, SECONDS_TO_ANSWER).cluster_id or ""
        with database.connect(self._settings, autocommit=True) as connection:
            for partition in given:
                if landed := positions.read(connection, self._position_id(partition.partition)):
                    partition.offset = landed.offset
        consumer.assign(given)
        self._assigned = {partition.partition for partition in given}
        self._at_end &= self._assigned

    def _revoke(self, consumer: "Consumer", taken: "list[TopicPartition]") -> None:
        """Another consumer takes them over: it fetches again what has not landed here."""
        gone = {partition.partition for partition in taken}
        self._fetched = [message for message in self._fetched if message.partition() not in gone]
        self._assigned -= gone

    def _position_id(self, partition: int) -> str:
        """Two clusters may have groups and topics of the same names."""
        return f"kafka:{self._cluster}/{self._topic.group}/{self._topic.name}/{partition}"


def as_chunk(values: Sequence[Any], first_line: int) -> Chunk:
    """Messages as lines. JSON has line ends only between its tokens, where a blank does as well."""
    lines: list[bytes] = []
    rejected: list[RejectedLine] = []
    for number, value in enumerate(values, first_line):
        line = bytes(value or b"").replace(b"\n", b" ").replace(b"\r", b" ")
        if not line or line.isspace():
            rejected.append(
                RejectedLine(number, "invalid_json", "The message is empty: send one JSON object per message.")
            )
        lines.append(line)
    return Chunk(first_line, len(lines), b"\n".join(lines), tuple(rejected))


@contextmanager
def _ended_by_signals(stopping: threading.Event) -> Iterator[None]:
    names = (signal.SIGTERM, signal.SIGINT)
    before = {name: signal.signal(name, lambda *_: stopping.set()) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _reason(error: Exception) -> str:
    [first, *_] = error.args or ("no reason given",)
    return str(first.str() if hasattr(first, "str") else first).rstrip(".")
