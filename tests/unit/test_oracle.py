"""The oracle on examples small enough to be computed by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from tests.oracle import TABLES, Event, Row, Tenant, World, differences
from tests.oracle.figures import mean, percentile, ratio
from tests.oracle.metrics import growth_rate, next_start, period_start

DAY = "2024-03-05"  # a Tuesday
_numbers = count(1)


def moment(at: str) -> datetime:
    """A time of DAY such as 12:00 or 12:00:00.5, or a whole timestamp, in UTC unless it says otherwise."""
    found = datetime.fromisoformat(at if len(at) > 15 else f"{DAY} {at}")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def event(
    at: str,
    name: str,
    *,
    number: int | None = None,
    tenant: str = "t",
    conversation: str | None = None,
    session: str | None = None,
    user: str | None = "u",
    source: str | None = "web",
    **attributes: Any,
) -> Event:
    """An event; those of one instant stand in the order in which they are written, unless numbered otherwise."""
    return Event(
        tenant_id=tenant,
        event_id=UUID(int=next(_numbers) if number is None else number),
        event_name=name,
        occurred_at=moment(at),
        conversation_id=conversation,
        session_id=session,
        user_id=user,
        source=source,
        attributes=attributes,
    )


def chat(at: str, name: str, conversation: str = "c", **rest: Any) -> Event:
    """An event of conversation c."""
    return event(at, name, conversation=conversation, **rest)


def rows(table: str, events: list[Event], *, as_of: str = "2024-03-10 00:00", **settings: Any) -> list[Row]:
    """The table's rows, given in the reverse of the events' order: the oracle must not depend on it."""
    return TABLES[table].rows(World.of(reversed(events), moment(as_of), [Tenant("t", **settings)]))


def row(table: str, events: list[Event], **rest: Any) -> Row:
    """The table's only row."""
    (found,) = rows(table, events, **rest)
    return found


def columns(found: list[Row], *names: str) -> list[Any]:
    """The values of one column, or tuples of several, by row."""
    return [found_row[names[0]] if len(names) == 1 else tuple(found_row[name] for name in names) for found_row in found]


# conversations


def test_a_conversation_is_told_from_its_first_event_to_its_last() -> None:
    found = row(
        "facts.conversations",
        [
            chat("12:00:00", "conversation.started", user=None, source=None),
            chat("12:00:01", "message.received", user="ann", source=None),
            chat("12:00:03", "message.sent", user="bob", source="widget", is_fallback=True),
            chat("12:01:00", "message.received", user="ann"),
            chat("12:01:04", "message.sent", is_fallback=False),
            chat("12:02:00", "conversation.rated", rating=0.2),
            chat("12:03:00", "conversation.rated", rating=0.8),
            chat("12:05:00", "conversation.resolved"),
        ],
    )
    assert found == {
        "tenant_id": "t",
        "conversation_id": "c",
        "user_id": "ann",
        "channel": "widget",
        "started_at": moment("12:00"),
        "started_on": date(2024, 3, 5),
        "started_hour": 12,
        "last_event_at": moment("12:05"),
        "ended_at": moment("12:05"),
        "outcome": "resolved",
        "resolved_by": "assistant",
        "outcome_inferred": False,
        "was_escalated": False,
        "reopened_count": 0,
        "messages_received": 2,
        "messages_sent": 2,
        "messages": 4,
        "first_response_ms": 2000.0,
        "avg_response_time_ms": 3000.0,
        "turns": 2,
        "unanswered_turns": 0,
        "sla_breaches": 1,
        "duration_seconds": 300.0,
        "tool_calls": 0,
        "tool_failures": 0,
        "kb_searches": 0,
        "kb_misses": 0,
        "fallbacks": 1,
        "bookings_requested": 0,
        "bookings_confirmed": 0,
        "revenue": Decimal(0),
        "rating": 0.8,
        "ratings": 2,
        "agent": None,
        "agent_id": None,
        "team": None,
        "inbox": None,
        "labels": None,
        "first_resolution_seconds": 300.0,
        "next_resolution_seconds": None,
        "last_resolution_seconds": 300.0,
        "handover_seconds": None,
        "has_error": False,
        "events": 8,
    }


def test_the_channel_is_unknown_where_no_event_says() -> None:
    assert row("facts.conversations", [chat("12:00", "message.received", source=None)])["channel"] == "unknown"


def test_events_without_a_conversation_belong_to_that_of_their_session() -> None:
    found = row(
        "facts.conversations",
        [
            event("12:00", "commerce.view", session="s"),
            event("12:01", "message.received", session="s"),
            event("12:02", "system.error", session="s", conversation="s"),
            event("12:03", "message.received"),
        ],
    )
    assert (found["conversation_id"], found["events"], found["has_error"]) == ("s", 3, True)


