"""The published documentation is one page that has every table in it."""

import re

import pytest

from parley.errors import ParleyError
from parley.serving import docs
from parley.settings import Settings
from parley.warehouse import database
from tests.support.warehouse import PROJECT


def test_the_page_has_the_tables_and_takes_the_place_of_the_last_one(built: Settings) -> None:
    built.docs.mkdir(parents=True)
    (built.docs / docs.PAGE).write_text("the last one")
    page = docs.publish(built)
    assert [path.name for path in built.docs.iterdir()] == [docs.PAGE]
    text = page.read_text()
    address = docs.link(built, "model", "model.parley.daily_metrics")
    assert address == "http://localhost:8080/#!/model/model.parley.daily_metrics"
    assert '"model.parley.daily_metrics"' in text
    head = text.partition("</head>")[0]
    assert ".filename > span:not(:first-child) { white-space: pre }" in head  # "Cost of people", not "Cost ofpeople"
    assert '<span class="filename-ellip">{{name.start}}</span>' in text  # what it is about
    assert re.search(r'"One row per tenant and local date from its first event to', text)


def test_without_a_project_a_sentence_says_so(built: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (built.home / "empty").mkdir(parents=True)
    monkeypatch.setenv("PARLEY_PROJECT", str(built.home / "empty"))
    with pytest.raises(ParleyError, match="dbt cannot make the documentation"):
        docs.publish(Settings.load())


def documented(page: str, sentence: str, days: dict[str, str]) -> bytes:
    """The statement that a page shows after a sentence, of other days."""
    shown = (PROJECT / "docs" / page).read_text().partition(sentence)[2].partition(":\n\n")[2].partition(";\n")[0]
    return re.sub(r"2026-\d\d-\d\d", lambda day: days[day[0]], shown).encode()


def test_what_is_read_of_any_range_of_days_is_what_marts_say_of_theirs(built: Settings) -> None:
    shop = "tenant_id = 'shop-newyork'"
    june = {"2026-10-01": "2025-06-01", "2026-10-10": "2025-06-30"}
    days = {
        "2026-10-01": "2025-06-27",
        "2026-10-10": "2025-06-27",
        "2026-10-11": "2025-06-28",
        "2026-10-20": "2025-06-28",
    }
    with database.connect(built) as connection:

        def rows(statement: bytes) -> list[tuple[object, ...]]:
            return connection.execute(statement).fetchall()

        [(users, events, revenue)] = rows(documented("cohorts.md", "Users of any range of days", june))
        assert users
        assert [(users,)] == rows(f"select mau from marts.active_users where {shop} and date = '2025-06-30'".encode())
        assert [(events, revenue)] == rows(
            "select sum(events), sum(revenue) from facts.user_days"
            f" where {shop} and date_trunc('month', date) = '2025-06-01'".encode()
        )
        of_one_day = rows(documented("cohorts.md", "Of those who came for the first time", days))
        assert of_one_day[0][0]
        assert of_one_day == rows(
            "select cohort_size, active_users from marts.cohort_retention"
            f" where {shop} and cohort_id = 'first_activity'"
            " and period = 'day' and cohort_start = '2025-06-27' and period_index = 1".encode()
        )
