"""What befalls a warehouse beside loads and builds: other settings, definitions and event types, retention, restores,
erasures, replays, loads that are taken back, tenants that go. Random, and known to the oracle where it can be.
"""

import csv
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from parley.build.builds import BuildRequest
from parley.config import tracking_plan
from parley.errors import ParleyError
from parley.history import archive_states, archives, restoring, retention
from parley.landing import loader, replay
from parley.people import erasure, removal
from parley.people.unload import unload
from parley.quality_gate import validation
from parley.quality_gate.expectations import SEED
from parley.settings import Settings
from parley.warehouse import database
from tests.oracle import Event, Tenant, World
from tests.oracle.files import write
from tests.oracle.histories import HOLIDAYS, HOURS, RATES, TENANTS, landed
from tests.oracle.world import Hours, Rate, identity, without
from tests.support.seeds import write_seed
from tests.support.warehouse import PROJECT, Warehouse, copy_project

Cells = dict[str, str]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Change = Callable[["Life", Draw], None]

_OTHER_SETTINGS: dict[str, list[Any]] = {
    "time_zone": ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Europe/Berlin"],
    "week_start": ["monday", "sunday"],
    "session_gap_minutes": [1, 30, 600],
    "abandon_after_hours": [1, 24, 48],
    "sla_ms": [500, 3000],
    "currency": [None, "EUR", "USD"],
    "good_rating": [0.25, 0.75],
}
_EXCLUDED = [
    {"tenant_id": "*", "field": "user_id", "pattern": "b%"},
    {"tenant_id": "auckland", "field": "source", "pattern": "WEB"},
    {"tenant_id": "*", "field": "event_name", "pattern": "page.viewed"},
]


def _first(column: str, value: str) -> Callable[[list[Cells]], list[Cells]]:
    """Another value in the seed's first row."""
    return lambda rows: [{**rows[0], column: value}, *rows[1:]]


_OTHER_DEFINITIONS: dict[str, Callable[[list[Cells]], list[Cells]]] = {
    "cohort_definitions": lambda rows: _first("day_columns", "2")(rows)[:-1],
    "activity_definitions": lambda rows: [],
    "segment_definitions": _first("predicate", "orders > 0"),
    "funnel_definitions": _first("window_seconds", "60"),
    "funnel_steps": _first("event_names", "message.received|conversation.started"),
    "experiment_metrics": _first("window_days", "1"),
    "model_prices": lambda rows: _first("input_price", "9.5")(rows)[:1],
    "roi_assumptions": _first("minutes_per_conversation", "9"),
    "placeholder_ids": lambda rows: [*rows, {"id": "Ann"}],
    "politeness_lexicon": lambda rows: [row for row in rows if not row["term"].startswith("thank")],
    "filler_phrases": lambda rows: rows[1:],
    "quality_settings": _first("low_overall", "0.9"),
    "quality_judges": lambda rows: rows[2:],
}
_EXPECTED = [
    {"expectation": "few", "maximum": "2", "description": "No tenant has more than two events in a day"},
    {"expectation": "enough", "minimum": "3", "description": "A tenant has three events in a day, or none"},
]
"""Of which one blocks a tenant's day for good, the other until enough has landed."""
_OWN_TYPE = """
category: kb
is_conversational: {is_conversational}
event_types:
  {name}:
    description: {name} as this tenant has it
    actor: {actor}
    rank: {rank}
    attributes: {{}}
"""
_LOYALTY = """
category: loyalty
is_conversational: false
event_types:
  loyalty.joined:
    description: A customer joins
    attributes: {}
"""
"""A type that the plan does not know, and the oracle takes for one of customers as well."""


_EVENTS = {"tenant_id": "*", "metric": "events", "severity": "block"}

TenantDay = tuple[str, date]
"""A tenant, and a day in UTC."""


def release_some(
    settings: Settings, draw: Draw, *, everything: bool = False, at_least_one: bool = False
) -> set[TenantDay]:
    """Release some of the days that the gate leaves out, or all of them."""
    with database.connect(settings, autocommit=True) as connection:
        validation.validate_new(connection, settings)
        blocked = [(str(result.tenant_id), result.day) for result in validation.left_out(connection)]
        released = {each for each in blocked if everything or draw(st.booleans())}
        if at_least_one and not released:
            released = set(blocked[:1])
        for tenant_id, day in released:
            validation.release(connection, day, reason="It is as it should be", by="ann", tenant=tenant_id)
    return released


