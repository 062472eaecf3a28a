"""The archives of retired months, and what has become of the rows that they hold."""

from dataclasses import dataclass
from typing import Any

from parley.errors import ParleyError
from parley.history import archives
from parley.history.archives import Archive
from parley.settings import Settings
from parley.warehouse.database import Connection


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """An archive, and what has become of the rows that it holds."""

    archive_id: str
    month: str
    tenants: tuple[str, ...]
    """Whose rows are no longer in raw.events."""
    archive: Archive | None
    """None where its files are missing."""
    is_emptied: bool
    """Whether all its rows have left raw.events."""

    @property
    def description(self) -> str:
        """In a few words."""
        if self.archive is None:
            return "files missing"
        if not self.tenants:
            return "a copy, nothing taken out yet"
        return "in place of raw.events" if self.is_emptied else "being taken out"


def find(connection: Connection, settings: Settings) -> list[ArchiveState]:
    """The archives that are on disk or should be, in the order of their ids."""
    on_disk = {found.archive_id: found for found in archives.find(settings.home)}
    taken: list[tuple[Any, ...]] = connection.execute(
        "select archive_id, month, array_agg(tenant_id order by tenant_id), bool_and(emptied_at is not null)"
        " from ops.archives where expired_at is null group by 1, 2"
    ).fetchall()
    found = [
        ArchiveState(archive_id, month, tuple(names), on_disk.pop(archive_id, None), is_emptied)
        for archive_id, month, names, is_emptied in taken
    ]
    found += [ArchiveState(name, archive.manifest.month, (), archive, False) for name, archive in on_disk.items()]
    return sorted(found, key=lambda state: state.archive_id)


def files_of(state: ArchiveState) -> Archive:
    """The files of an archive. Raises ParleyError where they are missing."""
    if state.archive is None:
        raise ParleyError(f"The files of archive {state.archive_id} are missing: restore them from a backup.")
    return state.archive
