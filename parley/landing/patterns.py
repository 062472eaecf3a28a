"""Personal data recognised by its form: e-mail addresses, IBANs, card numbers and phone numbers in any text.

What is found is replaced by `[email]`, `[iban]`, `[card]` or `[phone]`. Check digits, issuers' ranges and the lengths
of a country's IBANs decide where there are any. A phone number has none: the words around it decide, then its form,
then the numbering plan of the tenant's country (libphonenumber). Digits of any script count.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from itertools import accumulate
from typing import Final, Literal
from urllib.parse import unquote

from parley.landing import disguises
from parley.landing.disguises import digits_in

Hint = Literal["phone", "id", None]
"""What the place of a text says of the numbers in it: numbers to call, numbers that name a thing, or nothing."""

_DASHES = "\\-\u2010-\u2015\u2212\uff0d"
_UNSEEN = "\u00ad\u200b-\u200f\u2060\ufeff"
_SPACES = f" \t\u00a0\u2007\u2009\u202f\u3000{_UNSEEN}"
_LETTER = "A-Za-z\u00c0-\u024f"

_LABEL = r"[\w-]{1,63}"
_AT = re.compile(r"@|＠|%40|&#64;|\s?[\[(]\s?at\s?[\])]\s?", re.I)
_DOMAIN = re.compile(
    rf"\[[^\]\s]{{1,64}}\]|(?![v^~]?\d+\.\d+[.-])(?:{_LABEL}\.){{1,8}}[^\W\d_][\w-]{{0,62}}|(?:{_LABEL}\.){{2,8}}[^\W\d_]{{2,62}}\b(?!\.\d)"
)
_NOT_LOCAL = frozenset('@＠<>()[],;:"')
_USER_OF_URL = re.compile(r"(?<=://)[^\s/?#@]{1,256}@(?=[\w\[])")
_SPOKEN: Final = {"at": "dot|punkt", "arroba": "punto|ponto", "arobase": "point", "chiocciola": "punto", "ät": "punkt"}
_SPOKEN_AT = re.compile(rf"\s({'|'.join(_SPOKEN)})\s", re.I)
_SPOKEN_DOMAIN = {at: re.compile(rf"{_LABEL}(?:\s(?:{dot})\s{_LABEL}){{1,4}}", re.I) for at, dot in _SPOKEN.items()}
_SPOKEN_LOCAL = {
    at: re.compile(rf"[\w.+-]{{1,64}}(?:\s(?:{dot})\s[\w+-]{{1,64}}){{0,3}}$", re.I) for at, dot in _SPOKEN.items()
}
_IBAN_START = re.compile(r"[A-Za-z] ?[A-Za-z] ?[0-9] ?[0-9]")
_IBAN_GAPS = re.compile(r"[^A-Za-z0-9]+")
_IBAN = re.compile(r"[A-Za-z0-9](?:[^A-Za-z0-9]{0,3}[A-Za-z0-9]){14,33}")
_CARD_GAP = rf"[{_SPACES}{_DASHES}./_,;|:*+\r\n]{{0,4}}"
_CARD = re.compile(rf"\d(?:{_CARD_GAP}\d){{12,}}")
_UNSEEN_SIGNS = re.compile(f"[{_UNSEEN}]")
_CARD_WORDS = re.compile(r"\b(?:credit|debit|visa|master|amex|kort|carte|karte|tarjeta|card)", re.I)
_SEVEN_DIGITS = re.compile(rf"\d(?:[{_SPACES}{_DASHES}./()_]{{0,3}}\d){{6}}")
_NUMBER = re.compile(
    rf"""
    (?P<other>
        [0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}                       # a UUID
      | (?<!\d)(?:19|20)\d\d(?P<mark>[-./])[01]?\d(?P=mark)[0-3]?\d(?![-./]?\d)       # a date, and its time
        (?:[T\s]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?
      | (?<![\d])[0-3]?\d(?P<point>[-./])[0-3]?\d(?P=point)(?:19|20)\d\d(?![-./]?\d)   # a date, the year last
      | (?<![\d.])\d{{1,3}}[.]\d\d\s?[{_DASHES}]\s?\d{{1,3}}[.]\d\d(?![.]?\d)               # a range of times or prices
      | (?<![\d.,])\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?![\d,])                                # an amount
      | (?<![\d.,])\d{{1,3}}(?:\.\d{{3}})+,\d+(?![\d,])
    )
    | [+\uff0b]?[(]?(?<!\d)\d(?:[{_SPACES}{_DASHES}./()_]{{0,3}}\d){{6,18}}(?!\d)
    """,
    re.VERBOSE,
)
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d+")
_DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d[0-5]\d(?:[0-5]\d)?)?")
_YEARS = re.compile(rf"(?:19|20)\d\d[{_SPACES}{_DASHES}./]+(?:19|20)\d\d")
_DECIMALS = re.compile(r"[.,]\d")
_BREAK = re.compile(rf"[{_SPACES}(/]")
_GLUED_AFTER = re.compile(rf"[{_LETTER}_]")
_SENTENCE = re.compile(rf"[{_LETTER}\u3040-\u9fff]\s|\s[{_LETTER}]")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_AMOUNT = re.compile(rf"[1-9]\d{{0,2}}(?:[{_SPACES}.]\d{{3}})+|(?:0|[1-9]\d*)[.]\d+")
_MASKS = re.compile(r"\[(?:email|iban|card|phone|ip|masked)\]")
_MONEY = re.compile(r"(?:[$€£¥₹₩₽#№@^~]|\b(?:usd|eur|gbp|sek|nok|dkk|chf|jpy|inr|kr|rs)\.?)\s?$", re.I)
_UNIT = re.compile(
    r"\s?(?:[$€£¥₹₩₽%]|(?:usd|eur|gbp|sek|nok|dkk|chf|jpy|inr|kr|kronor|euros?|dollars?|pounds?|yen|rupees?|[munµ]?s"
    r"|[kmgt]i?b|px|[ckm]?m|k?g|items?|rows?|bytes|tokens|users|times|points|seconds|views|records|people|visitors)\b)",
    re.I,
)
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_ADDRESS = re.compile(r"([0-9.]+)(?::\d+)?|\[?([0-9A-Fa-f:.]+)(?:%\w+)?(?:\]:\d+|\])?")
_HOST = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_QUERY = re.compile(r"[?#;]")
_NEUTRAL = frozenset(("number", "numbers", "no", "nr", "num", "value", "text", "string"))
_WORDS_IN_PATH = re.compile(r"[^\W\d_]{2,}")

_BEFORE = 48  # characters that may say what a number is
_AFTER = 28
_MAX_TRIES = 500  # of parts of a text: after them whatever looks like a number to call counts as one
_MAX_LOOKUPS = 200  # in numbering plans, as above


@dataclass(frozen=True, slots=True)
class Words:
    """Words that say what a number beside them is. A `*` at the end stands for any ending."""

    phone: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


class Lexicon:
    """Looks words up: `phone`, `other`, `number` (which leaves open of what), or None."""

    def __init__(self, words: Words) -> None:
        self._said: dict[str, str] = dict.fromkeys(("number", "nummer", "numero", "número", "numéro"), "number")
        self._stems: dict[str, str] = {}
        self._within: dict[str, str] = {"番号": "number", "号码": "number"}
        for kind, listed in (("other", words.other), ("phone", words.phone)):
            for word in listed:
                stem = word.removesuffix("*").casefold()
                if not re.match(rf"[{_LETTER}\u0400-\u06ff]", stem):  # of a script without spaces between words
                    self._within[stem] = kind
                elif stem == word.casefold():
                    self._said[stem] = kind
                else:
                    self._stems[stem] = kind
        self.find = lru_cache(20_000)(self._find)

    def _find(self, word: str, before: str) -> str | None:
        """What a word says, given the one before it; both in small letters."""
        if found := self._said.get(f"{before} {word}") or self._said.get(word):
            return found
        for end in range(len(word), 1, -1):
            if found := self._stems.get(word[:end]):
                return found
        places = [(word.rfind(part), kind) for part, kind in self._within.items() if part in word]
        telling = [each for each in places if each[1] != "number"] or places
        return max(telling)[1] if telling else None


class Scrubber:
    """Looks for some of the patterns in texts of a tenant whose country is `region` (ISO 3166, None where unknown)."""

    def __init__(self, patterns: Iterable[str], words: Words, region: str | None = None) -> None:
        wanted = set(patterns)
        self._emails = "email" in wanted
        self._ibans, self._cards, self._phones = ("iban" in wanted, "card" in wanted, "phone" in wanted)
        self._words = Lexicon(words)
        self._regions = (region,) if region else ("US", "GB")

    def __call__(self, text: str, hint: Hint = None, *, is_free: bool = True) -> str:
        """The text without what is personal. In one that is not free, such as an attribute's value, a number alone is
        taken for one to call only where its form says so."""
        if len(text) < 5:
            return text
        found = self._scrubbed(text, hint, is_free)
        read = disguises.plain(found)
        if read is not found and (scrubbed := self._scrubbed(read, hint, is_free, is_read=True)) != read:
            found = scrubbed
        return disguises.encoded(found, self._hides)

    def _hides(self, said: str) -> bool:
        return self._scrubbed(said, None, False, is_read=True) != said

    def _scrubbed(self, text: str, hint: Hint, is_free: bool, *, is_read: bool = False) -> str:
        if self._emails:
            text = emails(text)
        if digits_in(text) >= 7:  # the shortest phone number; no text with fewer is worth the search
            if text.count("-") >= 4 and (uuid := _UUID.search(text)):
                ends = text[: uuid.start()], text[uuid.end() :]
                return uuid.group().join(self._scrubbed(part, hint, is_free, is_read=is_read) for part in ends)
            if self._ibans:
                text = ibans(text)
            if self._cards:
                text = cards(text, hint)
            if self._phones and _SEVEN_DIGITS.search(text):
                text = _Phones(text, self._words, self._regions, hint, is_free, is_read).masked()
        return text

    def is_contact(self, text: str, hint: Hint = None) -> bool:
        """Whether a text that should be an id is, or holds, an e-mail address, or the number of a phone, card or
        account."""
        read = disguises.plain(text)
        if self._emails and (emails(read) != read or disguises.encoded(read, self._hides) != read):
            return True
        if digits_in(read) < 7:
            return False
        if self._ibans and _IBAN_ID.fullmatch(ibans(read)):
            return True
        if self._cards and hint != "id" and (card := _CARD_ID.fullmatch(read)) and cards(card[1]) == "[card]":
            return True
        number = read.rpartition(":")[2].strip()  # tel:, whatsapp:
        if hint != "id" and (named := _NAMED.fullmatch(number)):
            number = named[1]
        digits = "".join(_DIGITS.findall(number))
        if not self._phones or not _PLAIN_NUMBER.fullmatch(number) or is_day(digits):
            return False
        if number[0] in "+＋":
            return 7 <= len(digits) <= 15
        if number.isdigit() and not number.startswith("0"):
            return 11 <= len(digits) <= 12 and hint != "id" and _is_mobile(f"+{digits}")
        return _is_valid(number, self._regions[0]) or (digits.startswith("00") and _is_valid(f"+{digits[2:]}", None))

    def segment(self, text: str, before: str) -> str:
        """A segment of a URL's path, after another one, which may say what it is."""
        plain = unquote(text) if "%" in text else text
        if len(plain) < 5:
            return text
        scrubbed = self(plain, self.hint(_WORDS_IN_PATH.findall(before)), is_free=False)
        return text if scrubbed == plain else scrubbed

    def hint(self, words: Sequence[str]) -> Hint:
        """What the words of a name say of the numbers under it: the last one, or the one before a `number`."""
        telling = [word for word in words if word.lower() not in _NEUTRAL]
        before, last = ["", *(word.casefold() for word in telling[-2:])][-2:] if telling else ("", "")
        said = self._words.find(last, before) if telling else None
        return "phone" if said == "phone" else "id" if said == "other" else None


# e-mail addresses


def emails(text: str) -> str:
    """E-mail addresses, also with a sign in full width, encoded, in brackets or spoken (`jane at mail dot com`)."""
    if "://" in text and "@" in text:
        text = _USER_OF_URL.sub("", text)
    if (
        "@" in text
        or "%40" in text
        or "＠" in text
        or "&#64;" in text
        or (("(" in text or "[" in text) and "at" in text)
    ):
        text = _without(text, _email_at(text))
    if len(text) > 12 and _is_spoken(text.lower()):
        text = _without(text, _spoken_email_at(text))
    return text


def _is_spoken(text: str) -> bool:
    return " dot " in text or " punkt " in text or " punto " in text or " ponto " in text or " point " in text


def _without(text: str, found: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in found:
        parts += (text[done : max(start, done)], "[email]")
        done = end
    return "".join((*parts, text[done:])) if parts else text


def _email_at(text: str) -> Iterator[tuple[int, int]]:
    end = 0
    for sign in _AT.finditer(text):
        domain = _DOMAIN.match(text, sign.end()) if sign.start() >= end else None
        if domain is None:
            continue
        start = sign.start()
        if text[start - 1 : start] == '"' and (quote := text.rfind('"', max(start - 66, end), start - 1)) >= 0:
            start = quote
        else:
            while start > max(end, sign.start() - 64) and not (
                text[start - 1] in _NOT_LOCAL or text[start - 1].isspace()
            ):
                start -= 1
        end = domain.end()
        yield start, end


def _spoken_email_at(text: str) -> Iterator[tuple[int, int]]:
    end = 0
    for sign in _SPOKEN_AT.finditer(text):
        said = sign[1].lower()
        domain = _SPOKEN_DOMAIN[said].match(text, sign.end()) if sign.start() >= end else None
        local = domain and _SPOKEN_LOCAL[said].search(text, max(end, sign.start() - 140), sign.start())
        if domain and local:
            end = domain.end()
            yield local.start(), end


# IBANs

_IBAN_LENGTHS: Final = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FK FI FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ DZ ES MD PK RO SA SE SK TN VG", "25": "AO CV GW LY MZ PT ST", "26": "IR IS TR",
        "27": "BI CF CG CM DJ FR GA GQ GR IT KM MC MG MR SM TD", "28": "AL AZ BY CY DO GT HN HU LB NI PL SV",
        "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
} | {"BJ": 28, "BF": 28, "CI": 28, "ML": 28, "MA": 28, "NE": 28, "SN": 28, "TG": 28}  # fmt: skip


def ibans(text: str) -> str:
    """IBANs of the length that their country has and whose check digits are right (ISO 13616: modulo 97 is 1), grouped
    or not, also glued to other letters."""
    parts: list[str] = []
    done = 0
    for start in _iban_starts(text):
        if start >= done and (end := _end_of_iban(text, start)):
            parts += (text[done:start], "[iban]")
            done = end
    return "".join((*parts, text[done:])) if parts else text


def _iban_starts(text: str) -> Iterator[int]:
    at = 0
    while match := _IBAN_START.search(text, at):
        yield match.start()
        at = match.start() + 1


def _end_of_iban(text: str, start: int) -> int | None:
    """Where the IBAN that begins there ends, None where there is none."""
    length = _IBAN_LENGTHS.get(text[start : start + 3].replace(" ", "")[:2].upper())
    if length is None:
        return None
    run = _IBAN.match(text, start, start + 4 * length)
    compact = _IBAN_GAPS.sub("", run.group()) if run else ""
    if run is None or len(compact) < length:
        return None
    number = "".join(str(int(sign, 36)) for sign in compact[4:length] + compact[:4])
    if int(number) % 97 != 1:
        return None
    places = [place for place, sign in enumerate(run.group()) if sign.isascii() and sign.isalnum()]
    return start + places[length - 1] + 1


# card numbers

_ISSUERS: Final = (
    # first digits from, to, and the lengths: Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay,
    # RuPay, Maestro, Mir
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("300", "305", (14, 16)),
    ("3095", "3095", (14, 16)),
    ("36", "36", (14, 16)),
    ("38", "39", (14, 16)),
    ("60", "60", (16, 19)),
    ("644", "649", (16, 19)),
    ("65", "65", (16, 19)),
    ("3528", "3589", (16, 19)),
    ("62", "62", (16, 17, 18, 19)),
    ("81", "82", (16,)),
    ("50", "50", (13, 15, 16, 18, 19)),
    ("56", "58", (13, 15, 16, 18, 19)),
    ("63", "63", (13, 15, 16, 18, 19)),
    ("67", "67", (13, 15, 16, 18, 19)),
    ("2200", "2205", (16, 17, 18, 19)),
)


@lru_cache(maxsize=10_000)
def _lengths(prefix: str) -> tuple[int, ...]:
    """How many digits the card numbers have that begin with these four."""
    found = {length for low, high, lengths in _ISSUERS if low <= prefix[: len(low)] <= high for length in lengths}
    return tuple(sorted(found, reverse=True))


def cards(text: str, hint: Hint = None) -> str:
    """Card numbers: of an issuer's range and length, with the right check digit (ISO/IEC 7812-1), grouped or not, also
    over line ends. Under a name that says `id` only grouped ones."""
    return _CARD.sub(lambda match: _mask_cards(match, hint), text)


def _mask_cards(match: re.Match[str], hint: Hint) -> str:
    run = match.group()
    digits = [int(sign) for sign in run if sign.isdecimal()]
    places = [place for place, sign in enumerate(run) if sign.isdecimal()]
    # Luhn of any stretch from sums: those of even and of odd places doubled
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits]
    even = [0, *accumulate(doubled[n] if n % 2 == 0 else digits[n] for n in range(len(digits)))]
    odd = [0, *accumulate(doubled[n] if n % 2 else digits[n] for n in range(len(digits)))]
    parts: list[str] = []
    done = at = 0
    while at <= len(digits) - 13:
        is_start = at == 0 or places[at] > places[at - 1] + 1
        lengths = _lengths("".join(map(str, digits[at : at + 4]))) if is_start else ()
        for length in lengths:
            end = at + length
            if end > len(digits) or (end < len(digits) and places[end] == places[end - 1] + 1):
                continue
            sums = odd if end % 2 else even
            if (sums[end] - sums[at]) % 10:
                continue
            whole = run[places[at] : places[end - 1] + 1]
            if _is_no_card(match, whole, match.start() + places[at], hint):
                continue
            parts += (run[done : places[at]], "[card]")
            done = places[end - 1] + 1
            at = end - 1
            break
        at += 1
    return "".join((*parts, run[done:])) if parts else run


