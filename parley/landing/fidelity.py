"""What of a rejected event is kept, and whether it can be replayed as if it came again.

A rejected event is redacted as an accepted one would be. What that changed is noted (`Altered`), with how it was
treated: a replay lands the event only where acceptance, by today's rules, treats those values in the same way. Else it
would land other data than was sent.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import orjson

from parley.config.tracking_plan import Json
from parley.landing.privacy import MASK, Cleaner, Privacy, dump

Altered = dict[str, list[str]]
"""By field, `attributes.KEY` for one attribute: how its value was treated, and the JSON type that it had."""

UNSTORABLE: Final = (
    "The event held something that cannot be stored, and is kept without it: correct it at its source, send it again."
)
_AS_SENT: Final = "by name"  # never how acceptance treats anything: such a field is altered for good
_IDS: Final = ("conversation_id", "session_id", "user_id", "anonymous_id", "site_id")
_PLAIN_KEYWORDS: Final = frozenset(("type", "description", "title", "examples", "default", "deprecated", "$comment"))
_JSON_TYPES: Final = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}


class Kind(Protocol):
    """What is known of the event type of a rejected event."""

    @property
    def clean(self) -> Cleaner: ...
    @property
    def privacy(self) -> Mapping[str, Any]: ...
    @property
    def renames(self) -> Mapping[str, str]: ...
    @property
    def schema(self) -> Json: ...


class Kept(NamedTuple):
    """The payload of a rejected event, and what making it private changed."""

    payload: Json
    altered: Altered


def kept(
    content: Json,
    field_of: Callable[[str], str | None],
    is_whole: Callable[[str, Any], bool],
    privacy: Privacy,
    kind: Kind | None,
    *,
    hashes_users: bool,
) -> Kept:
    """A rejected event redacted. `field_of` says which field of ours a key of the producer's is, `is_whole` whether
    its value is one that such a field may have, and holds nothing personal."""
    payload: Json = {}
    rest: Json = {}
    altered: Altered = {}
    for key, value in content.items():
        field = field_of(key)
        if field is None:
            rest[key] = value
            continue
        if field == "attributes" and type(value) is dict:
            rules: Mapping[str, Any] = kind.privacy if kind else {}
            cleaned = (kind.clean if kind else privacy.unknown)(value)
            payload[key] = cleaned
            for name in value:
                if name not in cleaned or cleaned[name] is not value[name]:
                    place = privacy.scrub(name, is_free=False)
                    altered[f"attributes.{place}"] = [privacy.treatment(rules.get(name)), _json_type(value[name])]
        elif field == "context" and type(value) is dict:
            context = privacy.context(value)
            payload[key] = context
            if context is not value:
                altered[field] = [privacy.treatment(None), "object"]
        elif field in _IDS and value not in (None, "") and _is_hashed(field, hashes_users):
            payload[key] = privacy.hash(str(value) if type(value) is int else value)
            altered[field] = ["hash", _json_type(value)]
        elif is_whole(field, value):
            payload[key] = private = privacy.identifier(value) if field in _IDS and type(value) is str else value
            if private != value:
                altered[field] = [privacy.treatment(None), "string"]
        else:
            private = privacy.anything(value)
            if type(value) is str and private == value and privacy.scrub.is_contact(value):
                private = MASK
            payload[key] = private
            if private != value:
                altered[field] = [_AS_SENT, _json_type(value)]
    return Kept(payload | privacy.unknown(rest), altered)


def why_not(altered: Altered, kind: Kind | None, privacy: Privacy, *, hashes_users: bool) -> str | None:
    """Why an event that was so altered cannot land as if it came again, in a sentence; None where it can."""
    for place, (how, was) in altered.items():
        field, _, key = place.partition(".")
        if field == "attributes" and key:
            name = kind.renames.get(key, key) if kind else key
            rule = kind.privacy.get(key, kind.privacy.get(name)) if kind else None
            if how != privacy.treatment(rule):
                return _sentence(place, "was redacted in another way than today's rules ask for")
            if how != "drop" and not (kind is None or _only_types(kind.schema, name, was)):
                return _sentence(place, "was redacted, so that nobody can say whether it keeps to the schema")
        elif field in _IDS and (how == "hash") != _is_hashed(field, hashes_users):
            return _sentence(place, "was redacted in another way than the tenant asks for today")
        elif how not in ("hash", privacy.treatment(None)):
            return _sentence(place, "was redacted in another way than today's rules ask for")
    return None


def restored(attributes: bytes, event: Json, altered: Altered, kind: Kind | None) -> bytes:
    """Attributes as they land, with those that were redacted when the event was rejected as they were then."""
    given = event.get("attributes") or {}
    landed: Json = orjson.loads(attributes)
    for place in altered:
        key = place.removeprefix("attributes.")
        if key == place or key not in given:
            continue
        name = key if key in landed or not kind else kind.renames.get(key, key)
        landed[name] = given[key]
    return dump(landed)


def _is_hashed(field: str, hashes_users: bool) -> bool:
    return hashes_users and field in ("user_id", "anonymous_id")


def _only_types(schema: Json, name: str, was: str) -> bool:
    """Whether all that a schema says of an attribute is its type, which the value had that was sent."""
    described = schema.get("properties", {}).get(name, {})
    if not isinstance(described, dict) or not described.keys() <= _PLAIN_KEYWORDS:
        return False
    if not schema.keys() <= {"type", "properties", "required", "additionalProperties", "description"}:
        return False
    types = described.get("type", was)
    allowed = [types] if isinstance(types, str) else types
    return was in allowed or (was == "integer" and "number" in allowed)


def _json_type(value: Any) -> str:
    return _JSON_TYPES.get(type(value), "string")


def _sentence(place: str, what: str) -> str:
    return f"{place} {what}: send the event again from its source."
