"""Lands what the spool holds: batches of many requests, at most one a second, each once.

How far a spool has landed is stored with the batch: `parley.landing.positions`.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import psycopg

from parley.errors import ParleyError
from parley.landing import batches, loads, partitions, positions, subjects
from parley.landing.batches import SubjectsErased
from parley.landing.judging import EVENT_COLUMNS, ID_LENGTH, REJECTED_COLUMNS, Judged
from parley.landing.positions import START, Position
from parley.landing.privacy import TOO_MUCH, Erased
from parley.server.spool import Spool
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection
from parley.warehouse.names import UNKNOWN_TENANT

SOURCE = "http"
SECONDS_BETWEEN_BATCHES = 1.0
SECONDS_BETWEEN_LOOKS_FOR_ORPHANS = 30.0
LONGEST_PAUSE = 15.0  # seconds, while Postgres is down
BATCH_BYTES = 8 * 2**20
MAX_ROWS_IN_MEMORY = 50_000

log = logging.getLogger("parley.server")

_TENANT, _EVENT_ID = EVENT_COLUMNS.index("tenant_id"), EVENT_COLUMNS.index("event_id")
_USER, _CONVERSATION, _SESSION, _VISITOR = (
    EVENT_COLUMNS.index(f"{name}_id") for name in ("user", "conversation", "session", "anonymous")
)
_OCCURRED_AT = EVENT_COLUMNS.index("occurred_at")
_REJECTED_TENANT, _PAYLOAD, _ALTERED, _NOT_REPLAYABLE = map(
    REJECTED_COLUMNS.index, ("tenant_id", "payload", "altered", "not_replayable")
)
_NULL = "\\N"
_UNESCAPED = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def pack(judged: Judged, erased: int) -> bytes:
    """A spool's record: rows as they will be stored. `erased`: how many erased subjects the rules knew of."""
    return orjson.dumps(
        [
            erased,
            judged.events.decode(),
            judged.rejected.decode(),
            [[tenant_id, outcome, lines] for (tenant_id, outcome), lines in judged.counts.items()],
            judged.unclear_consent,
        ]
    )


def merge(records: Iterable[bytes], erased: Erased | None = None, erased_count: int = 0) -> Judged:
    """Records as one batch. Of an event that comes twice the first counts; rows of subjects erased since go."""
    counts: Counter[tuple[str, str]] = Counter()
    events: dict[str, str] = {}  # by tenant and id, as the row begins
    rejected: list[str] = []
    unclear = 0
    for record in records:
        known, event_rows, rejected_rows, counted, of_record = orjson.loads(record)
        unclear += of_record
        counts.update({(tenant_id, outcome): lines for tenant_id, outcome, lines in counted})
        look = erased if erased is not None and known != erased_count else None
        for row in _rows(event_rows):
            key = row[: row.index("\t") + 1 + ID_LENGTH]
            tenant_id = _text(key[: -ID_LENGTH - 1]) or ""
            if look is not None and _is_of_erased(look, row):
                counts.update({(tenant_id, "accepted"): -1, (tenant_id, "erased_subject"): 1})
            elif key in events:
                counts.update({(tenant_id, "accepted"): -1, (tenant_id, "duplicate"): 1})
            else:
                events[key] = row
        for row in _rows(rejected_rows):
            kept = row if look is None else _without_erased(look, row)
            if kept:
                rejected.append(kept)
            else:
                tenant_id = _text(row.split("\t")[_REJECTED_TENANT]) or UNKNOWN_TENANT
                counts.update({(tenant_id, "rejected"): -1, (tenant_id, "erased_subject"): 1})
    ids: dict[str, list[str]] = {}
    for key in sorted(events):
        ids.setdefault(_text(key[: -ID_LENGTH - 1]) or "", []).append(key[-ID_LENGTH:])
    return Judged(
        {tenant_id: ",".join(found) for tenant_id, found in ids.items()},
        "".join(events.values()).encode(),
        "".join(rejected).encode(),
        frozenset(row.split("\t", _OCCURRED_AT + 1)[_OCCURRED_AT][:7] for row in events.values()),
        +counts,
        unclear,
    )


@dataclass(slots=True)
class State:
    """How the writer is doing, for /stats and /health."""

    landed_events: int = 0
    batches: int = 0
    failures: int = 0
    last_landed_at: float | None = None
    problem: str | None = None
    """What is in the way now, if anything; quotes nothing of an event."""