def _is_no_card(match: re.Match[str], number: str, start: int, hint: Hint) -> bool:
    """Whether a number with the form of a card's is rather something else."""
    before = match.string[max(start - _BEFORE, 0) : start]
    gaps = {_UNSEEN_SIGNS.sub("", gap).replace("-", " ").strip(" \t\r\n") for gap in _DIGITS.split(number)[1:-1]}
    if len(gaps) > 1:
        return True
    if gaps - {""}:
        groups = [len(group) for group in _DIGITS.findall(number)]
        if min(groups) < 2 < max(groups):
            return True
    if not number.isdecimal():
        return bool(re.fullmatch(r"\d{1,3}(?:,\d{3})+", number))  # an amount
    if before[-1:].isascii() and before[-1:].isalpha() and not _CARD_WORDS.search(before):
        return hint == "id" or len(number) < 15
    if hint == "id":
        return True
    return len(number) == 13 and _is_ean(number) and not _CARD_WORDS.search(before)


def _is_ean(digits: str) -> bool:
    """Whether the check digit is that of an EAN-13 or ISBN-13."""
    return len(digits) == 13 and sum(int(digit) * (1 + 2 * (n % 2)) for n, digit in enumerate(digits)) % 10 == 0


def _is_isbn(digits: str) -> bool:
    return len(digits) == 10 and sum(int(digit) * (10 - n) for n, digit in enumerate(digits)) % 11 == 0


