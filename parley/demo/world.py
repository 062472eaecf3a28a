"""The demo's world: visits live the stories, their events become lines, and lines arrive, some late, some twice."""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, count, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from parley.demo import library, lines
from parley.demo.people import DAY_MS, HOUR_MS, Floats, Integers, People, Rhythm, Visits, chance, mixed
from parley.demo.stories import Fill, Place
from parley.demo.tenants import PLANS, Plan
from parley.errors import ParleyError

BLOCK = 20_000  # events made at a time: what memory depends on
STORIES = 1_000  # told per sort; more visits than that live one again, with their own ids, times and pace
REPEATED = 0.004
SPOILED = 0.003
LATE_BY_HOURS = 0.008
LATE_BY_DAYS = 0.002
SWITCHED_VARIANT = 0.005  # visits on another device, where the other variant is shown
OUTAGE_FROM, OUTAGE_TO = time(8), time(18)  # local, two thirds into the span
EARLIEST = date(2000, 1, 1)
LONGEST_DAYS = 3_650


@dataclass(frozen=True, slots=True)
class Demo:
    """What is asked for: `size` lines over the `days` before the UTC midnight at which `end` begins.

    Raises ParleyError where no world can be made of that.
    """

    end: date
    size: int = 20_000
    days: int = 90
    seed: int = 7

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ParleyError(f"A demo of {self.size} events is none: ask for at least 1 with --size.")
        if not 1 <= self.days <= LONGEST_DAYS:
            raise ParleyError(f"A demo cannot span {self.days} days: ask for 1 to {LONGEST_DAYS} with --days.")
        if self.seed < 0:
            raise ParleyError(f"The seed {self.seed} is below zero: give 0 or more with --seed.")
        if self.end - timedelta(days=self.days) < EARLIEST:
            raise ParleyError(f"The demo would begin before {EARLIEST}, which no event may: choose a later --end.")

    @property
    def end_ms(self) -> int:
        return epoch_ms(datetime.combine(self.end, time(), UTC))

    @property
    def start_ms(self) -> int:
        return self.end_ms - self.days * DAY_MS


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


class Events(NamedTuple):
    """Events, one per element: whose visit, which step of the library, when."""

    visits: Integers
    steps: Integers
    occurred_ms: Integers

    def where(self, chosen: NDArray[np.bool_] | Integers) -> "Events":
        return Events(self.visits[chosen], self.steps[chosen], self.occurred_ms[chosen])


class Arrivals(NamedTuple):
    """Lines and when they arrive."""

    arrived_ms: Integers
    lines: list[bytes]


class Salts(NamedTuple):
    """What keeps the hashes of a tenant's numbers apart from one another."""

    people: int  # and the two after it
    visits: int
    anonymous: int
    variant: int
    switched: int

    @classmethod
    def of(cls, seed: int, tenant: int) -> "Salts":
        first = seed * 100 + tenant * 10
        return cls(first, first + 3, first + 4, first + 5, first + 6)


class Lived(NamedTuple):
    """Visits with how they go, one per element."""

    who: Visits
    number: Integers
    known: NDArray[np.bool_]
    is_unusual: NDArray[np.bool_]
    variant: Integers
    """Of the experiment: 0 or 1, -1 where the visit has no part in it."""
    story: Integers
    pace: Floats
    """How much slower than the story it goes."""


