"""What becomes of one event: accepted, rejected with a reason, or dropped."""

import gc
import gzip
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sys import getrefcount
from typing import Any

import orjson
import pytest

from parley.config.tenants import Tenant
from parley.config.tracking_plan import EventType
from parley.landing.privacy import hashed, subject_hmacs
from parley.landing.results import Accepted, Dropped, Rejected
from parley.landing.rules import Rules
from tests.support.contract import (
    EVENT_ID,
    FORMATS,
    PLAN,
    RECEIVED,
    SECRET,
    accepted,
    attributes_of,
    event,
    payload_of,
    rejected,
    rules,
    validate,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
EXAMPLES: dict[str, dict[str, Any]] = {
    "conversation.rated": {"rating": 1},
    "conversation.scored": {"judge": "model", "rubric": "v1", "overall": 0.5},
    "ai.response": {"duration_ms": 0, "model": "m"},
    "ai.tool_call_started": {"tool_name": "search"},
    "ai.tool_call_completed": {"tool_name": "search", "success": False},
    "ai.tool_chain_completed": {"tool_count": 2, "success": True},
    "kb.search": {"query": "opening hours", "results_count": 0},
    "voice.first_response": {"duration_ms": 12.5},
    "voice.asr_partial": {"latency_ms": 3},
    "service.suggested": {"service_name": "haircut", "confidence_score": 0},
    "service.added": {"service_name": "haircut"},
    "commerce.order_completed": {"order_id": 7, "revenue": -3.5},
    "commerce.order_refunded": {"order_id": "7", "revenue": 3.5},
    "booking.slot_hold": {"booking_id": "b"},
    "booking.requested": {"booking_id": "b", "services_count": 2, "estimated_total": 80},
    "booking.confirmed": {"booking_id": "b"},
    "experiment.exposed": {"experiment": "e", "variant": "v"},
}


def custom(name: str = "loyalty.earned", tenant_id: str = "shop", **changes: Any) -> EventType:
    made = EventType(
        tenant_id=tenant_id,
        event_name=name,
        aliases=(),
        category="loyalty",
        description="Points.",
        version=4,
        is_active=True,
        is_conversational=False,
        attributes_schema={"type": "object", "properties": {"points": {"type": "integer"}}, "required": ["points"]},
        renames={},
        privacy={},
        origin="custom",
    )
    return replace(made, **changes)


# what is accepted


def test_the_envelope_says_which_visitor_whose_doing_and_in_which_order() -> None:
    landed = accepted(event(anonymous_id="a1", site_id="shop.example", sequence=-3, actor="agent"))
    assert (landed.anonymous_id, landed.site_id, landed.sequence, landed.actor) == ("a1", "shop.example", -3, "agent")
    landed = accepted(event(anonymous_id="", site_id="", sequence="12", actor=""))  # as CSV files have it
    assert (landed.anonymous_id, landed.site_id, landed.sequence, landed.actor) == (None, None, 12, None)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("anonymous_id", 7, "invalid_type"),
        ("anonymous_id", "a" * 129, "invalid_value"),
        ("site_id", ["a"], "invalid_type"),
        ("sequence", 1.5, "invalid_type"),
        ("sequence", True, "invalid_type"),
        ("sequence", "first", "invalid_type"),
        ("sequence", 2**63, "invalid_value"),
        ("sequence", "9" * 30, "invalid_value"),
        ("actor", "bot", "invalid_value"),
        ("actor", 1, "invalid_type"),
    ],
)
def test_what_is_wrong_in_the_rest_of_the_envelope_is_rejected(field: str, value: object, reason: str) -> None:
    result = rejected(event(**{field: value}))
    assert (result.reason, result.path) == (reason, f"$.{field}")


def test_a_visitor_is_hashed_where_users_are() -> None:
    landed = accepted(event(tenant_id="hashing", user_id="u1", anonymous_id="u1"))
    assert landed.anonymous_id == landed.user_id != "u1"
    result = rejected(event(tenant_id="hashing", user_id="u1", anonymous_id="u1", sequence="?"))
    assert payload_of(result)["anonymous_id"] == landed.anonymous_id


def test_a_valid_event_lands_as_it_is() -> None:
    given = event("message.sent", {"text": "Hello", "is_fallback": False}, session_id="s1", context={"locale": "sv"})
    assert validate(given) == Accepted(
        tenant_id="shop",
        event_id=EVENT_ID,
        event_name="message.sent",
        occurred_at="2024-05-31T12:30:00Z",
        conversation_id="c1",
        session_id="s1",
        user_id="u1",
        source="web",
        attributes=b'{"text":"Hello","is_fallback":false}',
        context=b'{"locale":"sv"}',
        schema_version=1,
    )