@pytest.mark.parametrize(
    ("name", "exists"),
    [
        ("commerce.view", False),
        ("booking.requested", False),
        ("service.added", False),
        ("service.suggested", True),
        ("kb.search", True),
        ("voice.turn_started", True),
    ],
)
def test_a_session_of_the_shop_alone_is_no_conversation(name: str, exists: bool) -> None:
    browsing = [event("12:00", name, session="s", booking_id="b", results_count=0, query="")]
    assert bool(rows("facts.conversations", browsing)) is exists


def test_an_explicit_conversation_exists_whatever_its_events() -> None:
    assert row("facts.conversations", [chat("12:00", "commerce.view")])["messages"] == 0


def test_a_conversation_starts_on_the_tenants_local_date_and_hour() -> None:
    late = [chat("2024-03-05 23:30", "message.received")]
    in_berlin = row("facts.conversations", late, time_zone="Europe/Berlin")
    assert (in_berlin["started_on"], in_berlin["started_hour"]) == (date(2024, 3, 6), 0)
    in_new_york = row("facts.conversations", late, time_zone="America/New_York")
    assert (in_new_york["started_on"], in_new_york["started_hour"]) == (date(2024, 3, 5), 18)


def test_silence_counts_as_abandonment_from_its_very_limit_on() -> None:
    silent = [chat("2024-03-05 12:00", "message.received")]
    before = row("facts.conversations", silent, as_of="2024-03-06 11:59:59.999999")
    after = row("facts.conversations", silent, as_of="2024-03-06 12:00:00")
    assert columns([before, after], "outcome", "outcome_inferred", "ended_at") == [
        ("open", False, None),
        ("abandoned", True, moment("2024-03-05 12:00")),
    ]


def test_the_last_outcome_event_decides_and_silence_after_it_changes_nothing() -> None:
    found = row(
        "facts.conversations",
        [
            chat("12:00", "conversation.resolved"),
            chat("12:01", "conversation.escalated"),
            chat("12:02", "message.received"),
        ],
    )
    assert (found["outcome"], found["ended_at"], found["outcome_inferred"]) == ("escalated", moment("12:01"), False)
    assert found["resolved_by"] is None


def test_outcomes_of_one_instant_stand_in_the_order_of_their_ids() -> None:
    tied = [
        chat("12:00", "conversation.abandoned", number=10**30),
        chat("12:00", "conversation.resolved", number=10**29),
    ]
    assert row("facts.conversations", tied)["outcome"] == "abandoned"


@pytest.mark.parametrize(
    ("said", "expected"), [({}, "human"), ({"resolved_by": None}, "human"), ({"resolved_by": "assistant"}, "assistant")]
)
def test_a_resolution_after_an_escalation_is_a_persons_unless_said_otherwise(
    said: dict[str, Any], expected: str
) -> None:
    found = row(
        "facts.conversations", [chat("12:00", "conversation.escalated"), chat("12:01", "conversation.resolved", **said)]
    )
    assert (found["outcome"], found["was_escalated"], found["resolved_by"]) == ("resolved", True, expected)


def test_a_conversation_reopens_once_per_end_that_the_customer_writes_after() -> None:
    story = ["resolved", "received", "received", "abandoned", "sent", "resolved", "received", "escalated", "received"]
    events = [
        chat(f"12:{minute:02}", f"{'message' if word in ('received', 'sent') else 'conversation'}.{word}")
        for minute, word in enumerate(story)
    ]
    assert row("facts.conversations", events)["reopened_count"] == 2


def test_a_conversation_counts_bookings_orders_searches_and_calls() -> None:
    found = row(
        "facts.conversations",
        [
            chat("12:00", "booking.requested", booking_id="b1"),
            chat("12:01", "booking.requested", booking_id="b1"),
            chat("12:02", "booking.requested", booking_id="b2"),
            chat("12:03", "booking.confirmed", booking_id="b2"),
            chat("12:04", "kb.search", query="", results_count=0),
            chat("12:05", "kb.search", query="", results_count=3),
            chat("12:06", "ai.tool_call_completed", tool_name="x", success=False),
            chat("12:07", "ai.tool_call_completed", tool_name="x", success=True),
            chat("12:08", "ai.tool_call_started", tool_name="y"),
            chat("12:09", "commerce.order_completed", order_id="o", revenue=0.1),
            chat("12:10", "commerce.order_completed", order_id="o", revenue=5),
            chat("12:11", "commerce.order_completed", order_id="p", revenue=0.2),
            chat("12:12", "commerce.order_refunded", order_id="p", revenue=0.2),
        ],
    )
    counted = ("bookings_requested", "bookings_confirmed", "kb_searches", "kb_misses", "tool_calls", "tool_failures")
    assert columns([found], *counted) == [(2, 1, 2, 1, 3, 1)]
    assert found["revenue"] == Decimal("0.3")


def test_an_order_sent_again_elsewhere_counts_where_it_was_completed_first() -> None:
    found = rows(
        "facts.conversations",
        [
            chat("12:01", "commerce.order_completed", "later", order_id="o", revenue=7),
            chat("12:00", "commerce.order_completed", "sooner", order_id="o", revenue=5),
        ],
    )
    assert dict(columns(found, "conversation_id", "revenue")) == {
        "sooner": Decimal(5),
        "later": Decimal(0),
    }


