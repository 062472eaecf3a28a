"""Lands what the spool holds: batches of many requests, at most one a second, each once.

How far a spool has landed is stored with the batch: `parley.landing.positions`.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

import orjson
import psycopg

from parley.alerts.happenings import Watcher
from parley.errors import ParleyError, told
from parley.landing import batches, loads, partitions, positions, subjects
from parley.landing.batches import SubjectsErased
from parley.landing.positions import START, Position
from parley.landing.privacy import TOO_MUCH, Erased
from parley.landing.validation import EVENT_COLUMNS, ID_LENGTH, REJECTED_COLUMNS, ValidatedChunk, cell
from parley.people import removal
from parley.server.intake import Known
from parley.server.spool import Spool
from parley.settings import Settings
from parley.warehouse import audit, database, postgres_errors
from parley.warehouse.database import Connection
from parley.warehouse.names import UNKNOWN_TENANT

SOURCE = "http"
LONGEST_ALERTING = 2.0  # seconds that the end waits for messages of alerts
SECONDS_BETWEEN_BATCHES = 1.0
SECONDS_BETWEEN_LOOKS_FOR_ORPHANS = 30.0
LONGEST_PAUSE = 15.0  # seconds, while Postgres is down
BATCH_BYTES = 8 * 2**20

log = logging.getLogger("parley.server")

_IDS = itemgetter(
    *(EVENT_COLUMNS.index(f"{name}_id") for name in ("tenant", "user", "conversation", "session", "anonymous"))
)
_OCCURRED_AT = EVENT_COLUMNS.index("occurred_at")
_REJECTED_TENANT, _PAYLOAD, _ALTERED, _NEVER = map(
    REJECTED_COLUMNS.index, ("tenant_id", "payload", "altered", "not_replayable")
)
_NULL = b"\\N"
_UNESCAPED = {"\\t": "\t", "\\n": "\n", "\\r": "\r"}


@dataclass(frozen=True, slots=True)
class Gone:
    """Who is not to land any more, though an event was acknowledged before."""

    erased: Erased
    erased_count: int
    removed: Mapping[str, int]
    """Tenants, with the number of their removal in the audit log."""

    @classmethod
    def read(cls, connection: Connection, settings: Settings) -> "Gone":
        """As it is now. Counted first: who is erased between the two is one more than was counted."""
        count = batches.count_erased(connection)
        return cls(subjects.erased(connection, settings), count, audit.last_numbers(connection, removal.ACTION))


def pack(validated: ValidatedChunk, known: Known) -> bytes:
    """A spool's record: a line of JSON, and rows as they will be stored, in COPY's text format."""
    counts = [[tenant_id, outcome, lines] for (tenant_id, outcome), lines in validated.counts.items()]
    head = orjson.dumps([*known, len(validated.events), counts, validated.unclear_consent])
    return b"%b\n%b%b" % (head, validated.events, validated.rejected)


def merge(records: Iterable[bytes], gone: Gone | None = None) -> ValidatedChunk:
    """Records as one batch. Of an event that comes twice the first counts. Rows of subjects erased since go, and all of
    tenants removed since."""
    counts: Counter[tuple[str, str]] = Counter()
    events: dict[bytes, bytes] = {}  # by tenant and id, as the row begins
    rejected: list[bytes] = []
    unclear = 0
    for record in records:
        head, _, rows = record.partition(b"\n")
        erased, removed, length, counted, of_record = orjson.loads(head)
        unclear += of_record
        look = gone.erased if gone is not None and erased != gone.erased_count else None
        left = {tenant_id for tenant_id, number in gone.removed.items() if number > removed} if gone else set[str]()
        counts.update({(tenant_id, outcome): lines for tenant_id, outcome, lines in counted if tenant_id not in left})
        for row in rows[:length].splitlines(keepends=True):
            key = row[: row.index(b"\t") + 1 + ID_LENGTH]
            if left and _tenant_of(key) in left:
                continue
            if look is not None and _is_of_erased(look, row):
                counts.update({(_tenant_of(key), "accepted"): -1, (_tenant_of(key), "erased_subject"): 1})
            elif key in events:
                counts.update({(_tenant_of(key), "accepted"): -1, (_tenant_of(key), "duplicate"): 1})
            else:
                events[key] = row
        for row in rows[length:].splitlines(keepends=True):
            if left and _text(row.split(b"\t")[_REJECTED_TENANT]) in left:
                continue
            kept = row if look is None else _unless_erased(look, row)
            if kept is None:
                tenant_id = _text(row.split(b"\t")[_REJECTED_TENANT]) or UNKNOWN_TENANT
                counts.update({(tenant_id, "rejected"): -1, (tenant_id, "erased_subject"): 1})
            else:
                rejected.append(kept)
    months = {row.split(b"\t", _OCCURRED_AT + 1)[_OCCURRED_AT][:7] for row in events.values()}
    ids: dict[bytes, list[bytes]] = {}
    for key in sorted(events):
        ids.setdefault(key[: -ID_LENGTH - 1], []).append(key[-ID_LENGTH:])
    return ValidatedChunk(
        {_text(tenant) or "": b",".join(found).decode() for tenant, found in ids.items()},
        b"".join(events.values()),
        b"".join(rejected),
        frozenset(month.decode() for month in months),
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
        self._gone: Gone | None = None
        self._watcher = Watcher(self.settings, log.warning)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to land."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Land what is left, for so long at the most, and end; whether it has. What remains is landed by the next
        server."""
        self._stopping.set()
        self._thread.join(seconds)
        self._watcher.close(LONGEST_ALERTING)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = SECONDS_BETWEEN_BATCHES
        while True:
            try:
                with database.connect(self.settings, autocommit=True) as connection:
                    pause = SECONDS_BETWEEN_BATCHES
                    self._land_until_stopped(connection)
                return
            except Exception as error:  # whatever it is, what is acknowledged is to land: it tries again
                self.state.failures += 1
                self.state.problem = _reason(error)
                log.warning("Landing waits: %s", self.state.problem)
                if not isinstance(error, ParleyError | psycopg.Error):
                    log.error("Landing failed: %s", told(error))
            if self._stopping.wait(pause) and pause > SECONDS_BETWEEN_BATCHES:
                return  # it is stopping, and Postgres did not come back: the spool keeps what is left
            pause = min(pause * 2, LONGEST_PAUSE)

    def _land_until_stopped(self, connection: Connection) -> None:
        batches.prepare(connection)
        load_id = loads.begin(connection, source=SOURCE, source_format=SOURCE)
        self._position = positions.read(connection, self.spool.spool_id) or START
        self.on_connected(connection)
        self.state.problem = None
        next_look = 0.0
        with loads.ending(connection, load_id):
            while True:
                began = time.monotonic()
                is_last = self._stopping.is_set()
                end = self.spool.end  # what comes meanwhile waits for the next batch
                while self._position < end and self._land_one(connection, load_id):
                    pass
                if began >= next_look:
                    self._adopt_orphans(connection, load_id)
                    next_look = began + SECONDS_BETWEEN_LOOKS_FOR_ORPHANS
                if is_last:
                    if self.spool.is_empty:
                        positions.forget(connection, self.spool.spool_id)
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
            try:
                position, found = positions.read(connection, spool.spool_id) or START, True
                while found:
                    position, found = self._land_from(connection, load_id, spool, position)
                spool.clear()
                positions.forget(connection, spool.spool_id)
            finally:
                spool.close()  # where it did not land: whoever looks next finds it again

    def _land_from(
        self, connection: Connection, load_id: int, spool: Spool, position: Position
    ) -> tuple[Position, bool]:
        records, after = spool.read(position, BATCH_BYTES)
        if not records:
            return position, False
        while True:
            gone = self._gone = self._gone or Gone.read(connection, self.settings)
            validated = merge(records, gone)
            try:
                with connection.transaction():
                    partitions.take_turn(connection)
                    landed = positions.read(connection, spool.spool_id) or START
                    if landed <= position:
                        self._store(connection, load_id, validated, gone)
                        positions.store(connection, spool.spool_id, after)
                        break
                # a transaction of a connection that was lost, or of a process that was killed, was stored after all
                return landed, True
            except SubjectsErased:
                self._gone = None
        self.state.batches += 1
        self.state.landed_events += validated.events.count(b"\n")
        self.state.last_landed_at = time.time()
        self._watcher.landed()
        return after, True

    def _store(self, connection: Connection, load_id: int, validated: ValidatedChunk, gone: Gone) -> None:
        if audit.last_numbers(connection, removal.ACTION) != gone.removed:
            raise SubjectsErased
        (done,) = connection.execute("select lines_done from raw.loads where load_id = %s", [load_id]).fetchone() or (
            0,
        )
        lines = int(str(done)) + validated.counts.total()
        batches.store(connection, load_id, validated, lines_done=lines, fingerprint=None, erased=gone.erased_count)


