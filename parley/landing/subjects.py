"""A person in the warehouse: known by hashes alone, found by what they match, and the tables that hold rows of people.

Whose rows are a person's, and why, is in docs/decisions/erasure.md.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from parley.config import people
from parley.config.people import VISITOR
from parley.landing.privacy import Erased, subject_hmacs, text_hmac, texts, words
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection
from parley.warehouse.names import UNKNOWN_TENANT

STAGED = "staging.stg_events"
GAP_QUESTIONS = "facts.gap_questions"
CACHED_TEXTS = 200_000
SHORTEST_TEXT = 12  # characters; shorter ones are anybody's
DERIVED = ("staging", "facts", "marts", "ops")
"""The schemas whose tables are made of events."""

NAMED_BY = {
    "user_id": "%(users)s::text[]",
    "conversation_id": "%(threads)s::text[]",
    "thread_id": "%(threads)s::text[]",
    "owner_id": "%(users)s::text[] || %(threads)s::text[]",
    "anonymous_id": "%(visitors)s::text[]",
}
"""The columns that name a person or a conversation, and what of `parameters` each is compared with."""
EVENT_IS_OF = """
    tenant_id = %(tenant)s and (
        user_id = any(%(users)s) or coalesce(conversation_id, session_id) = any(%(threads)s)
        or anonymous_id = any(%(visitors)s) or event_id = any(%(events)s::uuid[])
    )
"""
"""Condition, with the parameters of `parameters`: a row of raw.events belongs to a subject."""
_PERSONAL_TABLES = """
    select table_schema || '.' || table_name, array_agg(column_name::text)
    from information_schema.columns inner join information_schema.tables using (table_schema, table_name)
    where
        table_schema = any(%s) and table_type = 'BASE TABLE'
        and column_name in (
            'tenant_id', 'event_id', 'user_id', 'conversation_id', 'thread_id', 'owner_id', 'anonymous_id'
        )
    group by 1
    having bool_or(column_name = 'tenant_id') and count(*) > 1
    order by 1
"""
_REJECTED = """
    select rejected_id, batch_id, coalesce(tenant_id, %(unknown)s), payload::text from raw.rejected_events
    where payload is not null and (tenant_id = %(tenant)s or tenant_id is null)
"""
_THREADS = """
    select thread_id from (
        select
            coalesce(conversation_id, session_id) as thread_id,
            case
                when {is_id_user} then user_id
                when anonymous_id = any(%(visitors)s) or event_id = any(%(events)s::uuid[]) then (%(users)s::text[])[1]
                when {is_id_visitor} then %(visitor)s || anonymous_id
            end as user_id
        from raw.events where tenant_id = %(tenant)s
        {staged}
    ) as said
    where thread_id is not null
    group by thread_id
    having bool_or(user_id = any(%(users)s)) and bool_and(user_id is null or user_id = any(%(users)s))
"""


# the visitors who were this person: theirs alone, or somebody else's too
_VISITORS = """
    select anonymous_id, bool_and(user_id = any(%(users)s)) from (
        select anonymous_id, user_id from raw.events
        where tenant_id = %(tenant)s and anonymous_id is not null and {is_id_user} and {is_id_visitor}
        {known}
    ) as said
    group by anonymous_id
    having bool_or(user_id = any(%(users)s))
"""
_KNOWN = "union all select anonymous_id, user_id from staging.stg_visitor_users where tenant_id = %(tenant)s"
_NAMELESS = """
    select anonymous_id from raw.events
    where tenant_id = %(tenant)s and anonymous_id is not null and {is_id_visitor}
    group by anonymous_id
    having not bool_or(user_id is not null and {is_id_user})