def test_tenants_share_names_and_event_ids_without_mixing() -> None:
    events = [chat("12:00", "message.received", tenant=tenant, number=1) for tenant in ("t", "other")]
    found = rows("facts.conversations", events)
    assert sorted(columns(found, "tenant_id", "conversation_id", "events")) == [("other", "c", 1), ("t", "c", 1)]


# responses


def test_an_answer_is_timed_from_the_message_that_opened_its_turn() -> None:
    found = rows(
        "facts.responses",
        [
            chat("12:00:00", "message.sent"),  # a greeting answers nothing
            chat("12:00:10", "message.received"),
            chat("12:00:20", "message.received"),  # still the same turn
            chat("12:00:25.5", "message.sent", source=None),
            chat("12:00:40", "message.sent"),  # the same answer, continued
            chat("12:01:00", "message.received"),  # never answered
        ],
    )
    assert columns(found, "responded_at", "duration_ms", "basis", "model", "channel") == [
        (moment("12:00:25.5"), 15500.0, "derived", "unknown", "unknown")
    ]


def test_a_turn_with_a_measured_response_has_no_derived_one() -> None:
    found = rows(
        "facts.responses",
        [
            chat("12:00:00", "message.received"),
            chat("12:00:02", "message.sent"),
            chat("12:00:03", "ai.response", duration_ms=1800, model="m"),  # late, but before the next turn
            chat("12:01:00", "message.received"),
            chat("12:01:01", "message.sent"),
        ],
    )
    assert sorted(columns(found, "duration_ms", "basis", "model")) == [
        (1000.0, "derived", "unknown"),
        (1800.0, "measured", "m"),
    ]


def test_a_measured_response_before_the_first_turn_lies_in_none() -> None:
    found = rows(
        "facts.responses",
        [
            chat("12:00:00", "voice.first_response", duration_ms=400),
            chat("12:00:01", "message.received"),
            chat("12:00:02", "message.sent"),
        ],
    )
    assert sorted(columns(found, "basis", "model")) == [("derived", "unknown"), ("measured", "unknown")]


def test_a_measured_response_of_no_conversation_is_a_row_too() -> None:
    found = row("facts.responses", [event("12:00", "ai.response", duration_ms=5, model="m", user=None)])
    assert (found["conversation_id"], found["conversation_started_on"]) == (None, None)


def test_a_response_knows_the_day_its_conversation_started() -> None:
    found = row(
        "facts.responses",
        [
            chat("2024-03-05 23:59", "message.received"),
            chat("2024-03-06 00:01", "message.sent"),
        ],
    )
    assert found["conversation_started_on"] == date(2024, 3, 5)


def test_of_one_instant_a_message_comes_before_its_answer_unless_their_numbers_say_otherwise() -> None:
    by_type = [chat("12:00", "message.received", number=2), chat("12:00", "message.sent", number=1)]
    numbered = [Event(**{**event, "sequence": place}) for event, place in zip(by_type, (2, 1), strict=True)]
    assert columns(rows("facts.responses", by_type), "duration_ms") == [0.0]
    assert rows("facts.responses", numbered) == []


def test_response_times_count_breaches_over_the_limit_only() -> None:
    found = rows(
        "marts.response_times",
        [
            event("12:30:00", "ai.response", duration_ms=3000, model="m"),  # six in the evening in Kolkata
            event("13:29:59.999999", "ai.response", duration_ms=3001, model="m"),
            event("13:30", "ai.response", duration_ms=1, model="m"),
            event("13:30", "ai.response", duration_ms=1, model="m", source=None),
        ],
        time_zone="Asia/Kolkata",
    )
    assert sorted(columns(found, "hour", "channel", "responses", "sla_breaches", "avg_ms")) == [
        (moment("12:30"), "web", 2, 1, 3000.5),
        (moment("13:30"), "unknown", 1, 0, 1.0),
        (moment("13:30"), "web", 1, 0, 1.0),
    ]


def test_the_hour_that_the_clock_strikes_twice_is_two_hours() -> None:
    at = ["2024-10-27 02:30+02:00", "2024-10-27 02:30+01:00"]
    found = rows(
        "marts.response_times",
        [event(time, "ai.response", duration_ms=1, model="m") for time in at],
        time_zone="Europe/Berlin",
    )
    assert sorted(columns(found, "hour")) == [moment("2024-10-27 00:00"), moment("2024-10-27 01:00")]


# turns


def test_an_end_ends_the_wait_and_silence_does_in_the_end() -> None:
    events = [
        chat("12:00:00", "message.received"),
        chat("12:00:04", "conversation.resolved"),
        chat("13:00:00", "message.received"),
        chat("13:00:02", "message.sent"),
        chat("14:00:00", "message.received"),
    ]
    for as_of, last in (
        ("14:00:03", ("waiting", False)),
        ("14:00:04", ("waiting", True)),
        ("2024-03-06 14:00", ("unanswered", True)),
    ):
        found = rows("facts.turns", events, as_of=as_of)
        assert columns(found, "status", "is_breach") == [("unanswered", True), ("answered", False), last]


