"""What the attributes of an event type must be, and what is said where they are not."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jsonschema_rs import ValidationError

from parley.config.tracking_plan import EventType, Json, Scale, compile_schema
from parley.landing.envelope import FIELDS, Digits
from parley.landing.privacy import Cleaner, Privacy, Unstorable, dump
from parley.landing.rejections import Rejection

_ORDER = ("missing_field", "invalid_type", "invalid_value")
_TYPES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
}
_BOUNDS = {
    "minimum": "must be at least",
    "maximum": "must be at most",
    "exclusiveMinimum": "must be greater than",
    "exclusiveMaximum": "must be less than",
    "multipleOf": "must be a multiple of",
    "minLength": "must be a text at least this long:",
    "maxLength": "must be a text at most this long:",
    "minItems": "must be a list at least this long:",
    "maxItems": "must be a list at most this long:",
    "pattern": "must match the pattern",
    "format": "must be a valid",
    "const": "must be",
}


class TypeRules:
    """An event type made ready to validate by; its schema is compiled when its first event comes."""

    __slots__ = (
        "clean",
        "errors",
        "event_name",
        "is_active",
        "is_valid",
        "privacy",
        "renames",
        "schema",
        "version",
    )

    clean: Cleaner
    errors: Callable[[Json], Iterator[ValidationError]]
    event_name: str
    is_valid: Callable[[Json], bool]
    privacy: Json
    renames: Mapping[str, str]
    schema: Json

    def __init__(self, kind: EventType, privacy: Privacy) -> None:
        self.event_name = kind.event_name
        self.version = kind.version
        self.is_active = kind.is_active
        self.renames = kind.renames
        self.schema = kind.attributes_schema
        aliases = {alias: kind.privacy[name] for alias, name in kind.renames.items() if name in kind.privacy}
        self.privacy = kind.privacy | aliases
        self.clean = privacy.of_type(self.privacy)
        self.is_valid = self._compile

    def _compile(self, attributes: Json) -> bool:
        validator = compile_schema(self.schema)
        self.is_valid, self.errors = validator.is_valid, validator.iter_errors
        return self.is_valid(attributes)


def valid(kind: TypeRules, given: Json) -> Json:
    """The attributes under their canonical names, as the type's schema wants them."""
    attributes = given
    if kind.renames and not kind.renames.keys().isdisjoint(given):
        attributes = dict(given)
        for alias, name in kind.renames.items():
            if alias in attributes and name not in attributes:
                attributes[name] = attributes.pop(alias)
    try:
        if kind.is_valid(attributes):
            return attributes
        present = {name: value for name, value in attributes.items() if value is not None}
        if len(present) < len(attributes) and kind.is_valid(present):
            return present
        errors = list(kind.errors(present))
    except ValueError as error:  # of a text that is not Unicode, or of nesting without end
        raise Unstorable from error
    # in no variable of this frame, which it would keep alive, and with it the whole chunk
    raise _worst(kind, given, errors)


def _worst(kind: TypeRules, given: Json, errors: Iterable[ValidationError]) -> Rejection:
    """What is said of several errors: the gravest kind of them, under the names that the producer wrote."""
    rejections = [_rejection(kind, error) for error in errors]
    worst = min(rejections, key=lambda rejection: _ORDER.index(rejection.reason))
    aliases = {name: alias for alias, name in kind.renames.items() if alias in given and name not in given}
    if worst.steps:
        first, *others = worst.steps
        worst.steps = (aliases.get(str(first), first), *others)
    return worst


def _rejection(kind: TypeRules, error: ValidationError) -> Rejection:
    """What a schema's error says to the sender. It quotes the schema and nothing of the event."""
    steps = error.instance_path
    value = error.kind.value
    match error.kind.name:
        case "required":
            return Rejection("missing_field", "attributes", f"is missing: {kind.event_name} needs it", [*steps, value])
        case "type":
            words = " or ".join(_TYPES.get(name, name) for name in value)
            return Rejection("invalid_type", "attributes", f"must be {words}", steps)
        case "enum":
            words = ", ".join(dump(option).decode() for option in value)
            return Rejection("invalid_value", "attributes", f"must be one of {words}", steps)
        case keyword if keyword in _BOUNDS:
            return Rejection("invalid_value", "attributes", f"{_BOUNDS[keyword]} {value}", steps)
        case "anyOf" if all(
            one.kind.name == "required" for branch in error.kind.as_dict()["context"] for one in branch
        ):
            words = ", ".join(one.kind.value for branch in error.kind.as_dict()["context"] for one in branch)
            return Rejection("missing_field", "attributes", f"must have one of {words}", steps)
        case Scale.KEYWORD:
            attribute, _, words = error.message.partition(" ")
            return Rejection("invalid_value", "attributes", words, [*steps, attribute])
        case keyword:
            return Rejection(
                "invalid_value", "attributes", f"does not follow `{keyword}` of the schema of {kind.event_name}", steps
            )


def with_digits(kind: TypeRules | str, event: Json, attributes: Json) -> Json:
    """The attributes with `Digits` as texts where the event type lets them be texts; elsewhere they are rejected."""
    properties = {} if isinstance(kind, str) else kind.schema.get("properties", {})
    renames = {} if isinstance(kind, str) else kind.renames

    def may_be_text(key: str) -> bool:
        described = properties.get(renames.get(key, key))
        types = described.get("type", "string") if isinstance(described, dict) else "string"
        return "string" in ([types] if isinstance(types, str) else types)

    kept = {
        key: str(value) if isinstance(value, Digits) and may_be_text(key) else value
        for key, value in attributes.items()
    }
    for field in FIELDS:
        for steps in _places_of_digits(kept if field == "attributes" else event.get(field), ()):
            raise Rejection("invalid_value", field, "has more digits than a number can keep: send it as a text", steps)
    return kept


def _places_of_digits(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, Digits):
        yield steps
    elif type(value) is dict:
        for key, inner in value.items():
            yield from _places_of_digits(inner, (*steps, key))
    elif type(value) is list:
        for index, inner in enumerate(value):
            yield from _places_of_digits(inner, (*steps, index))