"""
# their events among those of visitors who were others too, as macros/identity/people.sql finds who an event is of
_SHARED = """
    with placed as (
        select
            events.anonymous_id, events.event_id, case when {is_id_user} then user_id end as user_id,
            row(
                events.occurred_at, coalesce(events.sequence, 'infinity'::numeric),
                array_position(
                    array['start', 'customer', 'answer', 'end', 'afterwards'],
                    coalesce(own_type.rank, shared_type.rank, 'customer')
                )::smallint,
                events.event_id
            ) as place
        from raw.events as events
        left join raw.event_types as own_type
            on own_type.tenant_id = events.tenant_id and own_type.event_name = events.event_name
        left join raw.event_types as shared_type
            on shared_type.tenant_id = '*' and shared_type.event_name = events.event_name
        where events.tenant_id = %(tenant)s and events.anonymous_id = any(%(shared)s)
    ),
    ties as (
        select anonymous_id, user_id, place from placed where user_id is not null
        {known}
    )
    select event_id::text from placed
    where user_id is null and coalesce(
        (
            select user_id from ties where ties.anonymous_id = placed.anonymous_id and ties.place <= placed.place
            order by place desc limit 1
        ),
        (select user_id from ties where ties.anonymous_id = placed.anonymous_id order by place limit 1)
    ) = any(%(users)s)
"""
_KNOWN_PLACES = """
    union all
    select anonymous_id, user_id, row(occurred_at, coalesce(sequence, 'infinity'::numeric), event_rank, event_id)
    from staging.stg_visitor_users where tenant_id = %(tenant)s and anonymous_id = any(%(shared)s)
"""
_SHARED_STAGED = """
    union
    select event_id::text from staging.stg_events
    where tenant_id = %(tenant)s and anonymous_id = any(%(shared)s) and user_id = any(%(users)s)
"""
_IS_ID = "({0} is not null and btrim({0}) <> '' and not lower(btrim({0})) = any(%(placeholders)s))"


@dataclass(frozen=True)
class Subject:
    """A person of a tenant, by the hashes of their id (`subject_hmacs`): the id itself need not be known."""

    tenant_id: str
    hmacs: frozenset[str]
    secret: bytes = field(repr=False)
    said: frozenset[str] = frozenset()
    """Of the texts that only they wrote (`text_hmac`), where they were erased."""
    placeholders: frozenset[str] = frozenset()
    """What is no id (`parley.config.people`)."""

    @classmethod
    def of(cls, settings: Settings, tenant_id: str, user_id: str) -> "Subject":
        """The person with this id, as the tenant's producers write it or as its tables hold it."""
        return cls.known_by(settings, tenant_id, subject_hmacs(settings.secret, tenant_id, user_id))

    @classmethod
    def known_by(cls, settings: Settings, tenant_id: str, hmacs: Iterable[str], said: Iterable[str] = ()) -> "Subject":
        """The person with these hashes, who wrote texts with those."""
        placeholders = people.placeholders(settings.project)
        return cls(tenant_id, frozenset(hmacs), settings.secret, frozenset(said), placeholders)

    @cached_property
    def is_called(self) -> Callable[[str], bool]:
        """Whether a text is an id of this person, in clear or hashed."""

        @lru_cache(CACHED_TEXTS)
        def is_theirs(text: str) -> bool:
            return not self.hmacs.isdisjoint(subject_hmacs(self.secret, self.tenant_id, text))

        return is_theirs

    @cached_property
    def wrote(self) -> Callable[[str], bool]:
        """Whether a text is one that only this person wrote."""

        @lru_cache(CACHED_TEXTS)
        def is_theirs(text: str) -> bool:
            return len(text) >= SHORTEST_TEXT and text_hmac(self.secret, self.tenant_id, text) in self.said

        return is_theirs if self.said else lambda text: False


@dataclass(frozen=True, slots=True)
class Traces:
    """What names a subject in the tables."""

    users: tuple[str, ...] = ()
    """Values of user_id: one, or two where the tenant came to hash its ids later."""
    threads: tuple[str, ...] = ()
    """Conversations, and sessions outside of any, in which nobody else is named as user."""
    visitors: tuple[str, ...] = ()
    """Values of anonymous_id that are nobody else's."""
    events: tuple[str, ...] = ()
    """Events of theirs, without a user, of visitors who were others too."""

    def as_json(self) -> dict[str, list[str]]:
        """For `ops.erasures.traces`."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Iterable[str]]) -> "Traces":
        """What `as_json` wrote."""
        return cls(**{name: tuple(values) for name, values in content.items()})


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of `raw.rejected_events` in which a subject is named."""

    rejected_id: int
    batch_id: int
    counted_under: str
    """The tenant of its row in `raw.load_batches`."""


