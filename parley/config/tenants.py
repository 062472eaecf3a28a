"""What the tenants seed says of each tenant: `seeds/tenants.csv`, which a user edits and dbt reads too."""

import re
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args
from zoneinfo import TZPATH, ZoneInfo

from parley.config import seeds
from parley.config.seeds import Column, later, optional
from parley.errors import ParleyError, did_you_mean
from parley.settings import TENANT_PATTERN, Settings
from parley.warehouse.names import EVERY_TENANT, UNKNOWN_TENANT

if TYPE_CHECKING:
    from parley.warehouse.database import Connection

SEED = seeds.FOLDER / "tenants.csv"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MAX_ID = 64
State = Literal["active", "paused", "left", "demo"]
"""`demo` is active, and is nothing to anybody before events of it have landed."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One row of the seed, blank cells filled in. A tenant that it does not name has all the defaults."""

    tenant_id: str
    name: str
    time_zone: str = "UTC"
    week_start: str = "monday"
    session_gap_minutes: int = 30
    abandon_after_hours: int = 24
    sla_ms: int = 3000
    raw_retention_days: int | None = None
    hash_user_ids: bool = False
    admit_unregistered_types: bool = False
    currency: str | None = None
    """Without one, that of the tenant's first order, else US dollars (`facts.tenant_currencies`)."""
    state: State = "active"
    session_gap_seconds: int | None = None
    """In the place of `session_gap_minutes`."""

    @property
    def is_active(self) -> bool:
        """Whether events are expected of it: alerts and reports are about such tenants only."""
        return self.state in ("active", "demo")


@dataclass(frozen=True, slots=True)
class Landed:
    """A tenant, and what has landed of it."""

    tenant: Tenant
    accepted: int = 0
    last_landed_at: datetime | None = None


LATER_COLUMNS = ("state", "session_gap_seconds")
"""Those that the seed may leave out."""
COLUMNS = tuple(field.name for field in fields(Tenant) if field.name not in LATER_COLUMNS)
"""Those that it must have."""

DEFAULT_CURRENCY: Final = "USD"
"""Of a tenant that has named none and was never paid."""


def read(path: Path, connection: "Connection | None" = None) -> dict[str, Tenant]:
    """The tenants of the seed by id; with a connection, their time zones are looked up in Postgres too.

    Raises ParleyError naming file, row (the header is row 1) and column, and what to write there.
    """
    tenants: dict[str, Tenant] = {}
    zones = _zones_of(connection) if connection else None
    for row in seeds.read(path, _SEED, key=["tenant_id"]):
        if row["session_gap_minutes"] is not None and row["session_gap_seconds"] is not None:
            row.wrong("session_gap_seconds", "session_gap_minutes says it too: leave one of the two blank.")
        given = {column: value for column, value in row.values.items() if value is not None}
        tenant = Tenant(**{"name": row["tenant_id"], **given})
        if zones is not None and tenant.time_zone not in zones:
            row.wrong("time_zone", f"Postgres does not know {tenant.time_zone!r}: write a name such as Europe/Paris.")
        tenants[tenant.tenant_id] = tenant
    return tenants


def present(listed: dict[str, Tenant], connection: "Connection") -> dict[str, Tenant]:
    """Those of the seed that people are shown: the demo's come with its events."""
    if all(tenant.state != "demo" for tenant in listed.values()):
        return listed
    landed = {row[0] for row in connection.execute("select distinct tenant_id from raw.load_batches")}
    return {name: tenant for name, tenant in listed.items() if tenant.state != "demo" or name in landed}


def overview(settings: Settings, connection: "Connection") -> list[Landed]:
    """Every tenant of the seed and of what has landed, by id; the demo's once they have landed.

    Raises ParleyError where the seed is wrong.
    """
    listed = read(settings.project / SEED)
    landed = connection.execute(
        "select tenant_id, sum(accepted)::bigint, max(received_at) filter (where accepted > 0) from raw.load_batches"
        " where tenant_id <> %s group by tenant_id",
        [UNKNOWN_TENANT],
    )
    found = {tenant_id: Landed(tenant) for tenant_id, tenant in present(listed, connection).items()}
    for tenant_id, accepted, last in landed.fetchall():
        name = str(tenant_id)
        known = listed.get(name) or Tenant(name, name)
        found[name] = Landed(known, int(str(accepted)), last if isinstance(last, datetime) else None)
    return [found[name] for name in sorted(found)]


def find(settings: Settings, connection: "Connection", tenant_id: str) -> Tenant:
    """A tenant of the seed, of what has landed, or with event types of its own.

    Raises ParleyError where there is none of this id.
    """
    named = connection.execute(
        "select tenant_id from raw.load_batches union select tenant_id from raw.event_types"
        " except select unnest(%s::text[])",
        [[EVERY_TENANT, UNKNOWN_TENANT]],
    )
    known = {str(name): Tenant(str(name), str(name)) for (name,) in named} | read(settings.project / SEED)
    if tenant_id not in known:
        guess = did_you_mean(tenant_id, known)
        raise ParleyError(f"There is no tenant {tenant_id!r}: {guess}{guess and ' '}`parley tenants list` shows them.")
    return known[tenant_id]