def test_a_hand_over_waits_for_a_person() -> None:
    found = rows(
        "facts.turns",
        [
            chat("12:00:00", "message.received"),
            chat("12:00:01", "conversation.escalated"),
            chat("12:00:02", "message.sent"),  # the assistant's, who is not waited for any more
            chat("12:00:30", "message.sent", actor="human"),
            chat("12:01:00", "conversation.escalated"),
            chat("12:02:00", "message.received"),  # is still of the wait
            chat("12:03:00", "message.sent", actor="human"),
            chat("12:04:00", "message.received"),
            chat("12:04:01", "message.sent"),
        ],
    )
    assert columns(found, "wait_for", "actor", "wait_ms") == [
        ("agent", "agent", 30_000.0),
        ("agent", "agent", 120_000.0),
        ("assistant", "assistant", 1000.0),
    ]


def test_only_one_measurement_that_agrees_is_the_wait() -> None:
    found = rows(
        "facts.turns",
        [
            chat("12:00:00", "message.received"),
            chat("12:00:01", "ai.response", duration_ms=1000, model="m"),
            chat("12:00:02", "message.sent"),
            chat("12:01:00", "message.received"),
            chat("12:01:01", "ai.response", duration_ms=999, model="m"),
            chat("12:01:02", "message.sent"),
            chat("12:02:00", "message.received"),
            chat("12:02:01", "ai.response", duration_ms=1100, model="m"),
            chat("12:02:01", "ai.response", duration_ms=1200, model="n"),
            chat("12:02:02", "message.sent"),
        ],
    )
    assert columns(found, "basis", "wait_ms", "model") == [
        ("measured", 1000.0, "m"),
        ("derived", 2000.0, "m"),
        ("derived", 2000.0, "n"),
    ]


def test_a_private_note_is_no_answer() -> None:
    found = row(
        "facts.turns",
        [
            chat("12:00", "message.received"),
            chat("12:01", "message.noted"),
            chat("12:02", "message.sent", actor="human", is_private=True),
        ],
    )
    assert (found["status"], found["actor"]) == ("unanswered", None)


def test_voices_first_words_are_answers_also_without_messages() -> None:
    found = rows(
        "facts.turns",
        [
            chat("12:00:00", "voice.turn_started"),
            chat("12:00:04", "voice.first_response", duration_ms=900),
            chat("12:01:00", "message.received"),
            chat("12:01:01", "voice.first_response", duration_ms=800),
            chat("12:01:02", "message.sent"),
            chat("12:02:00", "voice.turn_started"),
            chat("12:02:09", "voice.first_response", duration_ms=700),
        ],
    )
    assert sorted(columns(found, "asked_at", "basis", "wait_ms")) == [
        (moment("12:00:03.1"), "measured", 900.0),
        (moment("12:01:00"), "measured", 800.0),
        (moment("12:02:08.3"), "measured", 700.0),
    ]


def test_a_model_costs_what_its_tokens_do_where_the_call_does_not_say() -> None:
    events = [
        event("12:00", "ai.response", duration_ms=100, model="aurora-mini", input_tokens=1_000_000),
        event("12:01", "ai.response", duration_ms=300, model="aurora-mini", cost=0.5, error_class="timeout"),
        event("12:02", "ai.response", duration_ms=200, model="aurora-mini", cost=9, currency="JPY"),
    ]
    assert columns(rows("facts.model_calls", events), "cost", "currency", "value", "is_error") == [
        (Decimal("0.15"), "USD", Decimal("0.15"), False),
        (Decimal("0.5"), "USD", Decimal("0.5"), True),
        (Decimal(9), "JPY", None, False),
    ]
    (usage,) = rows("marts.model_usage", events)
    assert (usage["calls"], usage["errors"], usage["cost"], usage["p50_ms"]) == (3, 1, Decimal("0.65"), 200.0)
    assert usage["other_currency_calls"] == 1


# sessions


def test_a_session_ends_with_a_gap_longer_than_the_limit() -> None:
    events = [
        event("12:00", "commerce.view"),
        event("12:30", "commerce.checkout"),  # exactly the limit
        event("13:00:00.000001", "commerce.view"),  # just over it
    ]
    first, second = rows("facts.sessions", events)
    assert first == {
        "tenant_id": "t",
        "session_id": events[0]["event_id"],
        "user_id": "u",
        "started_at": moment("12:00"),
        "started_on": date(2024, 3, 5),
        "ended_at": moment("12:30"),
        "duration_seconds": 1800.0,
        "events": 2,
        "conversations": 0,
        "entry_event": "commerce.view",
        "exit_event": "commerce.checkout",
        "converted": False,
    }
    assert (second["session_id"], second["duration_seconds"]) == (events[2]["event_id"], 0.0)


