"""Typed functions of the tracking plan, over Segment's libraries: what would be rejected does not compile."""

import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from parley.config.tracking_plan import EventType

Schema = Mapping[str, Any]

_PYTHON_HEAD = '''"""Events of the tracking plan, as typed functions over Segment's library (segment-analytics-python).

Written by `parley events codegen --language python`: do not edit. `client` is `segment.analytics.Client(write_key=KEY,
host="https://your-parley")`, or the module `segment.analytics` itself.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol


class Segment(Protocol):
    """What of Segment's library is called."""

    def track(
        self,
        user_id: Any = None,
        event: Any = None,
        properties: Any = None,
        context: Any = None,
        timestamp: Any = None,
        anonymous_id: Any = None,
    ) -> Any: ...


def _track(
    client: Segment,
    event: str,
    attributes: Mapping[str, object],
    user_id: str | None,
    anonymous_id: str | None,
    conversation_id: str | None,
    session_id: str | None,
    timestamp: datetime | None,
    context: Mapping[str, object] | None,
) -> None:
    named = {"conversation_id": conversation_id, "session_id": session_id, **attributes}
    client.track(
        user_id=user_id,
        anonymous_id=anonymous_id,
        event=event,
        properties={name: value for name, value in named.items() if value is not None},
        context=dict(context or {}),
        timestamp=timestamp,
    )
'''
_PYTHON_WHO = (
    ("user_id", "str | None"),
    ("anonymous_id", "str | None"),
    ("conversation_id", "str | None"),
    ("session_id", "str | None"),
    ("timestamp", "datetime | None"),
    ("context", "Mapping[str, object] | None"),
)
_TYPESCRIPT_HEAD = """/**
 * Events of the tracking plan, as typed functions over Segment's libraries.
 * Written by `parley events codegen --language typescript`: do not edit.
 *
 *   const send = node(new Analytics({ writeKey: KEY, host: "https://your-parley" }));   // @segment/analytics-node
 *   const send = browser(analytics);                                                    // @segment/analytics-next
 */

/** Whose event it is, and where it belongs. */
export interface Who {
  userId?: string;
  anonymousId?: string;
  conversationId?: string;
  sessionId?: string;
  timestamp?: Date;
  context?: Record<string, unknown>;
}

export type Send = (event: string, attributes: object, who: Who) => void;

const withPlace = (attributes: object, who: Who): Record<string, unknown> => {
  const properties: Record<string, unknown> = { ...attributes };
  if (who.conversationId !== undefined) properties.conversation_id = who.conversationId;
  if (who.sessionId !== undefined) properties.session_id = who.sessionId;
  return properties;
};

/** Send by @segment/analytics-node. Each event needs a userId or an anonymousId. */
export function node(analytics: { track(message: any): unknown }): Send {
  return (event, attributes, { userId, anonymousId, timestamp, context, ...place }) => {
    analytics.track({ event, userId, anonymousId, timestamp, context, properties: withPlace(attributes, place) });
  };
}

/** Send by @segment/analytics-next, which knows the visitor. */
export function browser(analytics: { track(event: string, properties?: any, options?: any): unknown }): Send {
  return (event, attributes, { userId, anonymousId, timestamp, context, ...place }) => {
    const given = { userId, anonymousId, timestamp, context };
    const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    void analytics.track(event, withPlace(attributes, place), options);
  };
}
"""


def generate(language: str, types: Iterable[EventType]) -> str:
    """The module's text. The same types give the same text."""
    listed = sorted((kind for kind in types if kind.is_active), key=lambda kind: kind.event_name)
    head, write = LANGUAGES[language]
    return "\n".join([head, *map(write, listed)]).rstrip("\n") + "\n"


