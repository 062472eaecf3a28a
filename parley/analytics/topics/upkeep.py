"""The topics in the database, kept up with the questions in `facts.gap_questions`, tenant by tenant.

Only questions without a topic are placed; all of a tenant's are read again when its model is outgrown.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from datetime import datetime

from psycopg import sql

from parley.analytics.topics.encoders import Sentences, plain
from parley.analytics.topics.model import Assignment, Question, TopicModel, refit
from parley.analytics.topics.naming import SAMPLE, describe
from parley.errors import ParleyError
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT


def keep_up(connection: Connection, as_of: datetime) -> int:
    """Place new questions, let go of those that are gone, and describe anew the topics that either has touched.

    In the caller's transaction. Returns how many questions were placed. Raises ParleyError where a tenant's topics are
    to be found by sentence embeddings, which are not installed.
    """
    thinned = _drop_gone_questions(connection)
    new = _new_questions(connection)
    for tenant_id in sorted({*thinned, *new}):
        _keep_up_tenant(connection, tenant_id, new.get(tenant_id, []), thinned.get(tenant_id, set()), as_of)
    return sum(map(len, new.values()))


def _keep_up_tenant(
    connection: Connection, tenant_id: str, new: Sequence[Question], thinned: Set[str], as_of: datetime
) -> None:
    topics = _topics_of_questions(connection, tenant_id)
    stored = _stored_model(connection, tenant_id)
    sentences = _wants_sentences(connection, tenant_id)
    if not topics and not new:
        _drop_empty_topics(connection, tenant_id)
        connection.execute("delete from ops.topic_models where tenant_id = %s", [tenant_id])
        return
    if stored and isinstance(stored.encoder, Sentences) == sentences and not stored.is_outgrown(len(topics) + len(new)):
        assignments, model = stored.assign(new)
    else:
        assignments, model = refit(tenant_id, _questions(connection, tenant_id), topics, sentences=sentences)
        connection.execute("delete from ops.question_topics where tenant_id = %s", [tenant_id])
    _place(connection, tenant_id, assignments)
    _describe(connection, model, thinned | {each.topic_id for each in assignments if each.topic_id}, as_of)
    model = model.forget(_drop_empty_topics(connection, tenant_id))
    if not stored or stored.encoder is not model.encoder or stored.topic_ids != model.topic_ids:
        _store(connection, model, as_of)


def _drop_gone_questions(connection: Connection) -> dict[str, set[str]]:
    """Forget the topics of questions that facts no longer have; returns the topics that lost some, by tenant."""
    gone = connection.execute(
        """
        delete from ops.question_topics as placed
        where not exists (
            select from facts.gap_questions as questions
            where questions.tenant_id = placed.tenant_id and questions.question_id = placed.question_id
        )
        returning tenant_id, topic_id
        """
    )
    thinned: defaultdict[str, set[str]] = defaultdict(set)
    for tenant_id, topic_id in gone:
        thinned[str(tenant_id)].add(str(topic_id))
    return thinned


def _new_questions(connection: Connection) -> dict[str, list[Question]]:
    """Questions that have no topic yet, by tenant; those without any text never have one."""
    unplaced = connection.execute(
        """
        select tenant_id, question_id, question
        from facts.gap_questions as questions
        where not exists (
            select from ops.question_topics as placed
            where placed.tenant_id = questions.tenant_id and placed.question_id = questions.question_id
        )
        """
    )
    new: defaultdict[str, list[Question]] = defaultdict(list)
    for tenant_id, question_id, text in unplaced:
        if plain(str(text)):
            new[str(tenant_id)].append(Question(str(question_id), str(text)))
    return new


def _questions(connection: Connection, tenant_id: str) -> list[Question]:
    rows = connection.execute("select question_id, question from facts.gap_questions where tenant_id = %s", [tenant_id])
    return [Question(str(question_id), str(text)) for question_id, text in rows]


def _topics_of_questions(connection: Connection, tenant_id: str) -> dict[str, str]:
    rows = connection.execute("select question_id, topic_id from ops.question_topics where tenant_id = %s", [tenant_id])
    return {str(question_id): str(topic_id) for question_id, topic_id in rows}


def _wants_sentences(connection: Connection, tenant_id: str) -> bool:
    row = connection.execute(
        "select encoder = 'sentences' from seeds.gap_settings where tenant_id in (%s, %s) order by tenant_id = %s",
        [tenant_id, EVERY_TENANT, EVERY_TENANT],
    ).fetchone()
    return row == (True,)


def _stored_model(connection: Connection, tenant_id: str) -> TopicModel | None:
    """What was learned of the tenant; None too where another version of Parley stored it."""
    row = connection.execute("select model from ops.topic_models where tenant_id = %s", [tenant_id]).fetchone()
    if row is None or not isinstance(row[0], bytes):
        return None
    try:
        return TopicModel.from_bytes(row[0])
    except ParleyError:
        return None  # a refit carries the ids over without it


def _store(connection: Connection, model: TopicModel, as_of: datetime) -> None:
    connection.execute(
        "insert into ops.topic_models (tenant_id, model, updated_at) values (%s, %s, %s)"
        " on conflict (tenant_id) do update set model = excluded.model, updated_at = excluded.updated_at",
        [model.tenant_id, model.to_bytes(), as_of],
    )


def _place(connection: Connection, tenant_id: str, assignments: Iterable[Assignment]) -> None:
    statement = "copy ops.question_topics (tenant_id, question_id, topic_id) from stdin"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for each in assignments:
            if each.topic_id:
                copy.write_row((tenant_id, each.question_id, each.topic_id))


def _describe(connection: Connection, model: TopicModel, topic_ids: Set[str], as_of: datetime) -> None:
    """Names, examples and confidence of these topics. At most so many different questions of each topic are read."""
    sample = connection.execute(
        """
        select question_id, question, topic_id
        from (
            select
                min(question_id::text) as question_id,
                question,
                topic_id,
                row_number() over (partition by topic_id order by md5(question), question) as place
            from ops.question_topics
            inner join facts.gap_questions using (tenant_id, question_id)
            where tenant_id = %s
            group by topic_id, question
        ) as different
        where place <= %s
        """,
        [model.tenant_id, SAMPLE],
    )
    placed = [(Question(str(question_id), str(text)), str(topic_id)) for question_id, text, topic_id in sample]
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ops.topics as standing
                (tenant_id, topic_id, name, confidence, example_questions, created_at, updated_at)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (tenant_id, topic_id) do update set
                name = excluded.name, confidence = excluded.confidence,
                example_questions = excluded.example_questions, updated_at = excluded.updated_at
            where
                (standing.name, standing.confidence, standing.example_questions)
                is distinct from (excluded.name, excluded.confidence, excluded.example_questions)
            """,
            [
                (model.tenant_id, each.topic_id, each.name, each.confidence, list(each.examples), as_of, as_of)
                for each in describe(model, placed, only=topic_ids)
            ],
        )


def _drop_empty_topics(connection: Connection, tenant_id: str) -> list[str]:
    """Drop the topics without questions and return their ids; those with a status stay, without any words."""
    without_questions = sql.SQL("""
        tenant_id = %s and not exists (
            select from ops.question_topics as placed
            where placed.tenant_id = topics.tenant_id and placed.topic_id = topics.topic_id
        )
    """)
    dropped = connection.execute(
        sql.SQL("""
            delete from ops.topics
            where {} and not exists (
                select from ops.gap_statuses as statuses
                where statuses.tenant_id = topics.tenant_id and statuses.gap_id = topics.topic_id
            )
            returning topic_id
        """).format(without_questions),
        [tenant_id],
    ).fetchall()
    connection.execute(
        sql.SQL("update ops.topics set name = '', confidence = 0, example_questions = '{{}}' where {}").format(
            without_questions
        ),
        [tenant_id],
    )
    return [str(topic_id) for (topic_id,) in dropped]
