"""Source formats: each one's sample is its test, and a file of one's own is checked before it reads anything."""

import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from parley.errors import ParleyError
from parley.landing import formats
from parley.landing.formats import Failure, Format, Mapper, Sample
from parley.landing.results import Accepted, Dropped, Rejected
from parley.landing.sources import Chunk
from parley.landing.validation import validate_lines
from tests.support.contract import FOLDER, FORMATS, rules

SHIPPED = {
    "bot chatgpt chatwoot claude conversation ga4 intercom langfuse openai otel parley posthog rasa segment snowplow "
    "telegram transcript zendesk"
}
SAMPLES = [
    pytest.param(source_format, sample, id=f"{source_format.name}-{number}")
    for source_format in FORMATS.values()
    for number, sample in enumerate(source_format.samples)
]
MUTANTS = 560  # of each format, which are 10,000 of all; PARLEY_MUTANTS=10000 takes as many of each


def document(sample: Sample) -> Any:
    """The sample's document as the reader hands it on."""
    return sample.document if sample.parent is None else {"parent": sample.parent, "document": sample.document}


def with_uuid(event: dict[str, Any]) -> dict[str, Any]:
    if "event_id" not in event:
        return event
    given = event["event_id"]
    return {**event, "event_id": formats.canonical_uuid(given) or formats.named_uuid(given.encode())}


def test_the_shipped_formats_are_those_of_the_contract() -> None:
    assert {" ".join(FORMATS)} == SHIPPED
    assert [name for name, each in FORMATS.items() if each.is_native] == ["parley"]
    assert all(each.samples and each.recognise for each in FORMATS.values())


@pytest.mark.parametrize(("source_format", "sample"), SAMPLES)
def test_a_sample_becomes_the_events_that_its_file_says(source_format: Format, sample: Sample) -> None:
    assert Mapper(source_format).events(document(sample), derive=False) == [with_uuid(e) for e in sample.events]


@pytest.mark.parametrize(("source_format", "sample"), SAMPLES)
def test_a_sample_is_recognised_as_its_format_alone(source_format: Format, sample: Sample) -> None:
    assert [each.name for each in FORMATS.values() if formats.fits(each, [document(sample)])] == [source_format.name]


@pytest.mark.parametrize(("source_format", "sample"), SAMPLES)
def test_a_samples_events_land_whatever_their_format(source_format: Format, sample: Sample) -> None:
    found = validated(source_format, [orjson.dumps(document(sample))])
    assert found == {"accepted": len(sample.events)}


def validated(source_format: Format, lines: list[bytes]) -> Counter[str]:
    by = rules(source_format=source_format, default_tenant="open")
    counts: Counter[str] = Counter()
    for _, result in validate_lines(by, Chunk(1, len(lines), b"\n".join(lines)))[0]:
        match result:
            case Accepted():
                counts["accepted"] += 1
            case Rejected():
                counts[result.reason] += 1
            case Dropped():
                counts[result.outcome] += 1
    return counts


@pytest.mark.parametrize("named", sorted(FORMATS))
def test_a_wrong_format_lands_no_event_of_another(named: str) -> None:
    """A format may read what another does too (a page of the same API), but nothing lands without its words."""
    documents = [
        (other.name, orjson.dumps(document(sample)))
        for other in FORMATS.values()
        if named != other.name and {named, other.name} != {"posthog", "segment"}
        for sample in other.samples
    ]
    by = rules(source_format=FORMATS[named], default_tenant="open")
    chunk = Chunk(1, len(documents), b"\n".join(line for _, line in documents))
    landed = [documents[line - 1] for line, result in validate_lines(by, chunk)[0] if isinstance(result, Accepted)]
    assert landed == []


