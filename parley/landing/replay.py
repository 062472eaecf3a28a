"""Validates rejected events again, under what holds today, and lands those that pass as a load of their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from psycopg.rows import tuple_row

from parley.config import tracking_plan
from parley.landing import batches, formats, loads, partitions
from parley.landing.batches import SubjectsErased
from parley.landing.envelope import KNOWN
from parley.landing.loads import Report
from parley.landing.results import Dropped, EventResult, Rejected
from parley.landing.rules import Rules, arguments
from parley.landing.validation import collect
from parley.settings import Settings
from parley.warehouse import database, migrate
from parley.warehouse.database import Connection

SOURCE = "rejected events"
FORMAT = "replay"  # of the load; a document is read in the format of the load that brought it
PAGE = 2_000  # events validated and stored at once

_PAGE = """
    select rejected_id, payload::text, loads.dialect, loads.tenant_id, coalesce(altered, '{}')::text
    from raw.rejected_events as rejected join raw.loads using (load_id)
    where replayed_by is null and payload is not null and rejected_id > %(after)s
      and (not_replayable is null or altered is not null)
      and (%(reason)s::text is null or reason = %(reason)s)
      and (%(tenant_id)s::text is null or rejected.tenant_id = %(tenant_id)s)
      and (%(load_id)s::bigint is null or load_id = %(load_id)s)
    order by rejected_id limit %(limit)s
"""
_STILL_REFUSED = "select rejected_id from raw.rejected_events where rejected_id = any(%s) and replayed_by is null"
_MARK = "update raw.rejected_events set replayed_by = %s, not_replayable = null where rejected_id = any(%s)"
_EXPLAIN = """
    update raw.rejected_events as rejected set not_replayable = told.sentence
    from unnest(%s::bigint[], %s::text[]) as told (rejected_id, sentence)
    where rejected.rejected_id = told.rejected_id and replayed_by is null
"""
_EMPTY = "update raw.rejected_events set payload = null where rejected_id = any(%s)"

_Page = list[tuple[int, str, str, str | None, str]]
"""Rejected events: id, payload, source format and default tenant of their load, and what was altered in them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rejected events: all, or those of a reason, a tenant or a load."""

    reason: str | None = None
    tenant_id: str | None = None
    load_id: int | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay."""

    tried: int
    """Events that were validated again."""
    report: Report | None
    """Of the load of those that passed, None where none did."""
    not_replayable: int = 0
    """Events that would pass, but were redacted in such a way that they would not land as they were sent."""
    example: str | None = None
    """Why the first of them."""


def replay(
    settings: Settings,
    selection: Selection,
    *,
    loaded_by: str | None = None,
    on_progress: Callable[[int], None] = lambda tried: None,
) -> Replay:
    """Validate rejected events again. Those still rejected stay as they are; the others are marked with the load that
    they landed in, so that a second replay finds nothing more to do. Lines that were no JSON cannot be replayed.

    Raises ParleyError where the plan, the seed or Postgres is in the way; what landed until then has landed.
    """
    migrate.upgrade(settings)
    with loads.explained(SOURCE), database.connect(settings, autocommit=True) as connection, ExitStack() as stack:
        batches.prepare(connection)
        validation = _Validation(connection, settings)
        load_id: int | None = None
        tried = 0
        not_replayable: dict[int, str] = {}
        for page in _pages(connection, selection):
            tried += len(page)
            passed = validation.passed(page)
            connection.execute(_EXPLAIN, [list(validation.altered), list(validation.altered.values())])
            not_replayable |= validation.altered
            if passed and load_id is None:
                load_id = loads.begin(connection, source=SOURCE, source_format=FORMAT, loaded_by=loaded_by)
                stack.enter_context(loads.ending(connection, load_id))
            while passed and load_id is not None:
                try:
                    _store(connection, load_id, passed, lines_done=tried, erased=validation.erased)
                    break
                except SubjectsErased:
                    validation = _Validation(connection, settings)
                    passed = validation.passed(page)
            on_progress(tried)
        report = loads.report(connection, load_id, validation.listed) if load_id is not None else None
        return Replay(tried, report, len(not_replayable), next(iter(not_replayable.values()), None))


class _Validation:
    """Today's rules, for events of any source format and default tenant."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        contract = arguments(connection, settings)
        self.erased = len(contract["erased"])
        self.listed = contract["tenants"]
        folder = settings.project / tracking_plan.FOLDER

        @cache
        def rules(source_format: str, tenant_id: str | None) -> Rules:
            own = contract.copy()
            if source_format in formats.names(folder):  # else a file of the user's own: its events are ours by now
                own["source_format"] = formats.find(folder, source_format)
            own["default_tenant"] = tenant_id
            return Rules(**own)

        self._rules = rules
        self.altered: dict[int, str] = {}
        """Of the last page: why events that would pass cannot be replayed."""

    def passed(self, page: _Page) -> list[tuple[int, EventResult]]:
        """The events that are rejected no longer, and what becomes of them."""
        now = datetime.now(UTC)
        self.altered = {}
        found: list[tuple[int, EventResult]] = []
        for rejected_id, payload, source_format, tenant_id, altered in page:
            rules = self._rules(source_format, tenant_id)
            event, changes = orjson.loads(payload), orjson.loads(altered)
            events = [event] if _is_event(rules, event) else _of_document(rules, event, changes)
            results = [rules.validate_again(each, changes, now) for each in events]
            if why := next((result for result in results if isinstance(result, str)), None):
                self.altered[rejected_id] = why
            elif not any(isinstance(result, Rejected) for result in results):
                found += [(rejected_id, result) for result in results if not isinstance(result, str)]
        return found


def _is_event(rules: Rules, payload: Any) -> bool:
    """Whether a payload is an event, and no document that its source format could not read."""
    return rules.mapper is None or type(payload) is not dict or payload.keys() <= KNOWN


def _of_document(rules: Rules, document: Any, changes: object) -> list[Any]:
    """The events of a rejected document, where it is as it was sent and gives them an identity itself."""
    events = rules.mapper.events(document, derive=False) if rules.mapper and not changes else []
    return [] if isinstance(events, formats.Failure) or not all("event_id" in each for each in events) else list(events)


def _pages(connection: Connection, selection: Selection) -> Iterator[_Page]:
    after = 0
    while True:
        with connection.cursor(row_factory=tuple_row) as cursor:
            page: _Page = cursor.execute(_PAGE, {**asdict(selection), "after": after, "limit": PAGE}).fetchall()
        if not page:
            return
        yield page
        after = page[-1][0]


def _store(
    connection: Connection, load_id: int, passed: list[tuple[int, EventResult]], *, lines_done: int, erased: int
) -> None:
    with connection.transaction():
        partitions.take_turn(connection)
        rows = connection.execute(_STILL_REFUSED, [[rejected_id for rejected_id, _ in passed]]).fetchall()
        left = {rejected_id for (rejected_id,) in rows}  # another replay may have been here
        passed = [(rejected_id, result) for rejected_id, result in passed if rejected_id in left]
        batches.store(connection, load_id, collect(passed), lines_done=lines_done, fingerprint=None, erased=erased)
        connection.execute(_MARK, [load_id, [rejected_id for rejected_id, _ in passed]])
        dropped = [rejected_id for rejected_id, result in passed if isinstance(result, Dropped)]
        connection.execute(_EMPTY, [dropped])
