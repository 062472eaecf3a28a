"""The tracking plan's files: what is shipped, and what is said of mistakes in them."""

from pathlib import Path

import pytest

from parley.config import tracking_plan
from parley.config.tracking_plan import EventType
from parley.errors import ParleyError

FOLDER = Path(__file__).parents[2] / tracking_plan.FOLDER
SHIPPED = tracking_plan.load(FOLDER)

CONTRACT = {
    "conversation.started": (["ai_dialog_started", "conversation_started"], []),
    "conversation.resolved": (["conversation_resolved"], []),
    "conversation.escalated": (["conversation_escalated"], []),
    "conversation.abandoned": (["conversation_abandoned"], []),
    "conversation.rated": ([], ["rating"]),
    "conversation.scored": ([], ["judge", "rubric"]),
    "message.received": (["message_received"], []),
    "message.sent": (["message_sent"], []),
    "message.noted": ([], []),
    "ai.response": (["ai_response_time"], ["duration_ms", "model"]),
    "ai.suggestion_accepted": (["ai_suggestion_accepted"], []),
    "ai.tool_call_started": ([], ["tool_name"]),
    "ai.tool_call_completed": ([], ["tool_name", "success"]),
    "ai.tool_chain_completed": ([], ["tool_count", "success"]),
    "kb.search": (["knowledge_retrieved"], ["query", "results_count"]),
    "kb.hit": ([], []),
    "kb.citation_clicked": (["citation_clicked"], []),
    "voice.turn_started": ([], []),
    "voice.first_response": ([], ["duration_ms"]),
    "voice.barge_in": ([], []),
    "voice.asr_partial": ([], ["latency_ms"]),
    "service.suggested": (["service_suggested"], ["service_name", "confidence_score"]),
    "service.added": (["service_added"], ["service_name"]),
    "cart.confirmed": (["cart_confirmed"], []),
    "commerce.view": ([], []),
    "commerce.add_to_cart": ([], []),
    "commerce.checkout": ([], []),
    "commerce.order_completed": ([], ["order_id", "revenue"]),
    "commerce.order_refunded": ([], ["order_id", "revenue"]),
    "booking.slot_hold": ([], ["booking_id"]),
    "booking.requested": (["booking_request_created"], ["booking_id"]),
    "booking.confirmed": ([], ["booking_id"]),
    "system.error": (["error_occurred"], []),
    "experiment.exposed": ([], ["experiment", "variant"]),
    "user.registered": ([], []),
    "user.logged_in": ([], []),
    "user.logged_out": ([], []),
    "user.identified": ([], []),
    "user.aliased": ([], []),
    "group.identified": ([], []),
    "page.viewed": ([], []),
    "screen.viewed": ([], []),
    "page.clicked": ([], []),
    "page.scrolled": ([], []),
    "page.engaged": ([], []),
    "page.left": ([], []),
    "session.started": ([], []),
    "user.first_seen": ([], []),
    "feedback.given": ([], []),
}
CONVERSATIONAL = {"conversation", "message", "ai", "kb", "voice"}  # and a service that the assistant suggests


def written(folder: Path, text: str) -> Path:
    file = folder / "loyalty.yml"
    file.write_text(text)
    return file


def one(folder: Path, definition: str) -> EventType:
    """The event type loyalty.earned, of a definition in YAML's flow style."""
    (kind,) = tracking_plan.read_types(written(folder, f"event_types:\n  loyalty.earned: {definition}\n"))
    return kind


def test_every_type_of_the_contract_is_shipped_with_its_aliases_and_required_attributes() -> None:
    shipped = {kind.event_name: kind for kind in SHIPPED.types}
    assert shipped.keys() == CONTRACT.keys()
    for name, (aliases, required) in CONTRACT.items():
        assert set(aliases) <= set(shipped[name].aliases), name
        assert shipped[name].attributes_schema["required"] == required, name
        assert shipped[name].is_active


def test_only_what_happens_in_a_conversation_makes_one() -> None:
    for kind in SHIPPED.types:
        domain = kind.event_name.partition(".")[0]
        expected = domain in CONVERSATIONAL or kind.event_name == "service.suggested"
        assert kind.is_conversational == expected, kind.event_name


