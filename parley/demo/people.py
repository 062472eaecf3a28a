"""Who visits when: the rhythm of a tenant's days and weeks, and customers who come, come back and stay away.

A customer is a number; everything else about one (when first seen, how keen, for how long) is computed from it, so
that millions of them take no memory.
"""

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from parley.demo.tenants import Plan

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
GROWTH = 0.3  # of the traffic, over the whole span
SURGE = 3.0  # times the usual traffic during an outage
BEFORE_MS = 180 * DAY_MS  # customers who were first seen before the span began
FORGOTTEN_MS = 300 * DAY_MS  # since they were first seen; nobody visits after that
MEAN_LIFETIME_MS = 70 * DAY_MS
HEAVY_TAIL = 2.5  # keenness is uniform ** this: a few come all the time, most hardly ever
CANDIDATES = 8  # drawn at once for a visit
ROUNDS = 20


def mixed(numbers: Integers, salt: int) -> Hashes:
    """A 64-bit hash of each number, one to one (SplitMix64: Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195)."""
    state = numbers.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def chance(numbers: Integers, salt: int) -> Floats:
    """A number in [0, 1) for each number, always the same one."""
    return (mixed(numbers, salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Rhythm:
    """How a tenant's traffic spreads over the span: by local hour, weekday and slow growth.

    `moments` are the UTC hours of the span in epoch milliseconds, both ends included; `done` is the share of the
    traffic up to each, 0 to 1. Between the two times of `outage_ms` more people come.
    """

    def __init__(self, plan: Plan, start_ms: int, end_ms: int, outage_ms: tuple[int, int]) -> None:
        self.moments: Integers = np.arange(start_ms, end_ms + 1, HOUR_MS)
        zone = ZoneInfo(plan.time_zone)
        local = [datetime.fromtimestamp(moment / 1000, UTC).astimezone(zone) for moment in self.moments[:-1].tolist()]
        busy = np.array([plan.hours[then.hour] * plan.weekdays[then.weekday()] for then in local], dtype=np.float64)
        busy *= np.linspace(1.0, 1.0 + GROWTH, len(busy))
        busy[(self.moments[:-1] >= outage_ms[0]) & (self.moments[:-1] < outage_ms[1])] *= SURGE
        self.done: Floats = np.concatenate(([0.0], np.cumsum(busy) / busy.sum()))
        self.done[-1] = 1.0

    def share_until(self, moment_ms: float) -> float:
        return float(np.interp(moment_ms, self.moments, self.done))

    def times(self, shares: Floats) -> Floats:
        """When these shares of the traffic were done, in epoch milliseconds."""
        return np.interp(shares, self.done, self.moments)


class Visits(NamedTuple):
    """Visits, one per element."""

    started_ms: Floats
    customers: Integers
    is_first: NDArray[np.bool_]


class People:
    """The customers of one tenant: numbers from below zero (seen before the span) up to `total`."""

    def __init__(self, rhythm: Rhythm, total: int, salt: int) -> None:
        self.rhythm = rhythm
        self.total = max(total, 1)
        self.salt = salt
        span = int(rhythm.moments[-1] - rhythm.moments[0])
        self.spacing_ms = span / self.total
        self.oldest = -max(int(BEFORE_MS / self.spacing_ms), 1)

    def known_until(self, moment_ms: float) -> int:
        """How many have been seen since the span began."""
        return int(self.total * self.rhythm.share_until(moment_ms))

    def ids(self, customers: Integers) -> Hashes:
        return mixed(customers, self.salt)

    def visits(self, start_ms: float, stop_ms: float, returns: int, rng: np.random.Generator) -> Visits:
        """The first visits of all who come in this stretch of time, then so many by those who come back."""
        newcomers = np.arange(self.known_until(start_ms), self.known_until(stop_ms))
        shares = rng.uniform(
            self.rhythm.share_until(start_ms), self.rhythm.share_until(stop_ms), len(newcomers) + returns
        )
        shares[: len(newcomers)].sort()
        started = self.rhythm.times(shares)
        returning = self._returning(started[len(newcomers) :], rng)
        return Visits(
            started,
            np.concatenate((newcomers, returning)),
            np.arange(len(started)) < len(newcomers),
        )

    def _returning(self, moments: Floats, rng: np.random.Generator) -> Integers:
        """One customer per moment, the keen ones more often, among those who have not left for good."""
        chosen = np.full(len(moments), self.oldest, dtype=np.int64)
        waiting = np.arange(len(moments))
        for _ in range(ROUNDS):
            if not len(waiting):
                break
            now = moments[waiting, None]
            newest = self.total * np.interp(now, self.rhythm.moments, self.rhythm.done)
            oldest = np.maximum(newest - FORGOTTEN_MS / self.spacing_ms, self.oldest)
            drawn = np.floor(rng.uniform(oldest, newest, (len(waiting), CANDIDATES))).astype(np.int64)
            comes = rng.random(drawn.shape) < self._keenness(drawn)
            comes &= now - self._first_seen(drawn) < self._lifetime_ms(drawn)
            first = comes.argmax(axis=1)
            chosen[waiting] = drawn[np.arange(len(waiting)), first]  # the last round's stay even if none comes
            waiting = waiting[~comes.any(axis=1)]
        return chosen

    def _keenness(self, customers: Integers) -> Floats:
        return chance(customers, self.salt + 1) ** HEAVY_TAIL

    def _lifetime_ms(self, customers: Integers) -> Floats:
        return -np.log1p(-chance(customers, self.salt + 2)) * MEAN_LIFETIME_MS

    def _first_seen(self, customers: Integers) -> Floats:
        before = self.rhythm.moments[0] + customers * self.spacing_ms
        since = self.rhythm.times(customers / self.total)
        return np.where(customers < 0, before, since)