def mutated(value: Any, random_: random.Random) -> Any:
    """A document with one thing changed somewhere inside."""
    if isinstance(value, dict) and value and random_.random() < 0.9:
        key = random_.choice(sorted(value))
        if random_.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        return value | {key: mutated(value[key], random_)}
    if isinstance(value, list) and value and random_.random() < 0.9:
        index = random_.randrange(len(value))
        return [*value[:index], mutated(value[index], random_), *value[index + 1 :]]
    return random_.choice(
        [None, True, "", "x", "\U0001f600", -1, 2**63, 1.5, [], {}, [None], {"a": 1}, "9" * 30, "2024-13-45", [[[]]]]
    )


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_any_document_is_accepted_or_rejected_with_a_reason(name: str) -> None:
    source_format = FORMATS[name]
    random_ = random.Random(name)
    lines = [
        orjson.dumps(mutated(document(random_.choice(source_format.samples)), random_))
        for _ in range(int(os.environ.get("PARLEY_MUTANTS", MUTANTS)))
    ]
    by = rules(source_format=source_format, default_tenant="open")
    seen: Counter[int] = Counter()
    results, unread = validate_lines(by, Chunk(1, len(lines), b"\n".join(lines)))
    for line, result in results:
        seen[line] += 1
        if isinstance(result, Rejected):
            assert result.message.endswith(".")
    assert len(seen) + unread.empty.total() == len(lines)


def test_a_value_of_a_wrong_type_is_null_and_not_nothing() -> None:
    """`.a?` gives nothing where it does not fit, and an event made with nothing vanishes."""
    for each in FORMATS.values():
        code = re.sub(r'"(?:[^"\\]|\\.)*"', '""', each.program + (each.recognise or "") + each.prelude)
        assert not re.findall(r".{0,30}\?(?! //)", code), each.name


IDS = {"id", "uuid", "messageId", "traceId", "trace_id", "spanId", "event_id", "message_id", "custom_id", "ticket_id"}
KNOWN_BY_WORDS = {"chatgpt", "rasa", "transcript"}  # and by time, producer or place


