"""What was acknowledged and has not landed yet: records on disk, synced before the answer goes out.

A spool is a folder that one process writes. Its records are in numbered segments; each is framed by its length and a
checksum, so that a record that a crash cut off is seen and left out: nobody was told that it is kept.
"""

import fcntl
import logging
import os
import shutil
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from parley.errors import ParleyError
from parley.landing.positions import Position
from parley.settings import Settings

_SUFFIX = ".rows"
SEGMENT_BYTES = 16 * 2**20
_FRAME = struct.Struct("<II")  # length and CRC-32 of the record that follows
_LOCK = "lock"
_NEW = "new-"
"""Begins the name of a spool that is just being made."""

log = logging.getLogger("parley.server")


class SpoolFull(ParleyError):
    """There is no room for another record."""


def home(settings: Settings) -> Path:
    """The folder that holds the spools of this machine."""
    return settings.home / "spool"


def segments(folder: Path) -> list[Path]:
    """The segments of a spool, the earliest first: a number names each."""
    return sorted(folder.glob(f"*{_SUFFIX}"), key=number_of)


def number_of(segment: Path) -> int:
    """A segment's number, from 1."""
    return int(segment.stem)


class Spool:
    """A process's own spool, or one that it has adopted."""

    def __init__(self, folder: Path, *, max_bytes: int, lock: int) -> None:
        self.folder = folder
        self.spool_id = folder.name
        self._max_bytes = max_bytes
        self._lock = lock
        self._file: int | None = None
        self._changing = threading.Lock()  # one thread appends, another reads and releases
        numbers = self._segments()
        self.end = Position(numbers[-1] + 1 if numbers else 1, 0)
        """Where the next record goes; all before it is synced. An adopted spool's last segment is not appended to."""
        self._sizes = {number: self._path(number).stat().st_size for number in numbers}

    @classmethod
    def create(cls, home: Path, *, max_bytes: int) -> "Spool":
        """A new spool below a folder, held by this process. Raises ParleyError where the folder cannot be written."""
        made = home / f"{_NEW}{uuid.uuid4().hex}"
        folder = home / made.name.removeprefix(_NEW)
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            made.mkdir(mode=0o700)
            lock = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            made.rename(folder)  # now that it is held: nobody takes it for one that was left behind
            _sync_folder(folder)
            _sync_folder(home)
        except OSError as error:
            raise ParleyError(
                f"The spool {home} cannot be written ({error.strerror}): make it writable, or set PARLEY_HOME."
            ) from error
        return cls(folder, max_bytes=max_bytes, lock=lock)

    @classmethod
    def orphans(cls, home: Path) -> Iterator["Spool"]:
        """The spools below a folder that no process holds any more, one after the other, each held by this one.

        One that this user may not open is left to a server that may.
        """
        for folder in sorted(home.iterdir()) if home.is_dir() else ():
            if folder.name.startswith(_NEW):
                continue
            try:
                lock = os.open(folder / _LOCK, os.O_RDWR)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was just removed
            except OSError as error:
                why = error.strerror
                log.warning("The spool %s is left where it is (%s): start a server that may open it.", folder, why)
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            yield cls(folder, max_bytes=0, lock=lock)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left in it."""
        return not self._segments()

    def append(self, records: Sequence[bytes]) -> None:
        """Write records and sync them: they are kept when this returns. Raises SpoolFull, and then keeps none."""
        frames = b"".join(_FRAME.pack(len(record), zlib.crc32(record)) + record for record in records)
        with self._changing:
            if self.size + len(frames) > self._max_bytes:
                raise SpoolFull(
                    "The spool is full, as Postgres has not taken in events for too long: send again later."
                )
            try:
                self._append(frames)
            except OSError as error:
                self._give_up_segment()
                raise SpoolFull(f"The spool cannot be written ({error.strerror}): make room on its disk.") from error

    def _append(self, frames: bytes) -> None:
        if self.end.offset > SEGMENT_BYTES:
            self._close_segment()
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            self._file = os.open(self._path(self.end.segment), flags, 0o600)
            _sync_folder(self.folder)
        written = 0
        while written < len(frames):
            written += os.pwrite(self._file, frames[written:], self.end.offset + written)
        os.fdatasync(self._file)
        self._sizes[self.end.segment] = self.end.offset + len(frames)
        self.end = Position(self.end.segment, self.end.offset + len(frames))

    def read(self, start: Position, max_bytes: int) -> tuple[list[bytes], Position]:
        """Records from a position on, of so many bytes at the most (but one at least), and the position after them."""
        records: list[bytes] = []
        taken = 0
        for number in [number for number in self._segments() if number >= start.segment]:
            offset = start.offset if number == start.segment else 0
            limit = self._sizes.get(number, 0)  # of an own segment: what is synced of it
            with self._path(number).open("rb") as file:
                file.seek(offset)
                while offset < limit:
                    frame = file.read(_FRAME.size)
                    if len(frame) < _FRAME.size:
                        break
                    length, checksum = _FRAME.unpack(frame)
                    record = file.read(length)
                    if len(record) < length or zlib.crc32(record) != checksum:
                        break  # cut off by a crash: it was never acknowledged
                    if records and taken + length > max_bytes:
                        return records, Position(number, offset)
                    records.append(record)
                    taken += length
                    offset += _FRAME.size + length
            start = Position(number, offset)
        return records, start

    def release(self, position: Position) -> None:
        """Delete the segments that are wholly before a position; the one that is written to is ended if it is one."""
        with self._changing:
            if position == self.end and self.end.offset:
                self._close_segment()
                position = self.end
            for number in self._segments():
                is_read = number == position.segment != self.end.segment and position.offset >= self._sizes[number]
                if number < position.segment or is_read:
                    self._path(number).unlink()
                    self._sizes.pop(number, None)

    def clear(self) -> None:
        """Delete every segment: all of an adopted spool has landed. None comes back, whatever the machine does next."""
        for number in self._segments():
            self._path(number).unlink()
        self._sizes.clear()
        _sync_folder(self.folder)

    def close(self) -> None:
        """Let go of the spool; the folder goes where nothing is left in it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if not self._segments():
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def _close_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self.end = Position(self.end.segment + 1, 0)

    def _give_up_segment(self) -> None:
        """After a failed write: what was kept stays, what came of the write goes, and the next one begins a segment."""
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file, self.end.offset)
            with suppress(OSError):
                os.close(self._file)
            self._file = None
        if self.end.offset:
            self.end = Position(self.end.segment + 1, 0)

    def _segments(self) -> list[int]:
        return [number_of(path) for path in segments(self.folder)]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}{_SUFFIX}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
