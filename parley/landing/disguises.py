"""A text as a person reads it: what is written so that a program does not see it is written plainly.

Encoded signs (`&#64;`, `%40`, `\\u0040`), letters and digits of other shapes (full width, circled, of other scripts),
signs that nobody sees, unusual signs between digits, `(at)` and `[dot]`, and digits that are spelled out.
What is read so is only looked at: a text is stored as it was sent, unless something personal is found in it.
"""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final
from urllib.parse import unquote

_ROUNDS: Final = 3  # of encoding within encoding
_ESCAPED = re.compile(r"\\(?:u\{?00|x)([0-9A-Fa-f]{2})\}?")
_FULL_STOP = re.compile(r"(?<=\w)[\u3002\uff61](?=\w)")
_SIGNS_BETWEEN = "|*~'\u2019\u00b4`\"#=<>\\[\\]{}\\\\^\u00b7\u2022\u2219\u2027\u30fb"
_BETWEEN_DIGITS = re.compile(rf"(?<=\d)\s{{0,2}}[{_SIGNS_BETWEEN}][\s{_SIGNS_BETWEEN}]{{0,8}}(?=\d)")
_AMOUNT = re.compile(r"(?<!\d)[1-9]\d{0,2}(?:['\u2019]\d{3})+(?!\d)")
_PAUSED = re.compile(r"(?<![\d.,:;])[+0]\d{1,4}(?:\s?[,:;]\s?\d{2,4}){2,5}(?![\d.,:;]?\d)")
_SAID_AT = r"[\[({<]\s?(?:at|a|\u00e4t|arroba|arobase)\s?[\])}>]"
_SAID_DOT = r"[\[({<]\s?(?:dot|punkt|punto|ponto|point|\.)\s?[\])}>]"
_BRACKETED = re.compile(f"{_SAID_AT}|{_SAID_DOT}", re.I)
_AT = re.compile(rf"\s?{_SAID_AT}\s?", re.I)
_DOT = re.compile(rf"\s?{_SAID_DOT}\s?", re.I)
_AROUND_AT = re.compile(r"(?<=[\w.+-])\s{0,2}@\s{0,2}(?=[\w-]{1,63}\.[^\W\d_]{2})")
_TOLD_AT = re.compile(
    r"(?<!\S)(?=[\w+-]{0,63}[._+\d])(?=[\d._+-]{0,63}[^\W\d_])([\w.+-]{5,64})\s(?:at|AT)\s(?=(?:[\w-]{1,63}\.){1,4}[^\W\d_]{2,})"
)
_UNSEEN: Final = (0x34F, 0x115F, 0x1160, 0x20E3, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10))  # beside those of category Cf
_LONG: Final = dict.fromkeys((0xFDFA, 0xFDFB))  # which are many letters each
_SHORTEST_TOKEN = 12
_TOKEN = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST_TOKEN},}}")
_MARK = re.compile(r"[-_/]")
_MOST_MARKS = 3
_DIGIT = re.compile(r"\d")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){8,}")

_SPELLED: Final = {
    word: digit
    for digit, words in enumerate(
        (
            "zero oh nought noll null nul zéro cero sero",
            "one ett en eins ein een un une uno una um",
            "two två zwei zwo twee deux dos due dois to",
            "three tre drei drie trois tres três",
            "four fyra vier quatre cuatro quattro quatro fire",
            "five fem fünf vijf cinq cinco cinque",
            "six sex sechs zes six seis sei seks",
            "seven sju sieben zeven sept siete sette sete syv",
            "eight åtta acht huit ocho otto oito otte",
            "nine nio neun negen neuf nueve nove ni",
        )
    )
    for word in words.split()
}
_TIMES: Final = {"double": 2, "dubbel": 2, "doppel": 2, "doble": 2, "triple": 3, "treble": 3}
_FEWEST_SPELLED = 7
_FEWEST_OF_LETTERS = 3  # of them: the others may be digits
_SPELLED_WORD = re.compile(r"[^\W\d_]+|\d+")


def plain(text: str) -> str:
    """The text as it is read; the same object where nothing in it is written otherwise."""
    found = _decoded(text)
    if not found.isascii():
        found = _shaped(found)
    if ("(" in found or "[" in found or "{" in found or "<" in found) and _BRACKETED.search(found):
        found = _DOT.sub(".", _AT.sub("@", found))
    if "@" in found:
        found = _AROUND_AT.sub("@", found)
    if " at " in found or " AT " in found:
        found = _TOLD_AT.sub(r"\1@", found)
    found = _spelled(found)
    if digits_in(found) >= 7:
        found = _PAUSED.sub(_unpaused, _apart(found))
    return text if found == text else found


