"""What is personal in an event, and what is left of it."""

import hmac
from typing import Any

import orjson
import pytest

from benchmarks import privacy
from parley.config.tracking_plan import EventType
from parley.landing.rules import Rules
from tests.support.contract import SECRET, accepted, attributes_of, event, payload_of, rejected, rules

SENSITIVE = "jane@mail.example, +46 70 123 45 67, 4111 1111 1111 1111, SE45 5000 0000 0583 9825 7466"
SCRUBBED = "[email], [phone], [card], [iban]"


def kind(privacy: dict[str, Any], schema: dict[str, Any] | None = None) -> Rules:
    """Rules with a type loyalty.earned that has such privacy rules."""
    return rules(
        EventType(
            "shop", "loyalty.earned", (), "", "", 1, True, False, schema or {}, {"m": "member"}, privacy, "custom"
        )
    )


def landed(attributes: dict[str, Any], by: Rules | None = None, name: str = "message.received", **fields: Any) -> Any:
    return attributes_of(accepted(event(name, attributes, **fields), by))


# rules of an attribute


@pytest.mark.parametrize("value", ["Jane", 7, 1.5, True, ["Jane"], {"name": "Jane"}])
def test_an_attribute_is_kept_dropped_masked_or_hashed_as_its_rule_says(value: object) -> None:
    given = {"member": value}
    assert landed(given, kind({"member": "keep"}), "loyalty.earned") == given
    assert landed(given, kind({"member": "drop"}), "loyalty.earned") == {}
    assert landed(given, kind({"member": "mask"}), "loyalty.earned") == {"member": "[masked]"}
    hashed = landed(given, kind({"member": "hash"}), "loyalty.earned")["member"]
    written = value if isinstance(value, str) else orjson.dumps(value).decode()
    assert hashed == hmac.new(SECRET, written.encode(), "sha256").hexdigest()


@pytest.mark.parametrize("rule", ["drop", "hash", "mask"])
def test_the_rule_holds_for_an_attributes_alias_too(rule: str) -> None:
    assert "Jane" not in repr(accepted(event("loyalty.earned", {"m": "Jane"}), kind({"member": rule})))
    both = {"m": "Jane", "member": "Jane"}
    assert "Jane" not in repr(accepted(event("loyalty.earned", both), kind({"member": rule})))


@pytest.mark.parametrize("rule", ["hash", "mask"])
def test_a_null_has_nothing_to_hide(rule: str) -> None:
    schema = {"properties": {"member": {"type": "null"}}}
    assert landed({"member": None}, kind({"member": rule}, schema), "loyalty.earned") == {"member": None}


def test_an_attribute_of_free_text_is_scrubbed_and_cut() -> None:
    by = kind({"member": {"text": 40}})
    assert landed({"member": f"{SENSITIVE}; {'é' * 99}"}, by, "loyalty.earned")["member"] == f"{SCRUBBED}; {'é' * 6}"
    nested = {"member": {"notes": [SENSITIVE]}}
    assert landed(nested, by, "loyalty.earned") == {"member": {"notes": [SCRUBBED]}}


def test_a_number_in_free_text_may_be_one_to_call() -> None:
    by = kind({"member": {"text": 40}})
    assert landed({"member": 46701234567}, by, "loyalty.earned") == {"member": "[masked]"}
    assert landed({"member": 42}, by, "loyalty.earned") == {"member": 42}


# by name


@pytest.mark.parametrize(
    "name",
    [
        "phone_number",
        "phoneNumber",
        "Phone-Number",
        "PHONE",
        "phone_2",
        "phones",
        "email",
        "E-Mail",
        "customerEmail",
        "user.email_address",
        "address",
        "billing_addresses",
        "full_name",
        "cardNumber",
        "Ｐhone",
        "ph\u200bone",
        "phone_home",
        "phoneE164",
        "email_raw",
        "name_on_card",
        "pushName",
        "personnummer",
    ],
)
@pytest.mark.parametrize("value", ["x", 7, ["x"], {"y": "x"}])
def test_a_personal_name_is_masked_at_any_depth(name: str, value: object) -> None:
    masked = {name: "[masked]"}
    assert landed({name: value}) == masked
    assert landed({"customer": {"list": [{name: value}]}}) == {"customer": {"list": [masked]}}
    assert orjson.loads(accepted(event(context={"device": {name: value}})).context or b"") == {"device": masked}


