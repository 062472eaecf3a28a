"""Funnels: `facts.funnel_attempts` and both marts. How far units get, in whatever order their ties allow."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby, permutations, product
from typing import Any

from tests.oracle.figures import mean, percentile, ratio
from tests.oracle.metrics import next_start, period_start
from tests.oracle.sessions import split_at_gaps
from tests.oracle.world import Event, Row, World, by_customer, grouped, thread

ALL_TIME = date(1970, 1, 1)
PERIODS = ("week", "month", "all")
MOST_PATHS, MOST_STOPS = 100, 12
DROPPED = " > (dropped)"
PERIOD_KEY = ("tenant_id", "funnel_id", "period", "period_start")
Instants = tuple[datetime, ...]
"""The instants at which an attempt reached its steps, from the first one on."""


@dataclass(frozen=True)
class Matcher:
    """Events of some names and, where there is a predicate, with attributes for which it holds."""

    event_names: tuple[str, ...]
    predicate: str = ""  # a SQL/JSON path, and the same in Python:
    holds: Callable[[dict[str, Any]], bool] = lambda attributes: True

    def matches(self, event: Event) -> bool:
        """Whether it is such an event."""
        return event["event_name"] in self.event_names and self.holds(event["attributes"])


@dataclass(frozen=True)
class Exclusion:
    """Events that void an attempt between two steps that it reaches."""

    matcher: Matcher
    after_step: int
    before_step: int


@dataclass(frozen=True)
class Funnel:
    """A funnel as the seeds define it."""

    funnel_id: str
    steps: tuple[Matcher, ...]
    window: timedelta
    step_order: str = "ordered"
    unit: str = "user"
    tenant_id: str = "*"
    exclusions: tuple[Exclusion, ...] = ()
    breakdown: str = ""  # channel, or the path of an attribute, as $.plan
    breakdown_touch: str = ""
    breakdown_step: int | None = None

    def serves(self, event: Event) -> set[int]:
        """The steps, from 1, that the event can serve."""
        return {number for number, step in enumerate(self.steps, 1) if step.matches(event)}

    def value(self, event: Event) -> str:
        """What the event says of the funnel's breakdown."""
        if self.breakdown == "channel":
            return event["source"] or "unknown"
        return str(event["attributes"].get(self.breakdown.removeprefix("$."), "(none)"))


def funnel_attempts(world: World, funnels: Iterable[Funnel]) -> list[Row]:
    """One row per funnel, unit and event that opens an attempt which no exclusion voids."""
    return [
        {
            "tenant_id": tenant_id,
            "funnel_id": funnel.funnel_id,
            "owner_id": owner_id,
            "unit_id": unit_id,
            "entry_event_id": entry["event_id"],
            "entered_at": entry["occurred_at"],
            "entered_on": world.local_date(entry),
            "window_ends_at": entry["occurred_at"] + funnel.window,
            "reached": len(reached_at),
            "steps": len(funnel.steps),
            "is_converted": len(reached_at) == len(funnel.steps),
            "reached_at": list(reached_at),
            "breakdown_value": breakdown_value(funnel, entry, reached_at, events),
        }
        for funnel in funnels
        for tenant_id, owner_id, unit_id, events in units(world, funnel)
        for entry, reached_at in attempts(funnel, events)
    ]


def units(world: World, funnel: Funnel) -> Iterator[tuple[str, str, str, list[Event]]]:
    """Whatever passes through the funnel: its tenant, its owner (user or conversation), its id, all its events."""
    owner = thread if funnel.unit == "conversation" else lambda event: event["user_id"]
    told = [event for event in world.events if funnel.tenant_id in ("*", event["tenant_id"])]
    for (tenant_id, owner_id), events in grouped(told, lambda event: (event["tenant_id"], owner(event))).items():
        if owner_id is None:
            continue
        if funnel.unit == "session":
            done = [event for event in events if by_customer(event)]
            for session in split_at_gaps(done, timedelta(minutes=world.tenant(tenant_id).session_gap_minutes)):
                began, ended = session[0]["occurred_at"], session[-1]["occurred_at"]
                within = [event for event in events if began <= event["occurred_at"] <= ended]
                yield tenant_id, owner_id, str(session[0]["event_id"]), within
        else:
            yield tenant_id, owner_id, owner_id, events


