"""Events as NDJSON in the `parley` envelope, both ways."""

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from parley.config import tracking_plan
from tests.oracle.world import PROJECT, Event

SHARED = Path(__file__).resolve().parents[3] / "shared"
"""Data and reference figures that are not part of the repository and may be absent."""


def read(path: Path) -> list[Event]:
    """The events of a file, gzipped or not, which must all be valid, under canonical names."""
    renames = {kind.event_name: kind.renames for kind in tracking_plan.load(PROJECT / tracking_plan.FOLDER).types}
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open() as lines:
        return [_event(record, renames[record["event_name"]]) for record in map(json.loads, lines)]


def _event(record: dict[str, Any], renames: Mapping[str, str]) -> Event:
    return Event(
        tenant_id=record["tenant_id"],
        event_id=UUID(record["event_id"]),
        event_name=record["event_name"],
        occurred_at=datetime.fromisoformat(record["occurred_at"]),
        conversation_id=record.get("conversation_id"),
        session_id=record.get("session_id"),
        user_id=record.get("user_id"),
        source=record.get("source"),
        anonymous_id=record.get("anonymous_id"),
        sequence=record.get("sequence"),
        actor=record.get("actor"),
        attributes={renames.get(name, name): value for name, value in record["attributes"].items()},
    )


def write(path: Path, events: Iterable[Event]) -> Path:
    """Write the events as a gzipped file that `parley load` takes, without the nulls."""
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for event in events:
            record = {name: value for name, value in event.items() if value is not None and name != "received_at"}
            file.write(json.dumps(record, default=_text) + "\n")
    return path


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
