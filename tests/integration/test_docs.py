"""The published documentation is one page that has every table in it."""

import re

import pytest

from parley.errors import ParleyError
from parley.serving import docs
from parley.settings import Settings


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