def attempts(funnel: Funnel, events: Sequence[Event]) -> Iterator[tuple[Event, Instants]]:
    """Every event of a unit that opens an attempt, and when the attempt reached its steps; none that is voided."""
    opens = {1} if funnel.step_order != "unordered" else set(range(1, len(funnel.steps) + 1))
    reach = {"ordered": ordered, "strict": strict, "unordered": unordered}[funnel.step_order]
    for entry in events:
        if not funnel.serves(entry) & opens:
            continue
        ends_at = entry["occurred_at"] + funnel.window
        within = [event for event in events if entry["occurred_at"] <= event["occurred_at"] <= ends_at]
        reached_at = reach(funnel, entry, [event for event in within if event is not entry])
        if not is_voided(funnel, reached_at, events):
            yield entry, reached_at


def ordered(funnel: Funnel, entry: Event, others: Sequence[Event]) -> Instants:
    """Each step at the earliest instant at which any way through the other events reaches it."""
    ways = list(_ways(funnel, [entry], others))
    furthest = max(len(way) for way in ways)
    return tuple(min(way[number]["occurred_at"] for way in ways if len(way) > number) for number in range(furthest))


def _ways(funnel: Funnel, way: list[Event], others: Sequence[Event]) -> Iterator[list[Event]]:
    """The way so far and all that go on from it: never back in time, every event once, step by step."""
    yield way
    for event in others:
        if (
            len(way) + 1 in funnel.serves(event)
            and event["occurred_at"] >= way[-1]["occurred_at"]
            and all(event is not taken for taken in way)
        ):
            yield from _ways(funnel, [*way, event], others)


def strict(funnel: Funnel, entry: Event, others: Sequence[Event]) -> Instants:
    """The furthest, then fastest that the very next events reach, in any order of the events of one instant."""
    instants = grouped([entry, *others], lambda event: event["occurred_at"])
    orders = product(*(permutations(instants[moment]) for moment in sorted(instants)))
    readings = {_unbroken(funnel, entry, [event for instant in order for event in instant]) for order in orders}
    return min(readings, key=lambda reached_at: (-len(reached_at), reached_at[-1], reached_at))


def _unbroken(funnel: Funnel, entry: Event, events: list[Event]) -> Instants:
    """The instants of the entry and of the events after it for as long as each serves the next step."""
    following = events[next(index for index, event in enumerate(events) if event is entry) :]
    reached = [entry["occurred_at"]]
    for step, event in enumerate(following[1:], 2):
        if step not in funnel.serves(event):
            break
        reached.append(event["occurred_at"])
    return tuple(reached)


def unordered(funnel: Funnel, entry: Event, others: Sequence[Event]) -> Instants:
    """Step i at the first instant by which i different steps can be served by as many different events."""
    served = {
        moment: most_served(
            [funnel.serves(event) for event in [entry, *others] if event["occurred_at"] <= moment], frozenset()
        )
        for moment in sorted({event["occurred_at"] for event in [entry, *others]})
    }
    return tuple(
        min(moment for moment, count in served.items() if count >= number)
        for number in range(1, max(served.values()) + 1)
    )


def most_served(events: Sequence[set[int]], taken: frozenset[int]) -> int:
    """How many different steps beyond those taken the events can serve at most, each given by what it can serve."""
    if not events:
        return 0
    serving = (1 + most_served(events[1:], taken | {step}) for step in events[0] - taken)
    return max(most_served(events[1:], taken), *serving, 0)


def is_voided(funnel: Funnel, reached_at: Instants, events: Iterable[Event]) -> bool:
    """Whether an excluded event lies after the one step and before the other, both reached."""
    return any(
        reached_at[exclusion.after_step - 1] < event["occurred_at"] < reached_at[exclusion.before_step - 1]
        for exclusion in funnel.exclusions
        if exclusion.before_step <= len(reached_at)
        for event in events
        if exclusion.matcher.matches(event)
    )


def breakdown_value(funnel: Funnel, entry: Event, reached_at: Instants, events: Iterable[Event]) -> str | None:
    """The breakdown's value at the step that the funnel asks for.

    Step 1 is the opening event's. Of several events of an instant that can serve a later step, the smallest id counts.
    """
    if not funnel.breakdown:
        return None
    step = {"first": 1, "last": len(reached_at), "step": funnel.breakdown_step}[funnel.breakdown_touch]
    assert step is not None
    if step == 1:
        return funnel.value(entry)
    if step > len(reached_at):
        return "(none)"
    serving = [
        event
        for event in events
        if event["occurred_at"] == reached_at[step - 1]
        and event is not entry
        and (funnel.serves(event) if funnel.step_order == "unordered" else step in funnel.serves(event))
    ]
    return funnel.value(min(serving, key=lambda event: event["event_id"]))