class TenantWorld:
    """One tenant, told stretch by stretch from the beginning of the span to its end."""

    def __init__(self, plan: Plan, demo: Demo, size: int) -> None:
        self.plan = plan
        self.demo = demo
        self.size = size
        self.rng = np.random.default_rng([demo.seed, PLANS.index(plan)])
        self.salts = Salts.of(demo.seed, PLANS.index(plan))
        self.library = library.fill(plan, self.size, STORIES, demo.seed)
        self.outage_ms = outage(plan, demo)
        self.rhythm = Rhythm(plan, demo.start_ms, demo.end_ms, self.outage_ms)
        newcomers = self.size / self.library.mean_length * plan.newcomers
        self.people = People(self.rhythm, int(newcomers), self.salts.people)
        self.experiment_ms = demo.start_ms + demo.days * DAY_MS // 3
        self.given = self.visited = self.unusual = self.repeated = self.spoiled = 0  # so far

    def tell(self, start_ms: float, stop_ms: float) -> Arrivals:
        """The lines of the visits that begin in this stretch: as many as bring the tenant to its share by then."""
        due = round(self.size * self.rhythm.share_until(stop_ms))
        wanted = due - self.given
        if not wanted:
            return Arrivals(np.empty(0, dtype=np.int64), [])
        repeat, spoil = int(due * REPEATED) - self.repeated, int(due * SPOILED) - self.spoiled
        if repeat + spoil >= wanted:
            repeat = spoil = 0  # the next stretch makes up for it
        visits, events = self._visits(start_ms, stop_ms, wanted - repeat - spoil)
        repeats, spoiled = (self.rng.integers(0, len(events.steps), some) for some in (repeat, spoil))
        self.given += wanted
        self.repeated += repeat
        written = self._lines(visits, Events(*map(np.concatenate, zip(events, events.where(spoiled), strict=True))))
        for number in range(len(events.steps), len(written)):
            written[number] = lines.SPOILERS[self.spoiled % len(lines.SPOILERS)](written[number])
            self.spoiled += 1
        written += [written[number] for number in repeats.tolist()]
        occurred = np.concatenate([events.occurred_ms, events.occurred_ms[spoiled], events.occurred_ms[repeats]])
        arrived = occurred + self._delays(len(occurred) - len(repeats), len(repeats))
        return Arrivals(arrived, written)

    def _delays(self, firsts: int, repeats: int) -> Integers:
        """Milliseconds from happening to arriving: a moment, for some hours or days; repeats come after a while."""
        delays = self.rng.exponential(800.0, firsts)
        fate = self.rng.random(firsts)
        by_hours = fate < LATE_BY_HOURS
        by_days = fate > 1 - LATE_BY_DAYS
        delays[by_hours] += self.rng.lognormal(math.log(5 * HOUR_MS), 0.7, int(by_hours.sum()))
        delays[by_days] += self.rng.uniform(1, 6, int(by_days.sum())) * DAY_MS
        again = self.rng.lognormal(math.log(60_000), 2.5, repeats)
        return np.concatenate([delays, again]).astype(np.int64)

    def _visits(self, start_ms: float, stop_ms: float, wanted: int) -> tuple[Lived, Events]:
        """Visits with so many events before the end of the span; the last visit breaks off where that many are told."""
        returns = max(int(wanted / self.library.mean_length), 1)
        while True:
            visits = self._live(self.people.visits(start_ms, stop_ms, returns, self.rng))
            events = self._events(visits)
            reached = np.cumsum(np.bincount(events.visits, minlength=len(visits.pace)))
            if reached[-1] >= wanted:
                break
            returns *= 2
        taken = int(np.searchsorted(reached, wanted)) + 1
        self.visited += taken
        self.unusual += int(visits.is_unusual[:taken].sum())
        last = np.flatnonzero(events.visits == taken - 1)
        cut = last[np.argsort(events.occurred_ms[last], kind="stable")][len(last) - (reached[taken - 1] - wanted) :]
        told = events.visits < taken
        told[cut] = False
        return visits, events.where(told)

    def _live(self, visits: Visits) -> Lived:
        """How each visit goes."""
        total = len(visits.started_ms)
        number = self.visited + np.arange(total)
        known = chance(number, self.salts.anonymous) >= self.plan.anonymous
        is_unusual = (visits.started_ms >= self.outage_ms[0]) & (visits.started_ms < self.outage_ms[1])
        variant = np.full(total, -1)
        if self.plan.has_experiment:
            switched = chance(number, self.salts.switched) < SWITCHED_VARIANT
            shown = (chance(visits.customers, self.salts.variant) < 0.5) ^ switched
            exposed = known & (visits.started_ms >= self.experiment_ms)
            variant[exposed] = shown[exposed]
            is_unusual = variant == 1
        nth_unusual = np.cumsum(is_unusual)
        nth_usual = np.arange(1, total + 1) - nth_unusual
        return Lived(
            visits,
            number,
            known,
            is_unusual,
            variant,
            story=np.where(
                is_unusual,
                self.library.unusual.at(self.unusual + nth_unusual),
                self.library.usual.at(self.visited - self.unusual + nth_usual),
            ),
            pace=np.clip(self.rng.lognormal(0.0, 0.2, total), 0.5, 2.0),
        )

    def _events(self, visits: Lived) -> Events:
        """What happens in the visits, in the order of visits, as far as it happens before the end of the span."""
        which = np.arange(len(visits.story))
        stories, owners = [visits.story], [which]
        if self.plan.newcomers_register:
            first = which[visits.who.is_first & visits.known]
            stories.append(self.library.registration.at(visits.number[first]))
            owners.append(first)
        if self.plan.has_experiment:
            exposed = which[visits.variant >= 0]
            stories.append(self.library.exposure.first + visits.variant[exposed])
            owners.append(exposed)
        story, owner = np.concatenate(stories), np.concatenate(owners)
        lengths = self.library.lengths[story]
        visit = np.repeat(owner, lengths)
        step = np.arange(len(visit)) - np.repeat(np.cumsum(lengths) - lengths - self.library.begins[story], lengths)
        occurred = visits.who.started_ms[visit] + self.library.after_ms[step] * visits.pace[visit]
        return Events(visit, step, occurred.astype(np.int64)).where(occurred < self.demo.end_ms)

    def _lines(self, visits: Lived, events: Events) -> list[bytes]:
        scenes, ids = self._scenes(visits)
        place = events.visits * len(Place) + self.library.places[events.steps]
        bodies, fills, paced = self.library.bodies, self.library.fills[events.steps].tolist(), int(Fill.PACE)
        values = np.rint(self.library.values[events.steps] * visits.pace[events.visits]).astype(np.int64).tolist()
        return [
            head
            + scenes[scene]
            + (bodies[step] if not fill else bodies[step] % (value if fill == paced else ids[visit]))
            for head, scene, step, fill, value, visit in zip(
                lines.heads(events.occurred_ms, self.rng),
                place.tolist(),
                events.steps.tolist(),
                fills,
                values,
                events.visits.tolist(),
                strict=True,
            )
        ]

    def _scenes(self, visits: Lived) -> tuple[list[bytes], list[bytes]]:
        """The middle of the lines, one per visit and `Place`; and the visits' own ids."""
        ids = lines.hexes(mixed(visits.number, self.salts.visits))
        people = lines.hexes(self.people.ids(visits.who.customers))
        tenant = b'"tenant_id":"%s",' % self.plan.tenant_id.encode()
        scenes: list[bytes] = []
        for own, person, known, story in zip(ids, people, visits.known.tolist(), visits.story.tolist(), strict=True):
            session = b'%s"session_id":"s-%s",' % (tenant, own)
            conversation = b'"conversation_id":"c-%s",' % own if self.plan.numbers_conversations else b""
            customer = b'"user_id":"u-%s",' % person if known else b""
            setting = self.library.settings[story]
            scenes += (
                session + customer + setting,
                session + conversation + customer + setting,
                (tenant + conversation if conversation else session) + setting,
            )
        return scenes, ids