# phone numbers

_PLAIN_NUMBER = re.compile(rf"[+＋]?[(]?\d[\d{_SPACES}{_DASHES}./()_]*")
_WORD = re.compile(r"[^\W\d_]+")
_NAMED = re.compile(rf"[^\W\d]{{1,24}}[_.=/|-]+([+＋0]\d[\d{_SPACES}{_DASHES}./()_]*)")  # user_0701234567
_IBAN_ID = re.compile(r"(?:.*[\W_])?\[iban\]", re.S)
_CARD_ID = re.compile(r"(?:[A-Za-z]{1,16}[:_.=/-])?(\d{15,19}|\d{4}(?:[ -]\d{3,6}){2,4})")
# fmt: off
_BETWEEN = frozenset((
    "number", "numbers", "nummer", "numero", "número", "numéro", "no", "nr", "n", "is", "was", "ist", "war", "es",
    "id", "code", "with", "of", "the", "my", "your", "är", "on", "er", "est", "key", "ref", "for", "de", "du",
    "la", "le", "el", "o",
))
# fmt: on


def is_day(digits: str) -> bool:
    """Whether digits are a day of these centuries, perhaps with its time."""
    return bool(_DAY.fullmatch(digits))


class _Phones:
    """The phone numbers of one text."""

    def __init__(
        self, text: str, words: Lexicon, regions: tuple[str, ...], hint: Hint, is_free: bool, is_read: bool
    ) -> None:
        self._text = text
        self._words = words
        self._regions = regions
        self._hint = hint
        self._is_free = is_free or _SENTENCE.search(text) is not None
        self._is_read = is_read  # of what is written in an unusual way a word or the form has to say that it is to call
        self._tries = 0
        self._lookups = 0

    def masked(self) -> str:
        text = self._text
        parts: list[str] = []
        done = at = 0
        while match := _NUMBER.search(text, at):
            start, end, mask = match.start(), match.end(), None
            if not match["other"]:
                start, end, mask = self._found(match)
            if mask is not None:
                parts += (text[done:start], mask)
                done = end
            at = max(end, at + 1)
        return "".join((*parts, text[done:])) if parts else text

    def _found(self, match: re.Match[str]) -> tuple[int, int, str | None]:
        """The first number to call in a run of digits, and what takes its place; the run's end where there is none."""
        run, offset = match.group(), match.start()
        if _IPV4.fullmatch(run) and (network := _network(run)):
            return offset, match.end(), network
        groups = list(_DIGITS.finditer(run))
        lengths = [len(group.group()) for group in groups]
        digits = "".join(group.group() for group in groups)
        is_book = lengths[-1] == 1 or len(groups) == 1
        if is_book and run[0] not in "+＋(" and (_is_ean(digits) or (len(groups) == 4 and _is_isbn(digits))):
            before = self._text[max(offset - _BEFORE, 0) : offset]
            if self._context(before, "")[0] != "phone":
                return offset, match.end(), None
        is_single = max(lengths) == 1
        for first in range(1 if is_single else len(groups)):
            start = 0 if first == 0 else groups[first].start() - (run[groups[first].start() - 1] == "(")
            if first and not _BREAK.search(run, groups[first - 1].end(), groups[first].start()):
                continue  # no number to call begins after a dot or a dash
            for last in (len(groups) - 1,) if is_single else range(len(groups) - 1, first - 1, -1):
                length = sum(lengths[first : last + 1])
                if length < 7:
                    break
                if length > 17:
                    continue
                found = [group.group() for group in groups[first : last + 1]]
                end = groups[last].end()
                self._tries += 1
                if self._tries > _MAX_TRIES or self._is_phone(
                    run[start:end], found, offset + start, offset + end, run[0] in "+＋" and first == 0
                ):
                    return offset + start, offset + end, "[phone]"
        return offset, match.end(), None

    def _is_phone(self, number: str, groups: list[str], start: int, end: int, plus: bool) -> bool:
        digits = "".join(str(int(sign)) for group in groups for sign in group)
        length = len(digits)
        if plus:
            return length <= 15
        before, after = self._text[max(start - _BEFORE, 0) : start], self._text[end : end + _AFTER]
        if len(groups) == 1 and _DECIMALS.match(after):
            return False
        looks_dialled = digits[0] == "0" and not digits.startswith("000")
        said, is_adjacent = self._context(before, after)
        if said == "other" and looks_dialled and self._names_phone(before):
            said = "phone"  # "the phone for my order: …"
        if said == "phone" and not _YEARS.fullmatch(number):
            return length <= 15
        if self._is_read and not (looks_dialled and length >= 9):
            return False
        if said == "glued":
            return False
        is_formed = len(groups) > 1 or "(" in number
        if length > 12 and not (digits.startswith("00") and self._is_valid(f"+{digits[2:]}", None)):
            return False
        if said == "other" and is_adjacent:
            is_certain = looks_dialled or (is_formed and self._has_form_of_phone(number, groups, digits, looks_dialled))
            return is_certain and self._is_valid(digits)
        if said == "other" and not (is_formed or looks_dialled):
            return False
        if is_formed:
            return self._has_form_of_phone(number, groups, digits, looks_dialled)
        if is_day(digits):
            return False
        if looks_dialled:
            return length >= 9 or (length == 8 and self._is_valid(digits))
        if not self._is_free:
            return False
        if not (before.strip() or after.strip()):
            return True  # a message that is a number
        return length >= 8 and (self._is_valid(digits) or (length >= 11 and self._is_valid(f"+{digits}", None)))

    def _has_form_of_phone(self, number: str, groups: list[str], digits: str, looks_dialled: bool) -> bool:
        lengths = [len(group) for group in groups]
        if _YEARS.fullmatch(number) or _AMOUNT.fullmatch(number):
            return False
        if re.fullmatch(r"(?:19|20)\d\d", groups[0]) and len(digits) > 7:
            return False
        if "." in number and (min(lengths) < 2 or max(lengths) > 4):
            return looks_dialled and min(lengths) > 1
        if looks_dialled or "(" in number:
            return len(digits) >= 7
        if lengths in ([3, 4], [3, 3, 4], [1, 3, 3, 4]):
            return True
        if lengths == [1] * len(lengths):
            return len(digits) >= 10
        if len(groups) >= 3 and len(digits) >= 8 and min(lengths) > 1 and max(lengths) <= 4:
            return True
        return len(digits) >= 8 and (self._is_valid(digits) or self._is_valid(f"+{digits}", None))

    def _context(self, before: str, after: str) -> tuple[str | None, bool]:
        """What the words nearest to a number say of it, and whether they stand right beside it: `phone`, `other`, or
        `glued` where it is a part of something else."""
        before, after = _MASKS.sub("", before), _MASKS.sub("", after)
        found = self._words_of(before)
        sign = before[-1:]
        if sign.isascii() and sign.isalpha():
            return ("phone", True) if found and found[-1][0] == "phone" else ("glued", True)  # tel070…, SKU070…
        if _GLUED_AFTER.match(after):
            return "glued", True
        if _MONEY.search(before) or _UNIT.match(after):
            return "other", True
        for said, is_adjacent in reversed(found):
            if said in ("phone", "other"):
                return said, is_adjacent
        if said := next((said for said, _ in self._words_of(after) if said in ("phone", "other")), None):
            return said, False
        if any(said == "number" for said, _ in found):
            return "phone", False  # of nothing that is said
        return {"phone": "phone", "id": "other", None: None}[self._hint], True

    def _words_of(self, text: str) -> list[tuple[str | None, bool]]:
        """What each word says, and whether nothing that says something else stands between it and the text's end."""
        words = [match.group().casefold() for match in _WORD.finditer(text)]
        near = len(words)
        while near > 0 and words[near - 1] in _BETWEEN:
            near -= 1
        return [
            (self._words.find(word, words[n - 1] if n else ""), n >= near - 1 and len(words) - n <= 5)
            for n, word in enumerate(words)
        ]

    def _names_phone(self, text: str) -> bool:
        return any(said == "phone" for said, _ in self._words_of(text))

    def _is_valid(self, number: str, region: str | None = "") -> bool:
        self._lookups += 1
        if self._lookups > _MAX_LOOKUPS:
            return True
        regions = self._regions if region == "" else (region,)
        return any(_is_valid(number, each) for each in regions)