def test_whose_doing_an_event_is_and_its_place_within_an_instant_are_said_by_its_type() -> None:
    said = {kind.event_name: (kind.actor, kind.rank) for kind in SHIPPED.types}
    assert said["conversation.started"] == ("customer", "start")
    assert said["message.received"] == said["commerce.order_completed"] == ("customer", "customer")
    assert said["message.sent"] == said["ai.response"] == ("assistant", "answer")
    assert said["message.noted"] == ("agent", "answer")
    assert said["conversation.resolved"] == ("assistant", "end")
    assert said["conversation.scored"] == said["conversation.rated"] == ("system", "afterwards")
    assert said["commerce.order_refunded"] == ("agent", "afterwards")
    assert said["system.error"][0] == said["user.identified"][0] == "system"


def test_a_type_that_does_not_say_is_the_customers(tmp_path: Path) -> None:
    kind = one(tmp_path, "{description: a}")
    assert (kind.actor, kind.rank) == ("customer", "customer")
    kind = one(tmp_path, "{description: a, actor: agent, rank: answer}")
    assert (kind.actor, kind.rank) == ("agent", "answer")
    with pytest.raises(ParleyError, match=r'loyalty\.earned, rank: "later" is not one of'):
        one(tmp_path, "{description: a, rank: later}")


def test_otels_names_are_aliases_of_attributes() -> None:
    renames = {kind.event_name: kind.renames for kind in SHIPPED.types}
    assert renames["ai.response"]["gen_ai.request.model"] == renames["ai.response"]["model_used"] == "model"
    assert renames["ai.tool_call_completed"]["gen_ai.tool.name"] == "tool_name"


def test_free_text_is_cut_at_500_characters_for_queries_and_at_4000_for_messages() -> None:
    privacy = {kind.event_name: kind.privacy for kind in SHIPPED.types}
    assert privacy["message.received"]["text"] == privacy["message.sent"]["text"] == {"text": 4000}
    assert privacy["kb.search"]["query"] == {"text": 500}
    assert privacy["system.error"]["error_message"] == {"text": 4000}


def test_the_names_of_the_contract_are_personal() -> None:
    names = {"phone_number", "phone", "email", "address", "full_name", "card_number"}
    assert names <= SHIPPED.privacy.names.keys()
    assert "password" in SHIPPED.privacy.secrets  # dropped wherever it stands in a key
    assert SHIPPED.privacy.text.items() >= {"text": 4000, "query": 500, "error_message": 4000}.items()
    assert set(SHIPPED.privacy.patterns) == {"email", "phone", "card", "iban"}


def test_a_definition_becomes_a_schema_renames_and_privacy_rules(tmp_path: Path) -> None:
    kind = one(
        tmp_path,
        "{description: Points., aliases: [points_earned], version: 3, required: [points], attributes: {"
        "points: {type: integer, minimum: 0, aliases: [pts]}, member: {type: string, privacy: hash}}}",
    )
    assert kind == EventType(
        tenant_id="*",
        event_name="loyalty.earned",
        aliases=("points_earned",),
        category="loyalty",
        description="Points.",
        version=3,
        is_active=True,
        is_conversational=False,
        attributes_schema={
            "type": "object",
            "properties": {"points": {"type": "integer", "minimum": 0}, "member": {"type": "string"}},
            "required": ["points"],
        },
        renames={"pts": "points"},
        privacy={"member": "hash"},
        origin="plan",
    )


