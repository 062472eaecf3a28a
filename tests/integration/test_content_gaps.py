"""Content gaps from what lands to what a person says of them: topics of a real database, kept up over builds."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import psycopg
import pytest

from parley.analytics import gaps
from parley.analytics.topics.upkeep import keep_up
from parley.build.builds import BuildRequest, build
from parley.errors import ParleyError
from parley.landing.loader import load
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection
from tests.conftest import parley

TENANT = "four-tongues"
BEGINNING = datetime(2025, 7, 1, tzinfo=UTC)
SUBJECTS = {
    "cancel": ["cancel my booking", "please cancel my booking", "cancel the booking", "I want to cancel my booking"],
    "fee": ["vad kostar kortet", "vad kostar kortet nu", "vad kostar kortet per år", "hej, vad kostar kortet"],
    "parking": ["où est le parking", "où est le parking svp", "où est donc le parking", "bonjour, où est le parking"],
    "gluten": [
        "グルテンフリーありますか",
        "グルテンフリー、ありますか",
        "グルテンフリーありますかね",
        "今日グルテンフリーありますか",
    ],
}
Table = list[tuple[object, ...]]


@pytest.fixture
def connection(built: Settings) -> Iterator[Connection]:
    with database.connect(built, autocommit=True) as connection:
        yield connection


def question_id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))


def ask(connection: Connection, texts: Sequence[str], name: str) -> None:
    """Put questions where dbt puts them."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into facts.gap_questions"
            " (tenant_id, question_id, thread_id, asked_at, asked_on, question, reason, was_escalated_after)"
            " values (%s, %s, %s, %s, %s::date, %s, 'no_results', false)",
            [
                (TENANT, question_id(f"{name}-{number}"), f"{name}-{number}", BEGINNING, BEGINNING, text)
                for number, text in enumerate(texts)
            ],
        )


def withdraw(connection: Connection, texts: Sequence[str]) -> None:
    connection.execute("delete from facts.gap_questions where tenant_id = %s and question = any(%s)", [TENANT, texts])


def topics_by_text(connection: Connection) -> dict[str, str]:
    rows = connection.execute(
        "select question, topic_id from ops.question_topics"
        " inner join facts.gap_questions using (tenant_id, question_id) where tenant_id = %s",
        [TENANT],
    )
    return {str(text): str(topic) for text, topic in rows}


def tables(connection: Connection) -> list[Table]:
    """All that is known of topics, models included."""
    names = ("ops.topics", "ops.question_topics", "ops.topic_models")
    return [connection.execute(f"select * from {name} order by 1, 2".encode()).fetchall() for name in names]


def test_each_subject_has_a_topic_that_stays_and_new_questions_join_it(connection: Connection) -> None:
    for subject, texts in SUBJECTS.items():
        ask(connection, texts[:3], subject)
    assert keep_up(connection, BEGINNING) == 12
    first = topics_by_text(connection)
    for texts in SUBJECTS.values():
        assert len({first[text] for text in texts[:3]}) == 1
    assert len(set(first.values())) == len(SUBJECTS)

    for subject, texts in SUBJECTS.items():
        ask(connection, texts[3:], f"{subject}, later")
    assert keep_up(connection, BEGINNING + timedelta(days=1)) == 4
    then = topics_by_text(connection)
    assert first.items() <= then.items()
    for texts in SUBJECTS.values():
        assert then[texts[3]] == then[texts[0]]
    created = connection.execute("select distinct created_at from ops.topics where tenant_id = %s", [TENANT]).fetchall()
    assert created == [(BEGINNING,)]


def test_a_build_without_new_questions_changes_nothing(connection: Connection) -> None:
    before = tables(connection)
    assert before[0]
    assert keep_up(connection, datetime.now(UTC)) == 0
    assert tables(connection) == before


def test_the_same_builds_find_the_same_topics(connection: Connection) -> None:
    found = []
    for _ in range(2):
        with connection.transaction(force_rollback=True):
            for day, (subject, texts) in enumerate(SUBJECTS.items()):
                ask(connection, texts, subject)
                keep_up(connection, BEGINNING + timedelta(days=day))
            found.append(tables(connection))
    assert found[0] == found[1]


def test_a_model_that_was_outgrown_is_learned_anew_and_topics_keep_their_ids(connection: Connection) -> None:
    ask(connection, [text for subject in ("cancel", "fee") for text in SUBJECTS[subject]], "first")
    keep_up(connection, BEGINNING)
    before = topics_by_text(connection)
    model = "select model from ops.topic_models where tenant_id = %s"
    learned = connection.execute(model, [TENANT]).fetchone()
    ask(connection, [text for subject in ("parking", "gluten") for text in SUBJECTS[subject]], "second")
    keep_up(connection, BEGINNING + timedelta(days=1))
    after = topics_by_text(connection)
    assert before.items() <= after.items()
    for texts in SUBJECTS.values():
        assert len({after[text] for text in texts}) == 1
    assert connection.execute(model, [TENANT]).fetchone() != learned