@pytest.mark.parametrize("kind", PLAN.types, ids=lambda kind: kind.event_name)
def test_every_shipped_type_and_its_aliases_land_with_the_required_attributes_alone(kind: EventType) -> None:
    attributes = EXAMPLES.get(kind.event_name, {})
    for name in (kind.event_name, *kind.aliases):
        assert accepted(event(name, attributes)).event_name == kind.event_name


@pytest.mark.parametrize(
    ("name", "attribute"), [(name, attribute) for name, example in EXAMPLES.items() for attribute in example]
)
def test_a_required_attribute_that_is_missing_is_told_by_its_path(name: str, attribute: str) -> None:
    attributes = {key: value for key, value in EXAMPLES[name].items() if key != attribute}
    if name == "conversation.scored" and attribute == "overall":
        assert rejected(event(name, attributes)).path == "$.attributes"
    elif attribute in next(kind for kind in PLAN.types if kind.event_name == name).attributes_schema["required"]:
        result = rejected(event(name, attributes))
        assert (result.reason, result.path) == ("missing_field", f"$.attributes.{attribute}")
        assert result.message == f"attributes.{attribute} is missing: {name} needs it."


def test_ids_source_attributes_and_context_may_be_absent_null_or_empty() -> None:
    optional = ("conversation_id", "session_id", "user_id", "source", "context", "attributes")
    bare = accepted(event(**dict.fromkeys(optional, ...)))
    assert accepted(event(**dict.fromkeys(optional))) == bare
    assert accepted(event(**dict.fromkeys(optional[:4], ""), attributes=..., context=None)) == bare
    assert (bare.conversation_id, bare.session_id, bare.user_id, bare.source, bare.context) == (None,) * 5
    assert bare.attributes == b"{}"


def test_further_attributes_and_fields_do_no_harm() -> None:
    assert attributes_of(accepted(event(attributes={"colour": "red"}, colour="red"))) == {"colour": "red"}


def test_the_event_given_stays_as_it_is() -> None:
    given = event(
        "ai.response", {"duration_ms": 1, "model_used": "m", "email": "a@b.example"}, context={"ip": "1.2.3.4"}
    )
    before = orjson.dumps(given)
    accepted(given)
    assert orjson.dumps(given) == before


def test_real_dialogues_land_whole() -> None:
    file = DATA / "star.events.ndjson.gz"
    if not file.exists():
        pytest.skip(f"{file.name} is not beside the project")
    by = rules()
    with gzip.open(file) as lines:
        results = [by.validate(orjson.loads(line), RECEIVED) for line in lines]
    assert len(results) == 83_611
    assert all(isinstance(result, Accepted) for result in results)


# identity


def test_an_event_without_an_id_has_one_made_of_its_content_whatever_the_order_of_its_keys() -> None:
    given = event(event_id=..., attributes={"text": "hi", "intent": "greet"})
    backwards = dict(reversed((given | {"attributes": {"intent": "greet", "text": "hi"}}).items()))
    first = accepted(given).event_id
    assert first == accepted(backwards).event_id
    assert first != accepted(given | {"user_id": "u2"}).event_id
    assert first[14] == "5"


def test_an_event_ids_writing_does_not_matter() -> None:
    for written in (EVENT_ID.upper(), EVENT_ID.replace("-", "")):
        assert accepted(event(event_id=written)).event_id == EVENT_ID


# time


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-05-31T14:30:00+02:00", "2024-05-31T12:30:00.000000+00:00"),
        ("2024-05-31T07:00:00.5-05:30", "2024-05-31T12:30:00.500000+00:00"),
        ("2024-05-31t12:30:00z", "2024-05-31T12:30:00.000000+00:00"),
        ("2024-05-31 12:30:00Z", "2024-05-31T12:30:00.000000+00:00"),
        ("2024-05-31T12:30:00-00:00", "2024-05-31T12:30:00.000000+00:00"),
        ("2024-05-31T12:30:00.1234567899Z", "2024-05-31T12:30:00.123456+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000+00:00"),
        ("2016-12-31T23:59:60.25Z", "2017-01-01T00:00:00.250000+00:00"),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00.000000+00:00"),
        ("1999-12-31T23:00:00-01:00", "2000-01-01T00:00:00.000000+00:00"),
        ("2024-06-02T00:00:00Z", "2024-06-02T00:00:00.000000+00:00"),
    ],
)
def test_a_time_is_kept_in_utc_with_microseconds(written: str, expected: str) -> None:
    kept = accepted(event(occurred_at=written)).occurred_at
    assert datetime.fromisoformat(kept.upper()) == datetime.fromisoformat(expected)
    assert datetime.fromisoformat(kept.upper()).tzinfo is UTC
    assert len(kept) <= len(expected), "Postgres would round a longer fraction"


