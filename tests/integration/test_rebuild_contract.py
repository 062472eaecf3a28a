"""What a model reads and does not declare stops a build before it begins, with a sentence that says what to add."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parley.build.builds import BuildRequest, build
from parley.errors import ParleyError
from parley.settings import Settings
from tests.support.warehouse import PROJECT, copy_project

USERS_OWN = """{{ config(
    schema='marts',
    unique_key=['tenant_id', 'date'],
    contract={'enforced': false},
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'sessions': 'hour', 'user_days': 'day'},
        'date': 'date',
    }}
) }}

select tenant_id, started_on as date, {{ as_of() }} as at, {{ var('segment_history_days') }} as days
from {{ ref('sessions') }}
left join {{ source('raw', 'load_batches') }} using (tenant_id)
"""

SENTENCES = (
    "session_metrics reads orders without saying so: add 'orders' to `reads` of its meta.rebuild, with the kind of its"
    " changes that affects a key (",
    "orders publishes changes of kind 'seen', which no model reads: take it out of `publishes`.",
    "own reads raw.load_batches, whose changes nobody publishes: add 'raw.load_batches' to `definitions`",
    "own declares user_days, which it does not read: take 'user_days' out of its meta.rebuild.",
    "own reads changes of kind 'hour' of sessions, which publishes none: add 'hour' to `publishes` of sessions,",
    "own uses the variable segment_history_days: add 'segment_history_days' to `vars` of its meta.rebuild.",
    "own asks for the time: add `time_triggered` to its meta.rebuild",
    "bare does not say how it is rebuilt: give its meta.rebuild a `key`",
)


@pytest.fixture
def project(database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose models can be edited."""
    project = copy_project(tmp_path / "project", [])
    (project / "models").unlink()
    shutil.copytree(PROJECT / "models", project / "models")
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    return project


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.slow
def test_what_is_read_and_not_declared_is_named_before_anything_is_built(project: Path) -> None:
    everything = BuildRequest(as_of=datetime(2026, 3, 1, tzinfo=UTC), select=("session_metrics",))
    marts = project / "models/marts/users"
    edit(marts / "session_metrics.sql", "final as (", "bought as (select * from {{ ref('orders') }}),\n\nfinal as (")
    edit(project / "models/facts/orders.sql", "'publishes': {", "'publishes': {'seen': {'date': 'ordered_on'},")
    (marts / "own.sql").write_text(USERS_OWN)
    (marts / "bare.sql").write_text("{{ config(contract={'enforced': false}) }} select 1 as a")

    with pytest.raises(ParleyError) as refusal:
        build(Settings.load(), everything)
    said = str(refusal.value) + (project / "logs/dbt.log").read_text()
    assert [sentence for sentence in SENTENCES if sentence not in said] == []
    unread = {line.split(" publishes ")[0].split()[-1] for line in said.splitlines() if "which no model reads" in line}
    assert unread == {"orders"}, "what the project's own models publish is read"
