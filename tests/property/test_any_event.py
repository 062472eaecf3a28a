"""What must hold for whatever is sent: a result, the same one again, storable, and with nothing personal in it."""

import re
from itertools import chain
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from parley.landing.envelope import FIELDS
from parley.landing.patterns import Scrubber, Words
from parley.landing.results import Accepted, Dropped, EventResult, Rejected
from tests.support.contract import PLAN, RECEIVED, event, rules

BY = rules(default_tenant="shop", erased=("nobody",))

WORDS = Words(PLAN.privacy.phone_words, PLAN.privacy.other_words)

any_text = st.text(st.characters(exclude_categories=()), max_size=20)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from([kind.event_name for kind in PLAN.types])
attribute_names = st.sampled_from(
    sorted({name for kind in PLAN.types for name in kind.attributes_schema["properties"]})
)
keys = st.sampled_from(
    (*FIELDS, "chat_id", "properties", "event_type", "event_data", "messageId", "userId", "timestamp")
)
almost_events = st.builds(
    lambda name, attributes, changes: event(name, attributes) | changes,
    names | any_text,
    st.dictionaries(attribute_names | any_text, any_json, max_size=5) | any_json,
    st.dictionaries(keys | any_text, any_json, max_size=2),
)


def texts_of(result: EventResult) -> list[str]:
    """All texts of a result, those in its JSON and its keys included."""

    def inside(value: Any) -> list[str]:
        if isinstance(value, dict):
            return list(chain(value, *map(inside, value.values())))
        if isinstance(value, list):
            return list(chain.from_iterable(map(inside, value)))
        return [str(value)]

    return list(chain.from_iterable(inside(orjson.loads(part) if isinstance(part, bytes) else part) for part in result))


@given(any_json | almost_events)
def test_whatever_comes_there_is_a_result_that_postgres_can_store(value: Any) -> None:
    result = BY.validate(value, RECEIVED)
    assert isinstance(result, Accepted | Rejected | Dropped)
    for text in texts_of(result):
        assert "\0" not in text
        text.encode()
    if isinstance(result, Rejected):
        assert result.message.endswith(".")
        assert (result.path or "").startswith("$")
        assert result.payload is not None


@given(any_json | almost_events)
def test_the_same_event_has_the_same_result_whatever_came_before(value: Any) -> None:
    fresh = rules(default_tenant="shop", erased=("nobody",))
    assert BY.validate(value, RECEIVED) == BY.validate(value, RECEIVED) == fresh.validate(value, RECEIVED)


@given(almost_events)
def test_a_rejected_event_keeps_the_identity_it_would_have_landed_under(value: dict[str, Any]) -> None:
    value.pop("event_id", None)
    result = BY.validate(value | {"event_name": "made.up"}, RECEIVED)
    if isinstance(result, Rejected) and result.tenant_id == "shop":
        admitting = rules(default_tenant="shop")
        again = admitting.validate(orjson.loads(result.payload or b"") | {"event_name": "user.registered"}, RECEIVED)
        assert not isinstance(again, Accepted) or again.event_id == orjson.loads(result.payload or b"")["event_id"]


# personal data, planted


def grouped(number: str, sizes: list[int], separator: str) -> str:
    groups = []
    while number:
        size = sizes[len(groups) % len(sizes)]
        groups.append(number[:size])
        number = number[size:]
    return separator.join(groups)


def luhn_complete(digits: str) -> str:
    """The digits and the check digit that makes a card number of them."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return f"{digits}{-total % 10}"


def iban_of(country: str, account: str) -> str:
    number = "".join(str(int(letter, 36)) for letter in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02}{account}"


separators = st.sampled_from(["", " ", "-", "\u00a0"])
cards = st.builds(
    lambda prefix, number, separator: grouped(luhn_complete((prefix + number)[:15]), [4], separator),
    st.sampled_from(["4", "51", "55", "2221", "2720", "6011", "65", "3528"]),
    st.text("0123456789", min_size=15, max_size=15),
    separators | st.sampled_from([",", "|", "\n", "\u200b", "."]),
)
ibans = st.builds(
    lambda place, account, separator, write: write(grouped(iban_of(place[0], account[: place[1]]), [4], separator)),
    st.sampled_from([("DE", 18), ("NO", 11), ("FR", 23), ("GB", 18), ("SE", 20), ("MT", 27)]),
    st.text("0123456789", min_size=30, max_size=30),
    separators,
    st.sampled_from([str.upper, str.lower]),
)
phones = st.builds(
    lambda prefix, number, sizes, separator: prefix + grouped(number, sizes, separator),
    st.sampled_from(["+46 ", "+1-", "+81", "0", "00", "(0) ", "+44 (0) "]),
    st.from_regex(r"[1-9][0-9]{7,9}", fullmatch=True),
    st.sampled_from([[2], [3, 2], [3, 3, 4], [4], [20]]),
    st.sampled_from(["", " ", "-", ".", "_"]),
).filter(lambda text: not re.fullmatch(r"\(0\) \d+\.\d+", text))  # which is a decimal beside a nought in brackets
personal = st.emails() | cards | ibans | phones
around = st.text(st.characters(categories=("L", "Zs", "P"), exclude_characters="#@_"), max_size=30)


@given(personal)
def test_what_is_personal_is_recognised_standing_alone(secret: str) -> None:
    assert secret not in Scrubber(PLAN.privacy.patterns, WORDS)(secret)


@given(
    secret=personal,
    before=around,
    after=around,
    place=st.sampled_from([*PLAN.privacy.names, *PLAN.privacy.text]),
    nested=st.booleans(),
    name=st.sampled_from(["message.received", "system.error", "kb.search", "made.up", "conversation.rated"]),
    tenant_id=st.sampled_from(["shop", "open", "hashing"]),
)
def test_nothing_personal_in_a_named_or_a_free_text_field_survives(
    secret: str, before: str, after: str, place: str, nested: bool, name: str, tenant_id: str
) -> None:
    planted = {place: f"{before} {secret} {after}"}
    sent = event(name, {"details": [planted]} if nested else planted, tenant_id=tenant_id, context={"more": planted})
    for text in texts_of(BY.validate(sent, RECEIVED)):
        assert secret not in text


@given(secret=personal, before=around, after=around, field=keys, name=names)
def test_nothing_personal_survives_in_a_rejected_event_wherever_it_stood(
    secret: str, before: str, after: str, field: str, name: str
) -> None:
    result = BY.validate(event(name, occurred_at=None) | {field: [f"{before} {secret} {after}"]}, RECEIVED)
    assert isinstance(result, Rejected)
    for text in texts_of(result):
        assert secret not in text
