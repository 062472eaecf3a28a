"""Funnels: `facts.funnel_attempts` and both marts. How far units get, in whatever order their ties allow."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby, permutations, product
from typing import Any
from uuid import UUID

from tests.oracle.figures import mean, percentile, ratio
from tests.oracle.metrics import next_start, period_start
from tests.oracle.sessions import split_at_gaps
from tests.oracle.world import Event, Row, World, by_customer, grouped, order, thread

ALL_TIME = date(1970, 1, 1)
PERIODS = ("day", "week", "month", "all")
MOST_PATHS, MOST_STOPS = 100, 12
DROPPED = " > (dropped)"
PERIOD_KEY = ("tenant_id", "funnel_id", "period", "period_start")
Instants = tuple[datetime | None, ...]
"""The instants at which an attempt reached its steps, from the first one on; None for optional steps it skipped."""


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
    ties: str = "any"
    optional: frozenset[int] = frozenset()  # numbers of steps
    breakdown: str = ""  # channel, or the path of an attribute, as $.plan; several with | between
    breakdown_touch: str = ""
    breakdown_step: int | None = None
    breakdown_limit: int | None = None

    def serves(self, event: Event) -> set[int]:
        """The steps, from 1, that the event can serve."""
        return {number for number, step in enumerate(self.steps, 1) if step.matches(event)}

    @property
    def required(self) -> list[int]:
        """The steps that are not optional."""
        return [step for step in range(1, len(self.steps) + 1) if step not in self.optional]

    def value(self, event: Event) -> str | None:
        """What the event says of the funnel's breakdown; None where it says nothing."""
        return breakdown_value(self.breakdown, event)


def breakdown_value(breakdown: str, event: Event) -> str | None:
    """What an event says of a breakdown: `channel` or the path of an attribute, as $.plan; several with | between."""
    parts = [
        event["source"] if part == "channel" else event["attributes"].get(part.removeprefix("$."))
        for part in breakdown.split("|")
    ]
    known = [str(part) if part not in (None, "") else None for part in parts]
    if not any(known):
        return None
    return known[0] if len(known) == 1 else json.dumps(known)


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
            "served_mask": sum(1 << step for step, moment in enumerate(reached_at) if moment),
            **breakdown(funnel, entry, reached_at, events),
        }
        for funnel in funnels
        for tenant_id, owner_id, unit_id, all_events in units(world, funnel)
        for events in streams(funnel, all_events)
        for entry, reached_at in attempts(funnel, events)
    ]


def streams(funnel: Funnel, events: list[Event]) -> list[list[Event]]:
    """What a unit did, or where `all_events` cuts it, what it did of each value."""
    return list(grouped(events, funnel.value).values()) if funnel.breakdown_touch == "all_events" else [events]


def units(world: World, funnel: Funnel) -> Iterator[tuple[str, str, str, list[Event]]]:
    """Whatever passes through the funnel: its tenant, its owner (user or conversation), its id, all its events."""
    owner = thread if funnel.unit == "conversation" else lambda event: event["user_id"]
    told = [event for event in world.events if funnel.tenant_id in ("*", event["tenant_id"])]
    for (tenant_id, owner_id), events in grouped(told, lambda event: (event["tenant_id"], owner(event))).items():
        if owner_id is None:
            continue
        if funnel.unit == "session":
            done = [event for event in events if by_customer(event)]
            for session in split_at_gaps(done, world.tenant(tenant_id).session_gap):
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
        if not is_voided(funnel, entry, reached_at, events):
            yield entry, reached_at


