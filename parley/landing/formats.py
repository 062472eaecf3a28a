"""Source formats: what other systems export, read as events by the jq programs of `tracking_plan/formats/*.jq`.

A format is one file. Its first lines are a YAML header in comments, the rest is a jq filter from one document of the
source to any number of events of our envelope. `tracking_plan/README.md` says how to write one.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any

import jq
import orjson

from parley.config.tracking_plan import Json, parse_yaml, read_text
from parley.errors import ParleyError
from parley.landing.envelope import canonical_uuid, decode, named_uuid
from parley.landing.privacy import Unstorable, dump

FOLDER = "formats"
NATIVE = "parley"
PRELUDE_FILE = "prelude.jq"
SUFFIX = ".jq"
SAMPLE = 20  # documents by which a source is recognised

_TEXT: Json = {"type": "string", "minLength": 1}
_NAMES: Json = {"type": "object", "additionalProperties": _TEXT}
_HEADER: Json = {
    "type": "object",
    "required": ["description"],
    "additionalProperties": False,
    "properties": {
        "description": _TEXT,
        "recognise": _TEXT,
        "documents": {"type": "array", "items": _TEXT, "minItems": 1},
        "columns": {"type": "array", "items": _TEXT, "minItems": 2},
        "event_names": _NAMES,
        "samples": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["document", "events"],
                "additionalProperties": False,
                "properties": {"document": {}, "parent": {"type": "object"}, "events": {"type": "array"}},
            },
        },
    },
}
_READ = re.compile(r'\.\s*([A-Za-z_]\w*)|"((?:[^"\\]|\\.)*)"|(?<=[{,])\s*([A-Za-z_]\w*)(?=\s*[,}])')
_STEP = re.compile(r"\.([A-Za-z_]\w*)")
_COMMENT = re.compile(r"(?m)^\s*#.*$")
_ID_KEY = re.compile(r"\d+|[0-9a-fA-F-]{16,}|[A-Za-z_.-]*\d[\w.-]{11,}")
_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$.-]{0,59}")
_OTHER_KEY = "(another name)"
MAX_UNREAD = 200
MAX_UNREAD_DEPTH = 12
_ABSENT: tuple[Any, ...] = (None, "", {}, [])


@dataclass(frozen=True)
class Sample:
    """A document in the published shape of the source, and the events that it becomes."""

    document: Any
    events: tuple[Json, ...]
    parent: Json | None = None


@dataclass(frozen=True)
class Format:
    """A source format, as its file says. Plain data that can be pickled."""

    name: str
    description: str
    program: str
    prelude: str = ""
    recognise: str | None = None
    """A jq condition that holds for documents of this format and for no other's."""
    documents: tuple[tuple[str, ...], ...] = ()
    """Where a large object keeps its documents: paths of arrays, whose elements are read one by one."""
    columns: tuple[str, ...] = ()
    """The names of the columns of a table that has no header."""
    event_names: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()

    @property
    def is_native(self) -> bool:
        """Whether documents are events already, so that no jq is needed."""
        return self.program.strip() == "."

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys that the filter names: what it may read."""
        text = _COMMENT.sub("", self.program + self.prelude)
        found = {next(filter(None, match), "") for match in _READ.findall(text)}
        return frozenset(found.union(_STEP.findall(text)))  # those inside of texts, as "\\(.id)", too

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """What keys begin with that the filter looks for."""
        return tuple(key for key in self.keys if len(key) > 3 and key.endswith(("_", ".")))


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that the filter cannot read."""

    message: str
    """For the producer: it quotes nothing of the document."""
    details: str = ""
    """What jq says, which may quote it."""


Document = tuple[int, bytes]
"""The number of a line and its JSON."""


