"""A person in the warehouse: known by hashes alone, found by what they match, and the tables that hold rows of people.

Whose rows are a person's, and why, is in docs/decisions/erasure.md.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

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
}
"""The columns that name a person or a conversation, and what of `parameters` each is compared with."""
EVENT_IS_OF = """
    tenant_id = %(tenant)s and (user_id = any(%(users)s) or coalesce(conversation_id, session_id) = any(%(threads)s))
"""
"""Condition, with the parameters of `parameters`: a row of raw.events belongs to a subject."""
_PERSONAL_TABLES = """
    select table_schema || '.' || table_name, array_agg(column_name::text)
    from information_schema.columns inner join information_schema.tables using (table_schema, table_name)
    where
        table_schema = any(%s) and table_type = 'BASE TABLE'
        and column_name in ('tenant_id', 'event_id', 'user_id', 'conversation_id', 'thread_id', 'owner_id')
    group by 1
    having bool_or(column_name = 'tenant_id') and count(*) > 1
    order by 1
"""
_REFUSED = """
    select rejected_id, batch_id, coalesce(tenant_id, %(unknown)s), payload::text from raw.rejected_events
    where payload is not null and (tenant_id = %(tenant)s or tenant_id is null)
"""
_THREADS = """
    select thread_id from (
        select coalesce(conversation_id, session_id) as thread_id, user_id from raw.events where tenant_id = %(tenant)s
        {staged}
    ) as said
    where thread_id is not null
    group by thread_id
    having bool_or(user_id = any(%(users)s)) and bool_and(user_id is null or user_id = any(%(users)s))
"""


@dataclass(frozen=True)
class Subject:
    """A person of a tenant, by the hashes of their id (`subject_hmacs`): the id itself need not be known."""

    tenant_id: str
    hmacs: frozenset[str]
    secret: bytes = field(repr=False)
    said: frozenset[str] = frozenset()
    """Of the texts that only they wrote (`text_hmac`), where they were erased."""

    @classmethod
    def of(cls, settings: Settings, tenant_id: str, user_id: str) -> "Subject":
        """The person with this id, as the tenant's senders write it or as its tables hold it."""
        return cls(tenant_id, frozenset(subject_hmacs(settings.secret, tenant_id, user_id)), settings.secret)

    @cached_property
    def is_called(self) -> Callable[[str], bool]:
        """Whether a text is an id of this person, in clear or hashed."""

        @lru_cache(CACHED_TEXTS)
        def judge(text: str) -> bool:
            return not self.hmacs.isdisjoint(subject_hmacs(self.secret, self.tenant_id, text))

        return judge

    @cached_property
    def wrote(self) -> Callable[[str], bool]:
        """Whether a text is one that only this person wrote."""

        @lru_cache(CACHED_TEXTS)
        def judge(text: str) -> bool:
            return len(text) >= SHORTEST_TEXT and text_hmac(self.secret, self.tenant_id, text) in self.said

        return judge if self.said else lambda text: False


@dataclass(frozen=True, slots=True)
class Traces:
    """What names a subject in the tables."""

    users: tuple[str, ...] = ()
    """Values of user_id: one, or two where the tenant came to hash its ids later."""
    threads: tuple[str, ...] = ()
    """Conversations, and sessions outside of any, in which nobody else is named as user."""

    def as_json(self) -> dict[str, list[str]]:
        """For `ops.erasures.traces`."""
        return {"users": list(self.users), "threads": list(self.threads)}

    @classmethod
    def from_json(cls, content: Mapping[str, Iterable[str]]) -> "Traces":
        """What `as_json` wrote."""
        return cls(tuple(content["users"]), tuple(content["threads"]))


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A row of `raw.rejected_events` in which a subject is named."""

    rejected_id: int
    batch_id: int
    counted_under: str
    """The tenant of its row in `raw.load_batches`."""


def find(connection: Connection, subject: Subject) -> Traces:
    """What names a subject in the tables: reads the tenant's raw events twice. Nothing where nobody is so called."""
    tables = ("raw.events", STAGED) if is_built(connection) else ("raw.events",)
    users: set[str] = set()
    for table in tables:
        named = sql.SQL("select distinct user_id from {} where tenant_id = %s and user_id is not null")
        found = connection.execute(named.format(identifier(table)), [subject.tenant_id])
        users |= {user for (user,) in found if isinstance(user, str) and subject.is_called(user)}
    if not users:
        return Traces()
    staged = f"union all select thread_id, user_id from {STAGED} where tenant_id = %(tenant)s"
    threads = connection.execute(
        _THREADS.format(staged=staged if len(tables) > 1 else "").encode(),
        {"tenant": subject.tenant_id, "users": sorted(users)},
    )
    return Traces(tuple(sorted(users)), tuple(sorted(str(thread) for (thread,) in threads)))


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


def refused_lines(connection: Connection, subject: Subject, traces: Traces) -> list[RefusedLine]:
    """The refused lines in which a subject, or a conversation of theirs alone, is named at any level, under any key.

    Lines whose tenant could not be read are nobody's, and count as the tenant's where the subject is named.
    """
    threads = frozenset(traces.threads)
    with connection.transaction(), connection.cursor("refused_lines") as cursor:
        cursor.itersize = 1_000
        cursor.execute(_REFUSED, {"tenant": subject.tenant_id, "unknown": UNKNOWN_TENANT})
        return [
            RefusedLine(int(str(rejected_id)), int(str(batch_id)), str(tenant_id))
            for rejected_id, batch_id, tenant_id, payload in cursor
            if any(
                word in threads or subject.is_called(word)
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
    return {"tenant": subject.tenant_id, "users": list(traces.users), "threads": list(traces.threads)}


def is_not_of(batch: pa.RecordBatch, subject: Subject, traces: Traces) -> pa.BooleanArray:
    """Of rows as raw.events has them, which belong to others than the subject."""
    users = [user for user in batch["user_id"].unique().to_pylist() if user and subject.is_called(user)]
    thread_ids = pc.coalesce(batch["conversation_id"], batch["session_id"])
    is_theirs = pc.or_(
        pc.is_in(batch["user_id"], pa.array(users, pa.string())),
        pc.is_in(thread_ids, pa.array(traces.threads, pa.string())),
    )
    return pc.invert(pc.and_(pc.equal(batch["tenant_id"], pa.scalar(subject.tenant_id)), is_theirs))


def erased(connection: Connection, settings: Settings) -> Erased:
    """Who was erased so far."""
    found = connection.execute("select subject_hmac from raw.erased_subjects").fetchall()
    return Erased(settings.secret, [str(hmac) for (hmac,) in found])


def is_of_nobody(batch: pa.RecordBatch, erased: Erased) -> pa.BooleanArray:
    """Of rows as raw.events has them, which belong to nobody who was erased."""
    threads = pc.coalesce(batch["conversation_id"], batch["session_id"]).to_pylist()
    rows = zip(batch["tenant_id"].to_pylist(), batch["user_id"].to_pylist(), threads, strict=True)
    theirs = [
        erased.has_user(tenant, user) if user else bool(thread) and erased.has_thread(tenant, thread)
        for tenant, user, thread in rows
    ]
    return pc.invert(pa.array(theirs, pa.bool_()))


def is_built(connection: Connection) -> bool:
    """Whether events have been staged at all."""
    return database.has(connection, STAGED)


def identifier(table: str) -> sql.Identifier:
    """A table named with its schema."""
    return sql.Identifier(*table.split("."))
