"""The oracle on random histories: what must hold of its tables whatever the events, and that the histories are hard."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from tests.oracle import TABLES, Row, World, differences
from tests.oracle.histories import TENANTS, History, histories, landed
from tests.oracle.world import by_customer, thread


def table(name: str, history: History) -> list[Row]:
    return TABLES[name].rows(history.world())


def day_totals(rows: list[Row], day: str, value: Callable[[Row], int]) -> Counter[tuple[str, object]]:
    totals: Counter[tuple[str, object]] = Counter()
    for row in rows:
        totals[row["tenant_id"], row[day]] += value(row)
    return totals


@settings(deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_no_table_depends_on_the_order_of_the_events(history: History, random: Random) -> None:
    world = history.world()
    events = landed(step.load for step in history.steps)
    random.shuffle(events)
    shuffled = World.of(events, world.as_of, world.tenants.values(), world.rates, world.hours, world.holidays)
    for name, (rows, key) in TABLES.items():
        assert differences(rows(world), rows(shuffled), key) == [], name


@given(histories())
def test_whatever_a_user_does_is_in_one_session_and_one_user_day(history: History) -> None:
    known = sum(by_customer(event) for event in history.world().events)
    assert sum(row["events"] for row in table("facts.sessions", history)) == known
    assert sum(row["events"] for row in table("facts.user_days", history)) == known


@given(histories())
def test_sessions_of_a_user_lie_further_apart_than_the_limit(history: History) -> None:
    world = history.world()
    last_end: dict[tuple[str, str], Row] = {}
    for row in table("facts.sessions", history):
        before = last_end.get((row["tenant_id"], row["user_id"]))
        limit = world.tenant(row["tenant_id"]).session_gap
        assert before is None or row["started_at"] - before["ended_at"] > limit
        last_end[row["tenant_id"], row["user_id"]] = row


@given(histories())
def test_metrics_add_up_to_the_conversations(history: History) -> None:
    conversations = table("facts.conversations", history)
    outcomes = [f"{outcome}_conversations" for outcome in ("resolved", "escalated", "abandoned", "open", "no_reply")]
    days = table("marts.daily_metrics", history)
    assert all(row["total_conversations"] == sum(row[outcome] for outcome in outcomes) for row in days)
    assert +day_totals(days, "date", lambda row: row["total_conversations"]) == Counter(
        (row["tenant_id"], row["started_on"]) for row in conversations
    )
    by_period = Counter[str]()
    for row in table("marts.period_metrics", history):
        by_period[row["period"]] += row["total_conversations"]
    assert set(by_period.values()) <= {len(conversations)}


@given(histories())
def test_money_is_counted_once(history: History) -> None:
    orders = table("facts.orders", history)
    completed = {
        (event["tenant_id"], event["attributes"]["order_id"])
        for event in history.world().events
        if event["event_name"] == "commerce.order_completed"
    }
    assert {(row["tenant_id"], row["order_id"]) for row in orders if row["ordered_at"] is not None} == completed
    total = sum(row["revenue"] for row in orders if row["revenue"] is not None)
    for name in ("facts.conversations", "facts.user_days"):  # events of neither are in none
        assert sum(row["revenue"] for row in table(name, history)) <= total


@given(histories())
def test_responses_are_summed_up_in_every_mart_that_counts_them(history: History) -> None:
    responses = table("facts.responses", history)
    assert sum(row["responses"] for row in table("marts.response_times", history)) == len(responses)
    assert all(row["duration_ms"] >= 0 for row in responses)
    answered = {(row["tenant_id"], row["conversation_id"]) for row in responses}
    for row in table("facts.conversations", history):
        has_answer = (row["tenant_id"], row["conversation_id"]) in answered
        assert (row["first_response_ms"] is not None) == has_answer == (row["avg_response_time_ms"] is not None)


@given(histories())
def test_active_users_of_longer_windows_are_more(history: History) -> None:
    rows = table("marts.active_users", history)
    assert all(0 <= row["dau"] <= row["wau"] <= row["mau"] for row in rows)


def has_gap_of(extra: timedelta) -> Callable[[History], bool]:
    """Whether two neighbouring events of a user lie exactly the limit and that much more apart."""

    def is_there(history: History) -> bool:
        world = history.world()
        before: dict[tuple[str, str | None], Row] = {}
        for event in world.events:
            last = before.get((event["tenant_id"], event["user_id"]))
            limit = world.tenant(event["tenant_id"]).session_gap
            if event["user_id"] and last and event["occurred_at"] - last["occurred_at"] == limit + extra:
                return True
            before[event["tenant_id"], event["user_id"]] = dict(event)
        return False

    return is_there


def after_the_first_load(name: str, history: History) -> list[Row]:
    return TABLES[name].rows(World.of(landed([history.steps[0].load]), history.as_of, TENANTS))


def moves_day(history: History) -> bool:
    """Whether an event that lands later makes a conversation start on an earlier day."""
    days = {
        (row["tenant_id"], row["conversation_id"]): row["started_on"] for row in table("facts.conversations", history)
    }
    return any(
        row["started_on"] > days[row["tenant_id"], row["conversation_id"]]
        for row in after_the_first_load("facts.conversations", history)
    )


def bridges_sessions(history: History) -> bool:
    """Whether events that land later leave a user with fewer sessions."""
    before, after = (
        Counter((row["tenant_id"], row["user_id"]) for row in rows)
        for rows in (after_the_first_load("facts.sessions", history), table("facts.sessions", history))
    )
    return any(before[user] > after[user] for user in before)


def sends_an_order_again(history: History) -> bool:
    completions = Counter(
        (event["tenant_id"], event["attributes"]["order_id"])
        for event in history.world().events
        if event["event_name"] == "commerce.order_completed"
    )
    return any(times > 1 for times in completions.values())


def changes_a_duplicate(history: History) -> bool:
    """Whether an event is sent again with another time."""
    times: dict[tuple[str, object], set[object]] = {}
    for step in history.steps:
        for event in step.load:
            times.setdefault((event["tenant_id"], event["event_id"]), set()).add(event["occurred_at"])
    return any(len(found) > 1 for found in times.values())


def knows_a_conversation_by_its_session_alone(history: History) -> bool:
    explicit = {(event["tenant_id"], event["conversation_id"]) for event in history.world().events}
    return any(
        (row["tenant_id"], row["conversation_id"]) not in explicit for row in table("facts.conversations", history)
    )


def only_browses(history: History) -> bool:
    conversations = {(row["tenant_id"], row["conversation_id"]) for row in table("facts.conversations", history)}
    return any(
        thread(event) is not None and (event["tenant_id"], thread(event)) not in conversations
        for event in history.world().events
    )


def session_crosses_midnight(history: History) -> bool:
    world = history.world()
    return any(
        row["started_on"] != world.tenant(row["tenant_id"]).local_date(row["ended_at"])
        for row in table("facts.sessions", history)
    )


def infers_at_the_limit(history: History) -> bool:
    world = history.world()
    return any(
        row["outcome_inferred"]
        and row["last_event_at"] + timedelta(hours=world.tenant(row["tenant_id"]).abandon_after_hours) == world.as_of
        for row in table("facts.conversations", history)
    )


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(has_gap_of(timedelta(0)), id="a gap of exactly the limit"),
        pytest.param(has_gap_of(timedelta(microseconds=1)), id="a gap just over the limit"),
        moves_day,
        bridges_sessions,
        sends_an_order_again,
        changes_a_duplicate,
        knows_a_conversation_by_its_session_alone,
        only_browses,
        session_crosses_midnight,
        infers_at_the_limit,
    ],
)
def test_histories_reach_the_hard_case(case: Callable[[History], bool]) -> None:
    quick = settings(
        max_examples=2000,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    assert case(find(histories(min_events=40), case, settings=quick))
