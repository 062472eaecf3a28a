"""Judges one event: whether it lands, and as what. `Rules` is the whole contract of tracking_plan/ in one call.

The order of judgement: consent and erasure come first, so that nothing of a person who declined or was erased is kept,
not even in a refused row; then the envelope, the event type, its attributes; at last privacy. What the contract leaves
open is decided so:

- An empty text is an absent one, and so is an attribute that is null unless its schema allows null.
- Names and aliases of event types must be written exactly as in the plan.
- A time may have a small `t` or `z`, or a space for the `T`, as RFC 3339 lets it. The second 60 is the first of the
  next minute; digits after the sixth of a fraction are cut off.
- An attribute's alias is renamed where its name is free; else both stay, under the same privacy rule.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache, partial
from math import isfinite
from typing import Any, Literal, NamedTuple, TypedDict

import orjson
from jsonschema_rs import ValidationError

from parley.config import people, tenants, tracking_plan
from parley.config.people import VISITOR, is_id
from parley.config.tenants import Tenant, country_of, is_admitted
from parley.config.tracking_plan import ACTORS, MAX_NAME, EventType, Json, Plan, Scale, compile_schema, seen_by
from parley.landing import consent, fidelity, formats
from parley.landing.envelope import FIELDS, KNOWN, MAX_WHOLE_NUMBER, Digits, canonical_uuid, named_uuid
from parley.landing.formats import Format
from parley.landing.privacy import MAX_DEPTH, Cleaner, Erased, Privacy, Unstorable, dump, storable, texts, words
from parley.settings import TENANT_PATTERN, Settings
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT, UNKNOWN_TENANT

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

MAX_ID = 128
MAX_TENANT = 64
MAX_SOURCE = 32
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
UNREGISTERED_VERSION = 0
CACHED_USERS = 50_000
CACHED_TENANTS = 10_000
CACHED_CONTEXTS = 5_000  # a session's events have the same one
MOST_SEARCHED = 10_000  # words, of each tenant, looked up among the erased: a fraction of a second
TOO_MUCH = (
    "It has too many words to look for erased people in, and nothing of it is kept: correct it, and send it again."
)
CACHED_CONTEXT = 1_000  # bytes of the longest that is remembered

_EXAMPLE = "2024-05-31T14:30:00+02:00"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:([0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_LONGEST_TIME = len("2024-05-31T12:30:00.000000Z")  # that needs no rounding
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNREGISTERED_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_WORD = re.compile(r"[^a-z0-9.]+")


class Accepted(NamedTuple):
    """An event that lands, made private. Ids and JSON are as `raw.events` stores them."""

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
    """An event that is refused. Nothing in it is personal: `payload` is the event in the sender's envelope, made
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


Verdict = Accepted | Rejected | Dropped


class _Refusal(Exception):
    """Ends a judgement: the reason, a field of our envelope, the steps from it inwards, and what is wrong with it."""

    def __init__(self, reason: Reason, field: str | None, message: str, steps: Iterable[str | int] = ()) -> None:
        self.reason: Reason = reason
        self.field = field
        self.message = message
        self.steps = tuple(steps)


class _Type:
    """An event type made ready to judge by; its schema is compiled when its first event comes."""

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


class _Tenant(NamedTuple):
    """What a tenant's events are judged by: its choices, and the event types it sees, by name and alias."""

    hash_user_ids: bool
    admits_unregistered: bool
    types: Mapping[str, _Type]
    privacy: Privacy


class Arguments(TypedDict):
    """What `Rules` is built from: plain data that can be pickled."""

    plan: Plan
    tenants: Mapping[str, Tenant]
    source_format: Format
    secret: bytes
    default_tenant: str | None
    erased: Collection[str]
    erased_tenants: Collection[str]
    placeholders: frozenset[str]
    strict_tenants: bool
    max_future: timedelta
    tenant_pattern: str


