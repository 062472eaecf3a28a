"""Reads the fields of an event's envelope. What has not the form that it must have raises a Rejection that says so."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

from parley.config.tracking_plan import ACTORS
from parley.landing.envelope import MAX_WHOLE_NUMBER, canonical_uuid
from parley.landing.privacy import Privacy, Unstorable
from parley.landing.rejections import Rejection, is_unicode

MAX_ID = 128
MAX_TENANT = 64
MAX_SOURCE = 32
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
UNREGISTERED_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")

_EXAMPLE = "2024-05-31T14:30:00+02:00"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:([0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_LONGEST_TIME = len("2024-05-31T12:30:00.000000Z")  # that needs no rounding
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_WORD = re.compile(r"[^a-z0-9.]+")


def identifier(field: str, value: Any, privacy: Privacy) -> str | None:
    """An id, hashed where it is an address or a number; None where it is empty."""
    if type(value) is str and (known := privacy.ids.get(value)):
        return known  # as most have come before
    found = text(field, value, MAX_ID)
    return found and privacy.identifier(found)


def text(field: str, value: Any, longest: int) -> str | None:
    """A text of the envelope; None where it is empty."""
    if type(value) is not str:
        raise Rejection("invalid_type", field, "must be a text")
    if len(value) > longest:
        raise Rejection("invalid_value", field, f"is longer than {longest} characters: shorten it")
    if "\0" in value or not (value.isascii() or is_unicode(value)):
        raise Unstorable
    return value or None


def sequence(value: Any) -> int | None:
    """The place of an event among those of its instant; a text of digits is one too, as CSV files have it."""
    if type(value) is str:
        if not value:
            return None
        if not _WHOLE_NUMBER.fullmatch(value):
            raise Rejection("invalid_type", "sequence", "must be a whole number")
        value = int(value)
    if type(value) is not int:
        raise Rejection("invalid_type", "sequence", "must be a whole number")
    if not -MAX_WHOLE_NUMBER <= value < MAX_WHOLE_NUMBER:
        raise Rejection("invalid_value", "sequence", "does not fit into 64 bits: use a smaller number")
    return int(value)


def actor(value: Any) -> str | None:
    """Whose doing the event is; None where that is empty."""
    if type(value) is not str:
        raise Rejection("invalid_type", "actor", "must be a text")
    if value and value not in ACTORS:
        raise Rejection("invalid_value", "actor", f"must be one of {', '.join(ACTORS)}")
    return value or None


def moment(value: Any, latest: datetime) -> str:
    """An RFC 3339 time as UTC with microseconds at most."""
    if value is None:
        raise Rejection("missing_field", "occurred_at", "is missing: write when it happened")
    if type(value) is not str:
        raise Rejection("invalid_type", "occurred_at", f"must be a text such as {_EXAMPLE}")
    match = _TIME.fullmatch(value)
    if match is None:
        if _LOCAL_TIME.fullmatch(value):
            raise Rejection("invalid_value", "occurred_at", f"has no offset: write it as {_EXAMPLE}, or with Z for UTC")
        raise Rejection("invalid_value", "occurred_at", f"must be written as {_EXAMPLE}")
    is_leap = match[1] == "60"
    try:
        moment = datetime.fromisoformat((f"{value[:17]}59{value[19:]}" if is_leap else value).upper())
    except ValueError:
        raise Rejection("invalid_value", "occurred_at", "is a time that does not exist: correct it") from None
    if is_leap:
        moment += timedelta(seconds=1)
    if moment > latest:
        raise Rejection("clock_skew", "occurred_at", "is too far in the future: set the producer's clock right")
    if moment < EARLIEST:
        raise Rejection("clock_skew", "occurred_at", "is before 2000-01-01: set the producer's clock right")
    if moment.tzinfo is UTC and not is_leap and len(value) <= _LONGEST_TIME:
        return value  # as most are written
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def normalised(name: str) -> str:
    """A name as it may land unregistered: `Cart Viewed` is cart_viewed. Empty where it has no letter."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = _NOT_A_WORD.sub("_", _CAPITAL.sub("_", plain).lower())
    parts = [part.strip("_") for part in words.split(".")]
    return ".".join(filter(None, parts)).lstrip("0123456789_.")


def is_whole(field: str, value: Any) -> bool:
    """Whether a value has the form of what a field of the envelope may have."""
    match field:
        case "tenant_id":
            return _is_id(value, MAX_TENANT)
        case "event_id":
            return type(value) is str and canonical_uuid(value) is not None
        case "occurred_at":
            return type(value) is str and _DATE.match(value) is not None and len(value) <= MAX_ID
        case "conversation_id" | "session_id" | "user_id" | "anonymous_id" | "site_id":
            return _is_id(value, MAX_ID)
        case "sequence":
            return type(value) is int or (type(value) is str and _WHOLE_NUMBER.fullmatch(value) is not None)
        case "actor":
            return value in ACTORS
    return False


def _is_id(value: Any, longest: int) -> bool:
    return type(value) is int or (type(value) is str and len(value) <= longest)