def test_a_model_of_another_version_is_learned_anew_and_topics_keep_their_ids(connection: Connection) -> None:
    ask(connection, SUBJECTS["cancel"], "first")
    keep_up(connection, BEGINNING)
    before = topics_by_text(connection)
    connection.execute("update ops.topic_models set model = 'of long ago' where tenant_id = %s", [TENANT])
    ask(connection, ["cancel my booking please"], "second")
    keep_up(connection, BEGINNING)
    assert set(topics_by_text(connection).values()) == set(before.values())


def test_what_is_gone_from_facts_is_gone_from_topics(connection: Connection) -> None:
    for subject, texts in SUBJECTS.items():
        ask(connection, texts, subject)
    keep_up(connection, BEGINNING)
    found = topics_by_text(connection)
    kept, forgotten = found[SUBJECTS["fee"][0]], found[SUBJECTS["parking"][0]]
    with connection.transaction():
        gaps.set_status(connection, kept, "in_progress", tenant_id=TENANT, by="ann")
    gone = [SUBJECTS["cancel"][0], *SUBJECTS["fee"], *SUBJECTS["parking"]]
    withdraw(connection, gone)
    keep_up(connection, BEGINNING)

    assert set(topics_by_text(connection)) == {*SUBJECTS["cancel"][1:], *SUBJECTS["gluten"]}
    rows = connection.execute("select topic_id, name, example_questions from ops.topics where tenant_id = %s", [TENANT])
    topics = {str(topic): (name, examples) for topic, name, examples in rows}
    assert forgotten not in topics
    assert topics[kept] == ("", [])
    shown = [example for _, examples in topics.values() for example in examples]  # type: ignore[attr-defined]
    assert shown
    assert not set(shown) & set(gone)

    ask(connection, ["vad kostar kortet idag"], "later")
    keep_up(connection, BEGINNING)
    assert topics_by_text(connection)["vad kostar kortet idag"] == kept

    connection.execute("delete from facts.gap_questions where tenant_id = %s", [TENANT])
    keep_up(connection, BEGINNING)
    left = connection.execute("select tenant_id from ops.topic_models where tenant_id = %s", [TENANT]).fetchall()
    assert left == []


def test_questions_without_a_word_stand_under_no_topic(connection: Connection) -> None:
    ask(connection, ["\n\t", "\u00a0"], "blank")
    assert keep_up(connection, BEGINNING) == 0
    assert topics_by_text(connection) == {}


def test_embeddings_that_are_not_installed_are_missed_in_one_sentence(connection: Connection) -> None:
    connection.execute("update seeds.gap_settings set encoder = 'sentences'")
    ask(connection, SUBJECTS["cancel"], "first")
    with pytest.raises(ParleyError, match=r"pip install 'parley-warehouse\[embeddings\]'"):
        keep_up(connection, BEGINNING)