def funnels_mart(world: World, funnels: Sequence[Funnel]) -> list[Row]:
    """One row per tenant, funnel, period, period start, breakdown value (`(all)` for the total) and step."""
    entries = [
        {**row, "period": period, "period_start": _start(world, period, row)}
        for row in funnel_attempts(world, funnels)
        for period in PERIODS
    ]
    rows = []
    for key, entered in grouped(entries, lambda row: tuple(row[column] for column in PERIOD_KEY)).items():
        best = [_best(tries) for tries in grouped(entered, lambda row: row["unit_id"]).values()]
        for value in {"(all)"} | {row["breakdown_value"] for row in best if row["breakdown_value"] is not None}:
            counted = [row for row in best if value in ("(all)", row["breakdown_value"])]
            for step in range(1, counted[0]["steps"] + 1):
                row = {
                    **dict(zip(PERIOD_KEY, key, strict=True)),
                    "breakdown_value": value,
                    "step": step,
                    **_figures(counted, step, world.as_of),
                }
                rows.append({**row, "is_complete": _is_over(world, row) and not row["still_in_window"]})
    return rows


def funnel_paths(world: World, funnels: Iterable[Funnel], attempts: Iterable[Row]) -> list[Row]:
    """One row per tenant, funnel and path: the hundred ways that most units went, each by its best attempt."""
    unit_key = ("tenant_id", "funnel_id", "unit_id")
    tries_of = grouped(attempts, lambda row: tuple(row[column] for column in unit_key))
    taken: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for funnel in funnels:
        for tenant_id, _, unit_id, events in units(world, funnel):
            if tries := tries_of.get((tenant_id, funnel.funnel_id, unit_id)):
                taken[tenant_id, funnel.funnel_id][_path(funnel, _best(tries), events)] += 1
    return [
        {
            "tenant_id": tenant_id,
            "funnel_id": funnel_id,
            "path": path,
            "rank": rank,
            "is_converted": not path.endswith(DROPPED),
            "units": count,
            "share": ratio(count, paths.total()),
        }
        for (tenant_id, funnel_id), paths in taken.items()
        for rank, (path, count) in enumerate(sorted(paths.items(), key=lambda item: (-item[1], item[0])), 1)
        if rank <= MOST_PATHS
    ]


def _path(funnel: Funnel, attempt: Row, events: Iterable[Event]) -> str:
    """The named events until the unit converted or its window ended; a run of one event is one stop."""
    until = attempt["reached_at"][-1] if attempt["is_converted"] else attempt["window_ends_at"]
    named = [
        event["event_name"]
        for event in sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))
        if attempt["entered_at"] <= event["occurred_at"] <= until
        and (funnel.serves(event) or any(exclusion.matcher.matches(event) for exclusion in funnel.exclusions))
    ]
    stops = [name for name, _ in groupby(named)]
    return " > ".join(stops[:MOST_STOPS]) + ("" if attempt["is_converted"] else DROPPED)


def _start(world: World, period: str, row: Row) -> date:
    return ALL_TIME if period == "all" else period_start(world.tenant(row["tenant_id"]), period, row["entered_on"])


def _is_over(world: World, row: Row) -> bool:
    if row["period"] == "all":
        return False
    return world.tenant(row["tenant_id"]).midnight(next_start(row["period"], row["period_start"])) <= world.as_of


def _best(tries: Sequence[Row]) -> Row:
    """The unit's furthest attempt, the fastest among equals, then the earliest; open for as long as any of them is."""
    ranked = sorted(
        tries,
        key=lambda row: (
            -row["reached"],
            row["reached_at"][-1] - row["entered_at"],
            row["entered_at"],
            row["entry_event_id"],
        ),
    )
    return {**ranked[0], "open_until": max(row["window_ends_at"] for row in tries)}


def _figures(units: Sequence[Row], step: int, as_of: datetime) -> Row:
    """The figures of one step, of units that entered, each by its best attempt."""
    reached = [row for row in units if row["reached"] >= step]
    reached_previous = sum(row["reached"] >= step - 1 for row in units)
    seconds = [
        (row["reached_at"][step - 1] - row["reached_at"][step - 2]).total_seconds() for row in reached if step > 1
    ]
    return {
        "entered": len(units),
        "reached": len(reached),
        "conversion_from_start": ratio(len(reached), len(units)),
        "conversion_from_previous": ratio(len(reached), reached_previous),
        "drop_off": reached_previous - len(reached),
        "avg_seconds_from_previous": mean(seconds),
        "median_seconds_from_previous": percentile(seconds, 0.5),
        "p90_seconds_from_previous": percentile(seconds, 0.9),
        "still_in_window": sum(row["reached"] < step and row["open_until"] > as_of for row in units),
    }