@pytest.mark.parametrize(
    ("written", "reason", "says"),
    [
        ("2024-05-31T12:30:00", "invalid_value", "has no offset"),
        ("2024-05-31 12:30", "invalid_value", "has no offset"),
        ("2024-05-31", "invalid_value", "must be written as"),
        ("20240531T123000Z", "invalid_value", "must be written as"),
        ("2024-05-31T12:30:00+0200", "invalid_value", "must be written as"),
        ("2024-05-31T12:30:00+02:60", "invalid_value", "must be written as"),
        ("2024-05-31T12:30:00,5Z", "invalid_value", "must be written as"),
        ("2024-05-31T12:30:00Z\n", "invalid_value", "must be written as"),
        ("٢٠٢٤-05-31T12:30:00Z", "invalid_value", "must be written as"),
        ("", "invalid_value", "must be written as"),
        ("2024-02-30T12:30:00Z", "invalid_value", "does not exist"),
        ("2024-05-31T24:00:00Z", "invalid_value", "does not exist"),
        ("2024-05-31T12:30:61Z", "invalid_value", "must be written as"),
        ("0000-01-01T00:00:00Z", "invalid_value", "does not exist"),
        (1717158600, "invalid_type", "must be a text"),
        (None, "missing_field", "is missing"),
        ("1999-12-31T23:59:59Z", "clock_skew", "before 2000-01-01"),
        ("0001-01-01T00:00:00+14:00", "clock_skew", "before 2000-01-01"),
        ("2024-06-02T00:00:00.000001Z", "clock_skew", "too far in the future"),
        ("9999-12-31T23:59:59-14:00", "clock_skew", "too far in the future"),
        ("9999-12-31T23:59:59Z", "clock_skew", "too far in the future"),
    ],
)
def test_a_time_that_cannot_be_is_rejected_with_what_to_do(written: object, reason: str, says: str) -> None:
    result = rejected(event(occurred_at=written))
    assert (result.reason, result.path) == (reason, "$.occurred_at")
    assert says in result.message


def test_how_far_ahead_an_event_may_be_is_a_setting() -> None:
    given = event(occurred_at="2024-06-01T01:30:00Z")
    accepted(given, rules(max_future=timedelta(hours=2)))
    assert rejected(given, rules(max_future=timedelta(hours=1))).reason == "clock_skew"


# the envelope


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("event_id", 7, "invalid_type"),
        ("event_id", "seven", "invalid_value"),
        ("event_id", EVENT_ID + "0", "invalid_value"),
        ("event_name", None, "missing_field"),
        ("event_name", 7, "invalid_type"),
        ("event_name", "", "invalid_value"),
        ("event_name", "a" * 101, "invalid_value"),
        ("event_name", "message.whispered", "unknown_event_type"),
        ("event_name", "Message.Received", "unknown_event_type"),
        ("tenant_id", None, "missing_field"),
        ("tenant_id", 7, "invalid_type"),
        ("tenant_id", "", "invalid_value"),
        ("tenant_id", "t" * 65, "invalid_value"),
        ("tenant_id", "*", "invalid_value"),
        ("tenant_id", "(unknown)", "invalid_value"),
        ("conversation_id", 7, "invalid_type"),
        ("conversation_id", "c" * 129, "invalid_value"),
        ("session_id", ["s"], "invalid_type"),
        ("session_id", "s" * 129, "invalid_value"),
        ("user_id", {"id": 1}, "invalid_type"),
        ("user_id", "u" * 129, "invalid_value"),
        ("source", True, "invalid_type"),
        ("source", "s" * 33, "invalid_value"),
        ("attributes", [], "invalid_type"),
        ("attributes", "text", "invalid_type"),
        ("context", "web", "invalid_type"),
        ("context", [], "invalid_type"),
    ],
)
def test_a_field_that_is_not_as_it_must_be_is_told_by_its_path(field: str, value: object, reason: str) -> None:
    result = rejected(event(**{field: value}))
    assert (result.reason, result.path) == (reason, f"$.{field}")
    assert result.message.startswith(f"{field} ")
    assert result.message.endswith(".")