def test_what_a_file_says_above_its_types_holds_for_all_of_them(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "category: club\nis_conversational: true\nevent_types:\n"
        "  loyalty.earned: {description: a}\n  loyalty.spent: {description: b, is_conversational: false}\n",
    )
    earned, spent = tracking_plan.read_types(file, "shop", "custom")
    assert (earned.category, earned.is_conversational) == ("club", True)
    assert (spent.category, spent.is_conversational) == ("club", False)
    assert (spent.tenant_id, spent.origin) == ("shop", "custom")


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("{}", 'loyalty.earned: "description" is a required property'),
        ("{description: a, requierd: [points]}", "loyalty.earned: .*requierd"),
        ("{description: a, required: [points]}", "loyalty.earned: 'points' is required but not among the attributes"),
        ("{description: a, version: 0}", "loyalty.earned, version: 0 is less than the minimum of 1"),
        ("{description: a, aliases: points}", "loyalty.earned, aliases: .*array"),
        ("{description: a, attributes: {p: {type: integr}}}", "loyalty.earned: its attributes make no JSON Schema"),
        ("{description: a, attributes: {p: {pattern: '('}}}", "loyalty.earned: its attributes make no JSON Schema"),
        (
            "{description: a, attributes: {p: {$ref: 'https://example.com/schema'}}}",
            "loyalty.earned: its attributes make no JSON Schema",
        ),
        ("{description: a, attributes: {p: {privacy: encrypt}}}", "loyalty.earned, attributes, p, privacy: "),
        ("{description: a, attributes: {p: {privacy: {text: 0}}}}", "loyalty.earned, attributes, p, privacy: "),
        (
            "{description: a, attributes: {p: {aliases: [x]}, q: {aliases: [x]}}}",
            "loyalty.earned: the attribute alias 'x' stands for two attributes",
        ),
        (
            "{description: a, attributes: {p: {aliases: [q]}, q: {}}}",
            "loyalty.earned: the attribute alias 'q' stands for two attributes",
        ),
        ("{description: a, schema: {required: [p]}}", "loyalty.earned, schema"),
        ("{description: a, description: b}", "line 2 is not right as YAML: 'description' stands twice"),
        ("{description: a", "is not right as YAML"),
        ("{description: a, attributes: {1: {}}}", "a key that is no text: write it in quotes"),
    ],
)
def test_a_mistake_is_told_by_file_and_type(tmp_path: Path, definition: str, message: str) -> None:
    with pytest.raises(ParleyError, match=rf"loyalty\.yml.*{message}"):
        one(tmp_path, definition)


@pytest.mark.parametrize("name", ["Loyalty.earned", "loyalty", "loyalty.", "loyalty earned", "l." + "x" * 100])
def test_an_event_type_is_named_domain_action_in_lower_case(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParleyError, match=r"write the name of an event type as domain\.action"):
        tracking_plan.read_types(written(tmp_path, f"event_types:\n  '{name}': {{description: a}}\n"))


def test_a_type_that_stands_twice_is_an_error_and_not_a_loss(tmp_path: Path) -> None:
    text = "event_types:\n  a.b: {description: a}\n  a.b: {description: b}\n"
    with pytest.raises(ParleyError, match=r"line 3 .*'a\.b' stands twice"):
        tracking_plan.read_types(written(tmp_path, text))


@pytest.mark.parametrize("other", ["c.d: {description: b, aliases: [x]}", "c.d: {description: b, aliases: [a.b]}"])
def test_a_name_stands_for_one_type_only(tmp_path: Path, other: str) -> None:
    text = f"event_types:\n  a.b: {{description: a, aliases: [x]}}\n  {other}\n"
    with pytest.raises(ParleyError, match=r"stands for both a\.b and c\.d"):
        tracking_plan.read_types(written(tmp_path, text))


def test_a_folder_without_a_plan_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match="no tracking plan"):
        tracking_plan.load(tmp_path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match="cannot be read"):
        tracking_plan.read_types(tmp_path / "loyalty.yml")


def test_a_tenant_sees_its_own_type_in_place_of_a_shared_one(tmp_path: Path) -> None:
    file = written(tmp_path, "event_types:\n  user.registered: {description: ours}\n")
    own = tracking_plan.read_types(file, "shop", "custom")
    types = (*SHIPPED.types, *own)
    ours = {kind.event_name: kind.description for kind in tracking_plan.seen_by("shop", types)}
    theirs = {kind.event_name: kind.description for kind in tracking_plan.seen_by("salon", types)}
    assert ours == theirs | {"user.registered": "ours"}
    assert theirs["user.registered"] != "ours"
