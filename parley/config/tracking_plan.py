"""The tracking plan: which event types may land, what their attributes are, and which of them are personal.

It is written in `tracking_plan/*.yml`, one file per domain, and lives in `raw.event_types` too, where tenants may add
types of their own at run time. `privacy.yml` beside it holds for every event type; `formats/` is read by
`parley.landing.formats`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml
from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, ValidationError, Validator
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from parley.errors import ParleyError
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's takes a tenth of the time

Json = dict[str, Any]
Origin = Literal["plan", "custom"]
Actor = Literal["customer", "assistant", "agent", "system"]
Rank = Literal["start", "customer", "answer", "end", "afterwards"]

FOLDER = "tracking_plan"
PRIVACY_FILE = "privacy.yml"
MAX_NAME = 100
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
RULES = ("keep", "drop", "hash", "mask")
ACTORS: tuple[Actor, ...] = get_args(Actor)
"""Whose doing an event can be."""
RANKS: tuple[Rank, ...] = get_args(Rank)
"""The places of event types within an instant, in order."""
PATTERNS = ("email", "iban", "card", "phone")


@dataclass(frozen=True, slots=True)
class EventType:
    """A row of `raw.event_types`. `renames` takes an attribute's alias to its name; `privacy` an attribute to its rule:
    `keep`, `drop`, `hash`, `mask` or `{"text": n}`, free text that is cut at n characters."""

    tenant_id: str
    event_name: str
    aliases: tuple[str, ...]
    category: str
    description: str
    version: int
    is_active: bool
    is_conversational: bool
    attributes_schema: Json
    renames: dict[str, str]
    privacy: Json
    origin: Origin
    actor: Actor = "customer"
    """Whose doing it is, where the event does not say."""
    rank: Rank = "customer"
    """Its place among the events of one instant."""


@dataclass(frozen=True, slots=True)
class PrivacyLists:
    """What is personal whatever the event type, as `privacy.yml` has it: `names` to mask or drop, keys that hold free
    `text` (and where it is cut, None where it is not), IP addresses and URLs, names of people (unless of `things`),
    keys of `contacts`, words of `secrets` (unless they tell `about` one), the `patterns` that are looked for in text,
    `words` beside a number that say what it is, and `qualifiers` that may stand after a name."""

    names: Mapping[str, str]
    text: Mapping[str, int | None]
    ip: tuple[str, ...]
    url: tuple[str, ...]
    patterns: tuple[str, ...]
    people: tuple[str, ...]
    things: tuple[str, ...]
    contacts: tuple[str, ...]
    secrets: tuple[str, ...]
    about_secrets: tuple[str, ...]
    phone_words: tuple[str, ...]
    other_words: tuple[str, ...]
    qualifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `parley.landing.rules` validates event types by."""

    types: tuple[EventType, ...]
    privacy: PrivacyLists


def load(folder: Path) -> Plan:
    """The shipped plan in a project's `tracking_plan` folder. Raises ParleyError naming file and type."""
    files = sorted(path for path in folder.glob("*.yml") if path.name != PRIVACY_FILE)
    if not files:
        raise ParleyError(
            f"There is no tracking plan in {folder}: run Parley inside its project, or set PARLEY_PROJECT."
        )
    types: list[EventType] = []
    for path in files:
        types += read_types(path)
    check_names(types)
    return Plan(tuple(types), read_privacy(folder / PRIVACY_FILE))


def read_types(path: Path, tenant_id: str = EVERY_TENANT, origin: Origin = "plan") -> tuple[EventType, ...]:
    """The event types of one file. Raises ParleyError naming file and type."""
    content = read_yaml(path, _FILE)
    found = tuple(
        _event_type(path, name, {**content, **definition}, tenant_id, origin)
        for name, definition in content.pop("event_types").items()
    )
    check_names(found)
    return found