@pytest.mark.parametrize(
    ("field", "longest"),
    [("tenant_id", 64), ("conversation_id", 128), ("session_id", 128), ("user_id", 128), ("source", 32)],
)
def test_ids_may_be_as_long_as_the_contract_says(field: str, longest: int) -> None:
    assert getattr(accepted(event(**{field: "é" * longest})), field) == "é" * longest


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", [], [event()]])
def test_what_is_no_object_is_no_event(value: object) -> None:
    result = rejected(value)
    assert (result.tenant_id, result.event_name) == (None, None)
    assert (result.reason, result.path) == ("invalid_type", "$")
    assert result.message == "An event must be a JSON object."


# tenants


def test_a_default_tenant_serves_events_that_name_none() -> None:
    by = rules(default_tenant="salon")
    assert accepted(event(tenant_id=...), by).tenant_id == "salon"
    assert accepted(event(), by).tenant_id == "shop"
    for absent in (..., None):
        assert rejected(event(tenant_id=absent, event_name="?"), by).tenant_id == "salon"


def test_a_tenant_that_the_seed_does_not_name_is_rejected_only_when_tenants_are_strict() -> None:
    given = event(tenant_id="salon")
    assert accepted(given).tenant_id == "salon"
    result = rejected(given, rules(strict_tenants=True))
    assert (result.reason, result.tenant_id, result.path) == ("unknown_tenant", "salon", "$.tenant_id")
    accepted(event(), rules(strict_tenants=True))


def test_strict_tenants_are_strict_with_tenants_that_have_types_of_their_own() -> None:
    by = rules(custom(tenant_id="salon"), strict_tenants=True)
    assert rejected(event("loyalty.earned", {"points": 1}, tenant_id="salon"), by).reason == "unknown_tenant"


# event types


def test_a_type_of_a_tenants_own_is_that_tenants_only() -> None:
    by = rules(custom())
    given = event("loyalty.earned", {"points": 1})
    assert accepted(given, by).schema_version == 4
    assert rejected(given | {"tenant_id": "salon"}, by).reason == "unknown_event_type"
    assert accepted(given | {"tenant_id": "salon"}, rules(custom(tenant_id="*"))).event_name == "loyalty.earned"


def test_sixty_types_of_a_tenants_own_live_beside_the_shipped_ones() -> None:
    by = rules(*(custom(f"loyalty.level_{level}") for level in range(60)))
    for level in range(60):
        assert accepted(event(f"loyalty.level_{level}", {"points": level}), by).event_name == f"loyalty.level_{level}"
    accepted(event(), by)


def test_a_tenants_own_type_takes_the_place_of_the_shipped_one() -> None:
    by = rules(custom("user.registered"))
    assert rejected(event("user.registered"), by).reason == "missing_field"
    assert accepted(event("user.registered", {"points": 1}), by).schema_version == 4
    assert accepted(event("user.registered", tenant_id="salon"), by).schema_version == 1


def test_a_type_that_is_switched_off_is_rejected() -> None:
    result = rejected(event("loyalty.earned", {"points": 1}), rules(custom(is_active=False)))
    assert (result.reason, result.path, result.event_name) == (
        "inactive_event_type",
        "$.event_name",
        "loyalty.earned",
    )


def test_a_tenant_may_admit_types_that_nobody_registered() -> None:
    result = accepted(event("loyalty.earned", {"points": "many"}, tenant_id="open"))
    assert (result.event_name, result.schema_version) == ("loyalty.earned", 0)
    for name, landed in (
        ("Cart Viewed", "cart_viewed"),
        ("$pageview", "pageview"),
        ("loyaltyEarned", "loyalty_earned"),
        ("shop/Läst.Mer!", "shop_last.mer"),
    ):
        assert accepted(event(name, tenant_id="open")).event_name == landed
    assert rejected(event("Привет", tenant_id="open")).reason == "invalid_value"
    assert rejected(event("conversation.rated", {"rating": 2}, tenant_id="open")).reason == "invalid_value"


# attributes