def arguments(
    connection: Connection, settings: Settings, source_format: str = formats.NATIVE, default_tenant: str | None = None
) -> Arguments:
    """Return what holds now, from the project's files and the database, for a load in a source format. Commits.

    Raises ParleyError where a file is wrong, where there is no such format, or no tenant can have such a name.
    """
    if default_tenant is not None:
        tenants.check_id(default_tenant, settings.tenant_pattern)
    folder = settings.project / tracking_plan.FOLDER
    erased = connection.execute("select subject_hmac, tenant_id from raw.erased_subjects").fetchall()
    return Arguments(
        plan=tracking_plan.sync(connection, folder),
        tenants=tenants.read(settings.project / tenants.SEED, connection),
        source_format=formats.find(folder, source_format),
        secret=settings.secret,
        default_tenant=default_tenant,
        erased=frozenset(str(row[0]) for row in erased),
        erased_tenants=frozenset(str(row[1]) for row in erased),
        placeholders=people.placeholders(settings.project),
        strict_tenants=settings.strict_tenants,
        max_future=timedelta(hours=settings.max_future_hours),
        tenant_pattern=settings.tenant_pattern,
    )


class Rules:
    """The contract for the events of one load. Built once per worker, from plain data that can be pickled."""

    def __init__(
        self,
        *,
        plan: Plan,
        tenants: Mapping[str, Tenant],
        secret: bytes,
        source_format: Format | None = None,
        default_tenant: str | None = None,
        erased: Collection[str] = (),
        erased_tenants: Collection[str] = (),
        placeholders: frozenset[str] = frozenset(),
        strict_tenants: bool = False,
        max_future: timedelta = timedelta(hours=24),
        tenant_pattern: str = TENANT_PATTERN,
    ) -> None:
        """`erased` are the `subject_hmac` of raw.erased_subjects, `erased_tenants` whose people they are."""
        self.mapper = formats.Mapper(source_format) if source_format and not source_format.is_native else None
        """Makes events of the documents of a source; None where documents are events."""
        self._default_tenant = default_tenant
        self._erased = Erased(secret, erased, placeholders) if erased else None
        self._erased_tenants = frozenset(erased_tenants)
        self._placeholders = placeholders
        self._strict_tenants = strict_tenants
        self._max_future = max_future
        self._is_admitted = lru_cache(CACHED_TENANTS)(partial(is_admitted, pattern=tenant_pattern))
        self._known_context = lru_cache(CACHED_CONTEXTS)(_clean_context)

        @cache
        def privacy_of(region: str | None) -> Privacy:
            return Privacy(plan.privacy, secret, region)

        @cache
        def made(region: str | None) -> dict[int, _Type]:
            return {id(kind): _Type(kind, privacy_of(region)) for kind in plan.types}

        @cache
        def types_of(tenant_id: str, region: str | None) -> dict[str, _Type]:
            names: dict[str, _Type] = {}
            for kind in seen_by(tenant_id, plan.types):  # a tenant's own come last, and first in rank
                names |= dict.fromkeys((*kind.aliases, kind.event_name), made(region)[id(kind)])
            return names

        def tenant(tenant_id: str) -> _Tenant:
            listed = tenants.get(tenant_id)
            region = country_of(listed.time_zone) if listed else None
            return _Tenant(
                listed is not None and listed.hash_user_ids,
                listed is not None and listed.admit_unregistered_types,
                types_of(tenant_id if tenant_id in with_own else EVERY_TENANT, region),
                privacy_of(region),
            )

        with_own = {kind.tenant_id for kind in plan.types} - {EVERY_TENANT}
        admitted = tenants.keys() if strict_tenants else tenants.keys() | with_own
        self._unlisted = _Tenant(False, False, types_of(EVERY_TENANT, None), privacy_of(None))
        self._tenants = {tenant_id: tenant(tenant_id) for tenant_id in admitted}
        self._is_personal = lru_cache(CACHED_TENANTS)(self._unlisted.privacy.scrub.is_contact)
        self._hash_user = lru_cache(CACHED_USERS)(self._unlisted.privacy.hash)

    def judge(
        self,
        event: object,
        received_at: datetime,
        default_tenant: str | None = None,
        *,
        unknown: Collection[str] = (),
        has_digits: bool = False,
    ) -> Verdict:
        """What becomes of one decoded JSON value that arrived at a time (with zone). Never raises on a JSON value.

        `unknown` are fields that no event may have; `has_digits` says that some numbers are `Digits`.
        """
        default_tenant = default_tenant or self._default_tenant
        try:
            return self._judge(event, received_at, default_tenant, unknown, has_digits)
        except _Refusal as refusal:
            return self._rejected(event, refusal, default_tenant)
        except Unstorable:
            return self._rejected(event, _what_cannot_be_stored(event), default_tenant)

    def refuse(self, reason: Reason, message: str, tenant_id: str | None = None) -> Rejected:
        """A refusal of something that is no JSON value, such as a broken line. The message must quote nothing of it."""
        return Rejected(tenant_id, None, reason, None, message, None)

    def unreadable(self, document: object, message: str, default_tenant: str | None = None) -> Verdict:
        """What becomes of a document of which no event can be made; the message says what it is."""
        default_tenant = default_tenant or self._default_tenant
        context = document.get("context") if type(document) is dict else None
        if type(context) is dict and "consent" in context and (said := consent.said(context["consent"])) != "yes":
            return Dropped(self._readable(default_tenant), "no_consent", said == "unclear")
        return self._rejected(document, _Refusal("invalid_value", None, f"the document {message}"), default_tenant)

    def _judge(
        self,
        event: Any,
        received_at: datetime,
        default_tenant: str | None,
        unknown: Collection[str],
        has_digits: bool,
    ) -> Accepted | Dropped:
        if type(event) is not dict:
            raise _Refusal("invalid_type", None, "an event must be a JSON object")
        get = event.get

        tenant_id = get("tenant_id")
        if tenant_id is None:
            tenant_id = default_tenant
        context = get("context")
        if type(context) is dict and "consent" in context and (said := consent.said(context["consent"])) != "yes":
            return Dropped(self._readable(tenant_id), "no_consent", said == "unclear")
        user_id = get("user_id")
        if (
            self._erased
            and type(tenant_id) is str
            and self._erased.has(tenant_id, user_id, get("conversation_id") or get("session_id"), get("anonymous_id"))
        ):
            return Dropped(tenant_id, "erased_subject")
        if unknown and (found := next((key for key in event if key in unknown), None)) is not None:
            raise _Refusal(
                "invalid_value",
                None,
                "is no field of an event: write it in attributes, or name the source's own format with --format",
                (found,),
            )

        tenant = self._tenants.get(tenant_id) if type(tenant_id) is str else None
        if tenant is None:
            tenant = self._check_unlisted(tenant_id)
        kind = self._check_type(tenant, get("event_name"))
        occurred_at = _moment(get("occurred_at"), received_at + self._max_future)
        conversation_id = get("conversation_id")
        if conversation_id is not None:
            conversation_id = _id("conversation_id", conversation_id, tenant.privacy)
        session_id = get("session_id")
        if session_id is not None:
            session_id = _id("session_id", session_id, tenant.privacy)
        if user_id is not None:
            user_id = self._person("user_id", user_id, tenant)
            if user_id is not None and user_id.startswith(VISITOR):
                raise _Refusal(
                    "invalid_value", "user_id", f"begins with {VISITOR}, as visitors do: send an anonymous_id"
                )
        anonymous_id = get("anonymous_id")
        if anonymous_id is not None:
            anonymous_id = self._person("anonymous_id", anonymous_id, tenant)
        site_id = get("site_id")
        if site_id is not None:
            site_id = _id("site_id", site_id, tenant.privacy)
        source = get("source")
        if source is not None:
            source = _text("source", source, MAX_SOURCE)
            source = source and tenant.privacy.scrub(source, is_free=False)
        sequence = get("sequence")
        if sequence is not None:
            sequence = _sequence(sequence)
        actor = get("actor")
        if actor is not None:
            actor = _actor(actor)

        attributes = get("attributes")
        if attributes is None:
            attributes = {}
        elif type(attributes) is not dict:
            raise _Refusal("invalid_type", "attributes", "must be an object")
        if has_digits:
            attributes = _with_digits(kind, event, attributes)
        if isinstance(kind, str):
            event_name, version, attributes = kind, UNREGISTERED_VERSION, tenant.privacy.unknown(attributes)
        else:
            event_name, version, attributes = kind.event_name, kind.version, kind.clean(_valid(kind, attributes))
        if context is not None:
            if type(context) is not dict:
                raise _Refusal("invalid_type", "context", "must be an object")
            given = dump(context)
            if len(given) > CACHED_CONTEXT or b"null" in given:  # which may be a number that is not finite
                context = _json(tenant.privacy.context(context))
            else:
                context = self._known_context(tenant.privacy, given)
        return Accepted(
            str(tenant_id),
            self._event_id(get("event_id"), event),
            event_name,
            occurred_at,
            conversation_id,
            session_id,
            user_id,
            source,
            _json(attributes),
            context,
            version,
            anonymous_id,
            site_id,
            sequence,
            actor,
        )

    def _person(self, field: str, value: Any, tenant: _Tenant) -> str | None:
        """The id of a person or a visitor: hashed where the tenant says so, or where it is an address or a number."""
        if not tenant.hash_user_ids:
            return _id(field, value, tenant.privacy)
        found = _text(field, value, MAX_ID)
        return self._hash_user(found) if found and is_id(found, self._placeholders) else found

    def _check_unlisted(self, tenant_id: Any) -> _Tenant:
        if tenant_id is None:
            raise _Refusal("missing_field", "tenant_id", "is missing: give it in the event, or a default with --tenant")
        if _text("tenant_id", tenant_id, MAX_TENANT) is None:
            raise _Refusal("invalid_value", "tenant_id", "is empty: write the tenant's id")
        if tenant_id in (EVERY_TENANT, UNKNOWN_TENANT):
            raise _Refusal("invalid_value", "tenant_id", "is a name that Parley keeps for itself: use another")
        if not self._is_admitted(tenant_id):
            raise _Refusal("invalid_value", "tenant_id", "is no name for a tenant (PARLEY_TENANT_PATTERN): correct it")
        if self._is_personal(tenant_id):
            raise _Refusal("invalid_value", "tenant_id", "is personal data, or looks so: name the tenant otherwise")
        if self._strict_tenants:
            raise _Refusal("unknown_tenant", "tenant_id", "is not in seeds/tenants.csv: add it there, or correct it")
        return self._unlisted

    def _check_type(self, tenant: _Tenant, name: Any) -> _Type | str:
        """The event type of a name, or the name itself where the tenant admits an unregistered type."""
        kind = tenant.types.get(name) if type(name) is str else None
        if kind is not None:
            if not kind.is_active:
                raise _Refusal(
                    "inactive_event_type",
                    "event_name",
                    f"names {kind.event_name}, which is switched off: set is_active in the plan, or do not send it",
                )
            return kind
        if name is None:
            raise _Refusal("missing_field", "event_name", "is missing: write the event type's name")
        if _text("event_name", name, MAX_NAME) is None:
            raise _Refusal("invalid_value", "event_name", "is empty: write the event type's name")
        if not tenant.admits_unregistered:
            if name.lower() in tenant.types:
                raise _Refusal(
                    "unknown_event_type", "event_name", "is not in the tracking plan: write it in lower case"
                )
            raise _Refusal(
                "unknown_event_type",
                "event_name",
                "is not in the tracking plan: correct it, or add it with `parley events register`",
            )
        if tenant.privacy.scrub(name) != name or self._is_personal(name):
            raise _Refusal("invalid_value", "event_name", "holds personal data: write a name for what happens")
        normalised = name if _UNREGISTERED_NAME.fullmatch(name) else _normalised(name)
        if not normalised:
            raise _Refusal("invalid_value", "event_name", "has no letter: write it as domain.action, in lower case")
        return str(normalised)

    def _readable(self, tenant_id: Any) -> str | None:
        """The tenant to count an event under, None where it names none."""
        try:
            found = _text("tenant_id", tenant_id, MAX_TENANT)
        except (_Refusal, Unstorable):
            return None
        return None if found and found not in self._tenants and self._is_personal(found) else found

    def _event_id(self, given: Any, event: Json) -> str:
        if given is None or given == "":
            return named_uuid(dump(event, orjson.OPT_SORT_KEYS))
        if type(given) is not str:
            raise _Refusal("invalid_type", "event_id", "must be a text, a UUID")
        found = canonical_uuid(given)
        if found is None:
            raise _Refusal("invalid_value", "event_id", "must be a UUID such as 0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90")
        return found

    def _rejected(self, event: Any, refusal: _Refusal, default_tenant: str | None) -> Rejected | Dropped:
        content = storable(event)
        never = None if content == event else fidelity.UNSTORABLE
        if type(content) is not dict:
            kept = dump(self._unlisted.privacy.anything(content))
            return Rejected(None, None, refusal.reason, "$", _sentence("", refusal.message), kept, None, never)
        tenant_id = event.get("tenant_id")
        tenant_id = self._readable(default_tenant if tenant_id is None else tenant_id)
        if self._erased:
            is_named = self._names_erased(self._erased, tenant_id, content)
            if is_named:
                return Dropped(tenant_id, "erased_subject")  # whatever the key: of what is wrong, more may be wrong
            if is_named is None:
                return Rejected(
                    tenant_id, None, refusal.reason, "$", _sentence("", refusal.message), None, None, TOO_MUCH
                )
        tenant = self._tenants.get(tenant_id or "", self._unlisted)
        scrub = tenant.privacy.scrub
        name = storable(event.get("event_name"))
        kind = tenant.types.get(name) if type(name) is str else None
        place = (refusal.field,) if refusal.field else ()
        steps = [scrub(step) if isinstance(step, str) else step for step in (*place, *refusal.steps)]
        payload, altered = fidelity.kept(
            content, _field, self._is_whole, tenant.privacy, kind, hashes_users=tenant.hash_user_ids
        )
        if content.get("event_id") in (None, ""):
            payload["event_id"] = named_uuid(dump(content, orjson.OPT_SORT_KEYS))
        return Rejected(
            tenant_id,
            kind.event_name if kind else scrub(name)[:MAX_NAME] if type(name) is str else None,
            refusal.reason,
            _json_path(steps),
            _sentence(_json_path(steps).removeprefix("$").removeprefix("."), refusal.message),
            dump(payload),
            dump(altered) if altered else None,
            never,
        )

    def _is_whole(self, field: str, value: Any) -> bool:
        """Whether a value is one that a field of the envelope may have, and of a kind that is not personal."""
        if field == "tenant_id" and type(value) is str and value not in self._tenants and self._is_personal(value):
            return False
        return _is_whole(field, value)

    def _names_erased(self, erased: Erased, tenant_id: str | None, content: Json) -> bool | None:
        """Whether an event that is wrong in some way names an erased subject, or a conversation of such a one alone,
        anywhere. Where its tenant cannot be read it may be anybody's. None: there is too much in it to look for."""
        named = {word for text in texts(content) for word in (text, *words(text))}
        searched = (tenant_id,) if tenant_id else self._erased_tenants
        if len(named) * len(searched) > MOST_SEARCHED:
            return None
        return any(
            erased.has_user(tenant, word) or erased.has_thread(tenant, word) or erased.has_visitor(tenant, word)
            for tenant in searched
            for word in named
        )

    def judge_again(self, event: object, altered: fidelity.Altered, received_at: datetime) -> Verdict | str:
        """What becomes today of the payload of a rejected event, given what making it private had changed; a sentence
        where it would not land as the event that was sent."""
        verdict = self.judge(event, received_at)
        if not altered or not isinstance(verdict, Accepted) or type(event) is not dict:
            return verdict
        tenant = self._tenants.get(verdict.tenant_id, self._unlisted)
        kind = tenant.types.get(verdict.event_name)
        why = fidelity.why_not(altered, kind, tenant.privacy, hashes_users=tenant.hash_user_ids)
        if why:
            return why
        ids: Json = {field: event.get(field) for field in altered if field.endswith("_id") and field in verdict._fields}
        attributes = fidelity.restored(verdict.attributes, event, altered, kind)
        return verdict._replace(attributes=attributes, **ids)