def test_a_late_event_bridges_two_sessions() -> None:
    apart = [event("12:00", "commerce.view"), event("12:50", "commerce.view")]
    assert len(rows("facts.sessions", apart)) == 2
    assert len(rows("facts.sessions", [*apart, event("12:25", "commerce.view")])) == 1


def test_a_session_crosses_midnight_and_the_change_to_summer_time() -> None:
    found = row(
        "facts.sessions",
        [event("2024-03-30 22:50", "commerce.view"), event("2024-03-30 23:10", "commerce.view")],
        time_zone="Europe/Berlin",
    )
    assert found["started_on"] == date(2024, 3, 30)
    over_the_change = ["2024-03-31 01:50+01:00", "2024-03-31 03:10+02:00"]  # twenty minutes apart
    assert len(rows("facts.sessions", [event(at, "commerce.view") for at in over_the_change])) == 1


def test_sessions_are_of_one_user_and_count_the_conversations_it_took_part_in() -> None:
    found = rows(
        "facts.sessions",
        [
            event("12:00", "message.received", conversation="c1", user="ann"),
            event("12:01", "message.received", conversation="c2", user="ann"),
            event("12:02", "commerce.view", session="browsing", user="ann"),
            event("12:02", "message.received", session="browsing", user="bob"),
            event("12:03", "cart.confirmed", conversation="c1", user="ann"),
            event("12:04", "message.received", conversation="c1", user="bob"),
            event("12:05", "message.received", conversation="c1", user=None),
        ],
    )
    assert sorted(columns(found, "user_id", "events", "conversations", "converted")) == [
        ("ann", 4, 2, True),
        ("bob", 2, 2, False),
    ]


def test_session_metrics_describe_the_sessions_started_on_a_day() -> None:
    events = [event("12:00", "commerce.view"), event("12:10", "commerce.view"), event("15:00", "commerce.view")]
    (found,) = rows("marts.session_metrics", events, as_of="2024-03-05 16:00")
    assert found == {
        "tenant_id": "t",
        "date": date(2024, 3, 5),
        "sessions": 2,
        "users": 1,
        "avg_duration_seconds": 300.0,
        "median_duration_seconds": 300.0,
        "events_per_session": 1.5,
        "bounce_rate": 0.5,
    }


# tools and knowledge base


def test_tool_calls_pair_starts_and_completions_by_rank() -> None:
    events = [
        chat("12:00", "ai.tool_call_started", tool_name="x"),
        chat("12:01", "ai.tool_call_started", tool_name="x"),
        chat("12:02", "ai.tool_call_started", tool_name="y"),
        chat("12:03", "ai.tool_call_completed", tool_name="x", success=True, duration_ms=7, optimistic=True),
        chat("12:04", "ai.tool_call_completed", tool_name="z", success=False, tool_kind="navigation"),
    ]
    found = rows("facts.tool_calls", events)
    assert sorted(columns(found, "tool_name", "called_at", "status", "success", "duration_ms", "call_id")) == [
        ("x", moment("12:00"), "completed", True, 7, events[3]["event_id"]),
        ("x", moment("12:01"), "unfinished", None, None, events[1]["event_id"]),
        ("y", moment("12:02"), "unfinished", None, None, events[2]["event_id"]),
        ("z", moment("12:04"), "completed", False, None, events[4]["event_id"]),
    ]


def test_a_start_later_than_its_completion_does_not_date_the_call() -> None:
    found = row(
        "facts.tool_calls",
        [
            chat("12:00", "ai.tool_call_completed", tool_name="x", success=True),
            chat("12:01", "ai.tool_call_started", tool_name="x"),
        ],
    )
    assert (found["called_at"], found["status"]) == (moment("12:00"), "completed")


def test_tool_events_of_no_conversation_are_calls_of_their_own() -> None:
    found = rows(
        "facts.tool_calls",
        [
            event("12:00", "ai.tool_call_started", tool_name="x"),
            event("12:01", "ai.tool_call_completed", tool_name="x", success=True),
        ],
    )
    assert sorted(columns(found, "called_at", "status")) == [
        (moment("12:00"), "unfinished"),
        (moment("12:01"), "completed"),
    ]


def test_a_search_was_used_by_a_click_before_the_next_search() -> None:
    found = rows(
        "facts.kb_searches",
        [
            chat("12:00", "kb.hit"),
            chat("12:01", "kb.search", query="a", results_count=0),
            chat("12:02", "kb.search", query="b", results_count=2),
            chat("12:03", "message.sent"),
            chat("12:04", "kb.citation_clicked"),
            chat("12:05", "kb.hit", "other"),
            chat("12:06", "kb.search", query="c", results_count=2),
            event("12:07", "kb.search", query="d", results_count=2),
            event("12:08", "kb.hit"),
        ],
    )
    assert sorted(columns(found, "query", "was_used")) == [("a", False), ("b", True), ("c", False), ("d", False)]


