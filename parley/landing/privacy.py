"""Makes events private: what is personal in them is dropped, masked, hashed or cut before anything is written.

What is personal is said by the rules of an event type's attributes, and for every event by name and by pattern
(`tracking_plan/privacy.yml`). `Privacy` makes a `Cleaner` for each kind of object.
"""

import hmac
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache, partial
from math import isfinite
from typing import Any, Final

import orjson

from parley.config.people import VISITOR, is_id
from parley.config.tracking_plan import Json, PrivacyLists
from parley.landing import disguises, patterns

MASK: Final = "[masked]"
MAX_DEPTH: Final = 32
CACHED_KEYS: Final = 10_000
CACHED_SUBJECTS: Final = 50_000
CACHED_TEXTS: Final = 5_000  # values of attributes, greetings and what bots say come again and again
CACHED_TEXT: Final = 200  # characters of the longest that is remembered
MAX_ID: Final = 128
MOST_SEARCHED: Final = 10_000  # words, of each tenant, looked up among the erased: a fraction of a second
TOO_MUCH: Final = (
    "It has too many words to look for erased people in, and nothing of it is kept: correct it, and send it again."
)
SHORTEST_NUMBER: Final = 999_999  # no phone number has fewer digits

Action = Callable[[Any, int], Any]
"""Makes a value private, given how deep it lies. Returns the value itself where there is nothing to change."""

_DROPPED: Final = object()
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_QUOTED = re.compile(r"[^\s\"'`,;|<>()\[\]{}=&?#*\\]+")
_UNPARTED = re.compile(r"[^\s\"'`,;<>()\[\]{}\\]+")
_ENDS = ".:!?|=&#*"  # of a sentence, or of what stands around a word
# in hexadecimal: it is no UTF-8 that can be read
_NO_TEXT = r"(?!(?:[2-7].|[cd].[89ab].|e.(?:[89ab].){2}|f.(?:[89ab].){3})+$)"
_PLAIN_ID = re.compile(
    rf"[A-Za-z][a-z.-]*\d{{0,6}}|\d{{0,7}}|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}|{_NO_TEXT}[0-9a-f]{{32,}}"
    # such as c-9f03…: no number, as it has a letter, nor the beginning of an IBAN
    rf"|[A-Za-z]{{1,8}}[-_](?=\d*[a-f])(?!(?:a[de]|b[ae]|de|ee)\d\d){_NO_TEXT}[0-9a-f]{{8,64}}",
    re.ASCII,
)
_VERSION: Final = 4
"""Of what is found personal: raised when the code finds more or less in the same text."""


class Unstorable(Exception):
    """The event holds a value that JSON or Postgres cannot hold."""


class Cleaner:
    """Makes JSON objects private, key by key. The argument stays as it is: what is to be changed is changed in a copy.

    Raises Unstorable where a number is not finite or the object is nested too deep.
    """

    __slots__ = ("_actions", "_find")

    def __init__(self, find: Callable[[str], Action]) -> None:
        self._find = find
        self._actions: dict[str, Action] = {}

    def __call__(self, content: Json, depth: int = 0) -> Json:
        if depth > MAX_DEPTH:
            raise Unstorable
        actions = self._actions
        changed: Json | None = None
        for key, value in content.items():
            action = actions.get(key) or self._action(key)
            private = action(value, depth)
            if private is not value:
                if changed is None:
                    changed = dict(content)
                if private is _DROPPED:
                    del changed[key]
                else:
                    changed[key] = private
        return content if changed is None else changed

    def _action(self, key: str) -> Action:
        if len(self._actions) >= CACHED_KEYS:  # a producer that makes up keys must not fill the memory
            self._actions.clear()
        return self._actions.setdefault(key, self._find(key))


