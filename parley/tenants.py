"""What the tenants seed says of each tenant: `seeds/tenants.csv`, which a user edits and dbt reads too."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.database import Connection

EVERY_TENANT = "*"  # the tenant of event types that hold for all
UNKNOWN_TENANT = "(unknown)"  # under which a line is counted whose tenant cannot be read
SEED = Path("seeds", "tenants.csv")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MAX_ID = 64


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
    currency: str = "USD"


COLUMNS = tuple(field.name for field in fields(Tenant))


def read(path: Path, connection: "Connection | None" = None) -> dict[str, Tenant]:
    """The tenants of the seed by id; with a connection, their time zones are looked up in Postgres too.

    Raises ParleyError naming file, row (the header is row 1) and column, and what to write there.
    """
    tenants: dict[str, Tenant] = {}
    zones = _zones_of(connection) if connection else None
    for row, cells in _rows(path):
        tenant = _tenant(f"{path.name}, row {row}", cells)
        if tenant.tenant_id in tenants:
            raise ParleyError(
                f"{path.name}, row {row}, tenant_id: {tenant.tenant_id!r} stands twice: keep one row of it."
            )
        if zones is not None and tenant.time_zone not in zones:
            raise ParleyError(
                f"{path.name}, row {row}, time_zone: Postgres does not know {tenant.time_zone!r}: "
                "write a name such as Europe/Paris."
            )
        tenants[tenant.tenant_id] = tenant
    return tenants


def check_id(tenant_id: str) -> None:
    """Raises ParleyError where no tenant can be named so."""
    try:
        _identifier(tenant_id)
    except ValueError as error:
        raise ParleyError(f"A tenant cannot be named {tenant_id!r}: write {error}.") from None


def _zones_of(connection: "Connection") -> set[object]:
    return {row[0] for row in connection.execute("select name from pg_timezone_names")}


def _rows(path: Path) -> list[tuple[int, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            _check_header(path, header)
            reader.fieldnames = header
            rows: list[tuple[int, Mapping[str, str]]] = [(reader.line_num, cells) for cells in reader]
    except OSError as error:
        raise ParleyError(f"{path} cannot be read ({error.strerror}): the tenants seed belongs there.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ParleyError(f"{path.name} is no CSV in UTF-8 ({error}): save it as such.") from error
    for row, cells in rows:
        if None in cells or None in cells.values():
            raise ParleyError(
                f"{path.name}, row {row}: it has not {len(COLUMNS)} cells as the header has: put the commas right."
            )
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    for name in COLUMNS:
        if header.count(name) != 1:
            raise ParleyError(f"{path.name}, row 1: the column {name} must be there once: write {','.join(COLUMNS)}.")
    for name in header:
        if name not in COLUMNS:
            raise ParleyError(f"{path.name}, row 1: there is no column {name!r}: the columns are {','.join(COLUMNS)}.")


def _tenant(where: str, cells: Mapping[str, str]) -> Tenant:
    values: dict[str, object] = {}
    for column, cell in cells.items():
        if cell.strip():
            try:
                values[column] = _READ[column](cell.strip())
            except ValueError as error:
                raise ParleyError(f"{where}, {column}: {cell.strip()!r} is not right: write {error}.") from None
    if "tenant_id" not in values:
        raise ParleyError(f"{where}, tenant_id: it is blank: write the tenant's id as its events have it.")
    return Tenant(**{"name": values["tenant_id"], **values})  # type: ignore[arg-type]


def _identifier(cell: str) -> str:
    if not 1 <= len(cell) <= MAX_ID or not cell.isprintable() or cell in (EVERY_TENANT, UNKNOWN_TENANT):
        raise ValueError(f"an id of 1 to {MAX_ID} characters, other than {EVERY_TENANT} and {UNKNOWN_TENANT}")
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


def _number(cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and 0 < int(cell) < 2**31):
        raise ValueError("a whole number greater than 0")
    return int(cell)


def _flag(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return cell.lower() == "true"


def _currency(cell: str) -> str:
    if not (len(cell) == 3 and cell.isascii() and cell.isalpha() and cell.isupper()):
        raise ValueError("a currency code of three capitals such as USD")
    return cell


_READ: dict[str, Callable[[str], object]] = {
    "tenant_id": _identifier,
    "name": str,
    "time_zone": _time_zone,
    "week_start": _weekday,
    "session_gap_minutes": _number,
    "abandon_after_hours": _number,
    "sla_ms": _number,
    "raw_retention_days": _number,
    "hash_user_ids": _flag,
    "admit_unregistered_types": _flag,
    "currency": _currency,
}