# bookings and orders


def test_a_booking_takes_the_earliest_of_each_step() -> None:
    later_request: Row = {"services_count": 3, "estimated_total": 5}
    found = row(
        "facts.bookings",
        [
            event("2024-03-05 23:00", "booking.slot_hold", user=None, booking_id="b"),
            event("2024-03-06 12:00", "booking.requested", booking_id="b", estimated_total=19.99),
            event("2024-03-06 12:01", "booking.requested", conversation="c", booking_id="b", **later_request),
            event("2024-03-06 12:02", "booking.confirmed", conversation="d", booking_id="b"),
            event("2024-03-06 12:03", "booking.confirmed", booking_id="b"),
        ],
        time_zone="Europe/Berlin",
    )
    assert found == {
        "tenant_id": "t",
        "booking_id": "b",
        "user_id": "u",
        "conversation_id": "c",
        "booked_on": date(2024, 3, 6),
        "held_at": moment("2024-03-05 23:00"),
        "requested_at": moment("2024-03-06 12:00"),
        "confirmed_at": moment("2024-03-06 12:02"),
        "services_count": 3,
        "estimated_total": Decimal("19.99"),
        "currency": "USD",
        "is_other_currency": False,
        "estimated_value": Decimal("19.99"),
    }


def test_an_order_keeps_its_first_completion_and_adds_up_its_refunds() -> None:
    found = row(
        "facts.orders",
        [
            event("12:00", "commerce.order_completed", order_id="o", revenue=9.95, currency="EUR", user=None),
            event("12:01", "commerce.order_completed", order_id="o", revenue=8, currency="USD", conversation="c"),
            event("12:02", "commerce.order_refunded", order_id="o", revenue=0.1),
            event("12:03", "commerce.order_refunded", order_id="o", revenue=0.2),
        ],
    )
    assert found == {
        "tenant_id": "t",
        "order_id": "o",
        "user_id": "u",
        "conversation_id": "c",
        "ordered_at": moment("12:00"),
        "ordered_on": date(2024, 3, 5),
        "revenue": Decimal("9.95"),  # the tenant's first order is in its currency
        "amount": Decimal("9.95"),
        "currency": "EUR",
        "is_other_currency": False,
        "refunded": Decimal("0.3"),
        "refunded_at": moment("12:02"),
    }


def test_an_order_of_which_only_a_refund_is_known_has_no_time() -> None:
    found = row("facts.orders", [event("12:00", "commerce.order_refunded", order_id="o", revenue=4)])
    known = ("ordered_at", "ordered_on", "revenue", "currency", "refunded")
    assert columns([found], *known) == [(None, date(2024, 3, 5), None, None, Decimal(4))]


# users


def test_a_user_day_counts_what_one_user_did_on_a_local_date() -> None:
    found = rows(
        "facts.user_days",
        [
            chat("2024-03-05 18:29", "message.received"),
            chat("2024-03-05 18:30", "message.received"),  # past midnight in Kolkata
            chat("2024-03-05 18:31", "message.sent"),
            chat("2024-03-05 18:32", "message.sent", user=None),
            event("2024-03-05 18:33", "commerce.view", session="browsing"),
            event("2024-03-05 18:34", "commerce.order_completed", order_id="o", revenue=2.5),
            event("2024-03-05 18:35", "commerce.order_completed", order_id="o", revenue=2.5),
            event("2024-03-05 18:36", "commerce.order_refunded", order_id="o", revenue=1),
        ],
        time_zone="Asia/Kolkata",
    )
    second = found[1]
    assert columns(found, "date", "events") == [(date(2024, 3, 5), 1), (date(2024, 3, 6), 4)]  # what the customer did
    counted = ("conversations", "messages_received", "messages", "orders", "revenue")
    assert columns([second], *counted) == [(1, 1, 2, 1, Decimal("2.5"))]


def test_active_users_look_back_seven_and_thirty_days() -> None:
    found = rows(
        "marts.active_users",
        [
            event("2024-03-01 12:00", "commerce.view", user="ann"),
            event("2024-03-02 12:00", "message.received", user="bob", conversation="c"),
            event("2024-03-02 13:00", "commerce.view", user=None),
        ],
        as_of="2024-06-01 00:00",
    )
    by_date = {found_row["date"]: found_row for found_row in found}
    assert min(by_date) == date(2024, 3, 1)
    assert max(by_date) == date(2024, 6, 1)
    active = {day.day: columns([by_date[day]], "dau", "wau", "mau")[0] for day in by_date if day.month == 3}
    assert columns([by_date[date(2024, 4, 1)]], "mau", "stickiness") == [(0, None)]  # after bob's thirtieth day
    assert [active[day] for day in (1, 2, 7, 8, 9, 30, 31)] == [
        (1, 1, 1),
        (1, 2, 2),
        (0, 2, 2),
        (0, 1, 2),
        (0, 0, 2),
        (0, 0, 2),
        (0, 0, 1),
    ]
    second = by_date[date(2024, 3, 2)]
    assert columns([second], "stickiness", "sessions", "events", "conversations") == [(0.5, 1, 2, 1)]


