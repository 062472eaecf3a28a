"""Cuts JSON into documents without reading it whole: over many lines, in arrays, or one after the other.

A large object can keep its documents in arrays inside it. Their paths are given; each element then comes as
`{"parent": …, "document": …}`, the parent with what the objects around it said before.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

Path = tuple[str, ...]
ELEMENTS = "[]"
"""A step of a path: every element of an array."""

_decoder = json.JSONDecoder()
_BLANK = re.compile(r"[\s,\x1e\ufeff]*")
_NEXT_LINE = re.compile(r"\n(?=[{\[])")
_CUT_SHORT = ("Unterminated string", "Invalid \\")
_NEAR_END = 32  # characters: a number or a literal may go on in the next block
_MAX_SCALAR = 4_000


class BrokenDocument(Exception):
    """A document that is no JSON. Raised where it is not known where the next one begins, else yielded."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def is_stream(first: bytes) -> bool:
    """Whether JSON that begins so is not one document a line."""
    start = first.lstrip()
    if start[:1] == b"\x1e":  # a JSON text sequence (RFC 7464)
        return True
    if start[:1] not in (b"{", b"["):
        return False
    if start[:1] == b"[":
        inner = start[1:].lstrip()
        if not inner or inner[:1] in (b"{", b"]"):
            return True
    line, end, rest = start.partition(b"\n")
    if _is_json(line):
        return False
    if _documents_on(line) > 1:
        return True
    following = next((each for each in rest.split(b"\n", 50)[:50] if each.strip()), b"")
    return bool(end and following) and not _is_json(following) and (line.strip() in (b"{", b"[") or _begins(start))


