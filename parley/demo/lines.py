"""Events as lines of NDJSON: what a whole block of events has in common is laid out by numpy, not one by one."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

HEAD = b'{"event_id":"%36s","occurred_at":"%24s",' % (b"", b"")
ID_AT = HEAD.index(b" ")
TIME_AT = HEAD.index(b" ", ID_AT + 36)
DAY_MS = 86_400_000
DASHES = (8, 13, 18, 23)
HEX_AT = np.array([place for place in range(36) if place not in DASHES])
VERSION_AT, VARIANT_AT = 14, 19  # of UUID version 4, RFC 9562

Bytes = NDArray[np.uint8]


def heads(occurred_ms: NDArray[np.int64], rng: np.random.Generator) -> list[bytes]:
    """The beginning of each line: a random event id and the time, of fixed width."""
    rows = np.tile(np.frombuffer(HEAD, dtype=np.uint8), (len(occurred_ms), 1))
    rows[:, ID_AT : ID_AT + 36] = uuids(len(occurred_ms), rng)
    rows[:, TIME_AT : TIME_AT + 24] = timestamps(occurred_ms)
    whole, width = rows.tobytes(), len(HEAD)
    return [whole[at : at + width] for at in range(0, len(whole), width)]


def uuids(count: int, rng: np.random.Generator) -> Bytes:
    """Random UUIDs as text, one row of 36 characters each."""
    digits = np.frombuffer(rng.bytes(16 * count).hex().encode(), dtype=np.uint8).reshape(count, 32)
    rows = np.full((count, 36), ord("-"), dtype=np.uint8)
    rows[:, HEX_AT] = digits
    rows[:, VERSION_AT] = ord("4")
    rows[:, VARIANT_AT] = np.frombuffer(b"89ab", dtype=np.uint8)[rows[:, VARIANT_AT] % 4]
    return rows


def timestamps(epoch_ms: NDArray[np.int64]) -> Bytes:
    """Times as RFC 3339 text in UTC with milliseconds, one row of 24 characters each."""
    days, within = np.divmod(epoch_ms, DAY_MS)
    names, which = np.unique(days, return_inverse=True)
    dates = "".join(np.datetime_as_string(names.astype("datetime64[D]"))).encode()
    rows = np.tile(np.frombuffer(b"0000-00-00T00:00:00.000Z", dtype=np.uint8), (len(epoch_ms), 1))
    rows[:, :10] = np.frombuffer(dates, dtype=np.uint8).reshape(-1, 10)[which]
    rest = within
    for place, base in ((22, 10), (21, 10), (20, 10), (18, 10), (17, 6), (15, 10), (14, 6), (12, 10), (11, 10)):
        rest, digit = np.divmod(rest, base)
        rows[:, place] += digit.astype(np.uint8)
    return rows


def hexes(numbers: NDArray[np.uint64]) -> list[bytes]:
    """Each number as 16 hexadecimal digits."""
    whole = numbers.astype(">u8").tobytes().hex().encode()
    return [whole[at : at + 16] for at in range(0, len(whole), 16)]


def _named(event_name: bytes, attributes: bytes) -> Callable[[bytes], bytes]:
    """A spoiler that keeps who and when of the line and puts this in the place of what happened."""
    body = b'"event_name":"%s","attributes":%s}\n' % (event_name, attributes)
    return lambda line: line[: line.index(b'"event_name"')] + body


def _without_tenant(line: bytes) -> bytes:
    at = line.index(b'"tenant_id"')
    return line[:at] + line[line.index(b",", at) + 1 :]


def _at(time: bytes) -> Callable[[bytes], bytes]:
    return lambda line: line[:TIME_AT] + time + line[TIME_AT + 24 :]


SPOILERS: Sequence[Callable[[bytes], bytes]] = (
    _named(b"chat.typing", b"{}"),  # unknown type
    _named(b"kb.search", b'{"query":"opening hours"}'),  # a required attribute is missing
    _named(b"conversation.rated", b'{"rating":5}'),  # out of range
    _named(b"ai.response", b'{"duration_ms":"fast","model":"aurora-mini"}'),  # of the wrong type
    _at(b"2025-13-45T99:99:99.000Z"),  # no time
    _at(b"2999-12-31T23:59:59.000Z"),  # far in the future
    lambda line: line[: len(line) * 2 // 3] + b"\n",  # broken JSON
    _without_tenant,
)
"""What goes wrong with lines that are to be rejected, each in its own way."""
