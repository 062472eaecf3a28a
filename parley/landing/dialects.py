"""Other envelopes read as ours, by the declarative mappings of `tracking_plan/dialects.yml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any
from uuid import UUID

from parley.config.tracking_plan import Json, read_yaml
from parley.errors import ParleyError

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
NAMESPACE = UUID("6f1d0f0e-2c0b-5c0e-9a51-2f7b7d1c3a64")  # of the UUIDv5 of events that come without a UUID
MAX_WHOLE_NUMBER = 2**63

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLACE: Json = {"type": "string", "minLength": 1}
_PLACES: Json = {"anyOf": [_PLACE, {"type": "array", "items": _PLACE, "minItems": 1}]}
_FILE: Json = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["event_name", "occurred_at", "attributes"],
        "additionalProperties": False,
        "properties": {
            field: {
                "anyOf": [
                    *_PLACES["anyOf"],
                    {
                        "type": "object",
                        "required": ["from"],
                        "properties": {"from": _PLACES, "as": {"enum": ["text", "uuid"]}},
                        "additionalProperties": False,
                    },
                ]
            }
            for field in FIELDS
        },
    },
}


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field of ours is found: places (keys from the outermost inwards) in order of preference, and as what it
    is read: as it is, as `text` (whole numbers too) or as `uuid` (an id that is no UUID becomes a UUIDv5)."""

    places: tuple[tuple[str, ...], ...]
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to read one sender's envelope as ours."""

    name: str
    fields: Mapping[str, Field]

    @property
    def is_ours(self) -> bool:
        """Whether every field is where our envelope has it, so that nothing need be mapped."""
        return all(self.fields.get(field) == Field(((field,),)) for field in FIELDS)

    def envelope(self, event: Json) -> Json:
        """The event in our envelope; fields that it does not have are absent."""
        found: Json = {}
        for name, field in self.fields.items():
            for place in field.places:
                value = _at(event, place)
                if value is not None:
                    found[name] = _as(field.kind, value)
                    break
        return found

    def place(self, field: str, event: Json) -> tuple[str, ...]:
        """Where this event has a field of ours, or would have it."""
        places = self.fields[field].places if field in self.fields else ((field,),)
        return next((place for place in places if _at(event, place) is not None), places[0])


def load(path: Path) -> dict[str, Dialect]:
    """The dialects of a `dialects.yml`, by name. Raises ParleyError where the file is wrong."""
    content = read_yaml(path, _FILE)
    return {
        name: Dialect(name, {field: _field(entry) for field, entry in fields.items()})
        for name, fields in content.items()
    }


def find(path: Path, name: str) -> Dialect:
    """One dialect. Raises ParleyError where there is none of that name."""
    dialects = load(path)
    if name not in dialects:
        raise ParleyError(
            f"There is no dialect {name!r}: use one of {', '.join(sorted(dialects))}, or add it to {path.name}."
        )
    return dialects[name]


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


def _field(entry: str | list[str] | Json) -> Field:
    places, kind = (entry["from"], entry.get("as")) if isinstance(entry, dict) else (entry, None)
    listed = [places] if isinstance(places, str) else places
    return Field(tuple(tuple(place.split(".")) for place in listed), kind)


def _at(event: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        if type(event) is not dict:
            return None
        event = event.get(key)
    return event


def _as(kind: str | None, value: Any) -> Any:
    if kind and type(value) is int and abs(value) < MAX_WHOLE_NUMBER:
        value = str(value)
    if kind == "uuid" and type(value) is str and value:
        return canonical_uuid(value) or named_uuid(value.encode("utf-8", "surrogatepass"))
    return value
