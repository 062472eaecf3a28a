"""What an erasure left behind, and what must become of it."""

import gzip
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from parley.build import builds
from parley.build.builds import BuildRequest
from parley.landing.loader import load
from parley.people import erasure, superset
from parley.settings import Settings
from tests.conftest import Rows, parley
from tests.support.landing import content, event, totals, write

TENANT = "tenant-0"
ANN = "auth0|ann-of-7-hills"  # as Auth0 names people
WORDS = 'my cat Mimi of Elm Street is "rather" ill'
COMMON = "when do you open on Sundays?"


def anns(number: int, text: str = WORDS, **fields: object) -> dict[str, object]:
    said = {"tenant_id": TENANT, "user_id": ANN, "conversation_id": "anns-own", "attributes": {"text": text}}
    return event(number, **said | fields)


def forget(settings: Settings) -> erasure.Outcome:
    with psycopg.connect(autocommit=True) as connection:
        erasure.request(connection, settings, TENANT, ANN, "the test")
    (outcome,) = erasure.work_off(settings)
    return outcome


def test_files_that_keep_the_words_of_the_person_are_named(database: Settings, tmp_path: Path) -> None:
    bobs = {"tenant_id": TENANT, "user_id": "bob", "conversation_id": "bobs", "attributes": {"text": COMMON}}
    load(database, write(tmp_path / "a.ndjson", [anns(1), anns(2, COMMON), event(3, **bobs)]))
    home = database.home
    (home / "exports").mkdir(parents=True)
    (home / "exports/content_gaps.csv").write_text(f'gap,questions\n1,"{WORDS.replace(chr(34), chr(34) * 2)}"\n')
    with gzip.open(home / "exports/lists.csv.gz", "wt") as file:
        file.write('gap,examples\n1,"{""' + COMMON + '"",""' + WORDS.replace('"', '\\""') + '""}"\n')
    (home / "report.html").write_text(f"<ul><li>{WORDS.upper().replace(chr(34), '&quot;')}</li><li>{COMMON}</li></ul>")
    (home / "exports/people.csv").write_text(f"user,events\n{ANN},2\nbob,1\n")
    (home / "people.html").write_text(f"<table><tr><td>{ANN}</td><td>2</td></tr></table>")
    (home / "fine.html").write_text(f"<ul><li>{COMMON}</li></ul>")

    named = ("exports/content_gaps.csv", "exports/lists.csv.gz", "exports/people.csv", "people.html", "report.html")
    left = {f"{home}/{name}": 1 for name in named}
    assert forget(database).places_left == left
    assert erasure.search(database, TENANT, ANN) == left
    seen = parley("forget", "--tenant", TENANT, "--user", ANN, "--verify")
    assert (seen.returncode, "report.html" in seen.stdout) == (1, True)
    with psycopg.connect() as connection:
        kept = connection.execute("select text_hmacs::text from ops.erasures").fetchall()
    assert "cat" not in str(kept)


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_name": "nobody.knows"},
        {"event_name": "nobody.knows", "user_id": None},
        {"occurred_at": "yesterday", "user_id": 7, "attributes": {"note": f"asked by {ANN}, again"}},
        {"occurred_at": "yesterday", "user_id": 7, "attributes": {"note": f"it was (user={ANN}) by {ANN}."}},
    ],
)
def test_what_is_sent_again_and_rejected_is_not_stored_again(
    database: Settings, rows: Rows, tmp_path: Path, wrong: dict[str, object]
) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1)]))
    forget(database)
    load(database, write(tmp_path / "b.ndjson", [anns(2, **wrong)]))
    assert totals(rows)[-1] == (0, 0, 0, 0, 1)
    assert rows("select from raw.rejected_events") == []


@pytest.mark.builds
def test_an_erasure_works_where_only_a_part_was_ever_built(database: Settings, rows: Rows, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1)]))
    assert builds.build(database, BuildRequest()).is_good
    assert rows("select count(*) as events from staging.stg_events") == [{"events": 1}]
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("drop schema facts, marts cascade")
    outcome = forget(database)
    assert outcome.rows_deleted["raw.events"] == 1
    assert content(rows) == []
    assert rows("select from staging.stg_events") == []


def test_supersets_log_is_erased_and_searched(database: Settings, tmp_path: Path) -> None:
    load(database, write(tmp_path / "a.ndjson", [anns(1)]))
    name = sql.Identifier(superset.name(database))
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(name))
    try:
        with psycopg.connect(dbname=superset.name(database)) as other:
            other.execute("create table logs (id int, json text, referrer text); create table kept (sql text)")
            other.execute("insert into logs values (1, %s, null), (2, 'bob', null)", [f'{{"user": "{ANN}"}}'])
            other.execute("insert into kept values (%s)", [f"select '{ANN}'"])
        outcome = forget(database)
        assert outcome.rows_deleted["superset public.logs"] == 1
        assert outcome.places_left == {"superset public.kept": 1}
        with psycopg.connect(dbname=superset.name(database)) as other:
            assert other.execute("select id from logs").fetchall() == [(2,)]
    finally:
        with psycopg.connect(autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(name))
