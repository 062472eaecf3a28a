"""Stories with values computed by hand from the contract (tests/integration/by_hand): what landed, what is right.

A line of a story is an event: when (UTC), its name, conversation and user (`-` for none), and, where it has any, its
attributes and its other fields as JSON.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "integration/by_hand"
DEFINITIONS = FOLDER / "definitions.yml"


@dataclass(frozen=True)
class Value:
    """A query, with the tenant as `%(tenant)s`, and the rows that it has to give."""

    tenant: str
    what: str
    query: str
    rows: list[list[Any]]

    def __str__(self) -> str:
        return f"{self.tenant.removeprefix('hand-')}: {self.what}"


def definitions() -> dict[str, list[dict[str, Any]]]:
    """The rows of seeds that the stories need, by seed."""
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(DEFINITIONS.read_text())
    return found


def values() -> list[Value]:
    """All values of all stories."""
    return [Value(story["tenant"], **value) for story in _stories() for value in story["values"]]


def events() -> Iterator[dict[str, Any]]:
    """All events of all stories, as they land."""
    for story in _stories():
        for number, line in enumerate(story["events"].splitlines()):
            at, name, conversation, user, attributes, fields = _parts(line)
            event = {
                "event_id": str(uuid5(NAMESPACE_OID, f"{story['tenant']} {number}")),
                "event_name": name,
                "tenant_id": story["tenant"],
                "occurred_at": f"{at}Z",
                "source": "web",
                "conversation_id": conversation,
                "user_id": user,
                "attributes": attributes or {},
            }
            yield {key: value for key, value in (event | (fields or {})).items() if value is not None}


def _stories() -> list[dict[str, Any]]:
    files = sorted(path for path in FOLDER.glob("*.yml") if path != DEFINITIONS)
    return [story for path in files for story in yaml.safe_load(path.read_text())]


def _parts(line: str) -> list[Any]:
    """The six parts of a line; those that it leaves out are null."""
    parts: list[Any] = []
    while line := line.lstrip():
        if line[0] in '"{':
            part, end = json.JSONDecoder().raw_decode(line)
            line = line[end:]
        else:
            part, _, line = line.partition(" ")
        parts.append(None if part == "-" else part)
    return [*parts, *[None] * (6 - len(parts))]
