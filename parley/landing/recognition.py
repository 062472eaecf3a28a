"""Recognises the source format of a file by its first documents, or says why it cannot."""

import orjson

from parley.config import tracking_plan
from parley.errors import ParleyError
from parley.landing import formats, sources
from parley.landing.formats import SAMPLE, Candidate, Failure, Format
from parley.landing.sources import Columns
from parley.settings import Settings

MAX_SHOWN = 600  # characters of an event that is shown


class UnclearFormatError(ParleyError):
    """No source format fits a file, or more than one."""


def recognise(settings: Settings, path: str, named: str = "with --format") -> str:
    """The name of the one source format that a file's first documents are of. `named` says how else one is named.

    Of a source that holds no JSON at all it is our own, which rejects each line with a reason. Raises
    UnclearFormatError with the candidates and what the first document would become, SourceError where the file is no
    source of events.
    """
    folder = settings.project / tracking_plan.FOLDER
    sources.check(path)
    native = Columns.of(formats.find(folder, formats.NATIVE), (), is_strict=False)
    sources.sample(path, native, 1)  # what is wrong with the file itself is said at once

    def sample(source_format: Format) -> list[object]:
        return sources.sample(path, Columns.of(source_format, (), is_strict=False), SAMPLE)

    found, documents = formats.candidates(folder, sample)
    if len(found) == 1:
        return found[0].source_format.name
    if not documents:
        return formats.NATIVE
    if not found:
        raise UnclearFormatError(
            f"{path} is in no source format that Parley recognises ({', '.join(formats.names(folder))}): name one "
            f"{named}, or write your own (`parley formats try`)."
        )
    shown = "; ".join(f"{each.source_format.name} would make {_first(each)}" for each in found)
    names = " or ".join(each.source_format.name for each in found)
    raise UnclearFormatError(f"{path} could be {names}: say which {named}. Of its first document, {shown}.")


def _first(candidate: Candidate) -> str:
    if isinstance(candidate.first, Failure):
        return "nothing"
    return orjson.dumps(candidate.first[0] if candidate.first else None).decode()[:MAX_SHOWN]
