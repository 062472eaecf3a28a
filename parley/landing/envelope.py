"""The fields of an event as Parley takes it, how events without a UUID get one, and numbers that keep every digit."""

import json
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import sha1
from math import isfinite
from typing import Any
from uuid import UUID

import orjson

FIELDS = (
    "event_id",
    "event_name",
    "occurred_at",
    "tenant_id",
    "conversation_id",
    "session_id",
    "user_id",
    "anonymous_id",
    "site_id",
    "source",
    "sequence",
    "actor",
    "attributes",
    "context",
)
KNOWN = frozenset(FIELDS)
NAMESPACE = UUID("6f1d0f0e-2c0b-5c0e-9a51-2f7b7d1c3a64")  # of the UUIDv5 of events that come without a UUID
MAX_WHOLE_NUMBER = 2**63

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# A number of so many digits that it may be inexact: where it begins a value, for ids and times in texts have as many.
_PERHAPS_INEXACT = re.compile(rb"-?\d(?:[\d.]{15}|[\d.]*[eE][+-]?\d{3})")
_PERHAPS_INEXACT_WITHIN = re.compile(rb"[\s:,\[]" + _PERHAPS_INEXACT.pattern)
# A line in which digits and points are 0, signs are -, and what a value follows is a colon: by it most lines show that
# they have no such number.
_OUTLINE = bytes.maketrans(b"123456789.E+ \t\r\n\v\f,[", b"0000000000e-::::::::")
_LONG_NUMBER = re.compile(rb":-?0(?:0{15}|0*e-?000)")


class Digits(str):
    """A number that neither 64 bits nor a double hold exactly, as it was written."""

    __slots__ = ()


def canonical_uuid(text: str) -> str | None:
    """A UUID in lower case with hyphens, None where the text is none. Hyphens may be missing."""
    if _UUID.fullmatch(text):
        return text
    lower = text.lower()
    if len(lower) == 32:
        lower = "-".join((lower[:8], lower[8:12], lower[12:16], lower[16:20], lower[20:]))
    return lower if _UUID.fullmatch(lower) else None


def named_uuid(name: bytes) -> str:
    """The UUIDv5 (RFC 9562, section 5.5) of a name in Parley's namespace."""
    return str(UUID(bytes=sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16], version=5))


def decode(line: bytes | str) -> tuple[Any, bool]:
    """A JSON value, and whether it holds `Digits`. Raises orjson.JSONDecodeError where the line is no JSON."""
    raw = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    if not is_perhaps_inexact(raw):
        return orjson.loads(raw), False
    found: list[Digits] = []

    def number(text: str) -> Any:
        value = exact(text)
        if isinstance(value, Digits):
            found.append(value)
        return value

    value = orjson.loads(raw)
    try:
        kept = json.loads(raw, parse_int=number, parse_float=number)
    except (ValueError, RecursionError):
        return value, False
    return (kept, True) if found else (value, False)


def is_perhaps_inexact(raw: bytes) -> bool:
    """Whether JSON holds a number of so many digits that it may not be kept exactly."""
    outline = raw.translate(_OUTLINE)
    if not _LONG_NUMBER.search(outline) and outline[:1] not in b"0-":
        return False
    return bool(_PERHAPS_INEXACT_WITHIN.search(raw) or _PERHAPS_INEXACT.match(raw))


@lru_cache(maxsize=1_000)
def exact(text: str) -> int | float | Digits:
    """The number that a JSON number says, or its digits where it would have to be rounded."""
    if text.lstrip("-").isdigit() and len(text) < 25:
        whole = int(text)
        return whole if -MAX_WHOLE_NUMBER <= whole < 2 * MAX_WHOLE_NUMBER else Digits(text)
    if len(text) > 400:
        return Digits(text[:400])
    try:
        value, written = float(text), Decimal(text)
    except (ValueError, InvalidOperation):
        return Digits(text)
    if isfinite(value) and (Decimal(repr(value)) == written or Decimal(value) == written):
        return value
    return Digits(text)


def has_digits_in(value: Any) -> bool:
    """Whether a JSON value holds `Digits`."""
    if type(value) is dict:
        return any(map(has_digits_in, value.values()))
    if type(value) is list:
        return any(map(has_digits_in, value))
    return isinstance(value, Digits)
