"""Random conversations in four languages, judged and not, under weights, words and judges of the tenants' own: what
lands late or changes is scored as the oracle scores it, and in the end as by a full refresh.

`PARLEY_SEED` makes other conversations.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from parley.build.builds import BuildRequest
from parley.settings import Settings
from tests.oracle import TABLES, Event, Tenant, World, differences
from tests.oracle.quality import (
    SCORES,
    Rubric,
    conversation_quality_scores,
    conversation_signals,
    conversation_wording,
    judgements,
    quality_daily,
)
from tests.oracle.world import Row
from tests.support.seeds import write_seed
from tests.support.warehouse import Warehouse, copy_project

SEED = int(os.environ.get("PARLEY_SEED", "1"))
CONVERSATIONS = 60  # of each tenant
START = datetime(2024, 3, 30, 12, tzinfo=UTC)
AS_OF = START + timedelta(days=10)
TENANTS = (Tenant("plain"), Tenant("own", time_zone="Asia/Tokyo", sla_ms=1000))
TABLES_OF_QUALITY: dict[str, Callable[[World, Rubric], list[Row]]] = {
    "facts.judgements": judgements,
    "facts.conversation_wording": conversation_wording,
    "facts.conversation_signals": conversation_signals,
    "marts.conversation_quality_scores": conversation_quality_scores,
    "marts.quality_daily": quality_daily,
}
WORDS = (
    *(
        "where",
        "is",
        "my",
        "order",
        "ORDER",
        "please",
        "thanks,",
        "thank",
        "you!",
        "idiot",
        "sorry...",
        "tack",
        "TYVÄRR",
    ),
    *(
        "merci",
        "Désolé",
        "s’il",
        "vous",
        "plaît",
        "役に立たない",
        "ありがとう。",
        "申し訳ございません",
        "it's",
        "bekräftat",
        "can’t",
        "完了",
        "ÉTÉ",
        "$5",
    ),
)
KINDS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "message.received": lambda random: {"text": a_text(random)},
    "message.sent": lambda random: {"text": a_text(random), **some(random, is_fallback=random.random() < 0.3)},
    "conversation.started": lambda random: {},
    "conversation.resolved": lambda random: {},
    "conversation.escalated": lambda random: {},
    "conversation.abandoned": lambda random: {},
    "conversation.rated": lambda random: {"rating": random.choice((0, 0.33335, 1))},
    "conversation.scored": lambda random: {
        "judge": random.choice(("gpt", "human", "Person:7", "humanloop", "panel")),
        "rubric": "support",
        "accuracy": random.random(),
        **some(random, rubric_version=random.choice(("3", "4"))),
        **{score: value for score in SCORES for value in some(random, it=random.choice((0, 0.005, 0.625, 1))).values()},
    },
    "ai.response": lambda random: {"duration_ms": random.choice((999, 1000, 1001, 3001)), "model": "m"},
    "ai.tool_call_completed": lambda random: {"tool_name": "book", "success": random.random() < 0.6},
    "kb.search": lambda random: {"query": "hours", "results_count": random.randint(0, 2)},
    "kb.hit": lambda random: {},
    "booking.requested": lambda random: {"booking_id": str(random.randint(1, 3))},
    "booking.confirmed": lambda random: {"booking_id": str(random.randint(1, 3))},
    "system.error": lambda random: {},
}


def a_text(random: Random) -> str:
    return random.choice(("", " ")).join(random.choices(WORDS, k=random.randint(0, 7)))


def some(random: Random, **attributes: Any) -> dict[str, Any]:
    """The attributes, or none of them."""
    return attributes if random.random() < 0.5 else {}


def conversations(random: Random) -> list[Event]:
    """The events of all conversations: few each, some with one alone, many at the same instant."""
    events: list[Event] = []
    for tenant in TENANTS:
        for number in range(CONVERSATIONS):
            clock = START + timedelta(hours=random.randrange(96))
            names = random.choice((tuple(KINDS), ("message.received", "message.sent")))
            for _ in range(random.choice((1, 2, 6, 15))):
                clock += timedelta(seconds=random.choice((0, 1, 3, 60)))
                name = random.choice(names)
                events.append(
                    Event(
                        tenant_id=tenant.tenant_id,
                        event_id=UUID(int=random.getrandbits(128), version=4),
                        event_name=name,
                        occurred_at=clock,
                        conversation_id=f"c{number}" if number % 10 else None,
                        session_id=f"s{number}" if number % 10 in (0, 1) else None,
                        user_id="ann",
                        source="web",
                        attributes=KINDS[name](random),
                    )
                )
    return events


def rubric_of_their_own() -> Rubric:
    """The shipped rubric, and another one of the tenant `own`."""
    shipped = Rubric.shipped()
    weights = [
        ("helpfulness", "answered", "0.5"),
        ("helpfulness", "assistant_tone", "1.25"),
        ("helpfulness", "rating", "0"),
        ("helpfulness", "progress", "2"),
        ("accuracy", "refusals", "1"),
        ("politeness", "customer_tone", "1"),
        ("overall", "helpfulness", "1"),
        ("overall", "accuracy", "3"),
    ]
    return replace(
        shipped,
        weights=[
            *shipped.weights,
            *(
                {"tenant_id": "own", "rubric_version": "b", "score": score, "signal": signal, "weight": weight}
                for score, signal, weight in weights
            ),
        ],
        settings=[
            *shipped.settings,
            {
                "tenant_id": "own",
                **{f"low_{score}": "0.5" for score in SCORES},
                "question_words": "2",
                "repeat_similarity": "0.5",
                "repeat_lookback": "1",
                "ending_messages": "1",
                "success_messages": "2",
            },
        ],
        persons=("panel", "human:%"),
        lexicon=[*shipped.lexicon, {"term": "my ORDER?", "language": "en", "speaker": "both", "kind": "rude"}],
    )


def write_rubric(project: Path, rubric: Rubric) -> None:
    write_seed(project, "quality_weights", rubric.weights)
    write_seed(project, "quality_settings", rubric.settings)
    write_seed(project, "quality_judges", [{"judge": judge} for judge in rubric.persons])
    write_seed(project, "politeness_lexicon", rubric.lexicon)


def disagreements(warehouse: Warehouse, world: World, rubric: Rubric) -> dict[str, list[str]]:
    return {
        table: wrong
        for table, rows in TABLES_OF_QUALITY.items()
        if (wrong := differences(rows(world, rubric), warehouse.read(table), TABLES[table].key)[:10])
    }


@pytest.mark.slow
@pytest.mark.builds
def test_quality_is_what_the_oracle_says_after_late_events_and_a_new_rubric(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project", TENANTS)
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    warehouse = Warehouse(Settings.load(), tmp_path)
    random = Random(SEED)
    events = conversations(random)
    random.shuffle(events)
    early = events[: len(events) * 2 // 3]

    warehouse.land(early)
    warehouse.build(BuildRequest(as_of=AS_OF))
    assert not disagreements(warehouse, World.of(early, AS_OF, TENANTS), Rubric.shipped())

    warehouse.land(events)
    rubric = rubric_of_their_own()
    write_rubric(project, rubric)
    warehouse.build(BuildRequest(as_of=AS_OF))
    incremental = warehouse.contents()
    assert not disagreements(warehouse, World.of(events, AS_OF, TENANTS), rubric)

    warehouse.build(BuildRequest(as_of=AS_OF, full_refresh=True))
    full = warehouse.contents()
    assert {table for table in full if incremental[table] != full[table]} == set()
    bases = {row["basis"] for row in warehouse.read("marts.conversation_quality_scores")}
    assert bases == {"judged", "signals", None}