def find(connection: Connection, subject: Subject) -> Traces:
    """What names a subject in the tables: reads the tenant's raw events often. Nothing where nobody is so called."""
    staged = is_built(connection)
    users: set[str] = set()
    for table in ("raw.events", STAGED) if staged else ("raw.events",):
        named = sql.SQL("select distinct user_id from {} where tenant_id = %s and user_id is not null")
        found = connection.execute(named.format(identifier(table)), [subject.tenant_id])
        users |= {user for (user,) in found if isinstance(user, str) and subject.is_called(user)}
    said: dict[str, object] = {
        "tenant": subject.tenant_id,
        "users": sorted(users),
        "placeholders": sorted(subject.placeholders),
        "visitor": VISITOR,
    }

    def ask(query: str, **parts: str) -> list[tuple[object, ...]]:
        conditions = {"is_id_user": _IS_ID.format("user_id"), "is_id_visitor": _IS_ID.format("anonymous_id")}
        return connection.execute(query.format(**conditions, **parts).encode(), said).fetchall()

    visitors = (
        {str(name): is_alone for name, is_alone in ask(_VISITORS, known=_KNOWN if staged else "")} if users else {}
    )
    alone = {name for name, is_alone in visitors.items() if is_alone}
    alone |= {str(name) for (name,) in ask(_NAMELESS) if subject.is_called(f"{VISITOR}{name}")}
    said["visitors"], said["shared"] = sorted(alone), sorted(visitors.keys() - alone)
    if not users and not alone:
        return Traces()
    events: list[str] = []
    if said["shared"]:
        shared = _SHARED + (_SHARED_STAGED if staged else "")
        events = sorted(str(event_id) for (event_id,) in ask(shared, known=_KNOWN_PLACES if staged else ""))
    said["events"] = events
    if not users:
        said["users"] = [f"{VISITOR}{name}" for name in sorted(alone)]
    union = f"""
        union all
        select
            thread_id,
            case
                when anonymous_id = any(%(visitors)s) or event_id = any(%(events)s::uuid[]) then (%(users)s::text[])[1]
                else user_id
            end
        from {STAGED} where tenant_id = %(tenant)s
    """
    threads = sorted(str(thread) for (thread,) in ask(_THREADS, staged=union if staged else ""))
    return Traces(tuple(sorted(users)), tuple(threads), tuple(sorted(alone)), tuple(events))


def texts_of(connection: Connection, subject: Subject, traces: Traces) -> list[str]:
    """The texts that a subject wrote: in the attributes of their events, and in what is kept of days gone."""
    said = """
        select distinct value #>> '{}' from raw.events, jsonb_each(attributes) as attribute (key, value)
        where jsonb_typeof(value) = 'string' and length(value #>> '{}') >= %(shortest)s and """
    query = said + EVENT_IS_OF
    if database.has(connection, GAP_QUESTIONS):
        of_subject = is_of(("user_id", "conversation_id", "thread_id")).as_string(connection)
        query += f" union select question from {GAP_QUESTIONS} where length(question) >= %(shortest)s and {of_subject}"
    found = connection.execute(query.encode(), parameters(subject, traces) | {"shortest": SHORTEST_TEXT})
    return sorted(str(text) for (text,) in found)


def written_by_others(connection: Connection, subject: Subject, texts: Collection[str]) -> set[str]:
    """Which of these texts stand in the tenant's events, once the subject's own are gone: reads all of them."""
    found = connection.execute(
        "select distinct value #>> '{}' from raw.events, jsonb_each(attributes) as attribute (key, value)"
        " where tenant_id = %s and jsonb_typeof(value) = 'string' and value #>> '{}' = any(%s)",
        [subject.tenant_id, list(texts)],
    )
    return {str(text) for (text,) in found}