def read_privacy(path: Path) -> PrivacyLists:
    """What is personal by name and by pattern. Raises ParleyError where the file is wrong."""
    content = read_yaml(path, _PRIVACY)
    names = {name: rule for rule, listed in content.get("names", {}).items() for name in listed}
    secrets, words = content.get("secrets", {}), content.get("words", {})
    return PrivacyLists(
        names=names,
        text={**dict.fromkeys(content.get("free", ())), **content.get("text", {})},
        **{key: tuple(content.get(key, ())) for key in _LISTS},
        secrets=tuple(secrets.get("words", ())),
        about_secrets=tuple(secrets.get("about", ())),
        phone_words=tuple(words.get("phone", ())),
        other_words=tuple(words.get("other", ())),
    )


def check_names(types: Iterable[EventType]) -> None:
    """Raises ParleyError where a name or an alias stands for two of the event types that one tenant sees."""
    taken: dict[str, str] = {}
    for kind in types:
        for name in (kind.event_name, *kind.aliases):
            other = taken.setdefault(name, kind.event_name)
            if other != kind.event_name:
                raise ParleyError(
                    f"The name {name!r} stands for both {other} and {kind.event_name}: let only one of them have it."
                )


def seen_by(tenant_id: str, types: Iterable[EventType]) -> list[EventType]:
    """The event types that hold for a tenant: its own, and those for all tenants that it has not replaced."""
    shared = {kind.event_name: kind for kind in types if kind.tenant_id == EVERY_TENANT}
    own = {kind.event_name: kind for kind in types if kind.tenant_id == tenant_id}
    return list((shared | own).values())


class Scale:
    """The schema keyword `scale`: a value lies between two others of the same object.

    `scale: {value: rating, minimum: rating_min, maximum: rating_max}`. Without the maximum the scale is 0 to 1; with it
    the minimum is 1 where none is given.
    """

    KEYWORD = "scale"

    def __init__(self, parent: Json, names: Any, path: Any) -> None:
        if not isinstance(names, dict) or names.keys() != {"value", "minimum", "maximum"}:
            raise ValueError("`scale` must name an attribute each as value, minimum and maximum")
        self._names: dict[str, str] = names

    def validate(self, instance: Any) -> None:
        """Raises ValueError with an attribute and what is wrong with it; `type` says what is no number."""
        if not isinstance(instance, dict):
            return
        value, low, high = (instance.get(self._names[name]) for name in ("value", "minimum", "maximum"))
        if not all(number is None or type(number) in (int, float) for number in (value, low, high)):
            return
        if high is None:
            if low is not None:
                raise ValueError(f"{self._names['minimum']} needs {self._names['maximum']} beside it")
            low, high = 0, 1
        elif low is None:
            low = 1
        if not low < high:
            raise ValueError(f"{self._names['maximum']} must be greater than {self._names['minimum']} ({low:g})")
        if value is not None and not low <= value <= high:
            bound = f"at least {low:g}" if value < low else f"at most {high:g}"
            hint = "" if self._names["maximum"] in instance else f", or say the scale with {self._names['maximum']}"
            raise ValueError(f"{self._names['value']} must be {bound}{hint}")


def compile_schema(schema: Json) -> Validator:
    """A validator of draft 2020-12 that follows no reference out of the schema; its patterns take linear time."""
    return Draft202012Validator(
        schema, pattern_options=RegexOptions(), validate_formats=True, offline=True, keywords={Scale.KEYWORD: Scale}
    )


def registered(connection: Connection) -> tuple[EventType, ...]:
    """All event types in the database, shipped ones and the custom ones of every tenant."""
    cursor = connection.cursor(row_factory=args_row(_from_row))
    return tuple(cursor.execute(f"select {_COLUMNS} from raw.event_types order by tenant_id, event_name"))


def register(connection: Connection, plan: Plan) -> int:
    """Make the `plan` rows of `raw.event_types` those of the shipped plan, and return how many changed.

    Custom rows stay as they are, also where one has the name of a shipped type. Commits nothing.
    """
    existing = {kind.event_name: kind for kind in registered(connection) if kind.tenant_id == EVERY_TENANT}
    wanted = {kind.event_name: kind for kind in plan.types}
    gone = [name for name, kind in existing.items() if kind.origin == "plan" and name not in wanted]
    changed = [kind for name, kind in wanted.items() if existing.get(name) != kind]
    changed = [kind for kind in changed if existing.get(kind.event_name, kind).origin == "plan"]
    _store(connection, changed)
    if gone:
        connection.execute("delete from raw.event_types where origin = 'plan' and event_name = any(%s)", [gone])
    return len(gone) + len(changed)