def test_a_resolved_gap_shows_what_is_still_asked(built: Settings, connection: Connection, tmp_path: Path) -> None:
    gap = gaps.find(connection, "nordic-bank")[0]
    others = connection.execute("select question_id, topic_id from ops.question_topics").fetchall()
    done = parley(
        *("gaps", "set", gap.gap_id[:12], "resolved", "--tenant", gap.tenant_id),
        *("--since", "2025-07-02T00:00:00Z", "--note", "Article 312"),
    )
    assert done.returncode == 0, done.stderr
    searches = [
        {
            "event_name": "kb.search",
            "tenant_id": gap.tenant_id,
            "conversation_id": f"still-{number}",
            "user_id": f"asker-{number}",
            "occurred_at": f"2025-07-03T10:0{number}:00Z",
            "attributes": {"query": gap.example_questions[0], "results_count": 0},
        }
        for number in range(4)
    ]
    handed_over = {**searches[0], "event_name": "conversation.escalated", "attributes": {}}
    handed_over["occurred_at"] = "2025-07-03T11:00:00Z"
    file = tmp_path / "still.ndjson"
    file.write_text("".join(json.dumps(event) + "\n" for event in [*searches, handed_over]))
    load(built, str(file))
    assert build(built, BuildRequest(as_of=datetime(2025, 7, 6, tzinfo=UTC))).is_good

    with psycopg.connect(options="-c timezone=UTC") as reader:
        [after] = [each for each in gaps.find(reader, gap.tenant_id) if each.gap_id == gap.gap_id]
        contents = "select * from marts.content_gaps order by tenant_id, gap_id"
        incremental = reader.execute(contents.encode()).fetchall()
        rate = reader.execute(
            "select status, escalation_rate_after, resolved_at from marts.content_gaps where gap_id = %s", [gap.gap_id]
        ).fetchone()
        existing = reader.execute("select question_id, topic_id from ops.question_topics").fetchall()
    assert (after.status, after.frequency, after.frequency_after) == ("resolved", gap.frequency + 4, 4)
    assert after.customers == gap.customers + 4
    assert rate == ("resolved", 0.25, datetime(2025, 7, 2, tzinfo=UTC))
    assert set(others) <= set(existing)

    listed = parley("gaps", "list", "--tenant", gap.tenant_id, "--status", "resolved")
    assert gap.gap_id[:8] in listed.stdout
    assert "4 times since it was resolved" in listed.stdout
    summary = json.loads(parley("summary", "--json", "--tenant", gap.tenant_id).stdout)
    assert summary["gaps"]
    assert gap.topic not in [each["topic"] for each in summary["gaps"]]

    again = BuildRequest(
        as_of=datetime(2025, 7, 6, tzinfo=UTC), select=("gap_questions", "content_gaps"), full_refresh=True
    )
    assert build(built, again).is_good
    with psycopg.connect(options="-c timezone=UTC") as reader:
        assert reader.execute(contents.encode()).fetchall() == incremental


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("list", "--status", "done"), "write one of identified, in_progress, resolved"),
        (("set", "zzz", "resolved", "--tenant", "nordic-bank"), "`parley gaps list` shows the ids"),
        (("set", "zzz", "resolved", "--tenant", "nordic-bank", "--since", "2025-07-02"), "--since has no offset"),
    ],
)
def test_a_mistake_is_one_sentence(built: Settings, arguments: tuple[str, ...], sentence: str) -> None:
    done = parley("gaps", *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_beginning_of_several_ids_names_none_of_them(connection: Connection) -> None:
    with pytest.raises(ParleyError, match="give more of the id"):
        gaps.set_status(connection, "", "resolved", tenant_id="nordic-bank", by="ann")


def test_the_same_status_again_keeps_its_time_and_is_not_in_the_audit_log(connection: Connection) -> None:
    gap = gaps.find(connection)[0]

    def noted(status: gaps.Status, by: str, note: str | None = None) -> Table:
        with connection.transaction():
            gaps.set_status(connection, gap.gap_id, status, tenant_id=gap.tenant_id, by=by, note=note)
        query = "select changed_at, note, (select count(*) from ops.audit_log) from ops.gap_statuses where gap_id = %s"
        return connection.execute(query, [gap.gap_id]).fetchall()

    resolved = noted("resolved", "ann", "Article 1")
    assert noted("resolved", "bo") == resolved
    [(since, note, records)] = noted("identified", "bo")
    assert since > resolved[0][0]  # type: ignore[operator]
    assert (note, records) == ("Article 1", 2)


def test_a_small_gap_folds_into_the_one_that_its_askers_go_on_with_and_its_id_still_names_it(
    connection: Connection,
) -> None:
    ask(connection, [text for texts in SUBJECTS.values() for text in texts], "first")
    keep_up(connection, BEGINNING)
    before = topics_by_text(connection)
    large, small = before[SUBJECTS["cancel"][0]], before[SUBJECTS["gluten"][0]]
    assert large != small

    # the same people say it one way and then the other, again and again
    ask(connection, SUBJECTS["cancel"][:1] * 3, "talk")
    connection.execute(
        "insert into facts.gap_questions"
        " (tenant_id, question_id, thread_id, asked_at, asked_on, question, reason, was_escalated_after)"
        " select tenant_id, md5(question_id::text)::uuid, thread_id, asked_at + interval '1 minute', asked_on,"
        " %s, reason, false from facts.gap_questions where tenant_id = %s and thread_id like 'talk-%%'",
        [SUBJECTS["gluten"][0], TENANT],
    )
    with connection.transaction(force_rollback=True):
        gaps.set_status(connection, small, "in_progress", tenant_id=TENANT, by="ann")
        keep_up(connection, BEGINNING + timedelta(days=1))
        assert small in topics_by_text(connection).values()

    keep_up(connection, BEGINNING + timedelta(days=1))
    after = topics_by_text(connection)
    assert {after[text] for text in SUBJECTS["gluten"]} == {after[text] for text in SUBJECTS["cancel"]} == {large}
    assert small not in after.values()
    merged = connection.execute("select topic_id, merged_into from ops.merged_topics where tenant_id = %s", [TENANT])
    assert merged.fetchall() == [(small, large)]
    with connection.transaction(force_rollback=True):
        gaps.set_status(connection, small, "resolved", tenant_id=TENANT, by="ann")
        noted = connection.execute("select gap_id from ops.gap_statuses where tenant_id = %s", [TENANT]).fetchall()
        assert noted == [(large,)]


def test_masks_and_greetings_neither_name_a_gap_nor_make_questions_alike(connection: Connection) -> None:
    texts = [
        f"Hello! {text}. Thanks in advance. [phone]" for subject in ("cancel", "fee") for text in SUBJECTS[subject]
    ]
    ask(connection, [*texts, "[email]"], "greeted")
    keep_up(connection, BEGINNING)
    found = topics_by_text(connection)
    assert "[email]" not in found
    assert len({found[text] for text in texts[:4]}) == len({found[text] for text in texts[4:]}) == 1
    assert found[texts[0]] != found[texts[4]]
    names = connection.execute("select name from ops.topics where tenant_id = %s", [TENANT]).fetchall()
    assert not any(word in str(name) for (name,) in names for word in ("phone", "email", "hello", "thank", "hej"))