@pytest.mark.parametrize(
    ("name", "attributes", "reason", "path", "says"),
    [
        ("conversation.rated", {"rating": "good"}, "invalid_type", "rating", "must be a number"),
        ("conversation.rated", {"rating": 1.01}, "invalid_value", "rating", "must be at most 1"),
        ("conversation.rated", {"rating": -0.1}, "invalid_value", "rating", "must be at least 0"),
        ("conversation.rated", {"rating": True}, "invalid_type", "rating", "must be a number"),
        ("conversation.rated", {"rating": None}, "missing_field", "rating", "is missing"),
        ("conversation.resolved", {"resolved_by": "robot"}, "invalid_value", "resolved_by", '"assistant", "human"'),
        ("kb.search", {"query": "a", "results_count": 1.5}, "invalid_type", "results_count", "must be a whole number"),
        ("kb.search", {"query": "a", "results_count": -1}, "invalid_value", "results_count", "must be at least 0"),
        ("kb.search", {"query": 1, "results_count": 1}, "invalid_type", "query", "must be a text"),
        ("ai.response", {"duration_ms": -1, "model": "m"}, "invalid_value", "duration_ms", "must be at least 0"),
        ("ai.response", {"duration_ms": 1, "model": ""}, "invalid_value", "model", "at least this long: 1"),
        ("ai.tool_call_completed", {"tool_name": "t", "success": "yes"}, "invalid_type", "success", "true or false"),
        (
            "service.suggested",
            {"service_name": "s", "confidence_score": 2},
            "invalid_value",
            "confidence_score",
            "at most 1",
        ),
        ("message.sent", {"actor": "robot"}, "invalid_value", "actor", "must be one of"),
        (
            "commerce.order_completed",
            {"order_id": [1], "revenue": 1},
            "invalid_type",
            "order_id",
            "must be a whole number or a text",
        ),
    ],
)
def test_attributes_are_held_to_their_schema(
    name: str, attributes: dict[str, Any], reason: str, path: str, says: str
) -> None:
    result = rejected(event(name, attributes))
    assert (result.reason, result.path) == (reason, f"$.attributes.{path}")
    assert result.message.startswith(f"attributes.{path} ")
    assert says in result.message


def test_of_several_mistakes_a_missing_field_is_told_first() -> None:
    assert rejected(event("ai.response", {"duration_ms": "x"})).path == "$.attributes.model"


def test_a_null_is_no_value_unless_the_schema_allows_it() -> None:
    assert attributes_of(accepted(event(attributes={"text": None, "intent": "greet"}))) == {"intent": "greet"}
    nullable = custom(
        attributes_schema={"properties": {"points": {"type": ["integer", "null"]}}, "required": ["points"]}
    )
    assert attributes_of(accepted(event("loyalty.earned", {"points": None}), rules(nullable))) == {"points": None}


def test_an_attributes_alias_is_renamed_before_it_is_validated() -> None:
    given = event("ai.response", {"duration_ms": 1, "gen_ai.request.model": "m"})
    assert attributes_of(accepted(given)) == {"duration_ms": 1, "model": "m"}
    result = rejected(event("ai.response", {"duration_ms": 1, "gen_ai.request.model": 5}))
    assert result.path == "$.attributes['gen_ai.request.model']"


def test_an_alias_whose_name_is_taken_stays_beside_it() -> None:
    given = event("ai.response", {"duration_ms": 1, "model": "m", "model_used": "n"})
    assert attributes_of(accepted(given)) == {"duration_ms": 1, "model": "m", "model_used": "n"}


def test_a_place_deep_in_an_attribute_is_told() -> None:
    schema = {"properties": {"lines": {"items": {"properties": {"price": {"type": "number"}}}}}}
    result = rejected(
        event("loyalty.earned", {"lines": [{"price": 1}, {"price": "x"}]}), rules(custom(attributes_schema=schema))
    )
    assert result.path == "$.attributes.lines[1].price"


