"""The shipped contract and an event that keeps to it, for tests of what becomes of one event."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from parley.config import tracking_plan
from parley.config.tenants import Tenant
from parley.config.tracking_plan import EventType, Plan
from parley.landing import formats
from parley.landing.results import Accepted, EventResult, Rejected
from parley.landing.rules import Rules

FOLDER = Path(__file__).parents[2] / tracking_plan.FOLDER
PLAN = tracking_plan.load(FOLDER)
FORMATS = formats.load(FOLDER)
SECRET = b"the tests' secret"
RECEIVED = datetime(2024, 6, 1, tzinfo=UTC)
EVENT_ID = "0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90"


def rules(*types: EventType, **choices: Any) -> Rules:
    """Rules of the shipped plan and further types. The tenant `hashing` hashes user ids, `open` admits any type."""
    tenants = {
        "shop": Tenant("shop", "Shop"),
        "hashing": Tenant("hashing", "Hashing", hash_user_ids=True),
        "open": Tenant("open", "Open", admit_unregistered_types=True),
    }
    plan = Plan((*PLAN.types, *types), PLAN.privacy)
    return Rules(**{"plan": plan, "tenants": tenants, "secret": SECRET} | choices)


def event(name: str = "message.received", attributes: object = None, **fields: Any) -> dict[str, Any]:
    """A valid event of the tenant `shop`, with some fields changed; those that are `...` are left out."""
    whole = {
        "event_id": EVENT_ID,
        "event_name": name,
        "occurred_at": "2024-05-31T12:30:00Z",
        "tenant_id": "shop",
        "conversation_id": "c1",
        "user_id": "u1",
        "source": "web",
        "attributes": {} if attributes is None else attributes,
    }
    return {field: value for field, value in (whole | fields).items() if value is not ...}


def validate(given: object, by: Rules | None = None) -> EventResult:
    return (by or rules()).validate(given, RECEIVED)


def accepted(given: object, by: Rules | None = None) -> Accepted:
    result = validate(given, by)
    assert isinstance(result, Accepted), result
    return result


def rejected(given: object, by: Rules | None = None) -> Rejected:
    result = validate(given, by)
    assert isinstance(result, Rejected), result
    return result


def attributes_of(result: Accepted) -> Any:
    return orjson.loads(result.attributes)


def payload_of(result: Rejected) -> Any:
    assert result.payload is not None
    return orjson.loads(result.payload)
