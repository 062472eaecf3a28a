"""What becomes of an event: accepted, rejected with a reason, or dropped."""

from typing import Literal, NamedTuple

Reason = Literal[
    "invalid_json",
    "missing_field",
    "invalid_type",
    "invalid_value",
    "unknown_event_type",
    "inactive_event_type",
    "unknown_tenant",
    "wrong_tenant",
    "too_large",
    "clock_skew",
]


class Accepted(NamedTuple):
    """An event that lands, redacted. Ids and JSON are as `raw.events` stores them."""

    tenant_id: str
    event_id: str
    event_name: str
    occurred_at: str
    """UTC with microseconds at most, such as 2024-05-31T12:30:00.5Z or 2024-05-31T12:30:00.500000+00:00."""
    conversation_id: str | None
    session_id: str | None
    user_id: str | None
    source: str | None
    attributes: bytes
    context: bytes | None
    schema_version: int
    anonymous_id: str | None = None
    site_id: str | None = None
    sequence: int | None = None
    actor: str | None = None


class Rejected(NamedTuple):
    """An event that does not land. Nothing in it is personal: `payload` is the event in the producer's envelope, made
    private, with the `event_id` that it would have landed under."""

    tenant_id: str | None
    event_name: str | None
    reason: Reason
    path: str | None
    message: str
    payload: bytes | None
    altered: bytes | None = None
    """What making it private changed (`parley.landing.fidelity`)."""
    not_replayable: str | None = None
    """Why it can never be replayed, in a sentence."""


class Dropped(NamedTuple):
    """An event of which nothing is kept."""

    tenant_id: str | None
    outcome: Literal["no_consent", "erased_subject"]
    is_unclear: bool = False
    """Whether the consent was neither a yes nor a no that Parley knows."""


EventResult = Accepted | Rejected | Dropped