def _clean_context(privacy: Privacy, given: bytes) -> bytes:
    """The JSON of a context, made private, from JSON that says all of it."""
    return _json(privacy.context(orjson.loads(given)))


def _id(field: str, value: Any, privacy: Privacy) -> str | None:
    found = _text(field, value, MAX_ID)
    return found and privacy.identifier(found)


def _field(key: str) -> str | None:
    """The field of an event that a key is."""
    return key if key in KNOWN else None


def _is_whole(field: str, value: Any) -> bool:
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


def _text(field: str, value: Any, longest: int) -> str | None:
    """A text of the envelope; None where it is empty."""
    if type(value) is not str:
        raise _Refusal("invalid_type", field, "must be a text")
    if len(value) > longest:
        raise _Refusal("invalid_value", field, f"is longer than {longest} characters: shorten it")
    if "\0" in value or not (value.isascii() or _is_unicode(value)):
        raise Unstorable
    return value or None


def _sequence(value: Any) -> int | None:
    """The place of an event among those of its instant; a text of digits is one too, as CSV files have it."""
    if type(value) is str:
        if not value:
            return None
        if not _WHOLE_NUMBER.fullmatch(value):
            raise _Refusal("invalid_type", "sequence", "must be a whole number")
        value = int(value)
    if type(value) is not int:
        raise _Refusal("invalid_type", "sequence", "must be a whole number")
    if not -MAX_WHOLE_NUMBER <= value < MAX_WHOLE_NUMBER:
        raise _Refusal("invalid_value", "sequence", "does not fit into 64 bits: use a smaller number")
    return int(value)