class Privacy:
    """The rules that hold for every event of a tenant in a `region` (a country, None where unknown), and the secret to
    hash with."""

    def __init__(self, lists: PrivacyLists, secret: bytes, region: str | None = None) -> None:
        self._secret = secret
        said = repr((_VERSION, lists, region)).encode()
        self._fingerprint = hmac.digest(secret, said, "sha256").hex()[:16]
        self.scrub = patterns.Scrubber(lists.patterns, patterns.Words(lists.phone_words, lists.other_words), region)
        self._free = _remembering(self.scrub)
        hints: tuple[patterns.Hint, ...] = ("phone", "id", None)
        self._by_hint = {hint: _remembering(partial(self._cleaned, hint=hint)) for hint in hints}
        self.source = lru_cache(CACHED_KEYS)(partial(self.scrub, is_free=False))
        """Where an event comes from, as it is kept."""
        self.ids: dict[str, str] = {}
        """Ids that came before, as `identifier` keeps them."""

        self._people = frozenset(map(_joined, lists.people))
        self._things = frozenset(map(_joined, lists.things))
        self._secrets = frozenset(map(_joined, lists.secrets))
        self._about_secrets = frozenset(lists.about_secrets)
        self._qualifiers = frozenset(lists.qualifiers)
        urls = self._texts(lambda text: patterns.url_path(text, self.scrub), self._in_context)
        self._by_name: dict[str, Action] = {
            **dict.fromkeys(map(_joined, lists.url), urls),
            **{_joined(name): self._free_text(length) for name, length in lists.text.items()},
            **{_joined(name): _mask_named if rule == "mask" else _drop for name, rule in lists.names.items()},
            **dict.fromkeys(map(_joined, lists.ip), self._texts(patterns.truncate_ip, self._in_context)),
        }
        self._contacts = dict.fromkeys(map(_joined, lists.contacts), self._value("phone", None))
        self.context = Cleaner(self._in_context)
        self.unknown = self.of_type({})
        self._anything = self._free_text(None)
        self._kept: Action = self._texts(lambda text: text, lambda key: self._special(key, is_kept=True) or self._kept)

    def hash(self, value: Any) -> str:
        """HMAC-SHA-256 of a value, in hexadecimal."""
        return hashed(self._secret, value)

    def anything(self, value: Any) -> Any:
        """A value that is not what its place asks for, redacted by all patterns."""
        return self._anything(value, 0)

    def of_type(self, rules: Mapping[str, Any]) -> Cleaner:
        """For the attributes of an event: the type's rules, then what keys are called, then all patterns."""

        def find(key: str) -> Action:
            rule = rules.get(key)
            found = self._by_rule(rule) or self._special(key, is_kept=rule == "keep")
            return found or (self._kept if rule == "keep" else self._attribute(key, None))

        return Cleaner(find)

    def treatment(self, rule: Any) -> str:
        """What is done under a type's rule for an attribute, None where it has none: equal ones treat values alike."""
        return str(rule) if rule in ("drop", "mask", "hash") else f"{rule} {self._fingerprint}"

    def _by_rule(self, rule: Any) -> Action | None:
        if rule == "drop":
            return _drop
        if rule == "mask":
            return _mask
        if rule == "hash":
            return lambda value, _: value if value is None else self.hash(value)
        return self._free_text(rule["text"]) if isinstance(rule, dict) else None

    def _special(self, key: str, parent: str | None = None, *, is_kept: bool = False) -> Action | None:
        """What is done to a value because of its key's name: that of the longest ending that is in the lists."""
        if self.scrub(key, is_free=False) != key or (len(key) <= MAX_ID and self.scrub.is_contact(key, "id")):
            return _drop
        words = [word.lower() for word in _WORDS.findall(disguises.plain(key))]
        if self._is_secret(words):
            return _drop_secret
        while len(words) > 1 and (words[-1].isdigit() or words[-1] in self._qualifiers):  # phone_2, email_work
            words.pop()
        for first in range(max(len(words) - 5, 0), len(words)):
            name = "".join(words[first:])
            for singular in (name, name.removesuffix("s"), name.removesuffix("es")):
                if action := self._by_name.get(singular):
                    return action
        whole = "".join(words)
        if whole in self._people and not is_kept and not self._is_thing(parent):
            return _mask_named
        return self._contacts.get(whole)

    def _is_secret(self, words: list[str]) -> bool:
        if not words or words[-1] in self._about_secrets:
            return False
        whole = "".join(words)
        return any(
            secret in words or (len(secret) > 4 and secret in whole and not whole.endswith(tuple(self._about_secrets)))
            for secret in self._secrets
        )

    def _is_thing(self, parent: str | None) -> bool:
        words = _WORDS.findall(parent or "")
        last = words[-1].lower() if words else ""
        return last in self._things or last.removesuffix("s") in self._things or _joined(parent or "") in self._things

    def _in_context(self, key: str) -> Action:
        return self._special(key) or self._context_value(key)

    def _context_value(self, key: str) -> Action:
        hint = self.scrub.hint(_WORDS.findall(key))

        def leaf(text: str) -> str:
            if text[:8].lower().startswith(("http://", "https://", "?")):
                return patterns.url_path(text, self.scrub)
            if patterns.is_ip(text):
                return patterns.truncate_ip(text)
            return self.scrub(text, _hint_for(text, hint), is_free=False)

        return self._texts(leaf, lambda inner: self._special(inner, key) or self._context_value(inner))

    def _attribute(self, key: str, parent: str | None) -> Action:
        return self._special(key, parent) or self._value(self.scrub.hint(_WORDS.findall(key)), key)

    def _value(self, hint: patterns.Hint, key: str | None) -> Action:
        """All patterns, in the light of what the key says of numbers; an id is hashed, so that it joins as before."""

        def number(value: int) -> Any:
            if hint == "phone" and 10**6 <= value < 10**15:
                return MASK if self.scrub(str(value), hint) != str(value) else value
            return MASK if 10**12 <= value < 10**19 and patterns.cards(str(value), hint) != str(value) else value

        return self._texts(self._by_hint[hint], lambda inner: self._attribute(inner, key), number)

    def _cleaned(self, text: str, hint: patterns.Hint) -> str:
        if hint == "id" and len(text) <= MAX_ID and self.scrub.is_contact(text, hint):
            return self.hash(text)
        return self.scrub(text, _hint_for(text, hint), is_free=False)

    def _texts(
        self,
        leaf: Callable[[str], str],
        within: Callable[[str], Action] | None = None,
        number: Callable[[int], Any] | None = None,
    ) -> Action:
        """Do `leaf` to every text of a value, and `number` to every whole number. `within` finds the actions of keys
        inside it: by name, else the same."""

        def act(value: Any, depth: int) -> Any:
            kind = type(value)
            if kind is str:
                return leaf(value)
            if kind is dict:
                return nested(value, depth + 1)
            if kind is list:
                if depth >= MAX_DEPTH:
                    raise Unstorable
                items = [act(item, depth + 1) for item in value]
                return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
            if kind is int and number and value > SHORTEST_NUMBER:
                return number(value)
            if kind is float and not isfinite(value):
                raise Unstorable
            return value

        nested = Cleaner(within or (lambda key: self._special(key) or act))
        return act

    def _free_text(self, length: int | None) -> Action:
        def number(value: int) -> Any:
            return MASK if self.scrub(str(value)) != str(value) else value

        return self._texts(lambda text: self._free(text)[:length], number=number)

    def identifier(self, value: str) -> str:
        """An id as it is kept: hashed where it is somebody's address or number, so that it joins as before."""
        known = self.ids.get(value)
        if known is None:
            is_plain = _PLAIN_ID.fullmatch(value) or not self.scrub.is_contact(value)
            known = value if is_plain else self.hash(value)
            if len(self.ids) >= CACHED_SUBJECTS:
                self.ids.clear()
            self.ids[value] = known
        return known


