"""The oracle of funnels, cohorts, customers and domain marts on examples small enough to be computed by hand."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.oracle import Event, Row, Tenant, World
from tests.oracle.cohorts import Cohort, cohort_retention
from tests.oracle.customers import Assumptions, Segment, roi, segment_members, segment_sizes
from tests.oracle.funnels import Exclusion, Funnel, Matcher, funnel_attempts, funnels_mart
from tests.unit.test_oracle import chat, event, moment, rows

A, B, C = (Matcher((name,)) for name in "abc")
HOUR = timedelta(hours=1)


def world(events: list[Event], as_of: str = "2024-03-10 00:00") -> World:
    return World.of(reversed(events), moment(as_of), [Tenant("t")])


def reached(funnel: Funnel, *events: Event) -> list[tuple[int, list[str]]]:
    """Of each attempt, by number of the opening event: the times at which it reached its steps."""
    return [
        (row["entry_event_id"].int, [f"{at:%H:%M}" for at in row["reached_at"]])
        for row in funnel_attempts(world(list(events)), [funnel])
    ]


def test_every_occurrence_of_step_one_opens_an_attempt() -> None:
    funnel = Funnel("f", (A, B), HOUR)
    found = reached(funnel, event("10:00", "a", number=1), event("10:30", "a", number=2), event("11:20", "b"))
    assert found == [(1, ["10:00"]), (2, ["10:30", "11:20"])]


def test_the_window_is_closed_at_its_end() -> None:
    funnel = Funnel("f", (A, B), HOUR)
    assert reached(funnel, event("10:00", "a", number=1), event("11:00", "b")) == [(1, ["10:00", "11:00"])]
    assert reached(funnel, event("10:00", "a", number=1), event("11:00:00.000001", "b")) == [(1, ["10:00"])]


def test_one_event_serves_one_step() -> None:
    funnel = Funnel("f", (A, A), HOUR)
    assert reached(funnel, event("10:00", "a", number=1)) == [(1, ["10:00"])]
    twice = [event("10:00", "a", number=number) for number in (1, 2)]
    assert reached(funnel, *twice) == [(1, ["10:00", "10:00"]), (2, ["10:00", "10:00"])]


def test_events_of_one_instant_serve_in_either_order() -> None:
    funnel = Funnel("f", (A, B, C), HOUR)
    events = [event("10:05", "c"), event("10:05", "b"), event("10:00", "a", number=1)]
    assert reached(funnel, *events) == [(1, ["10:00", "10:05", "10:05"])]


def test_a_strict_attempt_breaks_at_any_other_event() -> None:
    funnel = Funnel("f", (A, B), HOUR, "strict")
    opening, other, step = event("10:00", "a", number=1), event("10:01", "x"), event("10:02", "b")
    assert reached(funnel, opening, step) == [(1, ["10:00", "10:02"])]
    assert reached(funnel, opening, other, step) == [(1, ["10:00"])]
    assert reached(funnel, event("10:00", "x"), opening, step) == [(1, ["10:00", "10:02"])]


def test_unordered_steps_are_different_steps_by_different_events() -> None:
    funnel = Funnel("f", (A, Matcher(("a", "b")), C), HOUR, "unordered")
    events = [event("10:00", "b", number=1), event("10:01", "b", number=2), event("10:02", "a", number=3)]
    assert reached(funnel, *events) == [(1, ["10:00", "10:02"]), (2, ["10:01", "10:02"]), (3, ["10:02"])]


def test_an_exclusion_voids_the_attempt_and_not_the_unit() -> None:
    funnel = Funnel("f", (A, B), HOUR, exclusions=(Exclusion(C, 1, 2),))
    first, excluded, second = event("10:00", "a", number=1), event("10:10", "c"), event("10:20", "a", number=2)
    assert reached(funnel, first, excluded, second, event("10:30", "b")) == [(2, ["10:20", "10:30"])]
    assert reached(funnel, first, excluded) == []  # inside the window, though step 2 is not reached
    late = event("11:30", "c")
    assert reached(funnel, first, late) == [(1, ["10:00"])]  # the window is over
    at_the_instant = event("10:20", "c")
    assert reached(funnel, first, at_the_instant, event("10:20", "b")) == [(1, ["10:00", "10:20"])]


def test_a_breakdown_takes_the_value_of_the_step_asked_for() -> None:
    events = [
        event("10:00", "a", number=1, plan="free"),
        event("10:10", "b", plan="pro"),
        event("10:10", "a", number=9),
    ]

    def value(touch: str, step: int | None = None) -> str | None:
        funnel = Funnel("f", (A, B, C), HOUR, breakdown="$.plan", breakdown_touch=touch, breakdown_step=step)
        found: str | None = funnel_attempts(world(events), [funnel])[0]["breakdown_value"]
        return found

    assert [value("first"), value("last"), value("step", 2), value("step", 3)] == [
        "free",
        "pro",
        "pro",
        None,
    ]  # who never reached the step is in no group


def test_a_unit_counts_once_a_period_with_its_furthest_attempt() -> None:
    events = [
        event("2024-02-29 10:00", "a", user="ann"),
        event("2024-03-01 10:00", "a", user="ann"),
        event("2024-03-01 10:20", "b", user="ann"),
        event("2024-03-01 11:00", "a", user="bob"),
    ]
    found = funnels_mart(world(events, as_of="2024-03-01 11:30"), [Funnel("f", (A, B), HOUR)])
    second = {
        (row["period"], row["period_start"]): (row["entered"], row["reached"], row["drop_off"], row["still_in_window"])
        for row in found
        if row["step"] == 2
    }
    assert second == {
        ("day", date(2024, 2, 29)): (1, 0, 1, 0),
        ("day", date(2024, 3, 1)): (2, 1, 1, 1),
        ("week", date(2024, 2, 26)): (2, 1, 1, 1),
        ("month", date(2024, 2, 1)): (1, 0, 1, 0),
        ("month", date(2024, 3, 1)): (2, 1, 1, 1),
        ("all", date(1970, 1, 1)): (2, 1, 1, 1),
    }


def cells(cohort: Cohort, *events: Event) -> dict[tuple[str, date, int], tuple[int, int, Decimal]]:
    found = cohort_retention(world(list(events), as_of="2024-03-10 12:00"), [cohort])
    return {
        (row["period"], row["cohort_start"], row["period_index"]): (
            row["cohort_size"],
            row["active_users"],
            row["cumulative_revenue"],
        )
        for row in found
    }


def test_a_first_time_cohort_has_its_users_once_and_a_recurring_one_in_every_period() -> None:
    january, march = (
        event(at, "commerce.order_completed", order_id=at, revenue=10)
        for at in ("2024-01-31 10:00", "2024-03-01 10:00")
    )
    cohort = Cohort("c", day_columns=0, week_columns=0, month_columns=12)
    first = cells(cohort, january, march)
    start = date(2024, 1, 1)
    assert first == {
        ("month", start, 0): (1, 1, Decimal(10)),
        ("month", start, 1): (1, 0, Decimal(10)),
        ("month", start, 2): (1, 1, Decimal(20)),
    }
    recurring = cells(replace(cohort, kind="recurring"), january, march)
    assert recurring == {**first, ("month", date(2024, 3, 1), 0): (1, 1, Decimal(10))}


def test_lifecycle_by_month() -> None:
    visits = [event(f"2024-{month}-05 10:00", "commerce.view") for month in ("01", "02", "04")]
    found = {
        row["period_start"].month: [row[f"{status}_users"] for status in ("new", "returning", "resurrected", "dormant")]
        for row in rows("marts.user_lifecycle", visits, as_of="2024-05-31 12:00")
        if row["period"] == "month"
    }
    assert found == {1: [1, 0, 0, 0], 2: [0, 1, 0, 0], 3: [0, 0, 0, 1], 4: [0, 0, 1, 0], 5: [0, 0, 0, 1]}


@pytest.mark.parametrize(("events", "segment"), [(2, "new"), (3, "engaged"), (10, "engaged"), (11, "returning")])
def test_a_customer_by_number_of_events(events: int, segment: str) -> None:
    (customer,) = rows("marts.customers", [event("10:00", "commerce.view") for _ in range(events)])
    assert customer["segment"] == segment


def test_a_segment_is_looked_at_at_the_end_of_each_date() -> None:
    segment = Segment("fresh", "", lambda customer, as_of: customer["first_seen_at"] > as_of - timedelta(2))
    seen = world([event("2024-03-05 12:00", "commerce.view")], as_of="2024-03-07 11:00")
    assert [row["user_id"] for row in segment_members(seen, [segment])] == ["u"]
    assert {row["date"].day: row["customers"] for row in segment_sizes(seen, [segment])} == {5: 1, 6: 1, 7: 1}
    later = world([event("2024-03-05 12:00", "commerce.view")], as_of="2024-03-07 12:00")
    assert segment_members(later, [segment]) == []


def test_return_on_investment() -> None:
    chats = [chat("10:00", "conversation.started", conversation=name) for name in "abcd"]
    ended = [chat("10:05", "conversation.resolved", conversation=name) for name in "ab"]
    ended.append(chat("10:05", "conversation.resolved", conversation="c", resolved_by="human"))
    assumed = Assumptions(minutes=(3, 6, 6), hourly_cost=(20, 20, 40), cost_each=(0.05, 0.10, 0.20))
    (month, *_) = roi(world(chats + ended), {"*": assumed})
    assert month["human_agent_cost"] == pytest.approx(4 * 2)
    assert month["ai_cost"] == pytest.approx(0.4)
    assert month["savings"] == pytest.approx(2 * 1.9)
    assert month["roi_percentage"] == pytest.approx(950)
    assert month["savings_low"] == pytest.approx(2 * (1 - 0.2))
    assert month["savings_high"] == pytest.approx(2 * (4 - 0.05))


def test_interruptions_are_null_without_turns_and_at_most_one_a_turn() -> None:
    turn, barge_in = event("10:00", "voice.turn_started"), event("10:00", "voice.barge_in")
    again = event("10:01", "voice.barge_in")
    assert one(rows("marts.voice_metrics", [barge_in]))["barge_in_rate"] is None
    assert one(rows("marts.voice_metrics", [turn, barge_in, again]))["barge_in_rate"] == 1


def test_bookings_count_on_the_day_of_each_stage() -> None:
    held = [event("2024-03-05 10:00", "booking.slot_hold", booking_id=name) for name in "ab"]
    confirmed = event("2024-03-06 10:00", "booking.confirmed", booking_id="a")
    by_day = {row["date"].day: row for row in rows("marts.booking_metrics", [*held, confirmed])}
    assert (by_day[5]["holds"], by_day[5]["confirmed"], by_day[5]["hold_to_confirm_rate"]) == (2, 0, 0.5)
    assert (by_day[6]["holds"], by_day[6]["confirmed"], by_day[6]["hold_to_confirm_rate"]) == (0, 1, None)


def test_an_order_sent_again_is_no_second_sale() -> None:
    order = event("10:00", "commerce.order_completed", order_id="o", revenue=40)
    again = event("11:00", "commerce.order_completed", order_id="o", revenue=45)
    looked = event("10:00", "commerce.view", user="v")
    day = one(rows("marts.commerce_metrics", [order, again, looked]))
    assert (day["orders"], day["revenue"], day["shoppers"], day["buyers"]) == (1, Decimal(40), 2, 1)
    assert day["conversion_rate"] == 0.5


def test_errors_per_event_of_the_day_by_class() -> None:
    day = one(rows("marts.error_metrics", [event("10:00", "system.error"), event("11:00", "commerce.view", user=None)]))
    assert (day["error_class"], day["errors"], day["error_rate"]) == ("unknown", 1, 0.5)


def one(found: list[Row]) -> Row:
    """The first day's row, or the only one: the days until `as_of` follow it."""
    return min(found, key=lambda row: row["date"])
