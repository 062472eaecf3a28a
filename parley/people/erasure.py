"""Erases a person under privacy law: their rows in every table, then what was made of them, then what is on disk.

    request ──► erase (one transaction) ──► build ──► files, vacuum, search ──► finished

`ops.erasures` says how far each one is. Killed at any moment, nothing of a step has happened or the next call goes on
after it: `work_off` takes up every open erasure. It knows people by their hashes; only the command line knows a name.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from parley.build import builds
from parley.build.builds import BuildRequest
from parley.errors import ParleyError
from parley.history import archives
from parley.landing import partitions, subjects
from parley.landing.privacy import hashed, subject_hmacs, text_hmac, thread_hmac, visitor_hmac
from parley.landing.subjects import EVENT_IS_OF, STAGED, Subject, Traces
from parley.people import residue, superset
from parley.settings import Settings
from parley.warehouse import audit, database, migrate, secret
from parley.warehouse.database import Connection

COUNTED = "facts.event_days"
"""Counts every event, those of frozen days too, which no build counts again."""
Specs = Mapping[str, Mapping[str, Any]]
"""What the rebuilt models say of themselves, by schema and name (`builds.rebuilt_models`)."""

_OPEN = """
    select erasure_id, tenant_id, subject_hmacs, requested_by, erased_at, traces, rows_deleted, text_hmacs
    from ops.erasures where finished_at is null order by erasure_id
"""
_TAKE_EVENTS = """
    create temporary table erased_events (event_id uuid primary key, batch_id bigint) on commit drop;
    create temporary table erased_lines (tenant_id text, batch_id bigint, outcome text) on commit drop
"""
_DELETE_EVENTS = f"""
    with gone as (
        delete from raw.events
        where {EVENT_IS_OF}
        returning event_id, batch_id
    )
    insert into erased_events select event_id, batch_id from gone
"""
_TAKE_STAGED = f"""
    insert into erased_events select event_id, batch_id from {STAGED}
    where tenant_id = %(tenant)s and (
        user_id = any(%(users)s) or thread_id = any(%(threads)s) or anonymous_id = any(%(visitors)s)
    )
    on conflict do nothing
"""
_IS_ERASED_EVENT = sql.SQL("tenant_id = %(tenant)s and event_id in (select event_id from erased_events)")
_FORGET_KEYS = """
    delete from raw.event_keys using erased_events
    where event_keys.tenant_id = %(tenant)s and event_keys.event_id = erased_events.event_id
"""
_RECOUNT_BATCHES = """
    with lines as (
        select
            batch_id, tenant_id,
            count(*) filter (where outcome = 'accepted') as accepted,
            count(*) filter (where outcome = 'rejected') as rejected
        from erased_lines
        group by batch_id, tenant_id
    )
    update raw.load_batches as batches set
        accepted = batches.accepted - lines.accepted,
        rejected = batches.rejected - lines.rejected,
        erased_subject = batches.erased_subject + lines.accepted + lines.rejected
    from lines where batches.batch_id = lines.batch_id and batches.tenant_id = lines.tenant_id
"""
_RECOUNT_LOADS = """
    with recounted as (
        select
            load_id, sum(accepted)::bigint as accepted, sum(rejected)::bigint as rejected,
            sum(erased_subject)::bigint as erased_subject
        from raw.load_batches
        where load_id in (select load_id from raw.load_batches inner join erased_lines using (batch_id))
        group by load_id
    )
    update raw.loads set
        accepted = recounted.accepted, rejected = recounted.rejected, erased_subject = recounted.erased_subject
    from recounted where loads.load_id = recounted.load_id
"""
_RECOUNT_FROZEN_DAYS = f"""
    with gone as (
        select events.tenant_id, occurred_on, event_name, channel, received_on, count(*) as events
        from {STAGED} as events
        inner join erased_events using (event_id)
        inner join ops.raw_horizon using (tenant_id)
        where tenant_id = %(tenant)s and occurred_on < frozen_before
        group by tenant_id, occurred_on, event_name, channel, received_on
    )
    update {COUNTED} as days set events = days.events - gone.events
    from gone
    where (days.tenant_id, days.date, days.event_name, days.channel, days.received_on)
        = (gone.tenant_id, gone.occurred_on, gone.event_name, gone.channel, gone.received_on)
"""
_DROP_EMPTY_DAYS = f"delete from {COUNTED} where tenant_id = %(tenant)s and events = 0"
_PUBLISH_ARRIVALS = """
    insert into ops.changes (model, kind, tenant_id, date)
    select distinct 'stg_events', 'arrival', batches.tenant_id, batches.received_on
    from staging.stg_load_batches as batches
    inner join erased_lines as lines on batches.batch_id = lines.batch_id and batches.tenant_id = lines.tenant_id
