"""What is wrong with an event, and how its producer is told: where, and what to do."""

import re
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from parley.config.tracking_plan import Json
from parley.landing.privacy import MAX_DEPTH, Unstorable, dump, storable
from parley.landing.results import Reason

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Rejection(Exception):
    """Ends a validation: the reason, a field of our envelope, the steps from it inwards, and what is wrong with it."""

    def __init__(self, reason: Reason, field: str | None, message: str, steps: Iterable[str | int] = ()) -> None:
        self.reason: Reason = reason
        self.field = field
        self.message = message
        self.steps = tuple(steps)


def stored_json(content: Json) -> bytes:
    """JSON that Postgres takes: without U+0000."""
    found = dump(content)
    if b"\\u0000" in found and storable(content) != content:
        raise Unstorable
    return found


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def what_cannot_be_stored(event: Any) -> Rejection:
    """Where an event holds something that cannot be stored, and what."""
    found = next(_unstorable(event, ()), None)
    if found is None:
        return Rejection("invalid_value", None, "the event holds something that cannot be stored")
    steps, message = found
    return Rejection("invalid_value", None, message, steps)


def _unstorable(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    kind = type(value)
    if kind is str:
        if "\0" in value:
            yield steps, "holds the character U+0000: remove it"
        elif not is_unicode(value):
            yield steps, "is no Unicode text (half of a surrogate pair stands alone): send it whole"
    elif kind is float:
        if not isfinite(value):
            yield steps, "is not a finite number: leave it out"
    elif kind is int:
        if storable(value) is None:
            yield steps, "does not fit 64 bits: send it as a text"
    elif kind is dict or kind is list:
        if len(steps) >= MAX_DEPTH:
            yield steps[:3], f"is nested deeper than {MAX_DEPTH} levels: make it flatter"
            return
        for key, item in value.items() if kind is dict else enumerate(value):
            if kind is dict:
                for _, message in _unstorable(key, steps):
                    yield steps, f"has a key that {message}"
            yield from _unstorable(item, (*steps, key))


def json_path(steps: Iterable[str | int]) -> str:
    """A JSON path (RFC 9535) from the root of the event."""
    path = "$"
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _IDENTIFIER.fullmatch(step):
            path += f".{step}"
        else:
            path += "['" + storable(step).replace("\\", "\\\\").replace("'", "\\'") + "']"
    return path


def sentence(place: str, message: str) -> str:
    words = f"{place} {message}" if place else message[:1].upper() + message[1:]
    return f"{words}."