@lru_cache(maxsize=20_000)
def _is_valid(number: str, region: str | None) -> bool:
    """Whether a number is one of a country's numbering plan, or with `+` of any."""
    import phonenumbers  # its metadata take a while to load, and most texts have no number

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=20_000)
def _is_mobile(number: str) -> bool:
    import phonenumbers

    if not _is_valid(number, None):
        return False
    kind = phonenumbers.number_type(phonenumbers.parse(number))
    return kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)


# addresses of machines and pages


def truncate_ip(text: str) -> str:
    """An IP address as its network, /24 of IPv4 and /48 of IPv6, without port; also several of them, with commas.

    What is no address becomes `[ip]`.
    """
    found = [_ADDRESS.fullmatch(part.strip()) for part in text.split(",")]
    return ", ".join((match and _network(match[1] or match[2])) or "[ip]" for match in found)


@lru_cache(maxsize=10_000)
def _network(text: str) -> str | None:
    """The first address of an address's network, None where the text is no address. Mapped IPv4 counts as IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    length = 24 if address.version == 4 else 48
    return str(ip_network((address, length), strict=False).network_address)


def is_ip(text: str) -> bool:
    """Whether the whole text is an IP address."""
    return len(text) <= 45 and (text.count(".") == 3 or text.count(":") >= 2) and _network(text) is not None


def url_path(text: str, scrub: Scrubber) -> str:
    """The path of a URL, whole or relative; `/` where it has only a host. What is personal in it is replaced."""
    if text.lower().startswith("tel:"):
        return "[phone]"
    host = _HOST.match(text)
    path = text[host.end() :] if host else text
    query = _QUERY.search(path)
    path = path[: query.start()] if query else path
    segments = path.split("/")
    said = ["", host.group() if host and not segments[0] else segments[0], *segments[1:]]
    scrubbed = [scrub.segment(segment, before) for before, segment in zip(said, segments, strict=False)]
    return "/".join(scrubbed) if path or not host else "/"
