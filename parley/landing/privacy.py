"""Makes events private: what is personal in them is dropped, masked, hashed or cut before anything is written.

What is personal is said by the rules of an event type's attributes, and for every event by name and by pattern
(`tracking_plan/privacy.yml`). `Privacy` makes a `Cleaner` for each kind of object.
"""

import hmac
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Final

import orjson

from parley.config.tracking_plan import Json, PrivacyLists
from parley.landing import patterns

MASK: Final = "[masked]"
MAX_DEPTH: Final = 32
CACHED_KEYS: Final = 10_000
CACHED_SUBJECTS: Final = 50_000

Action = Callable[[Any, int], Any]
"""Makes a value private, given how deep it lies. Returns the value itself where there is nothing to change."""

_DROPPED: Final = object()
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[\w.:-]+")  # what stands under an id's name and looks like one is no phone number, digits or not
_ID_WORDS = frozenset(("id", "ids", "uuid"))


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
        if len(self._actions) >= CACHED_KEYS:  # a sender that makes up keys must not fill the memory
            self._actions.clear()
        return self._actions.setdefault(key, self._find(key))


class Privacy:
    """The rules that hold for every event, and the secret to hash with.

    `replayed`: the events were made private before, so that what is a hash already stays as it is.
    """

    def __init__(self, lists: PrivacyLists, secret: bytes, *, replayed: bool = False) -> None:
        self._secret = secret
        self._replayed = replayed
        self.scrub = patterns.scrubber(lists.patterns)
        self._scrub_certain = patterns.scrubber(name for name in lists.patterns if name != "phone")

        self._keep = self._texts(lambda text: text)
        self._certain = self._texts(self._scrub_certain)
        self._any_text = self._texts(self.scrub, self._undescribed)
        self._id_text = self._texts(lambda text: (self._scrub_certain if _ID.fullmatch(text) else self.scrub)(text))
        self._context_text = self._texts(_context_text)
        self._by_name: dict[str, Action] = {
            **dict.fromkeys(map(_joined, lists.url), self._texts(patterns.url_path, self._in_context)),
            **{_joined(name): self._free_text(length) for name, length in lists.text.items()},
            **{_joined(name): _mask_named if rule == "mask" else _drop for name, rule in lists.names.items()},
            **dict.fromkeys(map(_joined, lists.ip), self._texts(patterns.truncate_ip, self._in_context)),
        }
        self.context = Cleaner(self._in_context)
        self.unknown = Cleaner(self._undescribed)

    def hash(self, value: Any) -> str:
        """HMAC-SHA-256 of a value, in hexadecimal; in a replay, the value itself where it is such a hash already."""
        if self._replayed and type(value) is str and _HASH.fullmatch(value):
            return value
        return hashed(self._secret, value)

    def anything(self, value: Any) -> Any:
        """A value that is not what its place asks for, made private by all patterns."""
        return self._any_text(value, 0)

    def of_type(self, rules: Mapping[str, Any], described: frozenset[str]) -> Cleaner:
        """For the attributes of a valid event: the type's rules, and certain patterns in what it does not describe."""

        def find(key: str) -> Action:
            default = self._keep if key in described else self._certain
            return self._by_rule(rules.get(key)) or self._special(key) or default

        return Cleaner(find)

    def of_refused(self, rules: Mapping[str, Any]) -> Cleaner:
        """For the attributes of a refused event: the type's rules, and all patterns in all other text."""
        return Cleaner(lambda key: self._by_rule(rules.get(key)) or self._undescribed(key))

    def _by_rule(self, rule: Any) -> Action | None:
        if rule == "drop":
            return _drop
        if rule == "mask":
            return _mask
        if rule == "hash":
            return lambda value, _: value if value is None else self.hash(value)
        return self._free_text(rule["text"]) if isinstance(rule, dict) else None

    def _special(self, key: str) -> Action | None:
        """What is done to a value because of its key's name: that of the longest ending that is in the lists."""
        if self._scrub_certain(key) != key:
            return _drop
        words = [word.lower() for word in _WORDS.findall(key)]
        while len(words) > 1 and words[-1].isdigit():  # phone_2
            words.pop()
        for first in range(max(len(words) - 5, 0), len(words)):
            name = "".join(words[first:])
            for singular in (name, name.removesuffix("s"), name.removesuffix("es")):
                if action := self._by_name.get(singular):
                    return action
        return None

    def _in_context(self, key: str) -> Action:
        return self._special(key) or self._context_text

    def _undescribed(self, key: str) -> Action:
        special = self._special(key)
        if special:
            return special
        is_id = _ID_WORDS.intersection(word.lower() for word in _WORDS.findall(key)[-1:])
        return self._id_text if is_id else self._any_text

    def _texts(self, leaf: patterns.Scrub, within: Callable[[str], Action] | None = None) -> Action:
        """Do `leaf` to every text of a value. `within` finds the actions of keys inside it: by name, else the same."""

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
            if kind is float and not isfinite(value):
                raise Unstorable
            return value

        nested = Cleaner(within or (lambda key: self._special(key) or act))
        return act

    def _free_text(self, length: int) -> Action:
        texts = self._texts(lambda text: self.scrub(text)[:length])

        def act(value: Any, depth: int) -> Any:
            if type(value) is int and self.scrub(dump(value).decode()) != dump(value).decode():
                return MASK
            return texts(value, depth)

        return act


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


class Erased:
    """Who was erased, by what `raw.erased_subjects` knows them by (`hmacs`)."""

    def __init__(self, secret: bytes, hmacs: Collection[str]) -> None:
        self._secret = secret
        self._hmacs = frozenset(hmacs)
        self.has_user = lru_cache(CACHED_SUBJECTS)(self._has_user)
        """Whether a subject was erased, under its own name or under the hash that its tenant may keep."""
        self.has_thread = lru_cache(CACHED_SUBJECTS)(self._has_thread)
        """Whether a conversation (or session) was of an erased subject alone."""

    def has(self, tenant_id: str, user_id: Any, thread_id: Any) -> bool:
        """Whether an event is of an erased subject, or names nobody in a conversation that was of such a one alone."""
        if user_id not in (None, ""):
            return type(user_id) is str and self.has_user(tenant_id, user_id)
        return type(thread_id) is str and self.has_thread(tenant_id, thread_id)

    def _has_user(self, tenant_id: str, user_id: str) -> bool:
        return not self._hmacs.isdisjoint(subject_hmacs(self._secret, tenant_id, user_id))

    def _has_thread(self, tenant_id: str, thread_id: str) -> bool:
        return thread_hmac(self._secret, tenant_id, thread_id) in self._hmacs


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


def _mask(value: Any, _: int) -> Any:
    return value if value is None else MASK


def _mask_named(value: Any, _: int) -> Any:
    """A flag says that there is a phone, not which."""
    return value if value is None or type(value) is bool else MASK


def _drop(_value: Any, _: int) -> Any:
    return _DROPPED


def _context_text(text: str) -> str:
    if text[:8].lower().startswith(("http://", "https://", "?")):
        return patterns.url_path(text)
    if patterns.is_ip(text):
        return patterns.truncate_ip(text)
    return patterns.emails(text)


def _joined(name: str) -> str:
    return "".join(word.lower() for word in _WORDS.findall(name))