def sync(connection: Connection, folder: Path) -> Plan:
    """The plan that holds now: the shipped one, made known to the database, and the custom types there.

    Commits. Raises ParleyError where the folder's files are wrong.
    """
    shipped = load(folder)
    register(connection, shipped)
    types = registered(connection)
    connection.commit()
    return Plan(types, shipped.privacy)


def register_custom(connection: Connection, types: Iterable[EventType]) -> int:
    """Add or replace custom types, and return how many there were. Commits nothing.

    Raises ParleyError where a name or an alias already stands for another type that the tenant sees, or where a type
    for all tenants would replace a shipped one.
    """
    types = tuple(types)
    existing = registered(connection)
    shipped = {kind.event_name for kind in existing if kind.origin == "plan"}
    for kind in types:
        if kind.tenant_id == EVERY_TENANT and kind.event_name in shipped:
            raise ParleyError(
                f"{kind.event_name} is a shipped type: change it in {FOLDER}/, or replace it for one tenant (--tenant)."
            )
    for tenant_id in {kind.tenant_id for kind in types}:
        check_names(seen_by(tenant_id, (*existing, *types)))
    _store(connection, types)
    return len(types)


def _store(connection: Connection, types: Iterable[EventType]) -> None:
    connection.cursor().executemany(_UPSERT, [_to_row(kind) for kind in types])


_NAMES = tuple(field.name for field in fields(EventType))
_COLUMNS = ", ".join(_NAMES)
_UPSERT = f"""
    insert into raw.event_types ({_COLUMNS}) values ({", ".join(["%s"] * len(_NAMES))})
    on conflict (tenant_id, event_name) do update
    set {", ".join(f"{name} = excluded.{name}" for name in _NAMES[2:])}, updated_at = now()
    where event_types.origin = excluded.origin
"""


def _to_row(kind: EventType) -> list[object]:
    values = (getattr(kind, name) for name in _NAMES)
    return [
        Jsonb(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
        for value in values
    ]


def _from_row(tenant_id: str, event_name: str, aliases: list[str], *others: Any) -> EventType:
    return EventType(tenant_id, event_name, tuple(aliases), *others)


# the shapes of the files

_TEXTS: Json = {"type": "array", "items": {"type": "string", "minLength": 1}}
_DEFAULTS: Json = {
    "category": {"type": "string", "minLength": 1},
    "is_conversational": {"type": "boolean"},
    "is_active": {"type": "boolean"},
    "version": {"type": "integer", "minimum": 1},
    "actor": {"enum": list(ACTORS)},
    "rank": {"enum": list(RANKS)},
}
_ATTRIBUTE: Json = {
    "type": "object",
    "properties": {
        "aliases": _TEXTS,
        "privacy": {
            "anyOf": [
                {"enum": list(RULES)},
                {
                    "type": "object",
                    "required": ["text"],
                    "properties": {"text": {"type": "integer", "minimum": 1}},
                    "additionalProperties": False,
                },
            ]
        },
    },
}
_TYPE: Json = {
    "type": "object",
    "required": ["description"],
    "additionalProperties": False,
    "properties": {
        **_DEFAULTS,
        "description": {"type": "string", "minLength": 1},
        "aliases": _TEXTS,
        "required": _TEXTS,
        "attributes": {"type": "object", "additionalProperties": _ATTRIBUTE},
        "schema": {"type": "object", "propertyNames": {"not": {"enum": ["type", "properties", "required"]}}},
    },
}
_FILE: Json = {
    "type": "object",
    "required": ["event_types"],
    "additionalProperties": False,
    "properties": {**_DEFAULTS, "event_types": {"type": "object", "minProperties": 1, "additionalProperties": _TYPE}},
}
_LISTS = ("ip", "url", "patterns", "people", "things", "contacts", "qualifiers")
_PRIVACY: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "names": {"type": "object", "properties": {"mask": _TEXTS, "drop": _TEXTS}, "additionalProperties": False},
        "text": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
        "free": _TEXTS,
        "secrets": {"type": "object", "properties": {"words": _TEXTS, "about": _TEXTS}, "additionalProperties": False},
        "words": {"type": "object", "properties": {"phone": _TEXTS, "other": _TEXTS}, "additionalProperties": False},
        **dict.fromkeys(_LISTS, _TEXTS),
        "patterns": {"type": "array", "items": {"enum": list(PATTERNS)}},
    },
}


