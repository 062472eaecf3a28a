"""The topics in the database, kept up with the questions in `facts.gap_questions`, tenant by tenant.

Only questions without a topic are placed; all of a tenant's are read again when its model is outgrown. Then topics
that turn out to be part of a larger one are folded into it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from parley.analytics.topics.encoders import Sentences
from parley.analytics.topics.model import Assignment, Links, Question, Stored, TopicModel, refit
from parley.analytics.topics.naming import SAMPLE, describe
from parley.analytics.topics.vocabulary import Vocabulary
from parley.errors import ParleyError
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

ONE_MATTER = timedelta(minutes=30)  # what is asked in one thread within this time is mostly the same in other words


def keep_up(connection: Connection, as_of: datetime) -> int:
    """Place new questions, let go of those that are gone, and describe again the topics that either has touched.

    In the caller's transaction. Returns how many questions were placed. Raises ParleyError where a tenant's topics are
    to be found by sentence embeddings, which are not installed.
    """
    thinned = _drop_gone_questions(connection)
    vocabulary = _vocabulary(connection)
    new = _new_questions(connection, vocabulary)
    for tenant_id in sorted({*thinned, *new}):
        upkeep = _Upkeep(connection, tenant_id, vocabulary, as_of)
        upkeep.run(new.get(tenant_id, []), thinned.get(tenant_id, set()))
    return sum(map(len, new.values()))


@dataclass(frozen=True)
class _Upkeep:
    """Of one tenant."""

    connection: Connection
    tenant_id: str
    vocabulary: Vocabulary
    as_of: datetime

    def run(self, new: Sequence[Question], thinned: Set[str]) -> None:
        connection, tenant_id = self.connection, self.tenant_id
        topics = _topics_of_questions(connection, tenant_id)
        stored = _stored_model(connection, tenant_id, self.vocabulary)
        if not topics and not new:
            _drop_empty_topics(connection, tenant_id)
            connection.execute("delete from ops.topic_models where tenant_id = %s", [tenant_id])
            connection.execute("delete from ops.merged_topics where tenant_id = %s", [tenant_id])
            return
        links = _links(connection, tenant_id)
        assignments, model = self._placed(stored, new, topics, links)
        now = {**topics, **{each.question_id: each.topic_id for each in assignments if each.topic_id}}
        folded = model.foldable(Counter(now.values()), _between(links, now), _held(connection, tenant_id))
        model = model.renamed(folded)
        final = {question_id: folded.get(topic, topic) for question_id, topic in now.items()}
        changed = {question_id: topic for question_id, topic in final.items() if topics.get(question_id) != topic}
        _place(connection, tenant_id, changed)
        _note_merged(connection, tenant_id, topics, final, self.as_of)
        touched = {*thinned, *changed.values(), *(topics[each] for each in changed if each in topics)}
        _describe(connection, model, touched, self.as_of)
        model = model.forget(_drop_empty_topics(connection, tenant_id))
        if not stored or assignments or stored.owners != model.owners:
            _store(connection, model, self.as_of, is_known=stored is not None and stored.encoder is model.encoder)

    def _placed(
        self, stored: TopicModel | None, new: Sequence[Question], topics: Mapping[str, str], links: Links
    ) -> tuple[list[Assignment], TopicModel]:
        """New questions put under topics; all of them where there is no model for them, or it is outgrown."""
        sentences = _wants_sentences(self.connection, self.tenant_id)
        fits = stored and isinstance(stored.encoder, Sentences) == sentences
        if stored and fits and not stored.is_outgrown(len(topics) + len(new)):
            return stored.assign(new, links)
        return refit(
            self.tenant_id,
            _questions(self.connection, self.tenant_id),
            topics,
            sentences=sentences,
            vocabulary=self.vocabulary,
            links=links,
            held=_held(self.connection, self.tenant_id),
        )


def _vocabulary(connection: Connection) -> Vocabulary:
    filler = connection.execute("select phrase from seeds.filler_phrases")
    terms = connection.execute("select term, concept from seeds.gap_synonyms")
    return Vocabulary.of((str(phrase) for (phrase,) in filler), ((str(term), str(concept)) for term, concept in terms))


def _links(connection: Connection, tenant_id: str) -> Links:
    """Which questions were asked right after which in a thread."""
    rows = connection.execute(
        """
        select before, question_id
        from (
            select
                question_id,
                asked_at,
                lag(question_id) over way as before,
                lag(asked_at) over way as asked_before
            from facts.gap_questions
            where tenant_id = %s
            window way as (partition by tenant_id, thread_id order by asked_at, question_id)
        ) as questions
        where asked_at - asked_before <= %s
        """,
        [tenant_id, ONE_MATTER],
    )
    return {(str(before), str(question_id)): 1 for before, question_id in rows}


def _between(links: Links, topics: Mapping[str, str]) -> Links:
    """The same between topics."""
    between = Counter[tuple[str, str]]()
    for (one, other), often in links.items():
        if one in topics and other in topics:
            between[topics[one], topics[other]] += often
    return between


def _held(connection: Connection, tenant_id: str) -> set[str]:
    """Topics whose status a person has set: they stay."""
    rows = connection.execute("select gap_id from ops.gap_statuses where tenant_id = %s", [tenant_id])
    return {str(gap_id) for (gap_id,) in rows}


def _note_merged(
    connection: Connection, tenant_id: str, before: Mapping[str, str], after: Mapping[str, str], as_of: datetime
) -> None:
    """Note where the topics went that no question is left in: to the one that has most of their questions."""
    went: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for question_id, topic in before.items():
        went[topic][after.get(question_id, topic)] += 1
    existing = set(after.values())
    gone = {topic: min(to, key=lambda each: (-to[each], each)) for topic, to in went.items() if topic not in existing}
    with connection.cursor() as cursor:
        cursor.executemany(
            "update ops.merged_topics set merged_into = %s where tenant_id = %s and merged_into = %s",
            [(into, tenant_id, topic) for topic, into in gone.items()],
        )
        cursor.executemany(
            "insert into ops.merged_topics (tenant_id, topic_id, merged_into, merged_at) values (%s, %s, %s, %s)"
            " on conflict (tenant_id, topic_id) do update set"
            " merged_into = excluded.merged_into, merged_at = excluded.merged_at",
            [(tenant_id, topic, into, as_of) for topic, into in gone.items()],
        )
    connection.execute(
        "delete from ops.merged_topics where tenant_id = %s and topic_id = any(%s)", [tenant_id, sorted(existing)]
    )


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


def _new_questions(connection: Connection, vocabulary: Vocabulary) -> dict[str, list[Question]]:
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
        if vocabulary.cleaned(str(text)):
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


def _stored_model(connection: Connection, tenant_id: str, vocabulary: Vocabulary) -> TopicModel | None:
    """What was learned of the tenant; None too where another version of Parley or another vocabulary did."""
    row = connection.execute(
        "select language, model from ops.topic_models where tenant_id = %s and language is not null", [tenant_id]
    ).fetchone()
    if row is None:
        return None
    try:
        return TopicModel.from_bytes(Stored._make(row), vocabulary)
    except ParleyError:
        return None  # a refit carries the ids over without it


def _store(connection: Connection, model: TopicModel, as_of: datetime, *, is_known: bool) -> None:
    """`is_known` says that the language is stored already, which is most of the model."""
    connection.execute(
        "insert into ops.topic_models (tenant_id, language, model, updated_at) values (%s, %s, %s, %s)"
        " on conflict (tenant_id) do update set"
        + ("" if is_known else " language = excluded.language,")
        + " model = excluded.model, updated_at = excluded.updated_at",
        [model.tenant_id, None if is_known else model.language_to_bytes(), model.topics_to_bytes(), as_of],
    )


def _place(connection: Connection, tenant_id: str, topics: Mapping[str, str]) -> None:
    """Put questions under topics, whatever they were under before."""
    connection.execute(
        "delete from ops.question_topics where tenant_id = %s and question_id = any(%s::uuid[])",
        [tenant_id, list(topics)],
    )
    statement = "copy ops.question_topics (tenant_id, question_id, topic_id) from stdin"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for question_id, topic in sorted(topics.items()):
            copy.write_row((tenant_id, question_id, topic))


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
            insert into ops.topics as existing
                (tenant_id, topic_id, name, confidence, example_questions, created_at, updated_at)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (tenant_id, topic_id) do update set
                name = excluded.name, confidence = excluded.confidence,
                example_questions = excluded.example_questions, updated_at = excluded.updated_at
            where
                (existing.name, existing.confidence, existing.example_questions)
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
