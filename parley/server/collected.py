"""What the HTTP server has landed since a time, and what still waits in its spool."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg.rows import args_row

from parley.landing import positions
from parley.landing.batches import OUTCOMES, Counts
from parley.landing.positions import START, Position
from parley.server import spool
from parley.server.writer import SOURCE
from parley.settings import Settings
from parley.warehouse.database import Connection

_LANDED = f"""
    select {", ".join(f"coalesce(sum(load_batches.{name}), 0)::bigint" for name in ("received", *OUTCOMES))}
    from raw.load_batches
    inner join raw.loads using (load_id)
    where loads.source = %(source)s and load_batches.batch_id > %(after)s
"""
_LAST = """
    select load_batches.batch_id, extract(epoch from load_batches.received_at)::float
    from raw.load_batches
    inner join raw.loads using (load_id)
    where loads.source = %s
    order by load_batches.batch_id desc
    limit 1
"""


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
        counts = cursor.execute(_LANDED.encode(), {"source": SOURCE, "after": batch_id}).fetchone()
    last = connection.execute(_LAST, [SOURCE]).fetchone()
    return Collected(
        counts or Counts(),
        int(str(last[0])) if last else 0,
        float(str(last[1])) if last else None,
        _waiting(spool.home(settings), positions.every(connection)),
    )


def _waiting(home: Path, landed: Mapping[str, Position]) -> Waiting:
    """Of the segments of all spools, what is behind the place up to which their spool has landed."""
    waiting = 0
    oldest = now = time.time()
    for path in (path for folder in home.glob("*") for path in spool.segments(folder)):
        position, number = landed.get(path.parent.name, START), spool.number_of(path)
        try:
            found = path.stat()
        except FileNotFoundError:
            continue  # it has landed meanwhile
        size = found.st_size - (position.offset if number == position.segment else 0)
        if number >= position.segment and size > 0:
            waiting += size
            oldest = min(oldest, found.st_mtime)
    return Waiting(waiting, round(now - oldest, 1))
