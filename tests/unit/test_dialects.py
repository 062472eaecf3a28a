"""Other senders' envelopes read as ours."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from parley.errors import ParleyError
from parley.landing import dialects

FILE = Path(__file__).parents[2] / "tracking_plan" / "dialects.yml"
SHIPPED = dialects.load(FILE)


def test_the_shipped_dialects_are_those_of_the_contract() -> None:
    assert set(SHIPPED) == {"parley", "bot", "conversation", "segment"}
    assert [name for name, dialect in SHIPPED.items() if dialect.is_ours] == ["parley"]


@pytest.mark.parametrize(
    ("dialect", "event", "expected"),
    [
        (
            "bot",
            {
                "event_name": "message_received",
                "chat_id": 123456789,
                "session_id": "s1",
                "properties": {"text": "hi"},
                "occurred_at": "2024-05-31T12:00:00Z",
                "platform": "telegram",
            },
            {
                "event_name": "message_received",
                "user_id": "123456789",
                "session_id": "s1",
                "attributes": {"text": "hi"},
                "occurred_at": "2024-05-31T12:00:00Z",
                "source": "telegram",
            },
        ),
        (
            "conversation",
            {
                "conversation_id": "c1",
                "store_id": 42,
                "event_type": "conversation_started",
                "event_data": {},
                "timestamp": "2024-05-31T12:00:00Z",
            },
            {
                "conversation_id": "c1",
                "tenant_id": "42",
                "event_name": "conversation_started",
                "attributes": {},
                "occurred_at": "2024-05-31T12:00:00Z",
            },
        ),
        (
            "segment",
            {
                "type": "track",
                "messageId": "0B6E5A2C-4D1F-4C7E-9A53-8F2D6B1E7C90",
                "event": "Order Completed",
                "userId": None,
                "anonymousId": "anonymous-1",
                "properties": {"order_id": "1", "conversation_id": "c1"},
                "context": {"locale": "sv"},
                "timestamp": "2024-05-31T12:00:00Z",
            },
            {
                "event_id": "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90",
                "event_name": "Order Completed",
                "user_id": "anonymous-1",
                "conversation_id": "c1",
                "attributes": {"order_id": "1", "conversation_id": "c1"},
                "context": {"locale": "sv"},
                "occurred_at": "2024-05-31T12:00:00Z",
            },
        ),
    ],
)
def test_an_envelope_is_read_as_ours(dialect: str, event: dict[str, Any], expected: dict[str, Any]) -> None:
    assert SHIPPED[dialect].envelope(event) == expected


def test_a_message_id_that_is_no_uuid_becomes_one_and_always_the_same() -> None:
    first, again, other = (
        SHIPPED["segment"].envelope({"messageId": name})["event_id"]
        for name in ("ajs-next-1", "ajs-next-1", "ajs-next-2")
    )
    assert first == again != other
    assert UUID(first).version == 5


def test_an_empty_message_id_is_no_id() -> None:
    assert SHIPPED["segment"].envelope({"messageId": ""}) == {"event_id": ""}


def test_a_value_of_another_type_is_left_for_the_rules_to_refuse() -> None:
    event = {"chat_id": {"id": 1}, "session_id": 10**30, "properties": 3}
    assert SHIPPED["bot"].envelope(event) == {"user_id": {"id": 1}, "session_id": 10**30, "attributes": 3}


def test_a_place_is_the_senders_own() -> None:
    segment = SHIPPED["segment"]
    assert segment.place("user_id", {"anonymousId": "a"}) == ("anonymousId",)
    assert segment.place("user_id", {}) == ("userId",)
    assert segment.place("conversation_id", {}) == ("properties", "conversation_id")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0B6E5A2C-4D1F-4C7E-9A53-8F2D6B1E7C90", "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90"),
        ("0b6e5a2c4d1f4c7e9a538f2d6b1e7c90", "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90"),
        ("0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c9", None),
        ("0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c9g", None),
        ("0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90\n", None),
        ("", None),
    ],
)
def test_a_uuid_has_one_canonical_form(text: str, expected: str | None) -> None:
    assert dialects.canonical_uuid(text) == expected


def test_an_unknown_dialect_is_named_with_those_there_are() -> None:
    with pytest.raises(ParleyError, match=r"no dialect 'amplitude': use one of bot, conversation, parley, segment"):
        dialects.find(FILE, "amplitude")


def test_a_dialect_of_ones_own_needs_no_code(tmp_path: Path) -> None:
    file = tmp_path / "dialects.yml"
    file.write_text("ours:\n  event_name: n\n  occurred_at: meta.at\n  attributes: data\n")
    dialect = dialects.find(file, "ours")
    event = {"n": "user.registered", "meta": {"at": "2024-05-31T12:00:00Z"}, "data": {}}
    assert dialect.envelope(event) == {
        "event_name": "user.registered",
        "occurred_at": "2024-05-31T12:00:00Z",
        "attributes": {},
    }


def test_a_dialect_with_a_field_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dialects.yml"
    file.write_text("ours:\n  event_name: n\n  occurred_at: at\n  attributes: data\n  user: u\n")
    with pytest.raises(ParleyError, match=r"dialects\.yml, ours: .*user"):
        dialects.load(file)
