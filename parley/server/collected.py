"""What the HTTP server has landed since a time, and what still waits in its spool."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg.rows import args_row

from parley.landing.batches import OUTCOMES, Counts
from parley.server.writer import SOURCE
from parley.settings import Settings
from parley.warehouse.database import Connection

_LANDED = f"""
    select {", ".join(f"coalesce(sum(load_batches.{name}), 0)::bigint" for name in ("received", *OUTCOMES))}
    from raw.load_batches
    inner join raw.loads using (load_id)
    where loads.source = any(%(sources)s) and load_batches.batch_id > %(after)s
"""
_LAST = """
    select load_batches.batch_id, extract(epoch from load_batches.received_at)::float
    from raw.load_batches
    inner join raw.loads using (load_id)
    where loads.source = any(%s)
    order by load_batches.batch_id desc
    limit 1
"""
_POSITIONS = "select spool_id, segment, byte_offset from ops.spool_positions"
SOURCES = (SOURCE,)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is acknowledged and has not landed, in the spools of this machine."""

    bytes: int = 0
    lag_seconds: float = 0.0
    """How long the oldest of it has been waiting, at the most."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What landed after a batch."""

    counts: Counts
    last_batch_id: int
    """Of all that ever landed by HTTP; 0: nothing has."""
    last_landed_at: float | None
    """Seconds since 1970."""
    waiting: Waiting


def since(connection: Connection, settings: Settings, batch_id: int) -> Collected:
    """What landed by HTTP after a batch, and what waits."""
    with connection.cursor(row_factory=args_row(Counts)) as cursor:
        counts = cursor.execute(_LANDED.encode(), {"sources": list(SOURCES), "after": batch_id}).fetchone()
    last = connection.execute(_LAST, [list(SOURCES)]).fetchone()
    positions = {
        str(spool_id): (int(str(segment)), int(str(offset)))
        for spool_id, segment, offset in connection.execute(_POSITIONS)
    }
    return Collected(
        counts or Counts(),
        int(str(last[0])) if last else 0,
        float(str(last[1])) if last else None,
        _waiting(sorted((settings.home / "spool").glob("*/*.rows")), positions),
    )


def _waiting(segments: Sequence[Path], positions: dict[str, tuple[int, int]]) -> Waiting:
    """Of the segments of all spools, what is behind the place up to which their spool has landed."""
    left: dict[Path, int] = {}
    oldest = now = time.time()
    for path in segments:
        segment, offset = positions.get(path.parent.name, (1, 0))
        number = int(path.stem)
        try:
            found = path.stat()
        except FileNotFoundError:
            continue  # it has landed meanwhile
        size = found.st_size - (offset if number == segment else 0)
        if number >= segment and size > 0:
            left[path] = size
            oldest = min(oldest, found.st_mtime)
    return Waiting(sum(left.values()), round(now - oldest, 1))