"""
_PUBLISH_OWNERS = """
    insert into ops.changes (model, kind, tenant_id, id)
    select 'stg_funnel_events', 'owner', %(tenant)s, unnest(%(users)s::text[] || %(threads)s::text[])
"""
_WITHOUT_QUESTIONS = """
    update ops.topics
    set example_questions = array(select unnest(example_questions) except select unnest(%(questions)s::text[]))
    where tenant_id = %(tenant)s and example_questions && %(questions)s::text[]
"""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An open row of `ops.erasures`."""

    erasure_id: int
    tenant_id: str
    subject_hmacs: list[str]
    requested_by: str | None
    erased_at: datetime | None
    traces: dict[str, list[str]] | None
    rows_deleted: dict[str, int] | None
    text_hmacs: list[str]

    def subject(self, settings: Settings) -> Subject:
        """Whom it erases."""
        return Subject.known_by(settings, self.tenant_id, self.subject_hmacs, self.text_hmacs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an erasure."""

    erasure_id: int
    tenant_id: str
    rows_deleted: Mapping[str, int]
    """By table; none of a person who is not known."""
    places_left: Mapping[str, int]
    """Tables and files in which something still names the person, and in how many rows or how often."""


def request(connection: Connection, settings: Settings, tenant_id: str, user_id: str, by: str | None = None) -> int:
    """Ask for a person to be erased; returns the id of the erasure, which is the open one where there is one.

    Only hashes of the person are written. Raises ParleyError where the secret is not the warehouse's.
    """
    secret.check(connection, settings)
    hmacs = sorted(subject_hmacs(settings.secret, tenant_id, user_id))
    with connection.transaction():
        connection.execute("lock table ops.erasures in share row exclusive mode")
        row = connection.execute(
            "select erasure_id from ops.erasures where tenant_id = %s and subject_hmacs = %s and finished_at is null",
            [tenant_id, hmacs],
        ).fetchone()
        if row is None:
            row = connection.execute(
                "insert into ops.erasures (tenant_id, subject_hmacs, requested_by) values (%s, %s, %s)"
                " returning erasure_id",
                [tenant_id, hmacs, by],
            ).fetchone()
            audit.record(
                connection, "subject.erasure_requested", tenant_id=tenant_id, actor=by, details={"subject": hmacs}
            )
    assert row
    return int(str(row[0]))


def preview(settings: Settings, tenant_id: str, user_id: str) -> dict[str, int]:
    """The rows that an erasure would delete, by table: it is done, and undone. Landing waits meanwhile."""
    with migrate.connect(settings, autocommit=True) as connection, connection.transaction(force_rollback=True):
        secret.check(connection, settings)
        return _delete(connection, Subject.of(settings, tenant_id, user_id), _specs(connection, settings))[1]


def work_off(
    settings: Settings,
    *,
    as_of: datetime | None = None,
    by: str | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> list[Outcome]:
    """Bring every open erasure to its end: delete, build as of a time (by default now), tidy up and search.

    Waits for a build that is at work. Raises ParleyError where the tables could not be built afterwards; the erasure
    stays open then, with nothing of the person but in figures that count them, and the next call goes on.
    """
    with migrate.connect(settings, autocommit=True) as connection, builds.only_one(connection, wait=True):
        secret.check(connection, settings)
        erasures = _open(connection)
        specs = _specs(connection, settings)
        for each in erasures:
            if each.erased_at is None:
                on_step("deleting rows")
                _erase(connection, each, each.subject(settings), specs, by)
    if erasures and specs:
        on_step("building what was made of them")
        outcome = builds.build(settings, BuildRequest(as_of=as_of), wait=True)
        if not outcome.is_whole:
            name, reason = next((each.name, each.reason) for each in outcome.problems if each.status != "warn")
            raise ParleyError(
                "The person's rows are erased, but not every table could be built without them "
                f"({name}: {reason}): fix that, then run `parley forget --open`."
            )
    on_step("searching what is left")
    with database.connect(settings, autocommit=True) as connection:
        return [_finish(connection, settings, each) for each in _open(connection) if each.erased_at]


def _open(connection: Connection) -> list[Erasure]:
    with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        return cursor.execute(_OPEN).fetchall()


def _specs(connection: Connection, settings: Settings) -> Specs:
    """None where nothing has been built yet."""
    return builds.rebuilt_models(settings) if subjects.is_built(connection) else {}


def _erase(connection: Connection, erasure: Erasure, subject: Subject, specs: Specs, by: str | None) -> None:
    """Delete what the database holds of a person, refuse them from now on, and write down that it was done."""
    with connection.transaction():
        found, rows_deleted, said = _delete(connection, subject, specs)
        threads = [thread_hmac(subject.secret, subject.tenant_id, thread) for thread in found.threads]
        visitors = [visitor_hmac(subject.secret, subject.tenant_id, visitor) for visitor in found.visitors]
        connection.execute(
            "insert into raw.erased_subjects (tenant_id, subject_hmac) select %s, unnest(%s::text[])"
            " on conflict do nothing",
            [subject.tenant_id, [*erasure.subject_hmacs, *threads, *visitors]],
        )
        connection.execute(
            "update ops.erasures set erased_at = clock_timestamp(), traces = %s, rows_deleted = %s,"
            " text_hmacs = %s where erasure_id = %s",
            [Jsonb(found.as_json()), Jsonb(rows_deleted), said, erasure.erasure_id],
        )
        audit.record(
            connection,
            "subject.erased",
            tenant_id=subject.tenant_id,
            actor=by or erasure.requested_by,
            details={"subject": erasure.subject_hmacs, "rows_deleted": rows_deleted},
        )


def _delete(connection: Connection, subject: Subject, specs: Specs) -> tuple[Traces, dict[str, int], list[str]]:
    """Delete a person's rows from every table, and tell the models downstream; returns what named them, how many rows
    it was by table, and the hashes of the texts that only they wrote. In the caller's transaction, in which nothing
    else lands or builds."""
    partitions.take_turn(connection)
    connection.execute("lock table ops.watermarks in exclusive mode")  # no model is built, by plain dbt neither
    found = subjects.find(connection, subject)
    named = subjects.parameters(subject, found)
    deleted: Counter[str] = Counter()
    texts = subjects.texts_of(connection, subject, found) if found.users or found.visitors else []
    connection.execute(_TAKE_EVENTS)
    if found.users or found.visitors:
        deleted["raw.events"] = connection.execute(_DELETE_EVENTS, named).rowcount
        if specs:
            connection.execute(_TAKE_STAGED, named)
        connection.execute("insert into erased_lines select %(tenant)s, batch_id, 'accepted' from erased_events", named)
        deleted["raw.event_keys"] = connection.execute(_FORGET_KEYS, named).rowcount
    rejected = subjects.rejected_rows(connection, subject, found)
    deleted["raw.rejected_events"] = _delete_rejected(connection, rejected)
    connection.execute(_RECOUNT_BATCHES)
    connection.execute(_RECOUNT_LOADS)
    if specs and database.has(connection, "staging.stg_load_batches"):
        connection.execute(_PUBLISH_ARRIVALS)
    if (found.users or found.visitors) and specs:
        _forget_questions(connection, named)
        if database.has(connection, COUNTED):
            connection.execute(_RECOUNT_FROZEN_DAYS, named)
            connection.execute(_DROP_EMPTY_DAYS, named)
        connection.execute(_PUBLISH_OWNERS, named)  # a user and a conversation may be called the same
        for table, columns in subjects.personal_tables(connection).items():
            condition = _IS_ERASED_EVENT if "event_id" in columns else subjects.is_of(columns)
            deleted[table] = delete_rows(connection, table, condition, named, specs.get(table))
    texts = sorted(set(texts) - subjects.written_by_others(connection, subject, texts)) if texts else []
    said = [text_hmac(subject.secret, subject.tenant_id, text) for text in texts]
    return found, {table: rows for table, rows in sorted(deleted.items()) if rows}, said


def _delete_rejected(connection: Connection, rejected: Sequence[subjects.RejectedRow]) -> int:
    with (
        connection.cursor() as cursor,
        cursor.copy("copy erased_lines (tenant_id, batch_id, outcome) from stdin") as copy,
    ):
        for line in rejected:
            copy.write_row((line.counted_under, line.batch_id, "rejected"))
    return connection.execute(
        "delete from raw.rejected_events where rejected_id = any(%s)", [[line.rejected_id for line in rejected]]
    ).rowcount


def delete_rows(
    connection: Connection, table: str, condition: sql.SQL, named: Mapping[str, object], spec: Mapping[str, Any] | None
) -> int:
    """Delete a table's rows, and publish their changes as the table's own rebuilding would."""
    publishes = (spec or {}).get("publishes", {})
    changes = [
        sql.SQL("({}, {}::text, {}::date)").format(
            sql.Literal(kind), _expression(columns.get("id")), _expression(columns.get("date"))
        )
        for kind, columns in publishes.items()
    ]
    published = sql.SQL(
        ", published as ("
        " insert into ops.changes (model, kind, tenant_id, id, date)"
        " select distinct {}, change.kind, gone.tenant_id, change.id, change.date"
        " from gone cross join lateral (values {}) as change (kind, id, date)"
        " where coalesce(change.id, change.date::text) is not null"
        ")"
    ).format(sql.Literal(table.split(".")[1]), sql.SQL(", ").join(changes))
    statement = sql.SQL("with gone as (delete from {} where {} returning *){} select count(*) from gone").format(
        subjects.identifier(table), condition, published if changes else sql.SQL("")
    )
    row = connection.execute(statement, named).fetchone()
    assert row
    return int(str(row[0]))


def _expression(written: str | None) -> sql.SQL:
    """A column, or what a model of this project has written in its place."""
    return sql.SQL(written or "null")


def _forget_questions(connection: Connection, named: Mapping[str, object]) -> None:
    """Take a person's questions out of the examples of topics, and drop what was learned from them: the next build
    learns the tenant's language without them, and names the topics again."""
    if not database.has(connection, subjects.GAP_QUESTIONS):
        return
    asked = sql.SQL("select distinct question from facts.gap_questions where {}").format(
        subjects.is_of(("user_id", "conversation_id", "thread_id"))
    )
    questions = [str(question) for (question,) in connection.execute(asked, named)]
    if questions:
        connection.execute(_WITHOUT_QUESTIONS, {**named, "questions": questions})
        connection.execute("delete from ops.topic_models where tenant_id = %(tenant)s", named)


def _finish(connection: Connection, settings: Settings, erasure: Erasure) -> Outcome:
    """Take the person out of the archives, clear away dead rows, search what is left, and close the erasure."""
    rows_deleted = dict(erasure.rows_deleted or {})
    _vacuum(connection, [*rows_deleted, "raw.load_batches", "ops.changes"])
    known = Traces.from_json(erasure.traces or {})
    subject = erasure.subject(settings)
    rows_deleted = dict(sorted((rows_deleted | _rewrite_archives(connection, settings, subject, known)).items()))
    rows_deleted |= superset.erase(settings, known.users)
    places = residue.in_database(connection, erasure.tenant_id, (*known.users, *known.visitors))
    places |= superset.search(settings, erasure.tenant_id, known.users)
    places |= residue.in_files(settings, subject, known.visitors)
    connection.execute(
        "update ops.erasures set finished_at = clock_timestamp(), traces = null, rows_deleted = %s, places_left = %s"
        " where erasure_id = %s",
        [Jsonb(rows_deleted), Jsonb(places), erasure.erasure_id],
    )
    _vacuum(connection, ["ops.erasures"])
    return Outcome(erasure.erasure_id, erasure.tenant_id, rows_deleted, places)


def _rewrite_archives(connection: Connection, settings: Settings, subject: Subject, known: Traces) -> dict[str, int]:
    """Leave nothing of a person in the archives; returns how many rows went, by archive."""
    gone: dict[str, int] = {}
    with archives.only_one(connection):
        for archive in archives.find(settings.home):
            if subject.tenant_id in archive.manifest.rows_by_tenant:
                archive, rows = archives.rewrite(archive, lambda batch: subjects.is_not_of(batch, subject, known))
                if rows:
                    gone[f"archive {archive.archive_id}"] = rows
    return gone


def _vacuum(connection: Connection, tables: Sequence[str]) -> None:
    """Free the space of deleted rows, so that it is written over; with rights on the tables only."""
    for table in tables:
        connection.execute(sql.SQL("vacuum {}").format(subjects.identifier(table)))


def search(settings: Settings, tenant_id: str, user_id: str) -> dict[str, int]:
    """The tables and files in which a person is named, or, once erased, quoted, and how often."""
    subject = Subject.of(settings, tenant_id, user_id)
    names = (user_id, hashed(settings.secret, user_id))
    with migrate.connect(settings, autocommit=True) as connection:
        secret.check(connection, settings)
        said = connection.execute(
            "select unnest(text_hmacs) from ops.erasures where tenant_id = %s and subject_hmacs && %s",
            [tenant_id, sorted(subject.hmacs)],
        )
        subject = replace(subject, said=frozenset(str(text) for (text,) in said))
        places = residue.in_database(connection, tenant_id, names)
    return places | superset.search(settings, tenant_id, names) | residue.in_files(settings, subject)