def _remembering(scrub: Callable[[str], str]) -> Callable[[str], str]:
    """The same, but short texts that come again are remembered, and a text that stays is the same object after it."""
    known = lru_cache(CACHED_TEXTS)(scrub)

    def remembered(text: str) -> str:
        if len(text) > CACHED_TEXT:
            return scrub(text)
        found = known(text)
        return text if found == text else found

    return remembered


def _hint_for(text: str, hint: patterns.Hint) -> patterns.Hint:
    """What the name says of the numbers in a text. They are ids only where the whole text is one, without spaces."""
    return None if hint == "id" and text.split() != [text] else hint


def hashed(secret: bytes, value: Any) -> str:
    """HMAC-SHA-256 of a text, or of the canonical JSON of another value, in hexadecimal (64 digits)."""
    text = value if type(value) is str else dump(value, orjson.OPT_SORT_KEYS).decode()
    return hmac.digest(secret, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def subject_hmac(secret: bytes, tenant_id: str, user_id: str) -> str:
    """What `raw.erased_subjects` knows a subject by: the hash of tenant and user."""
    return hashed(secret, f"{tenant_id}\0{user_id}")


def subject_hmacs(secret: bytes, tenant_id: str, user_id: str) -> tuple[str, str]:
    """A subject's two hashes: by the user id as given, and by the hash of it that a tenant with hashed ids keeps."""
    return subject_hmac(secret, tenant_id, user_id), subject_hmac(secret, tenant_id, hashed(secret, user_id))


def thread_hmac(secret: bytes, tenant_id: str, thread_id: str) -> str:
    """What `raw.erased_subjects` knows a conversation (or session) by that was of an erased subject alone."""
    return hashed(secret, f"{tenant_id}\0thread\0{thread_id}")


def text_hmac(secret: bytes, tenant_id: str, text: str) -> str:
    """What `ops.erasures` knows a text by that only an erased subject wrote, whatever its spaces and capitals."""
    return hashed(secret, f"{tenant_id}\0text\0{' '.join(text.split()).casefold()}")


def visitor_hmac(secret: bytes, tenant_id: str, anonymous_id: str) -> str:
    """What `raw.erased_subjects` knows a visitor by who was an erased subject alone."""
    return hashed(secret, f"{tenant_id}\0visitor\0{anonymous_id}")


class Erased:
    """Who was erased, by what `raw.erased_subjects` knows them by (`hmacs`), and of which tenants they were."""

    def __init__(
        self,
        secret: bytes,
        hmacs: Collection[str],
        placeholders: frozenset[str] = frozenset(),
        tenants: Collection[str] = (),
    ) -> None:
        self._tenants = frozenset(tenants)
        self._secret = secret
        self._placeholders = placeholders
        self._hmacs = frozenset(hmacs)
        self.has_user = lru_cache(CACHED_SUBJECTS)(self._has_user)
        """Whether a subject was erased, under its own name or under the hash that its tenant may keep."""
        self.has_thread = lru_cache(CACHED_SUBJECTS)(self._has_thread)
        """Whether a conversation (or session) was of an erased subject alone."""
        self.has_visitor = lru_cache(CACHED_SUBJECTS)(self._has_visitor)
        """Whether a visitor was an erased subject alone."""

    def has(self, tenant_id: str, user_id: Any, thread_id: Any, anonymous_id: Any = None) -> bool:
        """Whether an event is of an erased subject, or names nobody in a conversation that was of such a one alone."""
        if is_id(user_id, self._placeholders):
            return self.has_user(tenant_id, user_id)
        if is_id(anonymous_id, self._placeholders):
            return self.has_visitor(tenant_id, anonymous_id)
        return type(thread_id) is str and self.has_thread(tenant_id, thread_id)

    def is_named(self, content: Any, tenant_id: str | None) -> bool | None:
        """Whether a JSON value that is no proper event names an erased subject, or a conversation of such a one alone,
        anywhere. Where its tenant cannot be read it may be anybody's. None: there is too much in it to look for."""
        tenants = (tenant_id,) if tenant_id else self._tenants
        named = {word for text in texts(content) for word in (text, *words(text))}
        if len(named) * len(tenants) > MOST_SEARCHED:
            return None
        return any(
            self.has_user(tenant, word) or self.has_thread(tenant, word) or self.has_visitor(tenant, word)
            for tenant in tenants
            for word in named
        )

    def _has_user(self, tenant_id: str, user_id: str) -> bool:
        return not self._hmacs.isdisjoint(subject_hmacs(self._secret, tenant_id, user_id))

    def _has_thread(self, tenant_id: str, thread_id: str) -> bool:
        return not self._hmacs.isdisjoint(
            thread_hmac(self._secret, tenant_id, name) for name in (thread_id, hashed(self._secret, thread_id))
        )

    def _has_visitor(self, tenant_id: str, anonymous_id: str) -> bool:
        known = (anonymous_id, hashed(self._secret, anonymous_id))
        return any(
            visitor_hmac(self._secret, tenant_id, name) in self._hmacs or self._has_user(tenant_id, VISITOR + name)
            for name in known
        )


def dump(value: object, option: int | None = None) -> bytes:
    """A value as JSON in UTF-8. Raises Unstorable where it cannot be one."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError as error:
        raise Unstorable from error


def storable(value: Any, depth: int = 0) -> Any:
    """A copy of any JSON value that can be stored: what cannot be is replaced, what lies too deep left out."""
    kind = type(value)
    if kind is str:
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if kind is dict or kind is list:
        if depth >= MAX_DEPTH:
            return None
        if kind is list:
            return [storable(item, depth + 1) for item in value]
        return {storable(str(key)): storable(item, depth + 1) for key, item in value.items()}
    if kind is float and not isfinite(value):
        return None
    if kind is int and not -(2**63) <= value < 2**64:
        return None
    return value if value is None or kind in (bool, int, float) else storable(str(value))


def texts(content: Any) -> Iterator[str]:
    """Every text and whole number in a JSON value, keys too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        yield from content
        for value in content.values():
            yield from texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from texts(value)
    elif isinstance(content, int) and not isinstance(content, bool):
        yield str(content)


def words(text: str) -> list[str]:
    """What stands by itself in a text, such as an id that is quoted; an id may hold what parts words (`auth0|7f3c`)."""
    found = {*_QUOTED.findall(text), *_UNPARTED.findall(text)}
    return [*found, *({word.strip(_ENDS) for word in found} - found - {""})]


def _mask(value: Any, _: int) -> Any:
    return value if value is None else MASK


def _mask_named(value: Any, _: int) -> Any:
    """A flag says that there is a phone, not which."""
    return value if value is None or type(value) is bool else MASK


def _drop(_value: Any, _: int) -> Any:
    return _DROPPED


def _drop_secret(value: Any, _: int) -> Any:
    """A flag says that there is a password, not which."""
    return value if type(value) is bool else _DROPPED


def _joined(name: str) -> str:
    return "".join(word.lower() for word in _WORDS.findall(name))