@pytest.mark.parametrize("name", ["password", "userPassword", "cvv", "access_token"])
def test_a_secret_is_dropped(name: str) -> None:
    assert landed({name: "x", "login": {name: "x", "ok": True}}) == {"login": {"ok": True}}


@pytest.mark.parametrize("name", ["email_opened", "phone_verified", "addressee_count", "passwordless"])
def test_a_name_that_only_begins_like_a_personal_one_is_kept(name: str) -> None:
    assert landed({name: "x"}) == {name: "x"}


def test_a_flag_says_that_there_is_a_phone_and_not_which() -> None:
    assert landed({"mobile": True, "email": None, "phone": ""}) == {"mobile": True, "email": None, "phone": "[masked]"}


def test_a_rule_of_the_type_goes_before_the_name() -> None:
    hashed = landed({"email": "x"}, kind({"email": "hash"}), "loyalty.earned")["email"]
    assert hashed == hmac.new(SECRET, b"x", "sha256").hexdigest()
    assert landed({"email": "x"}, kind({"email": "keep"}), "loyalty.earned") == {"email": "[masked]"}


def test_a_key_that_is_an_address_itself_is_dropped() -> None:
    assert landed({"votes": {"jane@mail.example": 1, "total": 1}}) == {"votes": {"total": 1}}


# by pattern


@pytest.mark.parametrize(
    ("name", "attributes", "attribute", "longest"),
    [
        ("message.received", {}, "text", 4000),
        ("message.sent", {}, "text", 4000),
        ("kb.search", {"results_count": 0}, "query", 500),
        ("system.error", {}, "error_message", 4000),
    ],
)
def test_free_text_loses_what_is_personal_and_is_cut(
    name: str, attributes: dict[str, Any], attribute: str, longest: int
) -> None:
    assert landed(attributes | {attribute: SENSITIVE}, name=name)[attribute] == SCRUBBED
    assert landed(attributes | {attribute: "あ" * 5000}, name=name)[attribute] == "あ" * longest
    assert landed(attributes | {attribute: "a" * longest}, name=name)[attribute] == "a" * longest


def test_a_number_that_the_cut_goes_through_is_gone_before_it() -> None:
    assert landed({"text": "x" * 3990 + " 4111 1111 1111 1111"})["text"] == "x" * 3990 + " [card]"


def test_ids_and_numbers_that_name_a_thing_stay_whole_described_or_not() -> None:
    given = {"order_id": "0701234567", "revenue": 1, "sku": "4006381333931", "ref": "4111111111111111", "lot": 10**15}
    assert landed(given, name="commerce.order_completed") == given
    given = {
        "tracking_number": "0701234567",
        "trace": {"id": "550e8400-e29b-41d4-a716-446655440000"},
        "at_ms": 1717171717171,
    }
    assert landed(given, name="user.registered") == given


def test_all_other_attributes_are_searched_described_or_not() -> None:
    given = {
        "note": SENSITIVE,
        "answer": "070-123 45 67",
        "total": {"card": 4111111111111111},
        "order_id": "a@b.example",
    }
    expected = {"note": SCRUBBED, "answer": "[phone]", "total": {"card": "[masked]"}}
    found = landed(given, name="user.registered")
    assert found == expected | {"order_id": found["order_id"]}
    assert len(found["order_id"]) == 64
    assert landed({"service_name": f"for {SENSITIVE}"}, name="service.added") == {"service_name": f"for {SCRUBBED}"}