class Mapper:
    """Makes events of documents, by the jq program of a format."""

    def __init__(self, source_format: Format) -> None:
        self.format = source_format
        inner = _INSIDE if source_format.documents else "null as $parent | .[1]"
        program = (
            f"{source_format.prelude}\n{{}} as $ENV | .[0] as $line | {inner} | try [(\n{source_format.program}\n)]"
            ' catch {error: (if type == "object" then .rejected else null end),'
            ' details: (if type == "string" then . else null end)}'
        )
        self._program = _compiled(source_format, program)
        self._program_to_text = _compiled(source_format, f"{program} | tojson")

    def map(
        self, documents: Sequence[Document], with_digits: Container[int] | None = None
    ) -> Iterator[tuple[int, list[Json] | Failure]]:
        """The events of each document, which must be JSON, in the order of the documents.

        `with_digits` are the lines of documents that hold `Digits`, None where that is not known.
        """
        # what jq makes of numbers is a double: where one may have more digits, they are taken as texts
        is_exact = [_MANY_DIGITS.search(document) is not None for _, document in documents]
        as_texts = iter(self._run(self._program_to_text, list(compress(documents, is_exact))))
        as_values = iter(self._run(self._program, list(compress(documents, map(not_, is_exact)))))
        for (line, document), exact in zip(documents, is_exact, strict=True):
            found = next(as_texts if exact else as_values)
            plain = with_digits is not None and line not in with_digits  # jq makes no digits of its own
            yield line, self._events(document, self._value(found, is_plain=plain))

    def events(self, document: Any, *, number: int = 1, derive: bool = True) -> list[Json] | Failure:
        """The events of one document, the source's so many-th. Without `derive`, those without an id stay so."""
        line = orjson.dumps(document)
        (found,) = self._run(self._program_to_text, [(number, line)])
        return self._events(line, self._value(found), derive=derive)

    def _run(self, program: Any, documents: Sequence[Document]) -> list[Any]:
        """What a program makes of documents, one value of each."""
        found = _output(program, documents)
        if found is None or len(found) != len(documents):  # one of them stops jq: find out which
            found = []
            for document in documents:
                alone = _output(self._program_to_text, [document])
                found.append(alone[0] if alone and len(alone) == 1 else _NO_ANSWER)
        return found

    def _value(self, text: Any, *, is_plain: bool = False) -> Any:
        if type(text) is not str:
            return text
        try:
            return orjson.loads(text) if is_plain else decode(text)[0]
        except orjson.JSONDecodeError:
            return {"details": "nested too deep"}

    def _events(self, document: bytes, found: Any, *, derive: bool = True) -> list[Json] | Failure:
        if type(found) is dict:
            message = found.get("error")
            return Failure(
                message if type(message) is str else _NOT_READ % self.format.name, str(found.get("details") or "")
            )
        if not all(type(event) is dict for event in found):
            return Failure(_NOT_READ % self.format.name, "the filter makes something that is no object")
        events: list[Json] = [
            {key: value for key, value in event.items() if value is not None and value != ""} for event in found
        ]
        identity: bytes | None = None
        for index, event in enumerate(events):
            given = event.get("event_id")
            if (given is None or given == "") and not derive:
                event.pop("event_id", None)
            elif given is None or given == "":
                if identity is None:
                    identity = _identity(document)
                event["event_id"] = named_uuid(identity + b"\0%d" % index)
            elif type(given) is str:
                event["event_id"] = canonical_uuid(given) or named_uuid(given.encode("utf-8", "surrogatepass"))
            self._rename(event)
        return events

    def _rename(self, event: Json) -> None:
        """Put the format's names of event types into those of the plan; leave out attributes that are null."""
        name = event.get("event_name")
        if type(name) is str:
            event["event_name"] = self.format.event_names.get(name, name)
        attributes = event.get("attributes")
        if type(attributes) is not dict:
            return
        event["attributes"] = {key: value for key, value in attributes.items() if value is not None}

    def unread(self, document: Any, events: Iterable[Json]) -> list[str]:
        """The places of a document that its filter does not read, as keys with dots between."""
        found: list[str] = []
        kept = _Lazy(events)
        if self.format.documents and type(document) is dict and document.keys() == {"parent", "document"}:
            document = document["document"]  # the object around it comes with each of its documents
        _unread(document, self.format, kept, "", found)
        return found