def _reason(error: Exception) -> str:
    match error:
        case ParleyError():
            return str(error)
        case psycopg.Error():
            said = postgres_errors.without_values(error).splitlines()[0]
            return said if error.sqlstate else "the connection to Postgres was lost"
        case OSError():
            return f"the spool cannot be read or written ({error.strerror})"
        case _:
            return "the server failed at it: its log says where"


def _tenant_of(key: bytes) -> str:
    return _text(key[: -ID_LENGTH - 1]) or ""


def _is_of_erased(erased: Erased, row: bytes) -> bool:
    tenant, user, conversation, session, visitor = map(_text, _IDS(row.rstrip(b"\n").split(b"\t")))
    return erased.has(tenant or "", user, conversation or session, visitor)


def _unless_erased(erased: Erased, row: bytes) -> bytes | None:
    """The row of a rejected event; None where it names somebody who was erased, and without what it held where it has
    too many words to tell."""
    cells = row.rstrip(b"\n").split(b"\t")
    payload = _text(cells[_PAYLOAD])
    is_named = payload is not None and erased.is_named(orjson.loads(payload), _text(cells[_REJECTED_TENANT]))
    if is_named is None:
        cells[_PAYLOAD] = cells[_ALTERED] = _NULL
        cells[_NEVER] = cell(TOO_MUCH).encode()
        return b"\t".join(cells) + b"\n"
    return None if is_named else row


def _text(given: bytes) -> str | None:
    """A cell of COPY's text format as the text that it stands for."""
    if given == _NULL:
        return None
    found = given.decode()
    if "\\" not in found:
        return found
    pieces: Sequence[str] = found.split("\\\\")
    for escape in ("\\t", "\\n", "\\r"):
        pieces = [piece.replace(escape, _UNESCAPED[escape]) for piece in pieces]
    return "\\".join(pieces)