def _event_type(path: Path, name: str, definition: Json, tenant_id: str, origin: Origin) -> EventType:
    where = f"{path.name}, {name}"
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise ParleyError(
            f"{where}: write the name of an event type as domain.action, in lower case, up to {MAX_NAME} characters."
        )
    attributes: Json = definition.get("attributes", {})
    for attribute in definition.get("required", ()):
        if attribute not in attributes:
            raise ParleyError(f"{where}: {attribute!r} is required but not among the attributes: describe it there.")
    schema = {
        "type": "object",
        "properties": {
            attribute: {key: value for key, value in described.items() if key not in ("aliases", "privacy")}
            for attribute, described in attributes.items()
        },
        "required": definition.get("required", []),
        **definition.get("schema", {}),
    }
    try:
        compile_schema(schema)
    except (ValidationError, ReferencingError, ValueError) as error:
        raise ParleyError(f"{where}: its attributes make no JSON Schema: {str(error).splitlines()[0]}.") from error
    return EventType(
        tenant_id=tenant_id,
        event_name=name,
        aliases=tuple(definition.get("aliases", ())),
        category=definition.get("category", name.partition(".")[0]),
        description=definition["description"],
        version=definition.get("version", 1),
        is_active=definition.get("is_active", True),
        is_conversational=definition.get("is_conversational", False),
        attributes_schema=schema,
        renames=_renames(where, attributes),
        privacy={
            attribute: described["privacy"] for attribute, described in attributes.items() if "privacy" in described
        },
        origin=origin,
        actor=definition.get("actor", "customer"),
        rank=definition.get("rank", "customer"),
    )


def _renames(where: str, attributes: Json) -> dict[str, str]:
    renames: dict[str, str] = {}
    for attribute, described in attributes.items():
        for alias in described.get("aliases", ()):
            if alias in attributes or renames.setdefault(alias, attribute) != attribute:
                raise ParleyError(f"{where}: the attribute alias {alias!r} stands for two attributes: let one have it.")
    return renames


class _Loader(_Base):
    """YAML in which a key that stands twice is an error and not a silent loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, shape: Json) -> Any:
    """The content of a YAML file that has the shape of a JSON Schema. Raises ParleyError naming file and place."""
    return parse_yaml(path.name, read_text(path), shape)


def read_text(path: Path) -> str:
    """The text of a file. Raises ParleyError where it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParleyError(f"{path} cannot be read ({error.strerror}): name a file that is there.") from error
    except UnicodeDecodeError as error:
        raise ParleyError(f"{path.name} is no UTF-8 text: save it as UTF-8.") from error


def parse_yaml(name: str, text: str, shape: Json) -> Any:
    """The content of a YAML text that has the shape of a JSON Schema. Raises ParleyError naming file and place."""
    try:
        content = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ParleyError(f"{name}{line} is not right as YAML: {error.problem}.") from error
    try:
        wrong = next(Draft202012Validator(shape).iter_errors(content), None)
    except ValueError as error:  # a key such as 1 or yes
        raise ParleyError(f"{name} has a key that is no text: write it in quotes.") from error
    if wrong:
        place = ", ".join(str(step) for step in wrong.instance_path if step != "event_types")
        raise ParleyError(f"{name}{place and f', {place}'}: {wrong.message}.")
    return content