class Life:
    """A warehouse of the histories' tenants, and what has been done to it."""

    warehouse: Warehouse
    """Of `project`, which the environment has to name."""

    def __init__(self, folder: Path, **seeds: Iterable[dict[str, Any]]) -> None:
        """In that folder, with these rows in seeds."""
        self.project = copy_project(folder / "project", TENANTS)
        (self.project / "tracking_plan").unlink()
        shutil.copytree(PROJECT / "tracking_plan", self.project / "tracking_plan")
        self._untouched = folder / "untouched"
        self._folder = folder
        self._begin()
        self._write_settings()
        for name, rows in seeds.items():
            write_seed(self.project, name, rows)
        shutil.copytree(self.project / "seeds", self._untouched / "seeds")
        shutil.copytree(self.project / "tracking_plan", self._untouched / "tracking_plan")

    def _begin(self) -> None:
        self.tenants = {tenant.tenant_id: tenant for tenant in TENANTS}
        self.rates: Sequence[Rate] = RATES
        self.hours: Sequence[Hours] = HOURS
        self.holidays: Sequence[tuple[str, date]] = HOLIDAYS
        self.excluded: list[Cells] = []
        self.loads: list[Sequence[Event]] = []
        self.erased: tuple[str, str, int] | None = None  # and how many loads there were
        self.is_frozen = False
        self._load_ids: list[int | None] = []  # of `loads`; None: no file
        self._is_anybodys_guess = False
        self._states: dict[str, str] = {}
        self.blocked = self.released = self.fixed = 0
        """How many tenant-days the gate has blocked, how many were released, how many a later load has healed."""
        self._blocked: set[TenantDay] = set()
        self._defined: set[str] = set()
        self._terms: dict[str, int] = {}

    def begin_again(self) -> None:
        """As if nothing had ever landed, been built or been changed."""
        self._begin()
        self.warehouse.empty()
        shutil.rmtree(archives.folder(self.warehouse.settings.home), ignore_errors=True)
        with database.connect(self.warehouse.settings, autocommit=True) as connection:
            connection.execute("delete from raw.event_types where origin = 'custom'")
        self._restore("tracking_plan")
        self._restore("seeds")

    def land(self, events: Sequence[Event]) -> None:
        """Land them as a file."""
        load_id = self.warehouse.land(events)
        self._keep(events, load_id)
        if self._blocked:
            self.note_results()

    def _keep(self, events: Sequence[Event], load_id: int | None = None) -> None:
        self.loads.append(events)
        self._load_ids.append(load_id)

    def world(self, as_of: datetime) -> World | None:
        """What the tables are to be made of; None where the oracle does not know."""
        if self.is_frozen or self._defined or self._is_anybodys_guess:
            return None
        events = landed(self.loads)
        if self.erased:
            tenant_id, user_id, before = self.erased
            later = [event for load in self.loads[before:] for event in load]
            events = landed([without(tenant_id, user_id, landed(self.loads[:before]), later)])
        world = World.of(events, as_of, self.tenants.values(), self.rates, self.hours, self.holidays)
        return replace(world, events=[event for event in world.events if not self._is_excluded(event)])

    def _is_excluded(self, event: Event) -> bool:
        return any(
            rule["tenant_id"] in ("*", event["tenant_id"])
            and fnmatch(str(event.get(rule["field"]) or "").lower(), rule["pattern"].lower().replace("%", "*"))
            for rule in self.excluded
        )

    # what may befall it

    def other_settings(self, draw: Draw) -> None:
        tenant = self.tenants[draw(st.sampled_from(list(self.tenants)))]
        name = draw(st.sampled_from(list(_OTHER_SETTINGS)))
        if name == "session_gap_minutes":
            tenant = replace(tenant, session_gap_seconds=None)  # a gap is said in one unit
        other = replace(tenant, **{name: draw(st.sampled_from(_OTHER_SETTINGS[name]))})
        self.tenants[tenant.tenant_id] = other
        self._write_settings()

    def other_rates_or_hours(self, draw: Draw) -> None:
        self.rates = draw(st.lists(st.sampled_from(RATES), unique=True))
        self.hours = draw(st.lists(st.sampled_from(HOURS), unique=True))
        self.holidays = draw(st.lists(st.sampled_from(HOLIDAYS), unique=True))
        self._write_settings()

    def other_excluded_traffic(self, draw: Draw) -> None:
        self.excluded = draw(st.lists(st.sampled_from(_EXCLUDED), unique_by=str))
        self._write_settings()

    def other_definitions(self, draw: Draw) -> None:
        """Of one seed, which are not those that the oracle goes by."""
        name = draw(st.sampled_from(list(_OTHER_DEFINITIONS)))
        with (self.project / f"seeds/{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        write_seed(self.project, name, _OTHER_DEFINITIONS[name](rows))
        self._defined.add(name)

    def block(self, draw: Draw) -> None:
        """The gate comes to leave days of tenants out."""
        with (self.project / SEED).open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["metric"] != "events"]
        chosen = draw(st.sampled_from(_EXPECTED))
        write_seed(self.project, SEED.stem, [*rows, {**_EVENTS, **chosen}])
        self._defined.add(SEED.stem)
        self.note_results()

    def release(self, draw: Draw) -> None:
        """Release some of the days that the gate leaves out, once they have been left out."""
        if not self._blocked:
            self.block(draw)
        if not self._blocked or not landed(self.loads):
            return
        self.warehouse.build(BuildRequest(as_of=max(event["occurred_at"] for event in landed(self.loads))))
        done = release_some(self.warehouse.settings, draw, at_least_one=True)
        self.released += len(done)
        self._blocked -= done

    def note_results(self) -> None:
        """Count what the gate blocks by now, and what it blocks no more although nobody has released it."""
        with database.connect(self.warehouse.settings, autocommit=True) as connection:
            validation.validate_new(connection, self.warehouse.settings)
            blocked = {(str(result.tenant_id), result.day) for result in validation.left_out(connection)}
        self.blocked += len(blocked - self._blocked)
        if SEED.stem in self._defined:
            self.fixed += len(self._blocked - blocked)
        self._blocked = blocked

    def own_event_types(self, draw: Draw) -> None:
        """A tenant's own in the place of a type of the plan."""
        name = draw(st.sampled_from(["kb.search", "commerce.view", "message.noted", "page.viewed"]))
        written = _OWN_TYPE.format(
            name=name,
            is_conversational=draw(st.sampled_from(["true", "false"])),
            actor=draw(st.sampled_from(["customer", "agent", "system"])),
            rank=draw(st.sampled_from(["start", "answer", "end"])),
        )
        self._make_known(written, draw(st.sampled_from(list(self.tenants))))
        self._defined.add("event types")

    def another_plan(self, draw: Draw) -> None:
        """The plan's own types, in its files."""
        path = self.project / "tracking_plan" / draw(st.sampled_from(["kb.yml", "commerce.yml", "booking.yml"]))
        before, after = ("true", "false") if path.name == "kb.yml" else ("false", "true")
        path.write_text(path.read_text().replace(f"is_conversational: {before}", f"is_conversational: {after}", 1))
        self._make_known()
        self._defined.add("plan")

    def retire(self, draw: Draw) -> None:
        """Take out what is past a term, a month or more after some event, once all is built."""
        events = landed(self.loads)
        if not events:
            return
        moment = draw(st.sampled_from(events))["occurred_at"] + timedelta(days=draw(st.sampled_from([33, 50, 100])))
        self.warehouse.build(BuildRequest(as_of=moment))
        with database.connect(self.warehouse.settings) as connection:
            if connection.execute("select from staging.stg_blocked_events").rowcount:
                return  # they would be missing for good
        names = draw(st.lists(st.sampled_from(list(self.tenants)), min_size=1, unique=True))
        self._terms = dict.fromkeys(names, 1)
        self._write_settings()
        self.is_frozen |= retention.run(self.warehouse.settings, moment).archived > 0

    def restore(self, draw: Draw) -> None:
        """Bring the last months back, some of them or all."""
        self._terms = {}
        self._write_settings()
        with database.connect(self.warehouse.settings) as connection:
            months = sorted({each.month for each in archive_states.find(connection, self.warehouse.settings)})
        for month in reversed(months[draw(st.integers(0, max(0, len(months) - 1))) :]):
            restoring.restore(self.warehouse.settings, month)
            months.remove(month)
        self.is_frozen = bool(months)

    def erase(self, draw: Draw) -> None:
        """A person of the first tenant, once."""
        events = landed(self.loads)
        if self.erased or not events:
            return
        tenant_id = events[0]["tenant_id"]
        user_id = draw(st.sampled_from(["ann", "bob"]))
        with database.connect(self.warehouse.settings, autocommit=True) as connection:
            erasure.request(connection, self.warehouse.settings, tenant_id, user_id)
        erasure.work_off(self.warehouse.settings, as_of=events[0]["occurred_at"])
        self.erased = tenant_id, user_id, len(self.loads)

    def replay(self, draw: Draw) -> None:
        """An event is rejected, its type is registered, and it lands."""
        events = landed(self.loads)
        if not events:
            return
        like = draw(st.sampled_from(events))
        event = Event(
            **{**like, "event_id": draw(st.uuids(version=4)), "event_name": "loyalty.joined", "attributes": {}}
        )
        path = write(self._folder / "rejected.ndjson.gz", [event])
        if loader.load(self.warehouse.settings, str(path)).counts.rejected:
            self._make_known(_LOYALTY)
            replayed = replay.replay(self.warehouse.settings, replay.Selection())
            assert replayed.report is not None
            if not replayed.report.counts.accepted:
                return
        self._keep([event])

    def take_back(self, draw: Draw) -> None:
        """One of the files, if all that it brought is there. What later ones had as duplicates is not."""
        number = draw(st.integers(0, len(self.loads) - 1))
        load_id = self._load_ids[number]
        if load_id is None:
            return
        try:
            unload(self.warehouse.settings, load_id)
        except ParleyError as error:
            if "cannot be taken back exactly" not in str(error):
                raise
            return
        before = set(map(identity, landed(self.loads[:number])))
        taken = set(map(identity, self.loads[number])) - before
        self._load_ids[number] = None
        self.loads[number] = ()
        for later in range(number + 1, len(self.loads)):
            self.loads[later] = [event for event in self.loads[later] if identity(event) not in taken]
        self._is_anybodys_guess |= self.erased is not None  # the oracle erases whom it knows from all that had landed
        if self._blocked:
            self.note_results()

    def remove(self, draw: Draw) -> None:
        """A tenant. What lands later under its name is another's, with the same settings."""
        tenant_id = draw(st.sampled_from(list(self.tenants)))
        removal.remove(self.warehouse.settings, tenant_id)
        self.loads = [[event for event in load if event["tenant_id"] != tenant_id] for load in self.loads]
        self._is_anybodys_guess |= self.erased is not None and self.erased[0] == tenant_id
        self._write_settings()
        if self._blocked:
            self.note_results()

    def other_states(self, draw: Draw) -> None:
        self._states = {name: draw(st.sampled_from(["", "paused", "left", "active"])) for name in self.tenants}
        self._write_settings()

    def restore_definitions(self) -> None:
        """Give the definitions back that the oracle goes by, as a change like any other."""
        for name in self._defined - {"event types", "plan"}:
            shutil.copy(self._untouched / f"seeds/{name}.csv", self.project / "seeds")
        with database.connect(self.warehouse.settings, autocommit=True) as connection:
            connection.execute("delete from raw.event_types where origin = 'custom' and event_name <> 'loyalty.joined'")
        self._restore("tracking_plan")
        self._defined = set()

    CHANGES = (
        *[other_settings] * 3, other_rates_or_hours, other_excluded_traffic, *[other_definitions] * 3,
        own_event_types, another_plan, block, release, release, retire, retire, restore, erase, replay,
        other_states, *[take_back] * 3, remove, remove,
    )  # fmt: skip

    def _write_settings(self) -> None:
        terms = [
            {"raw_retention_days": self._terms.get(name, ""), "state": self._states.get(name, "")}
            for name in self.tenants
        ]
        listed = [vars(tenant) | {"name": tenant.tenant_id} for tenant in self.tenants.values()]
        write_seed(self.project, "tenants", [row | term for row, term in zip(listed, terms, strict=True)])
        write_seed(self.project, "rating_settings", [vars(Tenant("*")), *listed])
        write_seed(self.project, "exchange_rates", map(vars, self.rates))
        write_seed(self.project, "opening_hours", map(vars, self.hours))
        closed = [{"tenant_id": name, "date": day, "name": "closed"} for name, day in self.holidays]
        write_seed(self.project, "holidays", closed)
        write_seed(self.project, "excluded_traffic", [{"reason": "test", **rule} for rule in self.excluded])

    def _restore(self, folder: str) -> None:
        """Give a folder's files back as they were at first."""
        shutil.copytree(self._untouched / folder, self.project / folder, dirs_exist_ok=True)
        if folder == "tracking_plan":
            self._make_known()

    def _make_known(self, written: str | None = None, tenant_id: str = "*") -> None:
        """What the plan's files say, and what a file of own types does."""
        with database.connect(self.warehouse.settings) as connection:
            tracking_plan.sync(connection, self.project / tracking_plan.FOLDER)
            if written:
                path = self._folder / "own.yml"
                path.write_text(written)
                tracking_plan.register_custom(connection, tracking_plan.read_types(path, tenant_id, "custom"))
                connection.commit()