def nameless(value: Any) -> Any:
    """A document without the ids in it."""
    if isinstance(value, dict):
        return {key: None if key in IDS else nameless(inner) for key, inner in value.items()}
    return [nameless(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("source_format", "sample"), [each for each in SAMPLES if each.values[0].name not in KNOWN_BY_WORDS]
)
def test_documents_without_ids_are_not_taken_for_one_another(source_format: Format, sample: Sample) -> None:
    first = nameless(sample.document)
    mapper = Mapper(source_format)
    one, other = (
        mapper.events(document(Sample(each, (), sample.parent))) for each in (first, first | {"one more": "field"})
    )
    if not isinstance(one, Failure) and not isinstance(other, Failure):
        assert not {event["event_id"] for event in one} & {event["event_id"] for event in other}


def test_a_conversation_that_is_exported_again_has_grown() -> None:
    said = [{"role": "user", "content": words, "timestamp": 1717156800} for words in ("hi", "hi", "now", "then")]

    def ids(messages: list[Any], conversation: str = "c") -> list[str]:
        events = Mapper(FORMATS["transcript"]).events({"id": conversation, "messages": messages})
        assert not isinstance(events, Failure)
        return [event["event_id"] for event in events]

    assert len(set(ids(said))) == 4
    assert ids(said[:3]) == ids(said)[:3]
    assert ids(said[2:]) == ids(said)[2:]  # a page of it
    assert set(ids(said)).isdisjoint(ids(said, "d"))


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.jq"
    path.write_text(text)
    return path


def test_a_format_of_ones_own_needs_no_code(tmp_path: Path) -> None:
    path = own(tmp_path, "# description: Ours.\n{event_name: .n, occurred_at: (.at | time), attributes: .d}\n")
    events = Mapper(formats.find(FOLDER, str(path))).events({"n": "user.registered", "at": 1717156800, "d": {}, "x": 1})
    assert isinstance(events, list)
    assert events[0] | {"event_id": None} == {
        "event_id": None,
        "event_name": "user.registered",
        "occurred_at": "2024-05-31T12:00:00Z",
        "attributes": {},
    }


def test_documents_that_differ_in_an_unread_field_are_two_events(tmp_path: Path) -> None:
    mapper = Mapper(
        formats.find(FOLDER, str(own(tmp_path, "# description: Ours.\n{event_name: .n}, {event_name: .n}\n")))
    )
    ids = [
        event["event_id"]
        for unread in (1, 2, 2)
        for event in mapper.events({"n": "a.b", "unread": unread})  # type: ignore[union-attr]
    ]
    assert ids[2:4] == ids[4:]
    assert len(set(ids)) == 4


def test_what_a_filter_does_not_read_is_named() -> None:
    mapper = Mapper(FORMATS["segment"])
    call = {
        "type": "track",
        "event": "x",
        "properties": {"a": 1},
        "writeKey": "w",
        "context": {"ip": "1"},
        "_": {"b": 2},
    }
    events = mapper.events(call)
    assert not isinstance(events, Failure)
    assert sorted(mapper.unread(call, events)) == ["_", "writeKey"]
    assert mapper.unread({"jane@example.com": 1}, []) == ["(another name)"]


def test_a_filter_sees_nothing_but_its_document(tmp_path: Path) -> None:
    for program in ("{event_name: env.HOME}", "{event_name: $ENV.PATH}"):
        mapper = Mapper(formats.find(FOLDER, str(own(tmp_path, f"# description: Ours.\n{program}\n"))))
        (event,) = mapper.events({}, derive=False)
        assert event.get("event_name") is None  # type: ignore[union-attr]
    for program in ("input", "now", "halt", "[inputs]"):
        mapper = Mapper(formats.find(FOLDER, str(own(tmp_path, f"# description: Ours.\n{program}\n"))))
        found = dict(mapper.map([(1, b"{}"), (2, b"{}")]))
        assert all(isinstance(each, Failure) for each in found.values()), program


def test_numbers_keep_their_digits_and_documents_their_order() -> None:
    numbers = ["1", "9007199254740993", "1.5", "0.1234567890123456", "-0.25", "9223372036854775807", "1e3", "12.0"]
    calls = [
        (line, b'{"type":"track","event":"a","messageId":"m","properties":{"n":%b}}' % number.encode())
        for line, number in enumerate(numbers, 1)
    ]
    found = [
        (line, events[0]["attributes"]["n"])
        for line, events in Mapper(FORMATS["segment"]).map(calls, set())
        if not isinstance(events, Failure)
    ]
    assert found == list(enumerate([orjson.loads(number) for number in numbers], 1))


def test_a_number_that_is_none_is_null_and_holds_up_no_other(tmp_path: Path) -> None:
    mapper = Mapper(formats.find(FOLDER, str(own(tmp_path, "# description: Ours.\n{event_name: .n, sequence: nan}\n"))))
    found = [events for _, events in mapper.map([(1, b'{"n":"a.b"}'), (2, b'{"n":"c.d"}')])]
    assert [events[0] for events in found if not isinstance(events, Failure)] == [
        {"event_name": name, "event_id": events[0]["event_id"]}  # type: ignore[index]
        for name, events in zip(("a.b", "c.d"), found, strict=True)
    ]


def test_one_document_that_fails_holds_up_no_other() -> None:
    found = dict(
        Mapper(FORMATS["segment"]).map([(1, b'{"type":"track","event":"a"}'), (2, b"5"), (3, b'{"type":"page"}')])
    )
    assert isinstance(found[2], Failure)
    assert [line for line, events in found.items() if not isinstance(events, Failure)] == [1, 3]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# description: Ours.\n", "has no jq filter"),
        ("{event_name: .n}\n", "own.jq"),
        ("# description: Ours.\n# aliases: {}\n.\n", "aliases"),
        ("# description: [\n.\n", "is not right as YAML"),
        ("# description: Ours.\n{event_name: .n\n", "own.jq is not right as jq"),
        ("# description: Ours.\n# recognise: .a |\n{a}\n", "own.jq is not right as jq"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_what_is_wrong(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ParleyError, match=sentence):
        formats.find(FOLDER, str(own(tmp_path, text)))


def test_an_unknown_format_is_named_with_those_there_are() -> None:
    with pytest.raises(ParleyError, match=r"no source format 'amplitude': use one of bot, chatgpt, "):
        formats.find(FOLDER, "amplitude")
    with pytest.raises(ParleyError, match=r"There is no file mine\.jq"):
        formats.find(FOLDER, "mine.jq")