def _actor(value: Any) -> str | None:
    if type(value) is not str:
        raise _Refusal("invalid_type", "actor", "must be a text")
    if value and value not in ACTORS:
        raise _Refusal("invalid_value", "actor", f"must be one of {', '.join(ACTORS)}")
    return value or None


def _normalised(name: str) -> str:
    """A name as it may land unregistered: `Cart Viewed` is cart_viewed. Empty where it has no letter."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = _NOT_A_WORD.sub("_", _CAPITAL.sub("_", plain).lower())
    parts = [part.strip("_") for part in words.split(".")]
    return ".".join(filter(None, parts)).lstrip("0123456789_.")


def _with_digits(kind: _Type | str, event: Json, attributes: Json) -> Json:
    """The attributes with `Digits` as texts where the event type lets them be texts; anywhere else they are refused."""
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
            raise _Refusal("invalid_value", field, "has more digits than a number can keep: send it as a text", steps)
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


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_id(value: Any, longest: int) -> bool:
    return type(value) is int or (type(value) is str and len(value) <= longest)


def _moment(value: Any, latest: datetime) -> str:
    """An RFC 3339 time as UTC with microseconds at most."""
    if value is None:
        raise _Refusal("missing_field", "occurred_at", "is missing: write when it happened")
    if type(value) is not str:
        raise _Refusal("invalid_type", "occurred_at", f"must be a text such as {_EXAMPLE}")
    match = _TIME.fullmatch(value)
    if match is None:
        if _LOCAL_TIME.fullmatch(value):
            raise _Refusal("invalid_value", "occurred_at", f"has no offset: write it as {_EXAMPLE}, or with Z for UTC")
        raise _Refusal("invalid_value", "occurred_at", f"must be written as {_EXAMPLE}")
    is_leap = match[1] == "60"
    try:
        moment = datetime.fromisoformat((f"{value[:17]}59{value[19:]}" if is_leap else value).upper())
    except ValueError:
        raise _Refusal("invalid_value", "occurred_at", "is a time that does not exist: correct it") from None
    if is_leap:
        moment += timedelta(seconds=1)
    if moment > latest:
        raise _Refusal("clock_skew", "occurred_at", "is too far in the future: set the sender's clock right")
    if moment < EARLIEST:
        raise _Refusal("clock_skew", "occurred_at", "is before 2000-01-01: set the sender's clock right")
    if moment.tzinfo is UTC and not is_leap and len(value) <= _LONGEST_TIME:
        return value  # as most are written
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _valid(kind: _Type, given: Json) -> Json:
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
    refusals = [_refusal(kind, error) for error in errors]
    worst = min(refusals, key=lambda refusal: _ORDER.index(refusal.reason))
    aliases = {name: alias for alias, name in kind.renames.items() if alias in given and name not in given}
    if worst.steps:
        first, *others = worst.steps
        worst.steps = (aliases.get(str(first), first), *others)
    raise worst


_ORDER = ("missing_field", "invalid_type", "invalid_value")


def _refusal(kind: _Type, error: ValidationError) -> _Refusal:
    """What a schema's error says to the sender. It quotes the schema and nothing of the event."""
    steps = error.instance_path
    value = error.kind.value
    match error.kind.name:
        case "required":
            return _Refusal("missing_field", "attributes", f"is missing: {kind.event_name} needs it", [*steps, value])
        case "type":
            words = " or ".join(_TYPES.get(name, name) for name in value)
            return _Refusal("invalid_type", "attributes", f"must be {words}", steps)
        case "enum":
            words = ", ".join(dump(option).decode() for option in value)
            return _Refusal("invalid_value", "attributes", f"must be one of {words}", steps)
        case keyword if keyword in _BOUNDS:
            return _Refusal("invalid_value", "attributes", f"{_BOUNDS[keyword]} {value}", steps)
        case "anyOf" if all(
            one.kind.name == "required" for branch in error.kind.as_dict()["context"] for one in branch
        ):
            words = ", ".join(one.kind.value for branch in error.kind.as_dict()["context"] for one in branch)
            return _Refusal("missing_field", "attributes", f"must have one of {words}", steps)
        case Scale.KEYWORD:
            attribute, _, words = error.message.partition(" ")
            return _Refusal("invalid_value", "attributes", words, [*steps, attribute])
        case keyword:
            return _Refusal(
                "invalid_value", "attributes", f"does not follow `{keyword}` of the schema of {kind.event_name}", steps
            )


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