@dataclass
class Writer:
    """A thread that lands a process's own spool, and those that killed processes left behind."""

    settings: Settings
    spool: Spool
    home: Path
    on_connected: Callable[[Connection], None] = lambda connection: None
    state: State = field(default_factory=State)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._position = START
        self._erased: Erased | None = None
        self._erased_count = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to land."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Land what is left, for so long at the most, and end. What remains then is landed by the next server."""
        self._stopping.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        pause = SECONDS_BETWEEN_BATCHES
        while True:
            try:
                with database.connect(self.settings, autocommit=True) as connection:
                    pause = SECONDS_BETWEEN_BATCHES
                    self._land_until_stopped(connection)
                return
            except (ParleyError, psycopg.Error) as error:
                self.state.failures += 1
                self.state.problem = _reason(error)
                log.warning("Landing waits: %s", self.state.problem)
            if self._stopping.wait(pause) and pause > SECONDS_BETWEEN_BATCHES:
                return  # it is stopping, and Postgres did not come back: the spool keeps what is left
            pause = min(pause * 2, LONGEST_PAUSE)

    def _land_until_stopped(self, connection: Connection) -> None:
        batches.prepare(connection)
        self._erased = subjects.erased(connection, self.settings)
        self._erased_count = batches.count_erased(connection)
        load_id = loads.begin(connection, source=SOURCE, source_format=SOURCE)
        self._position = positions.read(connection, self.spool.spool_id) or START
        self.on_connected(connection)
        self.state.problem = None
        next_look = 0.0
        with loads.ending(connection, load_id):
            while True:
                began = time.monotonic()
                is_last = self._stopping.is_set()
                while self._land_one(connection, load_id):
                    pass
                if began >= next_look:
                    self._adopt_orphans(connection, load_id)
                    next_look = began + SECONDS_BETWEEN_LOOKS_FOR_ORPHANS
                if is_last:
                    return
                self.on_connected(connection)
                self._stopping.wait(max(0.0, began + SECONDS_BETWEEN_BATCHES - time.monotonic()))

    def _land_one(self, connection: Connection, load_id: int) -> bool:
        """Land a batch of the own spool; whether there was any."""
        self._position, found = self._land_from(connection, load_id, self.spool, self._position)
        if found:
            self.spool.release(self._position)
        return found

    def _adopt_orphans(self, connection: Connection, load_id: int) -> None:
        for spool in Spool.orphans(self.home):
            position, found = positions.read(connection, spool.spool_id) or START, True
            while found:
                position, found = self._land_from(connection, load_id, spool, position)
            spool.clear()
            positions.forget(connection, spool.spool_id)
            spool.close()

    def _land_from(
        self, connection: Connection, load_id: int, spool: Spool, position: Position
    ) -> tuple[Position, bool]:
        records, after = spool.read(position, BATCH_BYTES)
        if not records:
            return position, False
        while True:
            judged = merge(records, self._erased, self._erased_count)
            try:
                with connection.transaction():
                    self._store(connection, load_id, judged)
                    positions.store(connection, spool.spool_id, after)
                break
            except SubjectsErased:
                self._erased = subjects.erased(connection, self.settings)
                self._erased_count = batches.count_erased(connection)
        self.state.batches += 1
        self.state.landed_events += judged.events.count(b"\n")
        self.state.last_landed_at = time.time()
        return after, True

    def _store(self, connection: Connection, load_id: int, judged: Judged) -> None:
        partitions.take_turn(connection)
        (done,) = connection.execute("select lines_done from raw.loads where load_id = %s", [load_id]).fetchone() or (
            0,
        )
        lines = int(str(done)) + judged.counts.total()
        batches.store(connection, load_id, judged, lines_done=lines, fingerprint=None, erased=self._erased_count)


def _rows(text: str) -> list[str]:
    """Rows of COPY's text format, in which only a line feed ends a row."""
    return [f"{row}\n" for row in text.split("\n")[:-1]]


def _reason(error: Exception) -> str:
    if isinstance(error, psycopg.Error):
        return error.diag.message_primary or "the connection to Postgres was lost"
    return str(error)


def _is_of_erased(erased: Erased, row: str) -> bool:
    cells = row.rstrip("\n").split("\t")
    thread_id = _text(cells[_CONVERSATION]) or _text(cells[_SESSION])
    return erased.has(_text(cells[_TENANT]) or "", _text(cells[_USER]), thread_id, _text(cells[_VISITOR]))


def _without_erased(erased: Erased, row: str) -> str | None:
    """The row of a rejected event, as `Rules` makes it of one that comes after the erasure; None where it names one."""
    cells = row.rstrip("\n").split("\t")
    payload = _text(cells[_PAYLOAD])
    is_named = payload is not None and erased.is_named(orjson.loads(payload), _text(cells[_REJECTED_TENANT]))
    if is_named is None:
        cells[_PAYLOAD], cells[_ALTERED], cells[_NOT_REPLAYABLE] = _NULL, _NULL, TOO_MUCH
        return "\t".join(cells) + "\n"
    return None if is_named else row


def _text(cell: str) -> str | None:
    """A cell of COPY's text format as the text that it stands for."""
    if cell == _NULL:
        return None
    if "\\" not in cell:
        return cell
    pieces: Sequence[str] = cell.split("\\\\")
    for escape in ("\\t", "\\n", "\\r"):
        pieces = [piece.replace(escape, _UNESCAPED[escape]) for piece in pieces]
    return "\\".join(pieces)
