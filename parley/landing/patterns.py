"""Personal data recognised by its form: e-mail addresses, IBANs, card numbers and phone numbers in free text.

Each function returns its text with what it found replaced by `[email]`, `[iban]`, `[card]` or `[phone]`. Doubt is
decided for privacy: a long number in a sentence is sooner taken for that of a phone than left standing. Digits of any
script count.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network

Scrub = Callable[[str], str]

_DASHES = "\\-\u2010-\u2015\u2212\uff0d"
_SPACES = " \t\u00a0\u2007\u2009\u202f\u3000"

_EMAIL = re.compile(
    r"""
    (?: "[^"\n]{1,64}" | [^\s@＠<>()\[\],;:"]{0,64} )
    (?: @ | ＠ | %40 )
    (?: \[[^\]\s]{1,64}\] | (?:[\w-]{1,63}\.){1,8}[\w-]{1,63} )
    """,
    re.VERBOSE,
)
# Patterns begin with the digit and look back from there: a text has few digits, so that most places are passed over.
_IBAN_CHECK = re.compile(r"[0-9]{2}(?<=[A-Za-z]{2}[0-9]{2})(?<![A-Za-z0-9][A-Za-z]{2}[0-9]{2})(?=[A-Za-z0-9 \u00a0-])")
_IBAN_BODY = re.compile(r"(?:[ \u00a0-]?[A-Za-z0-9]){15,34}")
_CARD = re.compile(rf"\d(?<!\d\d)(?:[{_SPACES}{_DASHES}./_]{{0,2}}\d){{12,}}(?!\d)")
_SEVEN_DIGITS = re.compile(rf"\d(?:[{_SPACES}{_DASHES}./()]{{0,3}}\d){{6}}")
_NUMBER = re.compile(
    rf"""
    (?P<other>
        [0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}                       # a UUID
      | (?<!\d)(?:19|20)\d\d(?P<mark>[-./])[01]?\d(?P=mark)[0-3]?\d(?![-./]?\d)       # a date, and its time
        (?:[T\s]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?
      | (?<![\d])[0-3]?\d(?P<point>[-./])[0-3]?\d(?P=point)(?:19|20)\d\d(?![-./]?\d)   # a date, the year last
      | (?<![\d.])\d{{1,3}}[.]\d\d\s?[{_DASHES}]\s?\d{{1,3}}[.]\d\d(?![.]?\d)               # a range of times or prices
    )
    | [+\uff0b]?[(]?(?<!\d)\d(?:[{_SPACES}{_DASHES}./()]{{0,3}}\d){{6,18}}(?!\d)
    """,
    re.VERBOSE,
)
_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d+")
_DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_YEARS = re.compile(rf"(?:19|20)\d\d[{_SPACES}{_DASHES}./]+(?:19|20)\d\d")
_AMOUNT = re.compile(rf"[1-9]\d?(?:[{_SPACES}.]\d{{3}}){{2}}|(?:0|[1-9]\d*)[.]\d+")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_ADDRESS = re.compile(r"([0-9.]+)(?::\d+)?|\[?([0-9A-Fa-f:.]+)(?:%\w+)?(?:\]:\d+|\])?")
_HOST = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_QUERY = re.compile(r"[?#;]")


def scrubber(patterns: Iterable[str]) -> Scrub:
    """One function that looks for all the named patterns, in the order in which they must be looked for."""
    wanted = set(patterns)
    numbers = [scrub for name, scrub in (("iban", ibans), ("card", cards), ("phone", phones)) if name in wanted]
    by_letters = emails if "email" in wanted else None

    def scrub(text: str) -> str:
        if by_letters:
            text = by_letters(text)
        if _digits_in(text) >= 7:  # the shortest phone number; no text with fewer is worth the search
            for step in numbers:
                text = step(text)
        return text

    return scrub


def _digits_in(text: str) -> int:
    if text.isascii():
        return len(text) - len(text.encode().translate(None, b"0123456789"))
    return len(_DIGIT.findall(text))


def emails(text: str) -> str:
    """E-mail addresses, also where the sign is written in full width or percent-encoded."""
    return _EMAIL.sub("[email]", text) if "@" in text or "＠" in text or "%40" in text else text


def ibans(text: str) -> str:
    """IBANs whose check digits are right (ISO 13616: modulo 97 is 1), grouped or not."""
    parts: list[str] = []
    done = 0
    for check in _IBAN_CHECK.finditer(text):
        start = check.start() - 2
        body = _IBAN_BODY.match(text, start) if start >= done else None
        end = _end_of_iban(body) if body else None
        if end:
            parts += (text[done:start], "[iban]")
            done = end
    return "".join((*parts, text[done:])) if parts else text


def _end_of_iban(body: re.Match[str]) -> int | None:
    """Where the longest IBAN at the beginning of a run of letters and digits ends; it ends where a group does."""
    run = body.group()
    for end in range(len(run), 14, -1):
        following = body.string[body.start() + end : body.start() + end + 1]
        if following.isascii() and following.isalnum():
            continue
        compact = "".join(filter(str.isalnum, run[:end]))
        if (
            15 <= len(compact) <= 34
            and int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1
        ):
            return body.start() + end
    return None


def cards(text: str) -> str:
    """Card numbers: 13 to 19 digits, grouped or not, whose Luhn check digit (ISO/IEC 7812-1) is right."""
    return _CARD.sub(_mask_cards, text)


def _mask_cards(match: re.Match[str]) -> str:
    run = match.group()
    groups = list(_DIGITS.finditer(run))
    for first, begin in enumerate(groups):
        digits = ""
        for last in groups[first : first + 6]:
            digits += last.group()
            if 13 <= len(digits) <= 19 and _luhn(digits):
                rest = run[last.end() :]
                return run[: begin.start()] + "[card]" + _CARD.sub(_mask_cards, rest)
    return run


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def phones(text: str) -> str:
    """Phone numbers as people write them. Dates, amounts, years and UUIDs stay; IPv4 addresses are truncated."""
    return _NUMBER.sub(_mask_phone, text) if _SEVEN_DIGITS.search(text) else text


def _mask_phone(match: re.Match[str]) -> str:
    number = match.group()
    if match["other"]:
        return number
    if _IPV4.fullmatch(number) and (network := _network(number)):
        return network
    groups = _DIGITS.findall(number)
    if len(groups) == 1 and number[0] not in "+＋(":
        length = len(groups[0])
        is_phone = 9 <= length <= 15 or (length == 8 and not _DAY.fullmatch(number))
    else:
        is_phone = not (_YEARS.fullmatch(number) or _AMOUNT.fullmatch(number))
    return "[phone]" if is_phone else number


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


def url_path(text: str) -> str:
    """The path of a URL, whole or relative; `/` where it has only a host. E-mail addresses in it are replaced."""
    if text.lower().startswith("tel:"):
        return "[phone]"
    host = _HOST.match(text)
    path = text[host.end() :] if host else text
    query = _QUERY.search(path)
    path = path[: query.start()] if query else path
    return "/".join(map(emails, path.split("/"))) if path or not host else "/"
