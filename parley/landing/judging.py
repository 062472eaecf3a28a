"""Judges a chunk of lines and writes the outcome as Postgres takes it fastest: rows in COPY's text format.

This is what worker processes do, so that the process that talks to Postgres only forwards bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from parley.landing.rules import Accepted, Dropped, Rejected, Rules, Verdict
from parley.landing.sources import MAX_EVENT, Chunk
from parley.warehouse.names import UNKNOWN_TENANT

MakeRules = Callable[[], Rules]
"""Makes the rules of a load in the process that calls it; can be pickled."""

EVENT_COLUMNS = Accepted._fields
REJECTED_COLUMNS = ("line_number", *Rejected._fields)

ID_LENGTH = 36  # characters of a UUID
_NULL = "\\N"
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch in the making: rows in COPY's text format, and how many lines had which outcome.

    No event stands twice in `events`; those that the tenant has already are only known when the batch is stored.
    """

    ids: dict[str, str]
    """By tenant: the ids of its events, in order, with commas between."""
    events: bytes
    """EVENT_COLUMNS"""
    rejected: bytes
    """REJECTED_COLUMNS"""
    months: frozenset[str]
    """Of the events' occurred_at, as YYYY-MM."""
    counts: Counter[tuple[str, str]]
    """Lines by tenant and outcome."""
    unclear_consent: int = 0
    """Lines among those without consent that said neither yes nor no."""


def judge_chunk(rules: Rules, chunk: Chunk) -> Judged:
    """Judge the lines of a chunk. Blank lines are no events."""
    return collect(verdicts(rules, chunk))


def collect(verdicts: Iterable[tuple[int, Verdict]]) -> Judged:
    """Line numbers and verdicts as a batch. Of an event that comes twice the first counts."""
    counts: Counter[tuple[str, str]] = Counter()
    keys: dict[str, str] = {}  # the beginning of an event's row, to its tenant
    events: list[bytes] = []
    rejected: list[bytes] = []
    months: set[str] = set()
    unclear_consent = 0
    for line, verdict in verdicts:
        tenant_id = verdict.tenant_id or UNKNOWN_TENANT
        if isinstance(verdict, Accepted):
            key = f"{cell(tenant_id)}\t{verdict.event_id}"
            if key in keys:
                counts[tenant_id, "duplicate"] += 1
                continue
            keys[key] = tenant_id
            months.add(verdict.occurred_at[:7])
            events.append(_event_row(key, verdict))
        elif isinstance(verdict, Dropped):
            counts[tenant_id, verdict.outcome] += 1
            unclear_consent += verdict.is_unclear
        else:
            counts[tenant_id, "rejected"] += 1
            rejected.append(_rejected_row(line, verdict))
    # in order, so that neighbours in the index of keys are looked up and stored one after the other
    ids: dict[str, list[str]] = {}
    for key, tenant_id in sorted(keys.items()):
        ids.setdefault(tenant_id, []).append(key[-ID_LENGTH:])
    counts.update({(tenant_id, "accepted"): len(found) for tenant_id, found in ids.items()})
    return Judged(
        {tenant_id: ",".join(found) for tenant_id, found in ids.items()},
        b"".join(events),
        b"".join(rejected),
        frozenset(months),
        counts,
        unclear_consent,
    )


def verdicts(rules: Rules, chunk: Chunk) -> Iterator[tuple[int, Verdict]]:
    """The verdict on every line of a chunk that is not blank, with its number."""
    received_at = datetime.now(UTC)
    judge = rules.judge
    for refusal in chunk.refused:
        yield refusal.line, rules.refuse(refusal.reason, refusal.message)
    for number, line in enumerate(chunk.body.split(b"\n"), chunk.first_line):
        if len(line) > MAX_EVENT and len(line.strip()) > MAX_EVENT:
            yield number, rules.refuse("too_large", "The line is longer than 64 KiB: shorten the event, or split it.")
        elif line and not line.isspace():
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                message = f"The line is no JSON ({error.msg}, column {error.colno}): write one JSON object per line."
                yield number, rules.refuse("invalid_json", message)
            else:
                yield number, judge(event, received_at)


def _event_row(key: str, event: Accepted) -> bytes:
    _, _, name, occurred_at, conversation, session, user, source, attributes, context, version, *envelope = event
    anonymous, site, sequence, actor = envelope
    before = f"{key}\t{cell(name)}\t{occurred_at}\t{cell(conversation)}\t{cell(session)}\t{cell(user)}\t{cell(source)}"
    number = _NULL if sequence is None else sequence
    after = f"{version}\t{cell(anonymous)}\t{cell(site)}\t{number}\t{cell(actor)}\n"
    return b"%b\t%b\t%b\t%b" % (before.encode(), _json(attributes), _json(context), after.encode())


def _rejected_row(line: int, event: Rejected) -> bytes:
    cells = "\t".join(
        (
            str(line),
            cell(event.tenant_id),
            cell(event.event_name),
            event.reason,
            cell(event.path),
            cell(event.message),
        )
    )
    why = cell(event.not_replayable).encode()
    return b"%b\t%b\t%b\t%b\n" % (cells.encode(), _json(event.payload), _json(event.altered), why)


@lru_cache(maxsize=10_000)  # tenants, names and conversations come again and again
def cell(text: str | None) -> str:
    """A text as COPY's text format has it."""
    return _NULL if text is None else text.translate(_ESCAPED)


def _json(content: bytes | None) -> bytes:
    """JSON holds no raw tab or line end: only its backslashes are to be escaped."""
    return b"\\N" if content is None else content.replace(b"\\", b"\\\\")
