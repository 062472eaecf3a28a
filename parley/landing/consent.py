"""What the consent of an event's context says of analytics, in the ways that consent is written down.

`analytics` is the contract's; `analytics_storage` (and `ad_storage`) are Google's consent mode, `categoryPreferences`
Segment's consent object. Nobody is asked twice: what is neither a yes nor a no counts as no.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

Said = Literal["yes", "no", "unclear"]

# fmt: off
_YES: Final = frozenset((
    "true", "1", "yes", "y", "on", "t", "granted", "grant", "given", "allow",
    "allowed", "accept", "accepted", "agree", "agreed", "consented", "optin", "optedin", "enabled",
    "all", "ja", "oui", "si", "sí",
))
_NO: Final = frozenset((
    "false", "0", "no", "n", "off", "f", "denied", "deny", "disallowed", "decline", "declined",
    "reject", "rejected", "refused", "withdrawn", "revoked", "optout", "optedout", "disabled", "none", "nein", "non",
))
# fmt: on
_ANALYTICS: Final = re.compile(r"analy|statist|measure|performance|c0002", re.I)
_STATED: Final = ("analytics", "analytics_storage", "analyticsStorage", "ad_storage", "adStorage")
_WITHIN: Final = ("granted", "consented", "status", "state", "value", "choice", "default", "update")
_DEPTH: Final = 4
_OPPOSITE: Final[dict[Said, Said]] = {"yes": "no", "no": "yes", "unclear": "unclear"}


def said(consent: Any, depth: int = 0) -> Said:
    """What a consent says of analytics. One that says nothing of it is no refusal."""
    if type(consent) is dict and len(consent) == 1 and type(plain := consent.get("analytics")) is bool:
        return "yes" if plain else "no"  # as most are written
    if consent is None or depth > _DEPTH:
        return "yes" if consent is None else "unclear"
    if type(consent) is bool:
        return "yes" if consent else "no"
    if isinstance(consent, int | float):
        return "yes" if consent == 1 else "no" if consent == 0 else "unclear"
    if isinstance(consent, str):
        word = re.sub(r"[\s_-]+", "", consent).casefold()
        return "yes" if not word or word in _YES else "no" if word in _NO else "unclear"
    if isinstance(consent, list):
        return "yes" if not consent or any(_names_analytics(each) for each in consent) else "unclear"
    if not isinstance(consent, dict):
        return "unclear"
    preferences = consent.get("categoryPreferences", consent.get("category_preferences"))
    stated = [consent[key] for key in _STATED[:3] if consent.get(key) is not None]
    stated = stated or [consent[key] for key in _STATED[3:] if consent.get(key) is not None]
    found = [_answer(each, depth) for each in stated]
    if preferences is not None:
        found.append(_preferred(preferences, depth))
    found = found or [_answer(consent[key], depth) for key in _WITHIN if consent.get(key) is not None]
    return _least(found or _named(consent, depth))


def _named(consent: dict[Any, Any], depth: int) -> Iterator[Said]:
    """What is said under a key that names analytics, whatever else it is called, or that means a yes or a no by itself;
    also further in."""
    for key, value in consent.items():
        name = re.sub(r"[\W_]+", "", str(key)).casefold()
        if value is None:
            continue
        if _ANALYTICS.search(str(key)) or name in _YES:
            yield _answer(value, depth)
        elif name in _NO:
            yield _OPPOSITE[_answer(value, depth)]
        elif isinstance(value, dict) and depth < _DEPTH:
            yield from _named(value, depth + 1)
        elif isinstance(value, list) and any(map(_names_analytics, value)):
            yield "yes"


def _answer(value: Any, depth: int) -> Said:
    if isinstance(value, dict):
        inner = (
            [_answer(value[key], depth + 1) for key in _WITHIN if value.get(key) is not None] if depth < _DEPTH else []
        )
        return _least(inner) if inner else "unclear"
    return said(value, depth + 1)


def _preferred(preferences: Any, depth: int) -> Said:
    """Of Segment's categories, which every workspace names itself: those that say analytics; else all of them."""
    if not isinstance(preferences, dict):
        return "unclear"
    named = [value for key, value in preferences.items() if _ANALYTICS.search(str(key))]
    if named:
        return _least(_answer(value, depth) for value in named)
    found = {_answer(value, depth) for value in preferences.values()}
    return "yes" if found <= {"yes"} else "no" if found == {"no"} else "unclear"


def _names_analytics(value: Any) -> bool:
    return isinstance(value, str) and _ANALYTICS.search(value) is not None


def _least(found: Iterable[Said]) -> Said:
    answers = set(found)
    return "no" if "no" in answers else "unclear" if "unclear" in answers else "yes"