def rejected_rows(connection: Connection, subject: Subject, traces: Traces) -> list[RejectedRow]:
    """The rejected lines in which a subject, or a conversation of theirs alone, is named at any level, under any key.

    Lines whose tenant could not be read are nobody's, and count as the tenant's where the subject is named.
    """
    known = frozenset((*traces.threads, *traces.visitors))
    with connection.transaction(), connection.cursor("rejected_rows") as cursor:
        cursor.itersize = 1_000
        cursor.execute(_REJECTED, {"tenant": subject.tenant_id, "unknown": UNKNOWN_TENANT})
        return [
            RejectedRow(int(str(rejected_id)), int(str(batch_id)), str(tenant_id))
            for rejected_id, batch_id, tenant_id, payload in cursor
            if any(
                word in known or subject.is_called(word)
                for text in texts(orjson.loads(str(payload)))
                for word in (text, *words(text))
            )
        ]


def personal_tables(connection: Connection) -> dict[str, tuple[str, ...]]:
    """The tables made of events that have rows of people, by schema and name, with the columns by which."""
    found = connection.execute(_PERSONAL_TABLES, [list(DERIVED)])
    return {str(name): tuple(map(str, columns)) for name, columns in found if isinstance(columns, list)}


def is_of(columns: Collection[str]) -> sql.SQL:
    """Condition, with the parameters of `parameters`: a row of a table with these columns belongs to a subject.

    `owner_id`, of a funnel's attempt, is a user or a conversation.
    """
    return sql.SQL(
        "tenant_id = %(tenant)s and ("
        + " or ".join(f"{column} = any({NAMED_BY[column]})" for column in columns if column in NAMED_BY)
        + ")"
    )


def parameters(subject: Subject, traces: Traces) -> dict[str, object]:
    """Those of `is_of`."""
    return {"tenant": subject.tenant_id, **traces.as_json()}


def is_not_of(batch: pa.RecordBatch, subject: Subject, traces: Traces) -> pa.BooleanArray:
    """Of rows as raw.events has them, which belong to others than the subject."""
    users = [user for user in batch["user_id"].unique().to_pylist() if user and subject.is_called(user)]
    thread_ids = pc.coalesce(batch["conversation_id"], batch["session_id"])
    is_theirs = pc.or_(
        pc.is_in(batch["user_id"], pa.array(users, pa.string())),
        pc.is_in(thread_ids, pa.array(traces.threads, pa.string())),
    )
    if "anonymous_id" in batch.schema.names:  # not in archives of before it was kept
        is_theirs = pc.or_(is_theirs, pc.is_in(batch["anonymous_id"], pa.array(traces.visitors, pa.string())))
        is_theirs = pc.or_(is_theirs, pc.is_in(batch["event_id"], pa.array(traces.events, pa.string())))
    return pc.invert(pc.and_(pc.equal(batch["tenant_id"], pa.scalar(subject.tenant_id)), is_theirs))


def erased(connection: Connection, settings: Settings) -> Erased:
    """Who was erased so far."""
    found = connection.execute("select subject_hmac, tenant_id from raw.erased_subjects").fetchall()
    hmacs, tenants = ({str(row[column]) for row in found} for column in (0, 1))
    return Erased(settings.secret, hmacs, people.placeholders(settings.project), tenants)


def is_of_nobody(batch: pa.RecordBatch, erased: Erased) -> pa.BooleanArray:
    """Of rows as raw.events has them, which belong to nobody who was erased."""
    threads = pc.coalesce(batch["conversation_id"], batch["session_id"]).to_pylist()
    visitors = batch["anonymous_id"].to_pylist() if "anonymous_id" in batch.schema.names else [None] * batch.num_rows
    rows: Iterable[Any] = zip(
        batch["tenant_id"].to_pylist(), batch["user_id"].to_pylist(), threads, visitors, strict=True
    )
    return pc.invert(pa.array([erased.has(*row) for row in rows], pa.bool_()))


def is_built(connection: Connection) -> bool:
    """Whether events have been staged at all."""
    return database.has(connection, STAGED)


def identifier(table: str) -> sql.Identifier:
    """A table named with its schema."""
    return sql.Identifier(*table.split("."))
