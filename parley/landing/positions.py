"""Up to where what arrives in a stream has landed: `ops.spool_positions`, of a server's spools and of Kafka's topics.

A position is stored in the transaction that stores the rows before it, so that whatever is killed in between, nothing
lands twice and nothing is left out.
"""

from typing import NamedTuple

from parley.warehouse.database import Connection

_EVERY = "select spool_id, segment, byte_offset from ops.spool_positions"
_READ = "select segment, byte_offset from ops.spool_positions where spool_id = %s"
_STORE = """
    insert into ops.spool_positions (spool_id, segment, byte_offset) values (%s, %s, %s)
    on conflict (spool_id) do update
    set segment = excluded.segment, byte_offset = excluded.byte_offset, updated_at = excluded.updated_at
"""
_FORGET = "delete from ops.spool_positions where spool_id = %s"


class Position(NamedTuple):
    """A place between two records: everything before it has landed, or been synced. Kafka's have segment 0."""

    segment: int
    offset: int


START = Position(1, 0)
"""Where a spool begins of which nothing has landed yet."""


def read(connection: Connection, stream_id: str) -> Position | None:
    """Up to where a stream has landed, None where nothing of it has."""
    row = connection.execute(_READ, [stream_id]).fetchone()
    return Position(int(str(row[0])), int(str(row[1]))) if row else None


def every(connection: Connection) -> dict[str, Position]:
    """Up to where each stream has landed, by its id."""
    found = connection.execute(_EVERY)
    return {str(name): Position(int(str(segment)), int(str(offset))) for name, segment, offset in found}


def store(connection: Connection, stream_id: str, position: Position) -> None:
    """Say up to where a stream has landed, in the caller's transaction."""
    connection.execute(_STORE, [stream_id, *position])


def forget(connection: Connection, stream_id: str) -> None:
    """Drop the position of a stream that is no more."""
    connection.execute(_FORGET, [stream_id])
