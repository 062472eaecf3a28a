"""JSON that is not one document a line, cut into documents without being read whole."""

import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.landing.documents import BrokenDocument, documents, is_stream

LONGEST = 1_000_000
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=4)


def cut(text: bytes, size: int = 7) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


def read(text: str, *paths: str, size: int = 7) -> list[object]:
    found = documents(cut(text.encode(), size), [tuple(path.split(".")) for path in paths], LONGEST)
    return [each if isinstance(each, BrokenDocument) else json.loads(each) for each in found]


@given(st.lists(objects, max_size=5), st.sampled_from([None, 2]), st.integers(1, 50), st.booleans())
def test_documents_come_out_as_they_are_however_the_text_is_cut(
    given_: list[object], indent: int | None, size: int, in_array: bool
) -> None:
    if in_array:
        text = json.dumps(given_, indent=indent, ensure_ascii=False)
    else:
        text = "".join(json.dumps(each, indent=indent, ensure_ascii=False) for each in given_)
    assert read(text, size=size) == given_


@given(st.lists(objects, min_size=1, max_size=4), st.integers(1, 50))
def test_elements_of_an_array_inside_come_with_what_stands_around_them(given_: list[object], size: int) -> None:
    text = json.dumps({"id": 7, "chats": {"list": [{"name": "a", "messages": given_}, {"messages": []}]}, "end": 1})
    around = {"id": 7, "name": "a"}
    assert read(text, "messages", "chats.list.[].messages", size=size) == [
        {"parent": around, "document": each} for each in given_
    ]


def test_an_object_without_the_array_is_a_document() -> None:
    assert read('{"a": {"b": [1]}} [{"a": 2}]', "messages") == [
        {"parent": None, "document": {"a": {"b": [1]}}},
        {"parent": None, "document": {"a": 2}},
    ]


def test_the_documents_after_a_broken_one_are_read_where_they_begin_a_line() -> None:
    found = read('{"a": 1}\n{"b": \n x}\n{"c": 3}\n')
    assert [found[0], found[2]] == [{"a": 1}, {"c": 3}]
    assert isinstance(found[1], BrokenDocument)


def test_a_broken_array_is_said_to_be_so_after_what_could_be_read() -> None:
    found = documents(cut(b'[{"a": 1}, {"b" 2}, {"c": 3}]'), [], LONGEST)
    assert json.loads(next(found)) == {"a": 1}  # type: ignore[arg-type]
    with pytest.raises(BrokenDocument, match="no JSON"):
        next(found)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b'{"a":1}\n{"b":2}\n', False),
        (b'{"a":1}', False),
        (b'{"event_id": \n{"a":1}\n', False),
        (b"no JSON\n", False),
        (b"[1, 2]\n[3]\n", False),
        (b'{\n  "a": 1\n}\n', True),
        (b'{"a":1}{"b":2}\n', True),
        (b'[{"a":1}]', True),
        (b'[\n{"a":1}]', True),
        (b'{"a": [\n1,\n2', True),
        (b'\x1e{"a":1}\n\x1e{"b":2}\n', True),
    ],
)
def test_json_that_is_not_one_document_a_line_is_known(first: bytes, expected: bool) -> None:
    assert is_stream(first) is expected


def test_an_array_of_any_size_takes_little_memory() -> None:
    def text() -> Iterator[bytes]:
        yield b"[" + b'{"text": "' + b"x" * 1000 + b'"}'
        for _ in range(300):
            yield (b',{"text": "' + b"x" * 1000 + b'"}') * 100
        yield b"]"

    tracemalloc.start()
    try:
        assert sum(1 for _ in documents(text(), [], LONGEST)) == 30_001
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