def _python(kind: EventType) -> str:
    taken = {name for name, _ in _PYTHON_WHO} | {"client"}
    attributes = [(name, _python_name(name, taken), schema, is_required) for name, schema, is_required in _sent(kind)]
    parameters = ["client: Segment", "*"]
    parameters += [f"{given}: {_python_type(schema)}" for _, given, schema, is_required in attributes if is_required]
    parameters += [
        f"{given}: {_optional(_python_type(schema))} = None"
        for _, given, schema, is_required in attributes
        if not is_required
    ]
    parameters += [f"{name}: {annotation} = None" for name, annotation in _PYTHON_WHO]
    function = _python_name(re.sub(r"\W", "_", kind.event_name), set())
    values = "".join(f"        {_text(name)}: {given},\n" for name, given, _, _ in attributes)
    lines = "".join(f"    {parameter},\n" for parameter in parameters)
    who = ", ".join(name for name, _ in _PYTHON_WHO)
    return (
        f"\ndef {function}(\n{lines}) -> None:\n    {_docstring(kind.description)}\n"
        f"    attributes: dict[str, object] = {{\n{values}    }}\n"
        f"    _track(client, {_text(kind.event_name)}, attributes, {who})\n"
    )


def _typescript(kind: EventType) -> str:
    words = [word for word in re.split(r"[^0-9A-Za-z]+", kind.event_name) if word]
    name = "".join(word[0].upper() + word[1:] for word in words)
    function = name[0].lower() + name[1:]
    fields = "".join(
        f"  {_text(attribute)}{'' if is_required else '?'}: {_typescript_type(schema)};\n"
        for attribute, schema, is_required in _sent(kind)
    )
    description = kind.description.replace("*/", "* /")
    return (
        f"\nexport interface {name} {{\n{fields}}}\n\n/** {description} */\n"
        f"export function {function}(send: Send, attributes: {name}, who: Who = {{}}): void {{\n"
        f"  send({_text(kind.event_name)}, attributes, who);\n}}"
    )


LANGUAGES: dict[str, tuple[str, Callable[[EventType], str]]] = {
    "python": (_PYTHON_HEAD, _python),
    "typescript": (_TYPESCRIPT_HEAD, _typescript),
}


def _sent(kind: EventType) -> list[tuple[str, Schema, bool]]:
    """Attributes by name with their schemas, and whether they are required; without those that landing drops."""
    schema = kind.attributes_schema
    required = set(schema.get("required", ()))
    return [
        (name, described if isinstance(described, Mapping) else {}, name in required)
        for name, described in sorted(schema.get("properties", {}).items())
        if kind.privacy.get(name) != "drop"
    ]


def _python_name(name: str, taken: set[str]) -> str:
    """The name as one of Python's."""
    found = re.sub(r"\W", "_", name)
    if not found.isidentifier() or keyword.iskeyword(found):
        found = f"_{found}" if not found.isidentifier() else f"{found}_"
    while found in taken:
        found += "_"
    taken.add(found)
    return found


def _python_type(schema: Schema) -> str:
    if "enum" in schema:
        values = [value for value in schema["enum"] if isinstance(value, str | bool | int | None)]
        literals = ", ".join(_text(value) if isinstance(value, str) else repr(value) for value in values)
        return f"Literal[{literals}]" if len(values) == len(schema["enum"]) else "Any"
    names = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
    found = []
    for kind in _kinds(schema):
        if kind == "array":
            found.append(f"list[{_python_type(schema.get('items') or {})}]")
        elif kind == "object":
            found.append("Mapping[str, Any]")
        else:
            found.append(names[kind])
    return " | ".join(dict.fromkeys(found)) or "Any"


def _typescript_type(schema: Schema) -> str:
    if "enum" in schema:
        return " | ".join(orjson.dumps(value).decode() for value in schema["enum"])
    names = {"integer": "number", "number": "number", "object": "Record<string, unknown>"}
    found = []
    for kind in _kinds(schema):
        inner = _typescript_type(schema.get("items") or {}) if kind == "array" else ""
        found.append(f"Array<{inner}>" if kind == "array" else names.get(kind, kind))
    return " | ".join(dict.fromkeys(found)) or "unknown"


def _kinds(schema: Schema) -> list[str]:
    given = schema.get("type", [])
    return [given] if isinstance(given, str) else list(given)


def _optional(annotation: str) -> str:
    return annotation if annotation == "Any" or annotation.endswith("None") else f"{annotation} | None"


def _text(value: str) -> str:
    """A text as a literal of either language."""
    return orjson.dumps(value).decode()


def _docstring(description: str) -> str:
    escaped = description.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{escaped}"""'