# what cannot be stored


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_name": "no.such"},
        {"occurred_at": "never"},
        {"event_name": "message.sent", "attributes": {"text": 7}},
        {"event_name": "message.sent", "attributes": {"text": "\ud800"}},
        {"attributes": []},
        {"event_id": "none"},
    ],
)
def test_nothing_keeps_a_rejected_event_alive(wrong: dict[str, Any]) -> None:
    """An error that a frame keeps would keep that frame, and with it the chunk, until Python looks for cycles."""
    given = event(**wrong)
    gc.disable()
    try:
        before = getrefcount(given)
        assert isinstance(validate(given), Rejected)
        assert getrefcount(given) == before
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a\0b", "U+0000"),
        ("\ud800", "no Unicode text"),
        (float("nan"), "not a finite number"),
        (float("-inf"), "not a finite number"),
        (2**64, "does not fit 64 bits"),
        (-(2**63) - 1, "does not fit 64 bits"),
        pytest.param(10**5000, "does not fit 64 bits", id="of 5000 digits"),
        ({"a\0": 1}, "key"),
        ([{"deep": "a\0"}], "U+0000"),
    ],
)
@pytest.mark.parametrize("field", ["attributes", "context"])
def test_what_postgres_cannot_store_is_rejected_by_its_path(field: str, value: object, says: str) -> None:
    result = rejected(event(**{field: {"x": value}}))
    assert result.reason == "invalid_value"
    assert (result.path or "").startswith(f"$.{field}.x")
    assert says in result.message
    assert b"\\u0000" not in (result.payload or b"")


@pytest.mark.parametrize("field", ["tenant_id", "conversation_id", "session_id", "user_id", "source", "event_name"])
@pytest.mark.parametrize("value", ["a\0", "\udfff"])
def test_neither_can_ids_hold_it(field: str, value: str) -> None:
    result = rejected(event(**{field: value}))
    assert (result.reason, result.path) == ("invalid_value", f"$.{field}")
    assert "\0" not in repr(result)
    assert result.tenant_id == (None if field == "tenant_id" else "shop")


def test_a_backslash_before_u0000_is_just_text() -> None:
    assert attributes_of(accepted(event(attributes={"note": "\\u0000"}))) == {"note": "\\u0000"}


def test_numbers_of_64_bits_are_kept_exactly() -> None:
    numbers = {"least": -(2**63), "most": 2**64 - 1, "small": 5e-324, "large": 1.7976931348623157e308}
    assert attributes_of(accepted(event(attributes=numbers))) == numbers


@pytest.mark.parametrize("levels", [33, 500, 2000])
@pytest.mark.parametrize("make", [lambda inner: {"a": inner}, lambda inner: [inner]], ids=["objects", "lists"])
@pytest.mark.parametrize("field", ["attributes", "context", "colour"])
def test_nesting_without_end_is_rejected(levels: int, make: Any, field: str) -> None:
    value: Any = 1
    for _ in range(levels):
        value = make(value)
    result = validate(event(**{field: {"deep": value}}, event_id=...))
    if field == "colour" and levels < 200:
        assert isinstance(result, Accepted)  # of no concern: it is not kept
    else:
        assert isinstance(result, Rejected)
        assert (result.reason, "nested deeper than 32 levels" in result.message) == ("invalid_value", True)


# consent and erasure


@pytest.mark.parametrize(
    "consent",
    [
        *(
            {"analytics": no}
            for no in (False, "false", 0, "Denied", "0", "off", "F", "opt-out", "opted_out", "No", "n")
        ),
        False,
        "0",
        {"analytics_storage": "denied", "ad_storage": "granted"},
        {"ad_storage": "denied"},
        {"categoryPreferences": {"Analytics": False, "Advertising": True}},
        {"categoryPreferences": {"C0001": False, "C0003": False}},
        {"analytics": {"granted": False}},
        {"Analytics": False},
        {"analytics_consent": "no"},
        {"statistics": "denied", "marketing": True},
        {"categories": {"performance": False}},
        {"preferences": {"cookies": {"analyticsCookies": 0}}},
        {"opt_out": True},
        {"optedIn": "false"},
        {"withdrawn": "yes"},
    ],
)
def test_nothing_is_kept_of_somebody_who_declined(consent: object) -> None:
    dropped = Dropped("shop", "no_consent")
    assert validate(event(context={"consent": consent})) == dropped
    assert validate(event("no such type", context={"consent": consent}, occurred_at=None)) == dropped
    assert validate(event(context={"consent": consent}, tenant_id=7)) == Dropped(None, "no_consent")


@pytest.mark.parametrize(
    "consent",
    ["maybe", 7, {"analytics": "perhaps"}, {"analytics_storage": "?"}, {"categoryPreferences": "all but ads"}, ["ads"]],
)
def test_what_is_neither_yes_nor_no_counts_as_no_and_is_told(consent: object) -> None:
    assert validate(event(context={"consent": consent})) == Dropped("shop", "no_consent", is_unclear=True)