def outage(plan: Plan, demo: Demo) -> tuple[int, int]:
    """From when to when the tenant's outage lasts, in epoch milliseconds; equal where it has none."""
    if not plan.has_outage:
        return demo.end_ms, demo.end_ms
    day = demo.end - timedelta(days=demo.days - demo.days * 2 // 3)
    zone = ZoneInfo(plan.time_zone)
    return epoch_ms(datetime.combine(day, OUTAGE_FROM, zone)), epoch_ms(datetime.combine(day, OUTAGE_TO, zone))


def blocks(demo: Demo) -> Iterator[list[bytes]]:
    """The lines of the world in the order in which they arrive, `demo.size` in all."""
    shares = accumulate((plan.share for plan in PLANS), initial=0.0)
    sizes = [after - before for before, after in pairwise(round(share * demo.size) for share in shares)]
    worlds = [TenantWorld(plan, demo, size) for plan, size in zip(PLANS, sizes, strict=True)]
    underway: list[tuple[int, int, bytes]] = []  # a heap of what arrives after its block
    nth = count()  # of equals the one that was sent first
    for start_ms, stop_ms in pairwise(boundaries(worlds, math.ceil(demo.size / BLOCK))):
        arrived: list[tuple[int, int, bytes]] = []
        for world in worlds:
            for moment, line in zip(*world.tell(start_ms, stop_ms), strict=True):
                if moment < stop_ms:
                    arrived.append((moment, next(nth), line))
                else:
                    heapq.heappush(underway, (moment, next(nth), line))
        while underway and underway[0][0] < stop_ms:
            arrived.append(heapq.heappop(underway))
        arrived.sort()
        yield [line for _, _, line in arrived]
    yield [line for _, _, line in sorted(underway)]


def boundaries(worlds: Sequence[TenantWorld], pieces: int) -> list[float]:
    """The times that cut the span into stretches of about equal traffic, in epoch milliseconds."""
    moments = worlds[0].rhythm.moments
    done = sum(world.plan.share * world.rhythm.done for world in worlds)
    return [float(moment) for moment in np.interp(np.linspace(0.0, 1.0, pieces + 1), done, moments)]
