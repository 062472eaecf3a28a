"""`ops.funnel_attempts`, called for one random unit after the other, says what the oracle says of it."""

import os
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from parley.settings import Settings
from parley.warehouse import database as warehouse
from tests.oracle import Event
from tests.oracle.funnels import Exclusion, Funnel, Matcher, attempts, breakdown, streams

SEED = int(os.environ.get("PARLEY_SEED", "1"))
UNITS = 3000
NAMES = ("a", "b", "c", "d")
START = datetime(2026, 3, 1, tzinfo=UTC)
CALL = """
    select entry, reached_at, is_grouped, breakdown_value
    from ops.funnel_attempts(
        %s, %s, %s, %s, %s, %s::integer[], %s::integer[], %s, %s,
        %s::timestamptz[], %s::integer[], %s::integer[], %s::text[]
    )
"""


def a_funnel(random: Random) -> Funnel:
    steps = tuple(Matcher(tuple(random.sample(NAMES, random.choice((1, 1, 2))))) for _ in range(random.randint(1, 5)))
    order = random.choice(("ordered", "ordered", "strict", "unordered"))
    optional = {step for step in range(2, len(steps)) if order == "ordered" and random.random() < 0.4}
    exclusions = [
        Exclusion(
            Matcher((random.choice(("x", "b")) if order != "strict" else "x",)),
            *sorted(random.sample(range(1, len(steps) + 1), 2)),
        )
        for _ in range(random.choice((0, 0, 1, 2)) if len(steps) > 1 else 0)
    ]
    touch = random.choice(("", "first", "last", "step", "all_events"))
    return Funnel(
        "f",
        steps,
        timedelta(minutes=random.choice((0, 1, 3, 10))),
        step_order=order,
        ties=random.choice(("any", "any", "after")),
        optional=frozenset(optional),
        exclusions=tuple(exclusions),
        breakdown="channel" if touch else "",
        breakdown_touch=touch,
        breakdown_step=random.randint(1, len(steps)) if touch == "step" else None,
    )


def a_unit(random: Random) -> list[Event]:
    minute, events = 0, []
    for number in range(random.randint(1, 7)):
        minute += random.choice((0, 0, 1, 2))
        events.append(
            Event(
                tenant_id="t",
                event_id=UUID(int=number),
                event_name=random.choice((*NAMES, *NAMES, "x")),
                occurred_at=START + timedelta(minutes=minute),
                conversation_id=None,
                session_id=None,
                user_id="u",
                source=random.choice(("web", "app", "", None)),
                attributes={},
            )
        )
    return events


def test_attempts_are_as_the_oracle_says(database: Settings) -> None:
    random = Random(SEED)
    with warehouse.connect(database) as connection:
        for _ in range(UNITS):
            funnel, unit = a_funnel(random), a_unit(random)
            for events in streams(funnel, unit):
                expected = [
                    (
                        events.index(entry) + 1,
                        list(reached_at),
                        bool((told := breakdown(funnel, entry, reached_at, events))["breakdown_kind"]),
                        told["breakdown_value"],
                    )
                    for entry, reached_at in attempts(funnel, events)
                ]
                found = connection.execute(
                    CALL,
                    (
                        funnel.step_order,
                        funnel.ties == "after",
                        len(funnel.steps),
                        funnel.required,
                        funnel.window,
                        [exclusion.after_step for exclusion in funnel.exclusions],
                        [exclusion.before_step for exclusion in funnel.exclusions],
                        funnel.breakdown_touch or None,
                        funnel.breakdown_step,
                        [event["occurred_at"] for event in events],
                        [sum(1 << (step - 1) for step in funnel.serves(event)) for event in events],
                        [
                            sum(1 << bit for bit, each in enumerate(funnel.exclusions) if each.matcher.matches(event))
                            for event in events
                        ],
                        [event["source"] or None for event in events],
                    ),
                ).fetchall()
                assert found == expected, (funnel, events)