_INSIDE = """
    (.[1] | if type == "object" and length == 2 and has("document") and has("parent") then .
        else {parent: null, document: .} end) as {parent: $parent, document: $document} | $document
"""
_NO_ANSWER: Json = {"error": None}
_MANY_DIGITS = re.compile(rb"\d[\d.]{15}")
_NOT_READ = "is not a document that the source format %s reads: check the --format, or see `parley formats show`"


def _output(program: Any, documents: Sequence[Document]) -> list[Any] | None:
    """What a program gives for documents in turn; None where one of them stops it, or makes a number that is none."""
    if not documents:
        return []
    try:
        text = b"\n".join(b"[%d,%b]" % document for document in documents).decode("utf-8", "replace")
        return list(program.input_text(text).all())
    except (ValueError, OverflowError):
        return None


class _Lazy:
    """The keys of events: those of attributes, where most are found, and all others once one is not."""

    def __init__(self, events: Iterable[Json]) -> None:
        self._events = list(events)
        self._attributes = [event["attributes"] for event in self._events if type(event.get("attributes")) is dict]
        self._keys: set[str] | None = None

    def __contains__(self, key: str) -> bool:
        for attributes in self._attributes:
            if key in attributes:
                return True
        if self._keys is None:
            self._keys = set()
            _gather(self._events, self._keys)
        return key in self._keys


def _gather(value: Any, into: set[str]) -> None:
    if type(value) is dict:
        into.update(value)
        for inner in value.values():
            _gather(inner, into)
    elif type(value) is list:
        for inner in value:
            _gather(inner, into)


def _unread(value: Any, by: Format, kept: _Lazy, place: str, into: list[str], depth: int = 0) -> None:
    if depth > MAX_UNREAD_DEPTH:
        return
    if type(value) is list:
        for item in value:
            if type(item) is dict or type(item) is list:
                _unread(item, by, kept, place, into, depth + 1)
    elif type(value) is dict:
        read = by.keys
        for key, inner in value.items():
            holds = (type(inner) is dict or type(inner) is list) and bool(inner)
            if not holds and inner in _ABSENT:
                continue
            if key in read or key in kept or key.removeprefix("$") in kept:
                if holds:
                    _unread(inner, by, kept, f"{place}{key}.", into, depth + 1)
            elif key.startswith(by.prefixes) or (key[:1] == "$" and key[1:] in read):
                continue
            elif _ID_KEY.fullmatch(key):  # no name but an id: what is under it has names
                _unread(inner, by, kept, place, into, depth + 1)
            else:
                into.append(place + shown(key))


def shown(key: str) -> str:
    """A key as it may be printed: one that looks like a name, and no person's data."""
    return key if _PLAIN_KEY.fullmatch(key) else _OTHER_KEY


def _identity(document: bytes) -> bytes:
    """The canonical JSON of a document."""
    value, _ = decode(document)
    try:
        return dump(value, orjson.OPT_SORT_KEYS)
    except Unstorable:
        return document


def folder(tracking_plan: Path) -> Path:
    """Where the formats of a project are."""
    return tracking_plan / FOLDER


def names(tracking_plan: Path) -> list[str]:
    """The formats of a project, in alphabetical order."""
    return sorted(path.stem for path in folder(tracking_plan).glob(f"*{SUFFIX}") if path.name != PRELUDE_FILE)


def load(tracking_plan: Path) -> dict[str, Format]:
    """All formats of a project by name. Raises ParleyError where a file is wrong."""
    return {name: find(tracking_plan, name) for name in names(tracking_plan)}