def _is_json(line: bytes) -> bool:
    text = line.strip()
    if text[:1] not in (b"{", b"["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _documents_on(line: bytes) -> int:
    """How many documents begin a line, 2 at most."""
    text = line.decode("utf-8", "replace").strip()
    try:
        _, end = _decoder.raw_decode(text)
        _decoder.raw_decode(text, _BLANK.match(text, end).end())  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        return 0
    return 2


def _begins(start: bytes) -> bool:
    """Whether a document that is right as far as it goes begins here, over more than one line."""
    text = start.decode("utf-8", "replace")
    try:
        _, end = _decoder.raw_decode(text)
    except RecursionError:
        return False
    except json.JSONDecodeError as error:
        return _is_cut_short(text, error)
    return "\n" in text[:end]


def _is_cut_short(text: str, error: json.JSONDecodeError) -> bool:
    return error.pos >= len(text) - _NEAR_END or error.msg.startswith(_CUT_SHORT)


def documents(blocks: Iterable[bytes], paths: Iterable[Path], longest: int) -> Iterator[bytes | BrokenDocument]:
    """The documents of JSON text, each on one line. With paths, the elements of the arrays there.

    Raises BrokenDocument where the text breaks off or cannot be read on.
    """
    text = _Text(blocks, longest)
    wanted = tuple(paths)
    while text.skip_blank():
        try:
            if text.peek() == "[":
                yield from text.elements(wanted, {}, top=True)
            elif wanted and text.peek() == "{":
                yield from text.within(wanted, {}, top=True)
            else:
                yield text.document(wrap=bool(wanted))
        except BrokenDocument as error:
            if text.is_inside or not text.skip_to_next_line():
                raise
            yield error


class _Text:
    """JSON text that is read as it is needed. What is before `position` is forgotten when more is read."""

    def __init__(self, blocks: Iterable[bytes], longest: int) -> None:
        self._blocks = iter(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._longest = longest
        self._text = ""
        self._position = 0
        self._keep = -1  # where text begins that must not be forgotten, -1 for none
        self._has_ended = False
        self.is_inside = False
        """Whether it is inside an array or object whose documents come one by one."""

    def _more(self) -> bool:
        """Read at least as much again as there is; false at the end."""
        cut = self._position if self._keep < 0 else min(self._keep, self._position)
        kept = self._text[cut:]
        parts, size = [kept], 0
        while not self._has_ended and size <= len(kept):
            block = next(self._blocks, None)
            part = self._decoder.decode(block or b"", final=block is None)
            self._has_ended = block is None
            parts.append(part)
            size += len(part)
        self._text = "".join(parts)
        self._position -= cut
        if self._keep >= 0:
            self._keep -= cut
        return size > 0

    def skip_blank(self) -> bool:
        """Go on to what is not blank; false where nothing is."""
        while True:
            match = _BLANK.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text):
                return True
            if not self._more():
                return False

    def peek(self) -> str:
        """The next character that is not blank."""
        if not self.skip_blank():
            raise BrokenDocument("it breaks off; fetch it again in full.")
        return self._text[self._position]

    def take(self, character: str) -> None:
        """Go past a character that must come next."""
        if self.peek() != character:
            raise BrokenDocument(f"it is no JSON there: a {character!r} is missing.")
        self._position += 1

    def value(self) -> tuple[Any, str]:
        """Read one value, and its text."""
        while True:
            try:
                found, end = _decoder.raw_decode(self._text, self._position)
            except RecursionError:
                raise BrokenDocument("it is nested too deep: make it flatter.") from None
            except json.JSONDecodeError as error:
                if _is_cut_short(self._text, error):
                    if len(self._text) - self._position > self._longest:
                        raise BrokenDocument(
                            f"the next is longer than {self._longest // 1024**2} MiB: split it."
                        ) from None
                    if self._more():
                        continue
                raise BrokenDocument(f"it is no JSON ({error.msg}): correct it, or fetch it again.") from None
            if end == len(self._text) and not isinstance(found, (dict, list, str)) and self._more():
                continue  # a number may go on
            text = self._text[self._position : end]
            self._position = end
            return found, text

    def document(self, *, wrap: bool) -> bytes:
        """Read one document as a line."""
        _, text = self.value()
        return _line(text, "null" if wrap else None)

    def elements(
        self, paths: tuple[Path, ...], parent: dict[str, str], *, top: bool = False
    ) -> Iterator[bytes | BrokenDocument]:
        """Read an array: its elements are documents, or hold them."""
        was_inside, self.is_inside = self.is_inside, True
        self.take("[")
        while self.peek() != "]":
            if top and not paths:
                yield self.document(wrap=False)
            elif self.peek() == "{" and (inner := paths if top else _below(paths, ELEMENTS)):
                yield from self.within(inner, parent, top=top)
            elif top or () in paths:
                _, text = self.value()
                yield _line(text, "null" if top else _object(parent))
            else:
                self.value()
        self.take("]")
        self.is_inside = was_inside

    def within(
        self, paths: tuple[Path, ...], parent: dict[str, str], *, top: bool = False
    ) -> Iterator[bytes | BrokenDocument]:
        """Read an object, whose documents are in arrays at these paths. One that has none of them is a document."""
        start_keep = self._keep
        if top:
            self._keep = self._position
        around = dict(parent)
        found = False
        self.take("{")
        while self.peek() != "}":
            if top and self._keep >= 0 and self._position - self._keep > self._longest:
                raise BrokenDocument(f"the next is longer than {self._longest // 1024**2} MiB: split it.")
            key, key_text = self.value()
            self.take(":")
            inner = _below(paths, str(key))
            opening = self.peek()
            if (opening == "[" and inner) or (opening == "{" and any(inner)):
                found = True
                self._keep = -1
                was_inside, self.is_inside = self.is_inside, True
                yield from self.elements(inner, around) if opening == "[" else self.within(inner, around)
                self.is_inside = was_inside
            else:
                _, text = self.value()
                around[key_text] = text if len(text) <= _MAX_SCALAR else "null"
        end = self._position + 1
        if top:
            if not found:
                yield _line(self._text[self._keep : end], "null")
            self._keep = start_keep if not found else -1
        self.take("}")

    def skip_to_next_line(self) -> bool:
        """Go on to the next line that begins a document; false where there is none."""
        self._keep = -1
        while True:
            match = _NEXT_LINE.search(self._text, self._position)
            if match:
                self._position = match.end()
                return True
            self._position = max(self._position, len(self._text) - 1)
            if not self._more():
                return False


def _below(paths: tuple[Path, ...], step: str) -> tuple[Path, ...]:
    return tuple(path[1:] for path in paths if path[:1] == (step,))


def _object(members: dict[str, str]) -> str:
    return "{" + ",".join(f"{key}:{text}" for key, text in members.items()) + "}"


def _line(text: str, parent: str | None) -> bytes:
    """A document on one line: no text in JSON holds a raw line end."""
    if parent is not None:
        text = f'{{"parent":{parent},"document":{text}}}'
    return text.replace("\n", " ").replace("\r", " ").encode("utf-8", "surrogateescape")