def _json(content: Json) -> bytes:
    """JSON that Postgres takes: without U+0000."""
    found = dump(content)
    if b"\\u0000" in found and storable(content) != content:
        raise Unstorable
    return found


def _what_cannot_be_stored(event: Any) -> _Refusal:
    """Where an event holds something that cannot be stored, and what."""
    found = next(_unstorable(event, ()), None)
    if found is None:
        return _Refusal("invalid_value", None, "the event holds something that cannot be stored")
    steps, message = found
    return _Refusal("invalid_value", None, message, steps)


def _unstorable(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    kind = type(value)
    if kind is str:
        if "\0" in value:
            yield steps, "holds the character U+0000: remove it"
        elif not _is_unicode(value):
            yield steps, "is no Unicode text (half of a surrogate pair stands alone): send it whole"
    elif kind is float:
        if not isfinite(value):
            yield steps, "is not a finite number: leave it out"
    elif kind is int:
        if storable(value) is None:
            yield steps, "does not fit 64 bits: send it as a text"
    elif kind is dict or kind is list:
        if len(steps) >= MAX_DEPTH:
            yield steps[:3], f"is nested deeper than {MAX_DEPTH} levels: make it flatter"
            return
        for key, item in value.items() if kind is dict else enumerate(value):
            if kind is dict:
                for _, message in _unstorable(key, steps):
                    yield steps, f"has a key that {message}"
            yield from _unstorable(item, (*steps, key))


def _json_path(steps: Iterable[str | int]) -> str:
    """A JSON path (RFC 9535) from the root of the event."""
    path = "$"
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _IDENTIFIER.fullmatch(step):
            path += f".{step}"
        else:
            path += "['" + storable(step).replace("\\", "\\\\").replace("'", "\\'") + "']"
    return path


def _sentence(place: str, message: str) -> str:
    words = f"{place} {message}" if place else message[:1].upper() + message[1:]
    return f"{words}."