def ordered(funnel: Funnel, entry: Event, others: Sequence[Event]) -> Instants:
    """Each required step at the earliest instant at which any way through the other events reaches it.

    Each optional step in turn then takes the first instant between its neighbours whose events can serve it as well.
    """
    ways = list(_ways(funnel, [entry], others))
    furthest = max(len(way) for way in ways)
    reached: dict[int, datetime] = {
        funnel.required[number]: min(way[number]["occurred_at"] for way in ways if len(way) > number)
        for number in range(furthest)
    }
    for step in sorted(funnel.optional):
        if max(other for other in funnel.required if other < step) not in reached:
            continue
        earliest = max(moment for other, moment in reached.items() if other < step)
        latest = min((moment for other, moment in reached.items() if other > step), default=None)
        for moment in sorted({event["occurred_at"] for event in others if step in funnel.serves(event)}):
            if moment >= earliest and (latest is None or moment <= latest):
                there = {other for other, at in reached.items() if at == moment and other != 1} | {step}
                events = [funnel.serves(event) & there for event in others if event["occurred_at"] == moment]
                one_only = funnel.ties == "after"
                if len(there) == 1 and moment > entry["occurred_at"] if one_only else _can_all_be(there, events):
                    reached[step] = moment
                    break
    return tuple(reached.get(step) for step in range(1, max(reached) + 1))


def _can_all_be(steps: set[int], events: Sequence[set[int]]) -> bool:
    return most_served([event for event in events if event], frozenset()) == len(steps)


def _ways(funnel: Funnel, way: list[Event], others: Sequence[Event]) -> Iterator[list[Event]]:
    """The way so far and all that go on from it: never back in time, every event once, step by required step."""
    yield way
    if len(way) == len(funnel.required):
        return
    for event in others:
        if (
            funnel.required[len(way)] in funnel.serves(event)
            and event["occurred_at"] >= way[-1]["occurred_at"]
            and (funnel.ties == "any" or event["occurred_at"] > way[-1]["occurred_at"])
            and all(event is not taken for taken in way)
        ):
            yield from _ways(funnel, [*way, event], others)


def strict(funnel: Funnel, entry: Event, others: Sequence[Event]) -> Instants:
    """The furthest, then fastest that the very next events reach, in any order of the events of one instant."""
    if funnel.ties == "after":  # what happened together with the entry is neither before nor after it
        others = [event for event in others if event["occurred_at"] > entry["occurred_at"]]
    instants = grouped([entry, *others], lambda event: event["occurred_at"])
    orders = product(*(permutations(instants[moment]) for moment in sorted(instants)))
    readings = {_unbroken(funnel, entry, [event for instant in order for event in instant]) for order in orders}
    return min(readings, key=lambda reached_at: (-len(reached_at), reached_at[-1], reached_at))


def _unbroken(funnel: Funnel, entry: Event, events: list[Event]) -> tuple[datetime, ...]:
    """The instants of the entry and of the events after it for as long as each serves the next step."""
    following = events[next(index for index, event in enumerate(events) if event is entry) :]
    reached = [entry["occurred_at"]]
    for step, event in enumerate(following[1:], 2):
        if step not in funnel.serves(event) or (funnel.ties == "after" and event["occurred_at"] == reached[-1]):
            break
        reached.append(event["occurred_at"])
    return tuple(reached)