def find(tracking_plan: Path, name: str) -> Format:
    """One format: by its name, or by the path of a file of one's own.

    Raises ParleyError where there is none, or where its file is wrong.
    """
    path = folder(tracking_plan) / f"{name}{SUFFIX}"
    if name.endswith(SUFFIX):
        path = Path(name)
        if not path.is_file():
            raise ParleyError(f"There is no file {name}: check its name and folder.")
    elif "/" in name or name == PRELUDE_FILE.removesuffix(SUFFIX) or not path.is_file():
        raise ParleyError(
            f"There is no source format {name!r}: use one of {', '.join(names(tracking_plan))}, "
            f"or give the path of a file of your own, such as mine{SUFFIX}."
        )
    return read(path, folder(tracking_plan) / PRELUDE_FILE)


def read(path: Path, prelude: Path) -> Format:
    """The format of a file. Raises ParleyError naming the file and what is wrong with it."""
    return _parsed(path.name, read_text(path), read_text(prelude))


@lru_cache(maxsize=100)
def _parsed(name: str, text: str, prelude: str) -> Format:
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    header = parse_yaml(name, "\n".join(re.sub("^# ?", "", line) for line in lines[:end]), _HEADER)
    program = "\n".join(lines[end:])
    if not program.strip():
        raise ParleyError(f"{name} has no jq filter below its header: write one, such as `{{event_name: .event}}`.")
    found = Format(
        name=name.removesuffix(SUFFIX),
        description=header["description"],
        program=program,
        prelude=prelude,
        recognise=header.get("recognise"),
        documents=tuple(tuple(path.split(".")) for path in header.get("documents", ())),
        columns=tuple(header.get("columns", ())),
        event_names=header.get("event_names", {}),
        samples=tuple(
            Sample(sample["document"], tuple(sample["events"]), sample.get("parent"))
            for sample in header.get("samples", ())
        ),
    )
    if not found.is_native:
        Mapper(found)
    if found.recognise:
        _condition(found)
    return found


def fits(source_format: Format, documents: Sequence[Any]) -> int:
    """How many of these documents are of a format."""
    if not source_format.recognise or not documents:
        return 0
    program = _condition(source_format)
    if source_format.documents:
        documents = [
            document["document"] if type(document) is dict and document.keys() == {"parent", "document"} else document
            for document in documents
        ]
    try:
        return Counter(program.input_text("\n".join(map(json.dumps, documents))).all())[True]
    except ValueError:
        return 0


def _condition(source_format: Format) -> Any:
    return _compiled(
        source_format,
        f"{source_format.prelude}\ntry (if ({source_format.recognise}\n) then true else false end) catch false",
    )


def _compiled(source_format: Format, program: str) -> Any:
    try:
        return jq.compile(program)
    except ValueError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        why = lines[0].removeprefix("jq: error: ") if lines else "unknown"
        before = program[: program.find(source_format.program)].count("\n")  # what the file itself does not hold
        why = re.sub(r"line (\d+)", lambda found: f"line {max(int(found[1]) - before, 1)} of the filter", why, count=1)
        raise ParleyError(f"{source_format.name}{SUFFIX} is not right as jq: {why}.") from error


@dataclass(frozen=True, slots=True)
class Candidate:
    """A format that a source may be in: how many of its first documents are, and what the first of them becomes."""

    source_format: Format
    fitting: int
    first: list[Json] | Failure


def candidates(tracking_plan: Path, sample: Callable[[Format], Sequence[Any]]) -> tuple[list[Candidate], int]:
    """The formats that most of a source's first documents are of, and how many documents there were at most.

    `sample` reads the first documents as a format has them; it raises ParleyError where they cannot be read so.
    """
    read_as: dict[object, Sequence[Any]] = {}
    found: list[Candidate] = []
    for each in load(tracking_plan).values():
        way = (each.is_native, each.documents, each.columns)
        if way not in read_as:
            try:
                read_as[way] = sample(each)
            except ParleyError:
                read_as[way] = ()
        documents = read_as[way]
        fitting = fits(each, documents)
        if fitting * 2 > len(documents) - fitting:
            first = next(document for document in documents if fits(each, [document]))
            found.append(Candidate(each, fitting, [first] if each.is_native else Mapper(each).events(first)))
    return found, max(map(len, read_as.values()), default=0)
