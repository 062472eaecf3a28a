"""What people may tell topics about words: which phrases say nothing, and which words mean the same."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

_MASK = re.compile(  # ours, and those of producers: <EMAIL>, {{phone_number}}, [NAME_1]
    r"[\[<{]+\s*(?:e-?mail|iban|(?:credit[ _-]?)?card|(?:tele)?phone|mobile|ip|masked|redacted|hidden|private|pii"
    r"|(?:first|last|full|user|person)?[ _-]?name|person|address|location|url|link|ssn|date[ _-]?of[ _-]?birth)"
    r"(?:[ _-]?(?:number|address|nr|no|id))?(?:[ _-]?\d+)?\s*[\]>}]+"
)
_CLAUSE_ENDS = re.compile(r"([.!?:;,…。、！？：；]+)")
_EDGE = " .:;,…。、：；-–"
_SPACELESS = re.compile(r"[぀-ヿ㐀-鿿]")  # scripts that put no spaces between words
_WORD = re.compile(r"\w+")


def plain(text: str) -> str:
    """A text without what does not matter: case, width of letters, runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("’", "'").split())


@dataclass(frozen=True)
class Vocabulary:
    """Filler phrases, and terms that stand for a concept. A `*` at the end of a term stands for any ending.

    A term of a script without spaces is looked for anywhere in a text, any other one where its words stand.
    """

    filler: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    """Term and concept."""
    concepts: tuple[str, ...] = field(init=False)
    """In order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "concepts", tuple(sorted({concept for _, concept in self.terms})))

    @classmethod
    def of(cls, filler: Iterable[str], terms: Iterable[tuple[str, str]]) -> "Vocabulary":
        """From rows in any order, as a person writes them."""
        return cls(
            tuple(sorted({phrase for each in filler if (phrase := plain(each).strip(_EDGE + "!?！？ "))})),
            tuple(sorted({(plain(term), concept) for term, concept in terms if plain(term).strip("*")})),
        )

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr((self.filler, self.terms)).encode()).hexdigest()

    def cleaned(self, text: str) -> str:
        """The plain text without masks of personal data and without filler at its edges or between its signs.

        Filler is kept where there is nothing else; a text of masks and signs alone is empty.
        """
        unmasked, masks = _MASK.subn(" ", plain(text))
        clauses = _CLAUSE_ENDS.split(unmasked)
        kept = "".join(
            clause + end
            for clause, end in zip(clauses[::2], [*clauses[1::2], ""], strict=True)
            if clause.strip() and clause.strip() not in self._phrases
        )
        while (shorter := self._at_edges.sub("", kept.strip(_EDGE))) != kept:
            kept = shorter
        kept = " ".join(kept.split())
        if _WORD.search(kept):
            return kept
        return "" if masks and not _WORD.search(unmasked) else " ".join(unmasked.split())

    def concepts_in(self, cleaned: str) -> list[int]:
        """The numbers of the concepts that a text stands for, in order."""
        words = _WORD.findall(cleaned)
        found = {concept for word in words for concept in self._of_word(word)}
        spaced = f" {' '.join(words)} "
        found.update(concept for phrase, concept in self._of_phrases if phrase in spaced)
        if _SPACELESS.search(cleaned):
            found.update(concept for part, concept in self._within if part in cleaned)
        return sorted(found)

    def _of_word(self, word: str) -> list[int]:
        found = list(self._exact.get(word, ()))
        for end in range(2, len(word) + 1):
            found += self._stems.get(word[:end], ())
        return found

    @cached_property
    def _phrases(self) -> frozenset[str]:
        return frozenset(self.filler)

    @cached_property
    def _at_edges(self) -> re.Pattern[str]:
        phrases = "|".join(map(re.escape, sorted(self.filler, key=len, reverse=True))) or r"(?!)"
        return re.compile(rf"^(?:{phrases})(?!\w)\s*|\s*(?<!\w)(?:{phrases})[.!?。！？]*$")

    @cached_property
    def _numbered(self) -> list[tuple[str, int]]:
        numbers = {concept: number for number, concept in enumerate(self.concepts)}
        return [(term, numbers[concept]) for term, concept in self.terms]

    @cached_property
    def _within(self) -> list[tuple[str, int]]:
        return [(term.strip("*"), number) for term, number in self._numbered if _SPACELESS.search(term)]

    @cached_property
    def _of_phrases(self) -> list[tuple[str, int]]:
        """Several words; the last may have any ending."""
        spaced = [(term, " ".join(_WORD.findall(term)), number) for term, number in self._numbered]
        return [
            (f" {words}" if term.endswith("*") else f" {words} ", number)
            for term, words, number in spaced
            if " " in words and not _SPACELESS.search(term)
        ]

    @cached_property
    def _exact(self) -> dict[str, list[int]]:
        return self._single(ending="")

    @cached_property
    def _stems(self) -> dict[str, list[int]]:
        return self._single(ending="*")

    def _single(self, ending: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for term, number in self._numbered:
            word = term.removesuffix("*")
            if _WORD.fullmatch(word) and not _SPACELESS.search(word) and term == word + ending:
                found.setdefault(word, []).append(number)
        return found