@pytest.mark.parametrize(
    "consent",
    [
        {"analytics_storage": "granted", "ad_storage": "denied"},
        {"categoryPreferences": {"Analytics": True, "Advertising": False}},
        {"analytics": "granted"},
        {"analytics": 1},
        {"analytics": "opt-in"},
        {"optOut": False},
        {"categories": {"analytics": True, "ads": False}},
        {"purposes": ["analytics", "ads"]},
    ],
)
def test_a_yes_to_analytics_is_consent_whatever_else_is_declined(consent: object) -> None:
    accepted(event(context={"consent": consent}))


@pytest.mark.parametrize("consent", [{"analytics": True}, {"analytics": None}, {"marketing": False}, None, "yes", []])
def test_no_word_against_it_is_consent(consent: object) -> None:
    accepted(event(context={"consent": consent}))


def test_nothing_is_kept_of_an_erased_subject() -> None:
    by = rules(erased=subject_hmacs(SECRET, "shop", "u1"))
    dropped = Dropped("shop", "erased_subject")
    assert validate(event(), by) == dropped
    assert validate(event("no such type"), by) == dropped
    accepted(event(user_id="u2"), by)
    accepted(event(tenant_id="salon"), by)
    accepted(event(user_id=...), by)


def test_a_line_of_nobody_is_searched_for_the_erased_of_every_tenant_that_has_any() -> None:
    tenants = {f"t{n}": Tenant(f"t{n}", "x") for n in range(40)}
    erased = {"erased": subject_hmacs(SECRET, "unlisted", "u1"), "erased_tenants": ["unlisted"]}
    by = rules(tenants=tenants, **erased)
    assert validate(event(tenant_id=7, user_id="u9", attributes={"note": "asked by u1"}), by) == Dropped(
        None, "erased_subject"
    )
    assert rejected(event(tenant_id=7, user_id="u9", attributes={"note": "asked by u2"}), by).payload


@pytest.mark.timeout(20)
def test_of_a_line_with_too_many_words_to_search_nothing_is_kept() -> None:
    names = [f"t{n}" for n in range(40)]
    by = rules(erased=subject_hmacs(SECRET, "t1", "u1"), erased_tenants=names)
    long = {"note": " ".join(f"w{n}" for n in range(9_000))}
    kept = rejected(event(tenant_id=..., user_id="u9", attributes=long), by)
    assert (kept.payload, kept.reason) == (None, "missing_field")
    assert kept.not_replayable
    assert rejected(event("?", long, tenant_id="t1", user_id="u9"), by).payload


def test_a_subject_is_erased_under_its_hashed_id_too() -> None:
    kept = accepted(event(tenant_id="hashing")).user_id
    assert kept is not None
    for known_as in ("u1", kept):
        by = rules(erased=subject_hmacs(SECRET, "hashing", known_as))
        assert validate(event(tenant_id="hashing"), by) == Dropped("hashing", "erased_subject")
        assert validate(event(tenant_id="hashing", user_id=kept), by) == Dropped("hashing", "erased_subject")


# the machinery's own rejections


def test_a_rejection_of_a_broken_line_has_no_payload() -> None:
    assert rules().rejected_line("invalid_json", "The line is no JSON.", "shop") == Rejected(
        "shop", None, "invalid_json", None, "The line is no JSON.", None
    )


def test_rules_are_built_from_what_can_be_pickled() -> None:
    inputs = {"plan": PLAN, "tenants": {}, "source_format": FORMATS["segment"], "secret": SECRET}
    accepted(event("commerce.order_completed", EXAMPLES["commerce.order_completed"]), rules())
    assert isinstance(Rules(**pickle.loads(pickle.dumps(inputs))), Rules)


# replay


def replayed(kept: Rejected, by: Rules) -> Any:
    """What becomes of a rejected event that is replayed: a result, or why it cannot be."""
    return by.validate_again(payload_of(kept), orjson.loads(kept.altered or b"{}"), RECEIVED)


def test_a_rejected_event_that_is_fixed_by_the_plan_lands_as_it_would_have() -> None:
    attributes = {"points": 1, "text": "I am a@b.example", "passwordConfirm": "x", "phone": 7, "note": "070-123 45 67"}
    given = event("loyalty.earned", attributes, event_id=..., tenant_id="hashing", context={"ip": "203.0.113.77"})
    kind = custom(tenant_id="*", privacy={"member": "hash"})
    assert replayed(rejected(given), rules(kind)) == accepted(given, rules(kind))
    anonymous = rejected(given | {"user_id": ""})
    assert replayed(anonymous, rules(kind)).user_id is None


