"""The inbox: a folder whose files are landed, then put away under `done/`. docs/inbox.md describes it.

    inbox/events.ndjson.gz                      the format is recognised
    inbox/segment/events.ndjson                 a source format is named
    inbox/segment/shop-newyork/events.ndjson    … and a tenant for events that name none; deeper folders as you like

A name that begins with a dot or ends in `.part` or `.tmp` is a file still being written: it waits until it is renamed.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from parley.errors import ParleyError, may_pass
from parley.landing import recognition
from parley.landing.loader import load
from parley.landing.loads import Report
from parley.settings import Settings

DONE = "done"
FAILED = "failed"
REASON = ".reason.txt"
BY_FOLDER = "by the folder of the inbox that it lies in, such as segment/"
UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True)
class Waiting:
    """A file to land, how to read it, and what it looked like when it was found."""

    path: Path
    name: str
    source_format: str | None
    """None: it is recognised."""
    tenant: str | None
    size: int
    modified_ns: int

    def is_unchanged(self) -> bool:
        """Whether nobody has written to it since it was found."""
        found = _stat(self.path)
        return found is not None and (found.st_size, found.st_mtime_ns) == (self.size, self.modified_ns)


@dataclass(frozen=True)
class Outcome:
    """What became of a file: the report of its load, or the sentence that says what is wrong with it."""

    name: str
    report: Report | None = None
    problem: str | None = None


def land_all(inbox: Path, land: Callable[[Waiting], Report]) -> Iterator[Outcome]:
    """Land every waiting file and put it away. One that cannot be landed, or of which most was rejected, is set aside
    under `failed/` with the reason beside it, and the others go on.

    A file that was written to meanwhile stays, whatever came of it: landed again, only what is new in it counts. One
    that another process has taken meanwhile is that one's. An error that may pass by itself (a database that is down)
    is nothing about the file, and is raised.
    """
    for file in waiting(inbox):
        try:
            report = land(file)
        except ParleyError as error:
            if may_pass(error):
                raise
            if file.is_unchanged() and _is_moved(_set_aside, file, inbox, str(error)):
                yield Outcome(file.name, problem=str(error))
            continue
        if file.is_unchanged():
            _is_moved(*((_set_aside, file, inbox, report.problem) if report.problem else (put_away, file, inbox)))
        yield Outcome(file.name, report, report.problem)


def _is_moved(move: Callable[..., object], file: Waiting, inbox: Path, *why: str) -> bool:
    """Move a file that has been dealt with; false where it is gone: another process has dealt with it too.

    Raises ParleyError where it cannot be moved: it would be landed over and over.
    """
    try:
        move(file, inbox, *why)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ParleyError(
            f"{file.name} was read, and cannot be moved within {inbox} ({error.strerror}): correct that."
        ) from error
    return True


def waiting(inbox: Path) -> list[Waiting]:
    """The files to land, the oldest first; none where there is no inbox."""
    return sorted(_files(inbox), key=lambda file: (file.modified_ns, file.name))


def _files(inbox: Path) -> Iterator[Waiting]:
    for path in inbox.rglob("*"):
        relative = path.relative_to(inbox)
        folders = relative.parts[:-1]
        if folders[:1] in ((DONE,), (FAILED,)) or any(part.startswith(".") for part in relative.parts):
            continue
        found = None if path.name.endswith(UNFINISHED) else _stat(path)
        if found and stat.S_ISREG(found.st_mode):
            yield Waiting(
                path=path,
                name=relative.as_posix(),
                source_format=folders[0] if folders else None,
                tenant=folders[1] if len(folders) > 1 else None,
                size=found.st_size,
                modified_ns=found.st_mtime_ns,
            )


def _stat(path: Path) -> os.stat_result | None:
    """What a path is; None where it is gone: somebody else may take files out of the inbox too."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def set_aside(inbox: Path) -> list[Outcome]:
    """The files that could not be landed and lie under `failed/` still, each with its reason, by name."""
    folder = inbox / FAILED
    return [
        Outcome(path.relative_to(folder).as_posix(), problem=_reason_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(REASON)
    ]


def _reason_of(path: Path) -> str:
    try:
        return _reason_beside(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "the reason is no longer beside it"


def _reason_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}{REASON}")


def _set_aside(file: Waiting, inbox: Path, why: str) -> None:
    _reason_beside(put_away(file, inbox, FAILED)).write_text(f"{why}\n", encoding="utf-8")


def put_away(file: Waiting, inbox: Path, folder: str = DONE) -> Path:
    """Move a file to a folder and return its new path: its own name, or where that is taken one with a number."""
    own = inbox / folder / file.name
    numbered = (own.with_name(f"{own.name}.{number}") for number in count(2))
    target = next(path for path in chain([own], numbered) if not path.exists())
    target.parent.mkdir(parents=True, exist_ok=True)
    return file.path.rename(target)


def land_file(settings: Settings, file: Waiting, *, by: str | None = "dagster") -> Report:
    """Land one file; raises ParleyError where its format is unclear or it cannot be read to its end."""
    named = file.source_format or recognition.recognise(settings, str(file.path), BY_FOLDER)
    return load(settings, str(file.path), source_format=named, tenant_id=file.tenant, loaded_by=by)