def encoded(text: str, hides: Callable[[str], bool]) -> str:
    """The text with `[masked]` for what is written in base64 or hexadecimal and says something that `hides`."""
    if len(text) < _SHORTEST_TOKEN or not _TOKEN.search(text):
        return text
    return _TOKEN.sub(
        lambda match: "[masked]" if (said := _said(match.group())) and hides(said) else match.group(), text
    )


@lru_cache(maxsize=10_000)
def _said(token: str) -> str | None:
    """What a token in base64 or hexadecimal says, also beside words (`user_amFu…`); None where nothing can be read."""
    if found := _read(token):
        return found
    marks = [mark.start() for mark in _MARK.finditer(token)]
    if len(marks) > _MOST_MARKS:  # a UUID, or words
        return None
    parts = (part for mark in marks for part in (token[mark + 1 :], token[:mark]) if len(part) >= _SHORTEST_TOKEN)
    return next(filter(None, map(_read, parts)), None)


def _read(token: str) -> str | None:
    if _HEX.fullmatch(token) and (found := _readable(bytes.fromhex(token))):
        return found
    whole = token.replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True))
    except binascii.Error:
        return None


def _readable(said: bytes) -> str | None:
    try:
        text = said.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _decoded(text: str) -> str:
    for _ in range(_ROUNDS):
        before = text
        if "&" in text:
            text = html.unescape(text)
        if "%" in text:
            text = unquote(text)
        if "\\" in text:
            text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        if text == before:
            break
    return text


def _shaped(text: str) -> str:
    """In the usual shapes of letters, digits and signs, and without what nobody sees."""
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text.translate(_LONG))
    text = _odd().sub(_usual, text)
    return _FULL_STOP.sub(".", text) if "@" in text else text


@cache
def _odd() -> re.Pattern[str]:
    """The signs that nobody sees, and the digits of other scripts."""
    signs = [chr(code) for code in range(0x80, 0x10000)]
    listed = [sign for sign in signs if unicodedata.category(sign) in ("Cf", "Nd")]
    return re.compile(f"[{''.join(map(chr, _UNSEEN))}{''.join(listed)}\U000e0001-\U000e007f\U000e0100-\U000e01ef]")


def _usual(match: re.Match[str]) -> str:
    digit = unicodedata.decimal(match.group(), None)
    return "" if digit is None else str(digit)


def digits_in(text: str) -> int:
    """How many digits there are, of any script."""
    if text.isascii():
        return len(text) - len(text.encode().translate(None, b"0123456789"))
    return len(_DIGIT.findall(text))


def _apart(text: str) -> str:
    """With a space for unusual signs between digits, but in amounts (`1'299'000`)."""
    if not _BETWEEN_DIGITS.search(text):
        return text
    parts: list[str] = []
    done = 0
    for amount in _AMOUNT.finditer(text):
        parts += (_BETWEEN_DIGITS.sub(" ", text[done : amount.start()]), amount.group())
        done = amount.end()
    return "".join((*parts, _BETWEEN_DIGITS.sub(" ", text[done:])))


def _unpaused(match: re.Match[str]) -> str:
    """A number to call that is written with commas or colons; a time or a list of two-digit numbers stays."""
    groups = re.findall(r"\d+", match.group())
    if max(map(len, groups)) < 3 or sum(map(len, groups)) < 7:
        return match.group()
    return re.sub(r"\s?[,:;]\s?", " ", match.group())


def _spelled(text: str) -> str:
    """With digits for seven or more that are spelled out one after the other (`oh seven double four …`)."""
    if len(text) < 3 * _FEWEST_SPELLED:
        return text
    words = text.casefold().replace("-", " ").replace(",", " ").split()
    if (
        len(words) < _FEWEST_SPELLED
        or _SPELLED.keys().isdisjoint(words)
        or sum(map(_SPELLED.__contains__, words)) < _FEWEST_OF_LETTERS
    ):
        return text
    parts: list[str] = []
    done, run = 0, ""
    start = end = times = spelled = 0
    for word in (*_SPELLED_WORD.finditer(text), None):
        said = word.group().casefold() if word else ""
        is_near = word is not None and not text[end : word.start()].strip(" ,.-\t\r\n")
        digits = said if said.isdecimal() and len(said) <= 4 else str(_SPELLED[said]) if said in _SPELLED else None
        if word and (digits or said in _TIMES) and (is_near or not run):
            if not run and not times:
                start = word.start()
            if digits:
                run += digits * (times or 1)
                spelled += not said.isdecimal()
                end, times = word.end(), 0
            else:
                end, times = word.end(), _TIMES[said]
            continue
        if len(run) >= _FEWEST_SPELLED and spelled >= _FEWEST_OF_LETTERS:
            parts += (text[done:start], run)
            done = end
        run, times, spelled = "", 0, 0
        if word and (digits or said in _TIMES):
            start, end = word.start(), word.end()
            run, spelled, times = (digits, int(not said.isdecimal()), 0) if digits else ("", 0, _TIMES[said])
    return "".join((*parts, text[done:])) if parts else text