def test_active_users_end_with_the_tenants_today() -> None:
    found = rows(
        "marts.active_users",
        [event("2024-03-01 12:00", "commerce.view")],
        as_of="2024-03-02 19:00",
        time_zone="Asia/Kolkata",  # the third of March by then
    )
    assert columns(found, "date") == [date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3)]


def test_a_day_with_nobody_known_has_a_row_of_zeros() -> None:
    found = rows("marts.active_users", [event("12:00", "commerce.view", user=None)], as_of="2024-03-06 00:00")
    assert columns(found, "date", "mau", "events") == [(date(2024, 3, 5), 0, 1), (date(2024, 3, 6), 0, 0)]


# metrics


def test_daily_metrics_sum_up_the_conversations_started_that_day() -> None:
    found = rows(
        "marts.daily_metrics",
        [
            chat("2024-03-05 12:00:00", "message.received", "a", user="ann"),
            chat("2024-03-05 12:00:01", "message.sent", "a", user="ann"),
            chat("2024-03-05 12:00:02", "conversation.resolved", "a", user="ann"),
            chat("2024-03-05 12:00:03", "conversation.rated", "a", user="ann", rating=0.5),
            chat("2024-03-05 13:00:00", "message.received", "b", user="ann"),
            chat("2024-03-06 13:00:00", "message.sent", "b", user="bob"),  # belongs to the day b started
            chat("2024-03-06 13:00:00", "message.received", "d", user=None),
            event("2024-03-05 14:00:00", "ai.response", duration_ms=1, model="m"),  # of no conversation
        ],
        as_of="2024-03-07 13:00",
    )
    assert columns(found, "date", "total_conversations") == [
        (date(2024, 3, 5), 2),
        (date(2024, 3, 6), 1),
        (date(2024, 3, 7), 0),
    ]
    day = 86_400_000.0
    assert found[0] == {
        "tenant_id": "t",
        "date": date(2024, 3, 5),
        "total_conversations": 2,
        "resolved_conversations": 1,
        "escalated_conversations": 0,
        "abandoned_conversations": 1,
        "open_conversations": 0,
        "no_reply_conversations": 0,
        "resolution_rate": 0.5,
        "escalation_rate": 0.0,
        "abandonment_rate": 0.5,
        "avg_response_time_ms": (1000 + day) / 2,
        "p50_response_time_ms": (1000 + day) / 2,
        "p95_response_time_ms": pytest.approx(1000 + (day - 1000) * 0.95),
        "p99_response_time_ms": pytest.approx(1000 + (day - 1000) * 0.99),
        "turns": 2,
        "unanswered_turns": 0,
        "sla_breaches": 1,
        "total_messages": 4,
        "avg_conversation_length": 2.0,
        "unique_customers": 1,
        "avg_rating": 0.5,
        "ratings": 1,
        "good_ratings": 0,
        "good_ratings_share": 0.0,
        "avg_resolution_seconds": 2.0,
    }
    assert columns(found[1:], "abandoned_conversations", "unique_customers", "avg_rating") == [
        (1, 0, None),
        (0, 0, None),
    ]


def test_period_metrics_count_customers_anew_and_compare_with_the_period_before() -> None:
    found = rows(
        "marts.period_metrics",
        [
            chat("2024-02-29 12:00", "message.received", "a", user="ann"),
            chat("2024-03-01 12:00", "message.received", "b", user="ann"),
            chat("2024-03-03 12:00", "message.received", "d", user="ann"),
            chat("2024-03-04 12:00", "message.received", "e", user="bob"),
        ],
        as_of="2024-04-01 03:59:59",  # a second before New York's midnight
        time_zone="America/New_York",
    )
    by_period = {(found_row["period"], str(found_row["period_start"])): found_row for found_row in found}
    columns_ = ("total_conversations", "unique_customers", "previous_total_conversations", "growth_rate", "is_complete")
    assert sum(period == "day" for period, _ in by_period) == 32, "one for each day"
    assert {
        key: columns([found_row], *columns_)[0]
        for key, found_row in by_period.items()
        if found_row["total_conversations"]
    } == {
        ("day", "2024-02-29"): (1, 1, 0, 1.0, True),
        ("day", "2024-03-01"): (1, 1, 1, 0.0, True),
        ("day", "2024-03-03"): (1, 1, 0, 1.0, True),
        ("day", "2024-03-04"): (1, 1, 1, 0.0, True),
        ("week", "2024-02-26"): (3, 1, 0, 1.0, True),
        ("week", "2024-03-04"): (1, 1, 3, -2 / 3, True),
        ("month", "2024-02-01"): (1, 1, 0, 1.0, True),
        ("month", "2024-03-01"): (3, 2, 1, 2.0, False),
        ("quarter", "2024-01-01"): (4, 2, 0, 1.0, False),
        ("year", "2024-01-01"): (4, 2, 0, 1.0, False),
    }
    first = by_period["day", "2024-02-29"]
    assert (first["previous_unique_customers"], first["previous_resolution_rate"]) == (0, None)