def unordered(funnel: Funnel, entry: Event, others: Sequence[Event]) -> Instants:
    """Step i at the first instant by which i different steps can be served by as many different events.

    Where only later events count, those of an instant count as one that serves whatever any of them can.
    """
    serving = [(entry["occurred_at"], funnel.serves(entry)), *((e["occurred_at"], funnel.serves(e)) for e in others)]
    if funnel.ties == "after":
        later = grouped(
            (event for event in others if event["occurred_at"] > entry["occurred_at"]),
            lambda event: event["occurred_at"],
        )
        serving = [serving[0]] + [(moment, set().union(*map(funnel.serves, them))) for moment, them in later.items()]
    served = {
        moment: most_served([steps for at, steps in serving if at <= moment], frozenset())
        for moment in sorted({at for at, _ in serving})
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


def is_voided(funnel: Funnel, entry: Event, reached_at: Instants, events: Iterable[Event]) -> bool:
    """Whether an excluded event lies between the two steps or, where the later was not reached, inside the window."""
    for exclusion in funnel.exclusions:
        start = reached_at[exclusion.after_step - 1] if exclusion.after_step <= len(reached_at) else None
        end = next((moment for moment in reached_at[exclusion.before_step - 1 :] if moment), None)
        if start and any(
            start < event["occurred_at"]
            and (event["occurred_at"] < end if end else event["occurred_at"] <= entry["occurred_at"] + funnel.window)
            for event in events
            if exclusion.matcher.matches(event)
        ):
            return True
    return False


def breakdown(funnel: Funnel, entry: Event, reached_at: Instants, events: Iterable[Event]) -> Row:
    """Under which value of the breakdown the attempt counts.

    Step 1 is the opening event's. Of several events of an instant that can serve a later step, the first with a value
    counts.
    """
    nothing = {"breakdown_kind": None, "breakdown_value": None}
    if not funnel.breakdown:
        return nothing

    def at(step: int) -> str | None:
        if step == 1 or funnel.breakdown_touch == "all_events":
            return funnel.value(entry)
        values = (
            funnel.value(event)
            for event in sorted(events, key=order)
            if event["occurred_at"] == reached_at[step - 1]
            and event is not entry
            and (funnel.serves(event) if funnel.step_order == "unordered" else step in funnel.serves(event))
        )
        return next((value for value in values if value is not None), None)

    reached = [step for step, moment in enumerate(reached_at, 1) if moment]
    if funnel.breakdown_touch == "step":
        if funnel.breakdown_step not in reached:
            return nothing
        reached = [funnel.breakdown_step]
    elif funnel.breakdown_touch == "last":
        reached.reverse()
    value = next((value for value in map(at, reached) if value is not None), None)
    return {"breakdown_kind": "value" if value is not None else "none", "breakdown_value": value}


def funnels_mart(world: World, funnels: Sequence[Funnel]) -> list[Row]:
    """One row per tenant, funnel, period, period start, group of the breakdown and step."""
    rows = []
    for key, funnel, kind, value, best in _counted(world, funnels):
        for step in range(1, len(funnel.steps) + 1):
            row = {
                **key,
                "breakdown_kind": kind,
                "breakdown_value": value,
                "step": step,
                "is_optional": step in funnel.optional,
                **_figures(funnel, best, step, world.as_of),
            }
            rows.append({**row, "is_complete": _is_over(world, row) and not row["still_in_window"]})
    return rows


def funnel_of_days(
    world: World, funnel: Funnel, attempts: Iterable[Row], tenant_id: str, first: date, last: date
) -> list[Row]:
    """As the mart, of the units of a tenant that entered from a day to another."""
    entered = [
        row
        for row in attempts
        if (row["tenant_id"], row["funnel_id"]) == (tenant_id, funnel.funnel_id) and first <= row["entered_on"] <= last
    ]
    return [
        {
            "breakdown_kind": kind,
            "breakdown_value": value,
            "step": step,
            "is_optional": step in funnel.optional,
            **_figures(funnel, best, step, world.as_of),
        }
        for kind, value, best in (_groups(funnel, entered) if entered else ())
        for step in range(1, len(funnel.steps) + 1)
    ]


def funnel_times(world: World, funnels: Sequence[Funnel]) -> list[Row]:
    """One row per tenant, funnel, period, period start, group of the breakdown and bucket of the time it took."""
    rows = []
    for key, _, kind, value, best in _counted(world, funnels):
        seconds = [(row["reached_at"][-1] - row["entered_at"]).total_seconds() for row in best if row["is_converted"]]
        buckets = Counter(max(0, math.ceil(math.log2(max(duration, 1)))) for duration in seconds)
        rows += [
            {
                **key,
                "breakdown_kind": kind,
                "breakdown_value": value,
                "bucket": bucket,
                "up_to_seconds": 2**bucket,
                "units": units,
            }
            for bucket, units in buckets.items()
        ]
    return rows


def _counted(world: World, funnels: Sequence[Funnel]) -> Iterator[tuple[Row, Funnel, str, str, list[Row]]]:
    """For each period: the attempt that counts of each unit, in the total and in each group of the breakdown."""
    named = {funnel.funnel_id: funnel for funnel in funnels}
    entries = [
        {**row, "period": period, "period_start": _start(world, period, row)}
        for row in funnel_attempts(world, funnels)
        for period in PERIODS
    ]
    for key, entered in grouped(entries, lambda row: tuple(row[column] for column in PERIOD_KEY)).items():
        columns = dict(zip(PERIOD_KEY, key, strict=True))
        funnel = named[columns["funnel_id"]]
        for kind, value, best in _groups(funnel, entered):
            yield columns, funnel, kind, value, best


def _groups(funnel: Funnel, entered: list[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    """The attempt that counts of each unit, in the total and in each group of the breakdown."""
    best = _best_of_each(entered)
    yield "all", "", best
    if not funnel.breakdown:
        return
    cut = funnel.breakdown_touch == "all_events"
    by_value = grouped(entered if cut else best, lambda row: (row["breakdown_kind"], row["breakdown_value"]))
    by_size = sorted(
        (value for kind, value in by_value if kind == "value"),
        key=lambda value: (-len({row["unit_id"] for row in by_value["value", value]}), value),
    )
    told = by_size[: funnel.breakdown_limit]
    groups = defaultdict(list)
    for (kind, value), rows in by_value.items():
        if kind:
            group = (kind, value or "") if kind == "none" or value in told else ("other", "")
            groups[group] += rows
    for (kind, value), rows in groups.items():
        yield kind, value, _best_of_each(rows) if cut else rows


def _best_of_each(attempts: Iterable[Row]) -> list[Row]:
    return [_best(tries) for tries in grouped(attempts, lambda row: row["unit_id"]).values()]


def funnel_paths(world: World, funnels: Iterable[Funnel], attempts: Iterable[Row]) -> list[Row]:
    """One row per tenant, funnel and path: the hundred ways that most units went, each by its best attempt."""
    unit_key = ("tenant_id", "funnel_id", "unit_id")
    tries_of = grouped(attempts, lambda row: tuple(row[column] for column in unit_key))
    taken: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for funnel in funnels:
        for tenant_id, _, unit_id, events in units(world, funnel):
            if tries := tries_of.get((tenant_id, funnel.funnel_id, unit_id)):
                best = _best(tries)
                [stream] = [events for events in streams(funnel, events) if _has(events, best["entry_event_id"])]
                taken[tenant_id, funnel.funnel_id][_path(funnel, best, stream)] += 1
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


def _has(events: Iterable[Event], event_id: UUID) -> bool:
    return any(event["event_id"] == event_id for event in events)


def _path(funnel: Funnel, attempt: Row, events: Iterable[Event]) -> str:
    """The named events until the unit converted or its window ended; a run of one event is one stop."""
    until = attempt["reached_at"][-1] if attempt["is_converted"] else attempt["window_ends_at"]
    named = [
        event["event_name"]
        for event in sorted(events, key=order)
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
    open_until = max(row.get("open_until", row["window_ends_at"]) for row in tries)
    return {**ranked[0], "open_until": open_until}


def _figures(funnel: Funnel, units: Sequence[Row], step: int, as_of: datetime) -> Row:
    """The figures of one step, of units that entered, each by its best attempt."""
    reached = [row for row in units if row["reached"] >= step and row["reached_at"][step - 1]]
    previous = max((other for other in funnel.required if other < step), default=0)
    reached_previous = sum(row["reached"] >= previous for row in units)
    seconds, seconds_from_start = (
        [(row["reached_at"][step - 1] - row["reached_at"][other - 1]).total_seconds() for row in reached if step > 1]
        for other in (previous, 1)
    )
    return {
        "entered": len(units),
        "reached": len(reached),
        "conversion_from_start": ratio(len(reached), len(units)),
        "conversion_from_previous": ratio(len(reached), reached_previous),
        "drop_off": None if step in funnel.optional else reached_previous - len(reached),
        "avg_seconds_from_previous": mean(seconds),
        "median_seconds_from_previous": percentile(seconds, 0.5),
        "p90_seconds_from_previous": percentile(seconds, 0.9),
        "avg_seconds_from_start": mean(seconds_from_start),
        "median_seconds_from_start": percentile(seconds_from_start, 0.5),
        "p90_seconds_from_start": percentile(seconds_from_start, 0.9),
        "still_in_window": sum(row["reached"] < step and row["open_until"] > as_of for row in units),
    }
