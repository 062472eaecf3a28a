"""Validates a chunk of lines and writes the outcome as Postgres takes it fastest: rows in COPY's text format.

This is what worker processes do, so that the process that talks to Postgres only forwards bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

import orjson

from parley.landing.envelope import KNOWN, decode, has_digits_in
from parley.landing.formats import MAX_UNREAD, Failure, Mapper, shown
from parley.landing.results import Accepted, Dropped, EventResult, Rejected
from parley.landing.rules import Rules
from parley.landing.sources import MAX_DOCUMENT, MAX_EVENT, Chunk
from parley.warehouse.names import UNKNOWN_TENANT

Made = TypeVar("Made")
MakeRules = Callable[[], Rules]
"""Makes the rules of a load in the process that calls it; can be pickled."""

EVENT_COLUMNS = Accepted._fields
REJECTED_COLUMNS = ("line_number", *Rejected._fields)

UNKNOWN_SHARE = 0.1
"""Of the lines of a chunk: an unknown field of the envelope in more of them is an error of the line."""
_line = itemgetter(0)
MAPPED_AT_ONCE = 200  # documents: jq starts once for them, and a processor's cache holds them
OTHER_FIELDS = "(other fields)"
ID_LENGTH = 36  # characters of a UUID
_NULL = "\\N"
_NO_MORE = f"\t{_NULL}\t{_NULL}\t{_NULL}\t{_NULL}\n"
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class ValidatedChunk:
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
    unread: Counter[str] = field(default_factory=Counter)
    """Fields that were not read, and how often they came."""
    empty: Counter[str] = field(default_factory=Counter)
    """Documents that hold no event, by their kind where they say one."""
    is_resent: bool = False
    """Whether the lines have landed before, with the same file."""

    def as_sent_again(self) -> "ValidatedChunk":
        """The batch where its lines have landed before: what is rejected again is only counted, as a duplicate."""
        counts: Counter[tuple[str, str]] = Counter()
        for (tenant_id, outcome), lines in self.counts.items():
            counts[tenant_id, "duplicate" if outcome == "rejected" else outcome] += lines
        return replace(self, rejected=b"", counts=counts, is_resent=True)


@dataclass(slots=True)
class Unread:
    """What of a chunk did not become part of an event."""

    fields: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    """Fields that no event of our own format has, as they are written."""
    documents: int = 0

    def add(self, places: Iterable[str]) -> None:
        """Count fields; those beyond a number of different names together."""
        for place in places:
            self.fields[place if place in self.fields or len(self.fields) < MAX_UNREAD else OTHER_FIELDS] += 1

    def usual(self) -> frozenset[str]:
        """The unknown fields that come again and again."""
        return frozenset(key for key, lines in self.unknown.items() if lines > UNKNOWN_SHARE * self.documents)


Results = Iterator[tuple[int, EventResult]]
"""By the number of the line; a document of another format may become many events."""


def validate_chunk(rules: Rules, chunk: Chunk) -> ValidatedChunk:
    """Validate the lines of a chunk. Blank lines are no events."""
    validated, unread = _validated(rules, chunk, collect)
    validated.unread.update(unread.fields)
    validated.empty.update(unread.empty)
    return validated


def validate_lines(rules: Rules, chunk: Chunk) -> tuple[list[tuple[int, EventResult]], Unread]:
    """The results on the events of a chunk, with the numbers of their lines, and what was not read."""
    return _validated(rules, chunk, list)


def _validated(rules: Rules, chunk: Chunk, make: Callable[[Results], Made]) -> tuple[Made, Unread]:
    """What is made of the results on a chunk's lines.

    They come one by one, since no processor's cache holds a whole chunk decoded. That an unknown field comes again and
    again, so that it must be what the source calls something, is known only after them: then all are validated again.
    """
    unread = Unread()
    made = make(_results(rules, chunk, unread, frozenset()))
    # of a table, columns that events do not have are no error
    unknown = frozenset() if chunk.is_table else unread.usual()
    if unknown:
        unread = Unread()
        made = make(_results(rules, chunk, unread, unknown))
    for key, lines in unread.unknown.items():
        if key not in unknown:
            unread.add([shown(key)] * lines)
    return made, unread


def collect(results: Iterable[tuple[int, EventResult]]) -> ValidatedChunk:
    """Line numbers and results as a batch. Of an event that comes twice the first counts."""
    counts: Counter[tuple[str, str]] = Counter()
    keys: dict[str, str] = {}  # the beginning of an event's row, to its tenant
    events: list[bytes] = []
    rejected: list[bytes] = []
    months: set[str] = set()
    unclear_consent = 0
    for line, result in results:
        tenant_id = result.tenant_id or UNKNOWN_TENANT
        if isinstance(result, Accepted):
            key = f"{cell(tenant_id)}\t{result.event_id}"
            if key in keys:
                counts[tenant_id, "duplicate"] += 1
                continue
            keys[key] = tenant_id
            months.add(result.occurred_at[:7])
            events.append(_event_row(key, result))
        elif isinstance(result, Dropped):
            counts[tenant_id, result.outcome] += 1
            unclear_consent += result.is_unclear
        else:
            counts[tenant_id, "rejected"] += 1
            rejected.append(_rejected_row(line, result))
    # in order, so that neighbours in the index of keys are looked up and stored one after the other
    ids: dict[str, list[str]] = {}
    for key, tenant_id in sorted(keys.items()):
        ids.setdefault(tenant_id, []).append(key[-ID_LENGTH:])
    counts.update({(tenant_id, "accepted"): len(found) for tenant_id, found in ids.items()})
    return ValidatedChunk(
        {tenant_id: ",".join(found) for tenant_id, found in ids.items()},
        b"".join(events),
        b"".join(rejected),
        frozenset(months),
        counts,
        unclear_consent,
    )


def _results(rules: Rules, chunk: Chunk, unread: Unread, unknown: frozenset[str]) -> Results:
    received_at = datetime.now(UTC)
    documents = _documents(rules, chunk)
    if rules.mapper is None:
        results = _native(rules, documents, received_at, unread, unknown)
    else:
        results = _mapped(rules, rules.mapper, documents, received_at, unread)
    broken = [(each.line, rules.rejected_line(each.reason, each.message)) for each in chunk.rejected]
    return merge(sorted(broken, key=_line), results, key=_line) if broken else results


_Document = tuple[int, bytes, Any, bool]
"""The number of a line, its JSON, what it says (`Rejected` where it is none), and whether that holds `Digits`."""


def _documents(rules: Rules, chunk: Chunk) -> Iterator[_Document]:
    longest = MAX_EVENT if rules.mapper is None else MAX_DOCUMENT
    for number, line in enumerate(chunk.body.split(b"\n"), chunk.first_line):
        if len(line) > longest and len(line.strip()) > longest:
            size = f"{longest // 1024} KiB" if rules.mapper is None else f"{longest // 1024**2} MiB"
            message = f"The line is longer than {size}: shorten the event, or split it."
            yield number, b"", rules.rejected_line("too_large", message), False
        elif line and not line.isspace():
            try:
                value, has_digits = decode(line)
            except orjson.JSONDecodeError as error:
                message = f"The line is no JSON ({error.msg}, column {error.colno}): write one JSON object per line."
                yield number, b"", rules.rejected_line("invalid_json", message), False
            else:
                yield number, line, value, has_digits


def _native(
    rules: Rules, documents: Iterable[_Document], received_at: datetime, unread: Unread, unknown: frozenset[str]
) -> Results:
    validate = rules.validate
    for number, _, event, has_digits in documents:
        if type(event) is Rejected:
            yield number, event
            continue
        unread.documents += 1
        if type(event) is dict and not event.keys() <= KNOWN:
            unread.unknown.update(event.keys() - KNOWN)
        yield number, validate(event, received_at, unknown=unknown, has_digits=has_digits)


def _mapped(
    rules: Rules, mapper: Mapper, documents: Iterator[_Document], received_at: datetime, unread: Unread
) -> Results:
    while some := list(islice(documents, MAPPED_AT_ONCE)):
        broken = [(number, document) for number, _, document, _ in some if type(document) is Rejected]
        readable = [each for each in some if type(each[2]) is not Rejected] if broken else some
        results = _of_documents(rules, mapper, readable, received_at, unread)
        yield from merge(broken, results, key=_line) if broken else results


def _of_documents(
    rules: Rules, mapper: Mapper, documents: list[_Document], received_at: datetime, unread: Unread
) -> Results:
    with_digits = {number for number, _, _, has_digits in documents if has_digits}
    mapped = mapper.map([(number, line) for number, line, _, _ in documents], with_digits)
    for (number, events), (_, _, document, has_digits) in zip(mapped, documents, strict=True):
        if isinstance(events, Failure):
            yield number, rules.unreadable(document, events.message)
            continue
        if events:
            unread.add(mapper.unread(document, events))
        else:
            unread.empty[kind_of(document)] += 1
        for event in events:
            yield number, _validated_event(rules, event, received_at, has_digits=has_digits and has_digits_in(event))


def _validated_event(rules: Rules, event: Any, received_at: datetime, *, has_digits: bool) -> EventResult:
    size = len(orjson.dumps(event))
    if size > MAX_EVENT:
        return rules.rejected_line("too_large", "An event of the document is longer than 64 KiB: shorten it.")
    return rules.validate(event, received_at, has_digits=has_digits)


def kind_of(document: Any) -> str:
    """What a document says it is, as it may be printed."""
    if type(document) is not dict:
        return "other"
    within = document.get("document")
    inner = within if type(within) is dict else document
    kind = next((inner[key] for key in ("type", "event", "kind", "object") if type(inner.get(key)) is str), "other")
    return shown(kind)


def _event_row(key: str, event: Accepted) -> bytes:
    (
        _tenant, _id, name, occurred_at, conversation, session, user, source, attributes, context, version, anonymous,
        site, sequence, actor,
    ) = event  # fmt: skip
    before = (
        f"{key}\t{cell(name)}\t{occurred_at}\t{cell(conversation)}\t{cell(session)}\t{cell(user)}\t{cell(source)}\t"
    )
    if anonymous is None and site is None and sequence is None and actor is None:  # as of most
        after = f"\t{version}{_NO_MORE}"
    else:
        number = _NULL if sequence is None else sequence
        after = f"\t{version}\t{cell(anonymous)}\t{cell(site)}\t{number}\t{cell(actor)}\n"
    return b"".join((before.encode(), _json(attributes), b"\t", _json(context), after.encode()))


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