def test_a_period_is_complete_from_the_local_midnight_that_ends_it() -> None:
    events = [chat("2024-03-31 12:00", "message.received")]  # a day of 23 hours in Berlin
    for as_of, expected in [("2024-03-31 21:59:59", False), ("2024-03-31 22:00:00", True)]:
        found = rows("marts.period_metrics", events, as_of=as_of, time_zone="Europe/Berlin")
        begun = [found_row for found_row in found if found_row["total_conversations"]]
        assert {found_row["period"]: found_row["is_complete"] for found_row in begun} == {
            "day": expected,
            "week": expected,
            "month": expected,
            "quarter": expected,
            "year": False,
        }


@pytest.mark.parametrize(
    ("period", "day", "start", "following"),
    [
        ("day", "2024-02-28", "2024-02-28", "2024-02-29"),
        ("week", "2024-03-03", "2024-03-03", "2024-03-10"),
        ("week", "2024-03-02", "2024-02-25", "2024-03-03"),
        ("month", "2023-12-31", "2023-12-01", "2024-01-01"),
        ("quarter", "2024-11-30", "2024-10-01", "2025-01-01"),
        ("quarter", "2024-05-31", "2024-04-01", "2024-07-01"),
        ("year", "2024-12-31", "2024-01-01", "2025-01-01"),
    ],
)
def test_periods_follow_the_calendar_and_the_tenants_week(period: str, day: str, start: str, following: str) -> None:
    tenant = Tenant("t", week_start="sunday")
    assert period_start(tenant, period, date.fromisoformat(day)) == date.fromisoformat(start)
    assert next_start(period, date.fromisoformat(start)) == date.fromisoformat(following)


def test_growth_from_nothing_is_one() -> None:
    assert [growth_rate(3, 2), growth_rate(1, 0), growth_rate(0, 0), growth_rate(0, 4)] == [0.5, 1.0, 0.0, -1.0]


# figures and comparison


def test_figures_of_nothing_are_null() -> None:
    assert (mean([]), percentile([], 0.5), ratio(0, 0)) == (None, None, None)


def test_percentiles_interpolate_between_ranks() -> None:
    assert [percentile([40, 10, 20, 30], part) for part in (0, 0.5, 0.9, 1)] == [10, 25, pytest.approx(37), 40]


def test_differences_name_each_row_and_column_that_is_wrong() -> None:
    expected: list[Row] = [{"id": 1, "n": 1.0, "m": Decimal("0.10"), "at": moment("12:00")}, {"id": 2, "n": None}]
    same: list[Row] = [
        {"id": 1, "n": Decimal("1.00000000000001"), "m": Decimal("0.1"), "at": moment("2024-03-05 13:00+01:00")},
        {"id": 2, "n": None, "more": "x"},
    ]
    assert differences(expected, same, ("id",)) == []
    wrong: list[Row] = [{"id": 1, "n": 1.1, "m": Decimal("0.11")}, {"id": 3, "n": None}, {"id": 3, "n": None}]
    assert sorted(differences(expected, wrong, ("id",))) == [
        "1: at is 'absent', should be datetime.datetime(2024, 3, 5, 12, 0, tzinfo=datetime.timezone.utc)",
        "1: m is Decimal('0.11'), should be Decimal('0.10')",
        "1: n is 1.1, should be 1.0",
        "2: missing",
        "3: should not exist",
        "3: stands there more than once",
    ]


def test_the_world_reads_every_zone_as_the_same_instant() -> None:
    shifted = moment("12:00") + timedelta(minutes=20)
    world = World.of([event("2024-03-05 14:20+02:00", "commerce.view")], shifted)
    assert world.events[0]["occurred_at"] == shifted


def test_a_visitor_is_the_user_told_last_before_else_first_after_else_a_user_of_its_own() -> None:
    def seen(at: str, number: int, user: str | None, visitor: str | None, **fields: Any) -> Event:
        made = event(at, "commerce.view", number=number, user=user)
        return Event(**{**made, "anonymous_id": visitor, **fields})  # type: ignore[typeddict-item]

    world = World.of(
        [
            seen("10:00", 1, None, "a"),
            seen("10:01", 2, "ann", "a"),
            seen("10:02", 3, None, "a"),
            seen("10:03", 4, None, "a", sequence=1),
            seen("10:03", 5, "bob", "a", sequence=2),
            seen("10:03", 6, None, "a", sequence=3),
            seen("10:04", 7, "null", "a"),
            seen("10:05", 8, None, "b"),
            seen("10:06", 9, "b", None),
            seen("10:07", 10, "n/a", " ANONYMOUS "),
        ],
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    found = ["ann", "ann", "ann", "ann", "bob", "bob", "bob", "visitor:b", "b", None]
    assert [event["user_id"] for event in world.events] == found