def set_state(path: Path, tenant_id: str, state: State) -> None:
    """Write a tenant's state into the seed; one that it does not name gets a row.

    Raises ParleyError where the seed is wrong.
    """
    read(path)

    def alter(header: list[str], rows: list[dict[str, str]]) -> None:
        if "state" not in map(str.strip, header):
            header.append("state")
        [column] = [name for name in header if name.strip() == "state"]
        [key] = [name for name in header if name.strip() == "tenant_id"]
        row = next((row for row in rows if row[key].strip() == tenant_id), None)
        if row is None:
            rows.append({key: tenant_id, column: state})
        else:
            row[column] = state

    seeds.change(path, alter)


def state_before_pause(connection: "Connection", tenant_id: str) -> State:
    """The state that a tenant was paused in, by the audit log; `active` where it does not say."""
    row = connection.execute(
        "select details ->> 'before' from ops.audit_log where action = 'tenant.state_set' and tenant_id = %s"
        " and details ->> 'state' = 'paused' order by number desc limit 1",
        [tenant_id],
    ).fetchone()
    return "demo" if row == ("demo",) else "active"


@cache
def country_of(time_zone: str) -> str | None:
    """The country (ISO 3166) in which clocks show this time, None where there is none, or more than one."""
    return _countries().get(time_zone)


@cache
def _countries() -> dict[str, str]:
    """By time zone, from the time zone database's zone.tab, which systems and the package tzdata bring."""
    paths = [Path(folder, "zone.tab") for folder in TZPATH]
    if found := find_spec("tzdata"):
        paths += [Path(folder, "zoneinfo", "zone.tab") for folder in found.submodule_search_locations or ()]
    for path in paths:
        if path.is_file():
            lines = (line.split("\t") for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
            return {cells[2]: cells[0] for cells in lines if len(cells) > 2}
    return {}


def check_id(tenant_id: str, pattern: str = TENANT_PATTERN) -> None:
    """Raises ParleyError where no tenant can be named so."""
    try:
        _identifier(tenant_id)
    except ValueError as error:
        raise ParleyError(f"A tenant cannot be named {tenant_id!r}: write {error}.") from None
    if not is_admitted(tenant_id, pattern):
        raise ParleyError(
            f"A tenant cannot be named {tenant_id!r}: its id must match {pattern} (PARLEY_TENANT_PATTERN)."
        )


def is_admitted(tenant_id: str, pattern: str) -> bool:
    """Whether a tenant that no seed names may land events: its id is of the installation's pattern, and is not what a
    program writes for nothing."""
    return (
        tenant_id.isprintable()
        and re.fullmatch(pattern, tenant_id) is not None
        and re.search(r"[{}]", tenant_id) is None  # whatever the pattern: dbt and Jinja read braces
        and tenant_id.casefold() != seeds.NOTHING
    )


def id_or_every(cell: str) -> str:
    """A reader of seeds' cells: a tenant's id, or `*`."""
    try:
        return cell if cell == EVERY_TENANT else _identifier(cell)
    except ValueError:
        raise ValueError(f"a tenant's id, or {EVERY_TENANT} for all") from None


def _zones_of(connection: "Connection") -> set[object]:
    return {row[0] for row in connection.execute("select name from pg_timezone_names")}


def _identifier(cell: str) -> str:
    if not cell:
        raise ValueError("the tenant's id as its events have it")
    if len(cell) > MAX_ID or not cell.isprintable() or cell in (EVERY_TENANT, UNKNOWN_TENANT) or set("{}") & set(cell):
        raise ValueError(
            f"an id of 1 to {MAX_ID} characters without braces, other than {EVERY_TENANT} and {UNKNOWN_TENANT}"
        )
    return cell


def _time_zone(cell: str) -> str:
    try:
        ZoneInfo(cell)
    except (KeyError, ValueError, OSError):
        raise ValueError("a name of the time zone database such as Europe/Paris") from None
    return cell


def _weekday(cell: str) -> str:
    if cell.lower() not in WEEKDAYS:
        raise ValueError("the name of a weekday such as monday")
    return cell.lower()


def currency(cell: str) -> str:
    """A reader of seeds' cells: a currency's code, in capitals."""
    code = cell.upper()
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise ValueError("a currency code of three capitals such as USD")
    return code


_SEED = {
    "tenant_id": Column(_identifier),
    "name": optional(seeds.text),
    "time_zone": optional(_time_zone),
    "week_start": optional(_weekday),
    "session_gap_minutes": optional(seeds.whole(1)),
    "abandon_after_hours": optional(seeds.whole(1)),
    "sla_ms": optional(seeds.whole(1)),
    "raw_retention_days": optional(seeds.whole(1)),
    "hash_user_ids": optional(seeds.flag),
    "admit_unregistered_types": optional(seeds.flag),
    "currency": optional(currency),
    "state": later(seeds.one_of(*get_args(State))),
    "session_gap_seconds": later(seeds.whole(1)),
}
