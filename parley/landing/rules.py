"""Validates one event: whether it lands, and as what. `Rules` is the whole contract of tracking_plan/ in one call.

The order of validation: consent and erasure come first, so that nothing of a person who declined or was erased is kept,
not even in a rejected row; then the envelope, the event type, its attributes; at last privacy. What the contract leaves
open is decided so:

- An empty text is an absent one, and so is an attribute that is null unless its schema allows null.
- Names and aliases of event types must be written exactly as in the plan.
- A time may have a small `t` or `z`, or a space for the `T`, as RFC 3339 lets it. The second 60 is the first of the
  next minute; digits after the sixth of a fraction are cut off.
- An attribute's alias is renamed where its name is free; else both stay, under the same privacy rule.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple, TypedDict

import orjson

from parley.config import people, tenants, tracking_plan
from parley.config.people import VISITOR, is_id
from parley.config.tenants import Tenant, country_of, is_admitted
from parley.config.tracking_plan import MAX_NAME, Json, Plan, seen_by
from parley.landing import consent, fidelity, fields, formats
from parley.landing.attributes import TypeRules, valid, with_digits
from parley.landing.envelope import KNOWN, canonical_uuid, named_uuid
from parley.landing.fields import MAX_ID, MAX_SOURCE, MAX_TENANT
from parley.landing.formats import Format
from parley.landing.privacy import TOO_MUCH, Erased, Privacy, Unstorable, dump, storable
from parley.landing.rejections import Rejection, json_path, sentence, stored_json, what_cannot_be_stored
from parley.landing.results import Accepted, Dropped, EventResult, Reason, Rejected
from parley.settings import TENANT_PATTERN, Settings
from parley.warehouse import secret as secrets
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT, UNKNOWN_TENANT

UNREGISTERED_VERSION = 0
CACHED_USERS = 50_000
CACHED_TENANTS = 10_000
CACHED_CONTEXTS = 5_000  # a session's events have the same one
_GIVEN = {"analytics": True}
CACHED_CONTEXT = 1_000  # bytes of the longest that is remembered


class _Tenant(NamedTuple):
    """What a tenant's events are validated by: its choices, and the event types it sees, by name and alias."""

    hash_user_ids: bool
    admits_unregistered: bool
    types: Mapping[str, TypeRules]
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

    Raises ParleyError where a file is wrong, where there is no such format, no tenant can have such a name, or the
    secret is not the warehouse's.
    """
    secrets.check(connection, settings)
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
        self._erased = Erased(secret, erased, placeholders, erased_tenants) if erased else None
        self._placeholders = placeholders
        self._strict_tenants = strict_tenants
        self._max_future = max_future
        self._is_admitted = lru_cache(CACHED_TENANTS)(partial(is_admitted, pattern=tenant_pattern))
        self._known_context = lru_cache(CACHED_CONTEXTS)(_clean_context)

        @cache
        def privacy_of(region: str | None) -> Privacy:
            return Privacy(plan.privacy, secret, region)

        @cache
        def made(region: str | None) -> dict[int, TypeRules]:
            return {id(kind): TypeRules(kind, privacy_of(region)) for kind in plan.types}

        @cache
        def types_of(tenant_id: str, region: str | None) -> dict[str, TypeRules]:
            names: dict[str, TypeRules] = {}
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

    def validate(
        self,
        event: object,
        received_at: datetime,
        default_tenant: str | None = None,
        *,
        unknown: Collection[str] = (),
        has_digits: bool = False,
    ) -> EventResult:
        """What becomes of one decoded JSON value that arrived at a time (with zone). Never raises on a JSON value.

        `unknown` are fields that no event may have; `has_digits` says that some numbers are `Digits`.
        """
        default_tenant = default_tenant or self._default_tenant
        try:
            return self._validate(event, received_at, default_tenant, unknown, has_digits)
        except Rejection as rejection:
            return self._rejected(event, rejection, default_tenant)
        except Unstorable:
            return self._rejected(event, what_cannot_be_stored(event), default_tenant)

    def rejected_line(self, reason: Reason, message: str, tenant_id: str | None = None) -> Rejected:
        """A rejection of what is no JSON value, such as a broken line. The message must quote nothing of it."""
        return Rejected(tenant_id, None, reason, None, message, None)

    def unreadable(self, document: object, message: str, default_tenant: str | None = None) -> EventResult:
        """What becomes of a document of which no event can be made; the message says what it is."""
        default_tenant = default_tenant or self._default_tenant
        context = document.get("context") if type(document) is dict else None
        if type(context) is dict and "consent" in context and (said := consent.said(context["consent"])) != "yes":
            return Dropped(self._readable(default_tenant), "no_consent", said == "unclear")
        return self._rejected(document, Rejection("invalid_value", None, f"the document {message}"), default_tenant)

    def _validate(
        self,
        event: Any,
        received_at: datetime,
        default_tenant: str | None,
        unknown: Collection[str],
        has_digits: bool,
    ) -> Accepted | Dropped:
        if type(event) is not dict:
            raise Rejection("invalid_type", None, "an event must be a JSON object")
        get = event.get

        tenant_id = get("tenant_id")
        if tenant_id is None:
            tenant_id = default_tenant
        context = get("context")
        if (
            type(context) is dict
            and (stated := context.get("consent")) is not None
            and stated != _GIVEN  # as most are written
            and (said := consent.said(stated)) != "yes"
        ):
            return Dropped(self._readable(tenant_id), "no_consent", said == "unclear")
        user_id = get("user_id")
        if (
            self._erased
            and type(tenant_id) is str
            and self._erased.has(tenant_id, user_id, get("conversation_id") or get("session_id"), get("anonymous_id"))
        ):
            return Dropped(tenant_id, "erased_subject")
        if unknown and (found := next((key for key in event if key in unknown), None)) is not None:
            raise Rejection(
                "invalid_value",
                None,
                "is no field of an event: write it in attributes, or name the source's own format with --format",
                (found,),
            )

        tenant = self._tenants.get(tenant_id) if type(tenant_id) is str else None
        if tenant is None:
            tenant = self._check_unlisted(tenant_id)
        kind = self._check_type(tenant, get("event_name"))
        occurred_at = fields.moment(get("occurred_at"), received_at + self._max_future)
        conversation_id = get("conversation_id")
        if conversation_id is not None:
            conversation_id = fields.identifier("conversation_id", conversation_id, tenant.privacy)
        session_id = get("session_id")
        if session_id is not None:
            session_id = fields.identifier("session_id", session_id, tenant.privacy)
        if user_id is not None:
            user_id = self._person("user_id", user_id, tenant)
            if user_id is not None and user_id.startswith(VISITOR):
                raise Rejection(
                    "invalid_value", "user_id", f"begins with {VISITOR}, as visitors do: send an anonymous_id"
                )
        anonymous_id = get("anonymous_id")
        if anonymous_id is not None:
            anonymous_id = self._person("anonymous_id", anonymous_id, tenant)
        site_id = get("site_id")
        if site_id is not None:
            site_id = fields.identifier("site_id", site_id, tenant.privacy)
        source = get("source")
        if source is not None:
            source = fields.text("source", source, MAX_SOURCE)
            source = source and tenant.privacy.source(source)
        sequence = get("sequence")
        if sequence is not None:
            sequence = fields.sequence(sequence)
        actor = get("actor")
        if actor is not None:
            actor = fields.actor(actor)

        attributes = get("attributes")
        if attributes is None:
            attributes = {}
        elif type(attributes) is not dict:
            raise Rejection("invalid_type", "attributes", "must be an object")
        if has_digits:
            attributes = with_digits(kind, event, attributes)
        if isinstance(kind, str):
            event_name, version, attributes = kind, UNREGISTERED_VERSION, tenant.privacy.unknown(attributes)
        else:
            event_name, version, attributes = kind.event_name, kind.version, kind.clean(valid(kind, attributes))
        if context is not None:
            if type(context) is not dict:
                raise Rejection("invalid_type", "context", "must be an object")
            given = dump(context)
            if len(given) > CACHED_CONTEXT or b"null" in given:  # which may be a number that is not finite
                context = stored_json(tenant.privacy.context(context))
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
            stored_json(attributes),
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
            return fields.identifier(field, value, tenant.privacy)
        found = fields.text(field, value, MAX_ID)
        return self._hash_user(found) if found and is_id(found, self._placeholders) else found

    def _check_unlisted(self, tenant_id: Any) -> _Tenant:
        if tenant_id is None:
            raise Rejection(
                "missing_field", "tenant_id", "is missing: give it in the event, or a default with --tenant"
            )
        if fields.text("tenant_id", tenant_id, MAX_TENANT) is None:
            raise Rejection("invalid_value", "tenant_id", "is empty: write the tenant's id")
        if tenant_id in (EVERY_TENANT, UNKNOWN_TENANT):
            raise Rejection("invalid_value", "tenant_id", "is a name that Parley keeps for itself: use another")
        if not self._is_admitted(tenant_id):
            raise Rejection("invalid_value", "tenant_id", "is no name for a tenant (PARLEY_TENANT_PATTERN): correct it")
        if self._is_personal(tenant_id):
            raise Rejection("invalid_value", "tenant_id", "is personal data, or looks so: name the tenant otherwise")
        if self._strict_tenants:
            raise Rejection("unknown_tenant", "tenant_id", "is not in seeds/tenants.csv: add it there, or correct it")
        return self._unlisted

    def _check_type(self, tenant: _Tenant, name: Any) -> TypeRules | str:
        """The event type of a name, or the name itself where the tenant admits an unregistered type."""
        kind = tenant.types.get(name) if type(name) is str else None
        if kind is not None:
            if not kind.is_active:
                raise Rejection(
                    "inactive_event_type",
                    "event_name",
                    f"names {kind.event_name}, which is switched off: set is_active in the plan, or do not send it",
                )
            return kind
        if name is None:
            raise Rejection("missing_field", "event_name", "is missing: write the event type's name")
        if fields.text("event_name", name, MAX_NAME) is None:
            raise Rejection("invalid_value", "event_name", "is empty: write the event type's name")
        if not tenant.admits_unregistered:
            if name.lower() in tenant.types:
                raise Rejection(
                    "unknown_event_type", "event_name", "is not in the tracking plan: write it in lower case"
                )
            raise Rejection(
                "unknown_event_type",
                "event_name",
                "is not in the tracking plan: correct it, or add it with `parley events register`",
            )
        if tenant.privacy.scrub(name) != name or self._is_personal(name):
            raise Rejection("invalid_value", "event_name", "holds personal data: write a name for what happens")
        normalised = name if fields.UNREGISTERED_NAME.fullmatch(name) else fields.normalised(name)
        if not normalised:
            raise Rejection("invalid_value", "event_name", "has no letter: write it as domain.action, in lower case")
        return str(normalised)

    def _readable(self, tenant_id: Any) -> str | None:
        """The tenant to count an event under, None where it names none."""
        try:
            found = fields.text("tenant_id", tenant_id, MAX_TENANT)
        except (Rejection, Unstorable):
            return None
        return None if found and found not in self._tenants and self._is_personal(found) else found

    def _event_id(self, given: Any, event: Json) -> str:
        if given is None or given == "":
            return named_uuid(dump(event, orjson.OPT_SORT_KEYS))
        if type(given) is not str:
            raise Rejection("invalid_type", "event_id", "must be a text, a UUID")
        found = canonical_uuid(given)
        if found is None:
            raise Rejection("invalid_value", "event_id", "must be a UUID such as 0b6e5a2c-4d1f-4c7e-9a53-8f2d6b1e7c90")
        return found

    def _rejected(self, event: Any, rejection: Rejection, default_tenant: str | None) -> Rejected | Dropped:
        content = storable(event)
        never = None if content == event else fidelity.UNSTORABLE
        if type(content) is not dict:
            kept = dump(self._unlisted.privacy.anything(content))
            return Rejected(None, None, rejection.reason, "$", sentence("", rejection.message), kept, None, never)
        tenant_id = event.get("tenant_id")
        tenant_id = self._readable(default_tenant if tenant_id is None else tenant_id)
        if self._erased:
            is_named = self._erased.is_named(content, tenant_id)
            if is_named:
                return Dropped(tenant_id, "erased_subject")  # whatever the key: of what is wrong, more may be wrong
            if is_named is None:
                return Rejected(
                    tenant_id, None, rejection.reason, "$", sentence("", rejection.message), None, None, TOO_MUCH
                )
        tenant = self._tenants.get(tenant_id or "", self._unlisted)
        scrub = tenant.privacy.scrub
        name = storable(event.get("event_name"))
        kind = tenant.types.get(name) if type(name) is str else None
        place = (rejection.field,) if rejection.field else ()
        steps = [scrub(step) if isinstance(step, str) else step for step in (*place, *rejection.steps)]
        payload, altered = fidelity.kept(
            content, _field, self._is_whole, tenant.privacy, kind, hashes_users=tenant.hash_user_ids
        )
        if content.get("event_id") in (None, ""):
            payload["event_id"] = named_uuid(dump(content, orjson.OPT_SORT_KEYS))
        return Rejected(
            tenant_id,
            kind.event_name if kind else scrub(name)[:MAX_NAME] if type(name) is str else None,
            rejection.reason,
            json_path(steps),
            sentence(json_path(steps).removeprefix("$").removeprefix("."), rejection.message),
            dump(payload),
            dump(altered) if altered else None,
            never,
        )

    def _is_whole(self, field: str, value: Any) -> bool:
        """Whether a value is one that a field of the envelope may have, and of a kind that is not personal."""
        if field == "tenant_id" and type(value) is str and value not in self._tenants and self._is_personal(value):
            return False
        return fields.is_whole(field, value)

    def validate_again(self, event: object, altered: fidelity.Altered, received_at: datetime) -> EventResult | str:
        """What becomes today of the payload of a rejected event, given what making it private had changed; a sentence
        where it would not land as the event that was sent."""
        result = self.validate(event, received_at)
        if not altered or not isinstance(result, Accepted) or type(event) is not dict:
            return result
        tenant = self._tenants.get(result.tenant_id, self._unlisted)
        kind = tenant.types.get(result.event_name)
        why = fidelity.why_not(altered, kind, tenant.privacy, hashes_users=tenant.hash_user_ids)
        if why:
            return why
        ids: Json = {field: event.get(field) for field in altered if field.endswith("_id") and field in result._fields}
        attributes = fidelity.restored(result.attributes, event, altered, kind)
        return result._replace(attributes=attributes, **ids)


def _clean_context(privacy: Privacy, given: bytes) -> bytes:
    """The JSON of a context, redacted, from JSON that says all of it."""
    return stored_json(privacy.context(orjson.loads(given)))


def _field(key: str) -> str | None:
    """The field of an event that a key is."""
    return key if key in KNOWN else None