def test_a_rejected_event_whose_type_is_known_is_as_private_as_one_that_lands() -> None:
    kind = custom(tenant_id="*", privacy={"member": "hash", "m": "drop"}, renames={"who": "member"})
    given = event("loyalty.earned", {"points": 1, "who": "Jane", "m": 1}, occurred_at="yesterday")
    kept = rejected(given, rules(kind))
    again = payload_of(kept) | {"occurred_at": "2024-05-31T12:30:00Z"}
    altered = orjson.loads(kept.altered or b"")
    assert rules(kind).validate_again(again, altered, RECEIVED) == accepted(
        given | {"occurred_at": again["occurred_at"]}, rules(kind)
    )


@pytest.mark.parametrize(
    ("changes", "kind", "path"),
    [
        (
            {"attributes": {"points": 1, "member": "a@b.example"}},
            custom(privacy={"member": "hash"}),
            "attributes.member",
        ),
        ({"attributes": {"points": 1, "email": "x"}}, custom(privacy={"email": "drop"}), "attributes.email"),
        (
            {"attributes": {"points": 1, "note": "at a@b.example"}},
            custom(attributes_schema={"properties": {"note": {"type": "string", "maxLength": 10}}}),
            "attributes.note",
        ),
        (
            {"attributes": {"points": 1, "phone": 46701234567}},
            custom(attributes_schema={"properties": {"phone": {"type": "string"}}}),
            "attributes.phone",
        ),
    ],
)
def test_what_would_land_otherwise_than_it_was_sent_is_not_replayed(
    changes: dict[str, Any], kind: EventType, path: str
) -> None:
    why = replayed(rejected(event("loyalty.earned", **changes)), rules(kind))
    assert isinstance(why, str)
    assert why.startswith(path)
    assert why.endswith(": send the event again from its source.")


def test_user_ids_are_replayed_as_the_tenant_kept_them_or_not_at_all() -> None:
    kind = custom(tenant_id="*")
    kept = rejected(event("loyalty.earned", {"points": 1}, tenant_id="hashing"))
    plain = {"hashing": Tenant("hashing", "No longer")}
    assert "user_id" in replayed(kept, rules(kind, tenants=plain))
    is_hash = event("loyalty.earned", {"points": 1}, user_id="0" * 64)
    hashing = {"shop": Tenant("shop", "From now on", hash_user_ids=True)}
    assert replayed(rejected(is_hash), rules(kind, tenants=hashing)) == accepted(is_hash, rules(kind, tenants=hashing))


@pytest.mark.parametrize(
    "changes",
    [
        {"attributes": {"text": "a\0b"}},
        {"tenant_id": "sh\0op"},
        {"attributes": {"n": float("inf")}},
        {"user_id": "\ud800"},
    ],
)
def test_what_cannot_be_stored_is_never_replayed(changes: dict[str, Any]) -> None:
    assert (rejected(event(**changes)).not_replayable or "").endswith("send it again.")
    nested: Any = 1
    for _ in range(50):
        nested = [nested]
    assert rejected(event(attributes={"deep": nested})).not_replayable


# ids that are somebody's address or number


@pytest.mark.parametrize("field", ["user_id", "conversation_id", "session_id"])
@pytest.mark.parametrize("value", ["jane@mail.example", "+46701234567", "whatsapp:+46 70 123 45 67", "46701234567"])
def test_an_id_that_is_an_address_or_a_number_to_call_is_hashed_so_that_it_joins(field: str, value: str) -> None:
    first, second = (
        getattr(accepted(event(name, **{field: value})), field) for name in ("message.received", "cart.confirmed")
    )
    assert first == second == hashed(SECRET, value)
    kept = rejected(event("made.up", **{field: value}))
    assert payload_of(kept)[field] == first
    assert value not in repr(kept)
    by = rules(custom(tenant_id="*", name="made.up", attributes_schema={}))
    assert replayed(kept, by) == accepted(event("made.up", **{field: value}), by)


@pytest.mark.parametrize(
    "value", ["u1", "12345678", "5012345678", "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90", "4077603541234567"]
)
def test_other_ids_stay(value: str) -> None:
    assert accepted(event(user_id=value, conversation_id=value)).user_id == value


def test_a_source_names_nobody() -> None:
    assert accepted(event(source="jane@mail.example")).source == "[email]"