def test_what_the_plan_keeps_is_not_searched() -> None:
    given = {"member": "0701234567", "name": "Cut"}
    assert landed(given, kind({"member": "keep", "name": "keep"}), "loyalty.earned") == given


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "Jane"}, {"name": "[masked]"}),
        ({"customer.name": "Jane", "displayName": "J"}, {"customer.name": "[masked]", "displayName": "[masked]"}),
        ({"guests": [{"name": "Jane"}]}, {"guests": [{"name": "[masked]"}]}),
        ({"items": [{"name": "Shirt"}], "product": {"name": "Shirt"}}, None),
        ({"product_name": "Shirt", "tool_name": "search", "name_length": 4}, None),
        (
            {"from": "cart", "to": "checkout", "caller": "bot", "period": {"from": "2026-05-01", "to": "2026-05-31"}},
            None,
        ),
        ({"from": "5550134", "caller": 46701234567}, {"from": "[phone]", "caller": "[masked]"}),
        ({"password_changed_at": "2026-05-01", "password_length": 8, "has_password": True}, None),
    ],
)
def test_names_and_numbers_are_known_by_their_keys(given: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert landed(given, name="user.registered") == (expected or given)


@pytest.mark.parametrize(
    "key", ["passwordConfirm", "password_confirmation", "newPassword2", "PasswordAgain", "user_passwd_old", "cvv2"]
)
def test_a_password_is_dropped_whatever_its_key_begins_and_ends_with(key: str) -> None:
    assert landed({key: "hunter2", "ok": True}, name="user.registered") == {"ok": True}


def test_events_of_unknown_types_lose_all_of_it_in_all_texts_but_ids() -> None:
    given = {"contact": SENSITIVE, "order_id": "0701234567", "deep": [{"note": SENSITIVE}]}
    expected = {"contact": SCRUBBED, "order_id": "0701234567", "deep": [{"note": SCRUBBED}]}
    assert landed(given, name="made.up", tenant_id="open") == expected
    assert payload_of(rejected(event("made.up", given)))["attributes"] == expected


# the context


def test_of_the_context_urls_keep_their_path_and_addresses_their_network() -> None:
    context = {
        "ip": "203.0.113.77",
        "network": {"clientIp": "2001:db8:1:2::5", "via": "198.51.100.9"},
        "page": {
            "url": "https://shop.example/p?email=a@b.example",
            "title": "Why? Because",
            "search": "?q=a@b.example",
        },
        "referrer": "https://search.example/?q=jane",
        "campaign": "https://shop.example/spring#top",
        "device": {"model": "4 Pro", "osVersion": "10.0.19045.3570"},
        "page_views": 3,
        "link": ["https://a.example/b?c", 4],
    }
    assert orjson.loads(accepted(event(context=context)).context or b"") == {
        "ip": "203.0.113.0",
        "network": {"clientIp": "2001:db8:1::", "via": "198.51.100.0"},
        "page": {"url": "/p", "title": "Why? Because", "search": ""},
        "referrer": "/",
        "campaign": "/spring",
        "device": {"model": "4 Pro", "osVersion": "10.0.19045.3570"},
        "page_views": 3,
        "link": ["/b", 4],
    }


def test_urls_and_ip_addresses_in_attributes_are_known_by_their_names() -> None:
    given = {
        "url": "https://docs.example/a?b=c",
        "score": 1,
        "source_url": "https://x.example/y?z",
        "ip": "203.0.113.77",
    }
    assert landed(given, name="kb.citation_clicked") == {
        "url": "/a",
        "score": 1,
        "source_url": "/y",
        "ip": "203.0.113.0",
    }


# users and rejected events


def test_user_ids_are_hashed_where_the_tenant_says_so() -> None:
    assert accepted(event()).user_id == "u1"
    assert accepted(event(tenant_id="hashing")).user_id == hmac.new(SECRET, b"u1", "sha256").hexdigest()


CONTACTS = (
    "jane@mail.example", "mailto:jane@mail.example", "jane%40mail.example", "jane\u200b@mail.example",
    "46701234567@s.whatsapp.net", "+46701234567", "whatsapp:+46701234567", "u_+46701234567", "user_+12125550134",
    "4111111111111111", "card:4111-1111-1111-1111", "DE89370400440532013000", "amFuZUBtYWlsLmV4YW1wbGU=",
    "6a616e652e646f65406d61696c2e6578616d706c65", "u-6a616e65406d61696c2e6578616d706c65",
    "user_amFuZUBtYWlsLmV4YW1wbGU", "c-de89370400440532013000",
)  # fmt: skip


@pytest.mark.parametrize(
    "said", ["ab@cd.ef", "0701234567", "jan\u00e9@caf\u00e9.com", "\u65e5@b.jp", "\U0001f600y@b.com"]
)
def test_an_id_that_hides_something_in_hexadecimal_is_hashed(said: str) -> None:
    for beside in ("{}", "s-{}", "user_{}"):
        hidden = beside.format(said.encode().hex())
        assert accepted(event(user_id=hidden)).user_id == hmac.new(SECRET, hidden.encode(), "sha256").hexdigest()
    assert accepted(event(user_id="s-d7d1b02ac442fde9")).user_id == "s-d7d1b02ac442fde9"


FIELDS = ("user_id", "anonymous_id", "conversation_id", "session_id", "site_id")


@pytest.mark.parametrize("contact", CONTACTS)
def test_an_id_that_is_somebodys_address_or_number_is_hashed(contact: str) -> None:
    landed = accepted(event(**dict.fromkeys(FIELDS, contact)))
    kept = payload_of(rejected(event("?", **dict.fromkeys(FIELDS, contact))))
    hashed = hmac.new(SECRET, contact.encode(), "sha256").hexdigest()
    assert {getattr(landed, field) for field in FIELDS} == {kept[field] for field in FIELDS} == {hashed}


@pytest.mark.parametrize(
    "plain", ["u1", "71717171", "1234567890", "user-12345678", "conv-8f2d6b1e7c90", "c-20240531123000"]
)
def test_an_id_that_names_nobody_stays(plain: str) -> None:
    landed = accepted(event(**dict.fromkeys(FIELDS, plain)))
    assert {getattr(landed, field) for field in FIELDS} == {plain}


@pytest.mark.parametrize("contact", CONTACTS)
def test_no_tenant_and_no_type_of_event_is_called_by_somebodys_address_or_number(contact: str) -> None:
    kept = rejected(event(tenant_id=contact))
    assert (kept.tenant_id, kept.reason) == (None, "invalid_value")
    assert contact not in repr(kept)
    assert rejected(event(tenant_id=contact, event_name="?")).tenant_id is None
    unknown = rejected(event(contact, tenant_id="open"))
    assert unknown.reason == "invalid_value"
    assert contact not in repr(unknown)


@pytest.mark.parametrize("contact", CONTACTS)
def test_a_key_that_is_somebodys_address_or_number_is_dropped(contact: str) -> None:
    given = {"votes": {contact: 1, "total": 1}}
    assert landed(given) == {"votes": {"total": 1}}
    assert orjson.loads(accepted(event(context=given)).context or b"") == {"votes": {"total": 1}}


def test_a_rejected_event_is_as_private_as_one_that_lands() -> None:
    given = event(
        "system.error",
        {"error_message": SENSITIVE, "stacktrace": SENSITIVE, "email": "x", "error_class": 4, "note": SENSITIVE},
        context={"ip": "203.0.113.77"},
        tenant_id="hashing",
        remark=SENSITIVE,
        password="x",
    )
    expected = given | {
        "attributes": {"error_message": SCRUBBED, "email": "[masked]", "error_class": 4, "note": SCRUBBED},
        "context": {"ip": "203.0.113.0"},
        "user_id": hmac.new(SECRET, b"u1", "sha256").hexdigest(),
        "remark": SCRUBBED,
    }
    del expected["password"]
    assert payload_of(rejected(given)) == expected


@pytest.mark.parametrize(
    "given",
    [
        event(f"write to {SENSITIVE}"),
        event(occurred_at=SENSITIVE),
        event(event_id=SENSITIVE),
        event(source=SENSITIVE),
        event(attributes=SENSITIVE),
        event(attributes=[SENSITIVE]),
        event(context=[SENSITIVE]),
        event("conversation.rated", {"rating": SENSITIVE}),
        event("conversation.resolved", {"resolved_by": SENSITIVE}),
        event(user_id=SENSITIVE * 2),
        event(user_id=[SENSITIVE]),
        event(tenant_id=SENSITIVE),
        event(attributes={SENSITIVE: 1, "note": "a\0"}),
        [SENSITIVE],
        SENSITIVE,
    ],
)
def test_nothing_personal_is_in_a_rejection_wherever_it_stood(given: object) -> None:
    result = repr(rejected(given))
    for secret in ("jane@mail.example", "+46 70 123 45 67", "4111 1111 1111 1111", "SE45 5000 0000 0583 9825 7466"):
        assert secret not in result


def test_a_user_of_a_tenant_that_hashes_is_hashed_in_a_rejection_whatever_it_was() -> None:
    for user_id in ("u1", 71717171, ["71717171"], "7" * 200):
        result = rejected(event(tenant_id="hashing", user_id=user_id, event_name="?"))
        assert "7171" not in repr(result)
        assert len(payload_of(result)["user_id"]) == 64


def test_what_leaks_and_what_is_masked_wrongly_keeps_to_the_bounds() -> None:
    by = privacy.rules()
    for title, plant, wrong, bound in privacy.PARTS:
        bad, total = privacy.rates(by, plant(privacy.Maker(11), 10), wrong, show=False)
        assert bad <= bound * total, title
