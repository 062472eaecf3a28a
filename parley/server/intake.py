"""Bodies of requests to events, and events to what the spool keeps: by the rules that files are landed by."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from parley.landing.envelope import decode
from parley.landing.results import Accepted, Dropped, EventResult, Rejected
from parley.landing.rules import Arguments, Rules, arguments
from parley.landing.sources import MAX_EVENT
from parley.landing.validation import ValidatedChunk, collect
from parley.people import removal
from parley.server.keys import Key
from parley.server.problems import Problem
from parley.settings import Settings
from parley.warehouse import audit
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

TOO_LARGE = "The event is larger than 64 KiB: shorten it, or split it."
FORMAT = "parley"

Document = Any
Malformed = tuple[str, str]
"""A reason code and a sentence, of something that is no JSON value."""


@dataclass(frozen=True, slots=True)
class Most:
    """What a request may hold."""

    kib: int
    """Of its body, unpacked."""
    events: int

    @classmethod
    def of(cls, settings: Settings) -> "Most":
        """As the settings say."""
        return cls(settings.http_body_kib, settings.http_events)

    def check_size(self, size: int) -> None:
        """Raises Problem where a body is too large."""
        if size > self.kib * 1024:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body is larger than {self.kib} KiB: send fewer events at once.",
            )


@dataclass(frozen=True, slots=True)
class Received:
    """What a request brought: JSON values, and in the place of those that are none, why not."""

    documents: Sequence[Document]
    malformed: dict[int, Malformed]
    has_digits: bool = False
    """Whether some numbers are `Digits`: a float would round them."""


def unpacked(body: bytes, encoding: str, most: Most) -> bytes:
    """The body without its content encoding. Raises Problem where it is too large or damaged."""
    if encoding in ("", "identity"):
        content = body
    elif encoding == "gzip":
        try:
            stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            content = stream.decompress(body, most.kib * 1024 + 1)
            if len(content) <= most.kib * 1024 and not stream.eof:
                raise Problem(HTTPStatus.BAD_REQUEST, "The gzip body is cut off: send it whole.")
        except (zlib.error, gzip.BadGzipFile):
            raise Problem(HTTPStatus.BAD_REQUEST, "The body is not gzip: leave out Content-Encoding.") from None
    else:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only gzip is understood as Content-Encoding: send gzip, or none."
        )
    most.check_size(len(content))
    return content


def decoded(body: bytes) -> tuple[Any, bool]:
    """A body as JSON, and whether it holds `Digits`. Raises Problem where it is none."""
    try:
        return decode(body)
    except orjson.JSONDecodeError as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"The body is no JSON (line {error.lineno}, column {error.colno}): correct it."
        ) from None


def of_json(body: bytes, most: Most, *, is_batch: bool = False) -> Received:
    """One event, a list of events, or `{"events": […]}`. Raises Problem where it is none of them, or one too large."""
    content, has_digits = decoded(body)
    is_alone = False
    if isinstance(content, dict):
        is_alone = not ("events" in content or is_batch) or "event_name" in content
        if not is_alone:
            content = content.get("events")
            if not isinstance(content, list):
                raise Problem(HTTPStatus.BAD_REQUEST, "`events` is no list: send a list of events.")
    elif not isinstance(content, list):
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is neither an event nor a list of events: send one of them.")
    if is_alone and len(body) > MAX_EVENT and len(orjson.dumps(content)) > MAX_EVENT:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
    documents = content if isinstance(content, list) else [content]
    return received(documents, most, is_small=len(body) <= MAX_EVENT, has_digits=has_digits)


def of_lines(body: bytes, most: Most) -> Received:
    """NDJSON: an event a line; blank lines are none."""
    documents: list[Document] = []
    malformed: dict[int, Malformed] = {}
    has_digits = False
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        try:
            document, with_digits = decode(line)
            documents.append(document)
            has_digits |= with_digits
        except orjson.JSONDecodeError as error:
            why = f"The line is no JSON (column {error.colno}): write one JSON object per line."
            malformed[len(documents)] = ("invalid_json", why)
            documents.append(None)
    found = received(documents, most, is_small=len(body) <= MAX_EVENT)
    return Received(found.documents, found.malformed | malformed, has_digits)


def received(documents: Sequence[Document], most: Most, *, is_small: bool, has_digits: bool = False) -> Received:
    """The documents of a request, each within the limit of an event; `is_small` says that none can be over it.

    Raises Problem where there are too many.
    """
    if len(documents) > most.events:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"More than {most.events} events: send several requests.")
    if is_small:
        return Received(documents, {}, has_digits)
    too_large = ("too_large", TOO_LARGE)
    sizes = (len(orjson.dumps(document)) for document in documents)
    too_large_ones = {index: too_large for index, size in enumerate(sizes) if size > MAX_EVENT}
    return Received(documents, too_large_ones, has_digits)


class Known(NamedTuple):
    """What the rules knew of who is gone, when they validated an event."""

    erased: int = 0
    """How many subjects had been erased."""
    removed: int = 0
    """The number in the audit log of the last removal of a tenant."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the events of a request, by their places in it."""

    results: Sequence[EventResult]

    @property
    def accepted(self) -> int:
        return sum(isinstance(result, Accepted) for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """The body of a 202."""
        return {
            "received": len(self.results),
            "accepted": self.accepted,
            "rejected": [
                {"index": index, **told(result)}
                for index, result in enumerate(self.results)
                if isinstance(result, Rejected)
            ],
            **{
                outcome: sum(isinstance(result, Dropped) and result.outcome == outcome for result in self.results)
                for outcome in ("no_consent", "erased_subject")
            },
        }

    def in_detail(self) -> dict[str, Any]:
        """What would become of each event, for `validate`."""
        return {"received": len(self.results), "results": [*map(_detail, range(len(self.results)), self.results)]}

    def validated(self) -> ValidatedChunk:
        """Rows for the spool."""
        return collect((index + 1, result) for index, result in enumerate(self.results))


def told(rejected: Rejected) -> dict[str, str | None]:
    """Why an event is rejected, as the producer reads it."""
    path = rejected.path
    return {
        "reason": rejected.reason,
        "path": path.removeprefix("$.") if path else None,
        "message": rejected.message,
    }


def _detail(index: int, result: EventResult) -> dict[str, Any]:
    match result:
        case Accepted():
            named = {"event_id": result.event_id, "event_name": result.event_name}
            return {"index": index, "outcome": "accepted", **named}
        case Rejected():
            return {"index": index, "outcome": "rejected", **told(result)}
        case Dropped():
            return {"index": index, "outcome": result.outcome}


class Intake:
    """The rules of the moment, and validation by them."""

    def __init__(self, contract: Arguments, removed: int) -> None:
        self._rules = Rules(**contract)
        self.known = Known(len(contract["erased"]), removed)

    @classmethod
    def load(cls, connection: Connection, settings: Settings) -> "Intake":
        """By the tracking plan, tenants and erasures as they are now."""
        removed = audit.last_numbers(connection, removal.ACTION)
        return cls(arguments(connection, settings, FORMAT), max(removed.values(), default=0))

    def validate(
        self, found: Received, key: Key, made: Callable[[Document], Sequence[Document]] | None = None
    ) -> Answer:
        """What becomes of each event. `made` makes events of a source's document; without it, documents are events."""
        now = datetime.now(UTC)
        return Answer(list(self._results(found, key, now, made)))

    def _results(
        self, found: Received, key: Key, now: datetime, made: Callable[[Document], Sequence[Document]] | None
    ) -> Iterator[EventResult]:
        tenant_id = None if key.tenant_id == EVERY_TENANT else key.tenant_id
        for index, document in enumerate(found.documents):
            if index in found.malformed:
                reason, message = found.malformed[index]
                yield Rejected(tenant_id, None, reason, None, message, None)  # type: ignore[arg-type]
                continue
            try:
                events = made(document) if made else (document,)
            except ValueError as error:
                message = f"The document {error}."
                yield Rejected(tenant_id, None, "invalid_value", "$", message, None, None, "It could not be read.")
                continue
            for event in events:
                yield self._result(event, tenant_id, now, found.has_digits)

    def _result(self, event: Document, tenant_id: str | None, now: datetime, has_digits: bool) -> EventResult:
        if tenant_id is not None and isinstance(event, dict):
            named = event.get("tenant_id")
            if named is not None and named != tenant_id:
                message = "tenant_id is not the key's: leave it out, or use a key of that tenant."
                never = "It names a tenant that its key does not belong to."
                return Rejected(tenant_id, None, "wrong_tenant", "$.tenant_id", message, None, None, never)
        result = self._rules.validate(event, now, tenant_id, has_digits=has_digits)
        if isinstance(result, Rejected) and result.tenant_id is None:
            return result._replace(tenant_id=tenant_id)  # of what is no event, the key still says whose it is
        return result
