"""Reads the seeds, which a user edits and dbt reads too, and says of a mistake where it stands and what to write."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from parley.errors import ParleyError

FOLDER = Path("seeds")
NOTHING = "null"
"""What dbt reads as an empty cell, in any mixture of capitals."""
LARGEST_WHOLE = 2**31 - 1
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")

Reader = Callable[[str], object]
"""What a cell means. Raises ValueError saying what to write instead."""


@dataclass(frozen=True, slots=True)
class Column:
    read: Reader
    may_be_blank: bool = False
    may_be_absent: bool = False
    """Blank in every row of a seed that was written before there was such a column."""


def optional(read: Reader) -> Column:
    """A column that may be left blank."""
    return Column(read, may_be_blank=True)


def later(read: Reader) -> Column:
    """A column that may be left blank, and left out."""
    return Column(read, may_be_blank=True, may_be_absent=True)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a seed: what its cells mean by column, None where they are blank."""

    file: str
    number: int
    """The header is row 1."""
    values: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:
        return self.values[column]

    def wrong(self, column: str, what: str) -> NoReturn:
        """Raises ParleyError saying where it stands; `what` says what is wrong with it and what to do."""
        raise ParleyError(f"{self.file}, row {self.number}, {column}: {what}")


def read(path: Path, columns: Mapping[str, Column], key: Sequence[str]) -> list[Row]:
    """The rows of a seed, no two of which have the same key.

    Raises ParleyError naming file, row and column, and what to write there.
    """
    rows = [_row(path, number, cells, columns) for number, cells in _cells(path, columns)]
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        values = tuple(row[column] for column in key)
        if values in seen:
            said = " with ".join(repr(value) for value in values)
            row.wrong(key[-1], f"{said} stands twice: keep one row of it.")
        seen.add(values)
    return rows


def check_written(folder: Path) -> None:
    """Raises ParleyError where dbt would read a cell of a seed otherwise than `read` does: it strips no spaces, and
    takes `null` for nothing."""
    for path in sorted(folder.glob("*.csv")):
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error):
            continue  # `read` says what is wrong
        for number, cells in enumerate(rows, 1):
            for place, cell in enumerate(cells):
                name = rows[0][place].strip() if place < len(rows[0]) else "beyond the header"
                if cell != cell.strip():
                    Row(path.name, number, {}).wrong(name, f"{cell!r} has a space at its beginning or end: remove it.")
                if cell.casefold() == NOTHING:
                    Row(path.name, number, {}).wrong(name, f"dbt takes {cell} for an empty cell: write another word.")


def change(path: Path, alter: Callable[[list[str], list[dict[str, str]]], None]) -> None:
    """Write a seed again after `alter` has changed its header and rows in place; the file is whole at any moment.

    Raises ParleyError where it cannot be read or written.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header, rows = list(reader.fieldnames or ()), list(reader)
        before = (list(header), [dict(row) for row in rows])
        alter(header, rows)
        if (header, rows) == before:
            return
        draft = path.with_name(f"{path.name}.part")
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        draft.replace(path.resolve())
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise ParleyError(f"{path} cannot be changed ({error}): correct that, or change it by hand.") from error


def without_tenant(folder: Path, tenant_id: str) -> dict[str, int]:
    """Take a tenant's rows out of every seed; how many, by file."""
    taken: dict[str, int] = {}

    def take(name: str) -> Callable[[list[str], list[dict[str, str]]], None]:
        def alter(header: list[str], rows: list[dict[str, str]]) -> None:
            kept = [row for row in rows if row.get("tenant_id", "").strip() != tenant_id]
            taken[name] = len(rows) - len(kept)
            rows[:] = kept

        return alter

    for path in sorted(folder.glob("*.csv")):
        change(path, take(path.name))
    return {name: rows for name, rows in taken.items() if rows}


def _row(path: Path, number: int, cells: Mapping[str, str], columns: Mapping[str, Column]) -> Row:
    row = Row(path.name, number, values := dict.fromkeys(columns))
    for name, column in columns.items():
        cell = cells.get(name, "").strip()
        if not cell and column.may_be_blank:
            continue
        try:
            values[name] = column.read(cell)
        except ValueError as error:
            row.wrong(name, f"{repr(cell) + ' is not right' if cell else 'it is blank'}: write {error}.")
    return row


def _cells(path: Path, columns: Mapping[str, Column]) -> list[tuple[int, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            _check_header(path, header, columns)
            reader.fieldnames = header
            rows: list[tuple[int, Mapping[str, str]]] = [(reader.line_num, cells) for cells in reader]
    except OSError as error:
        raise ParleyError(f"{path} cannot be read ({error.strerror}): a seed belongs there.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ParleyError(f"{path.name} is no CSV in UTF-8 ({error}): save it as such.") from error
    for number, cells in rows:
        if None in cells or None in cells.values():
            raise ParleyError(
                f"{path.name}, row {number}: it has not {len(header)} cells as the header has: put the commas right."
            )
    return rows


def _check_header(path: Path, header: Sequence[str], columns: Mapping[str, Column]) -> None:
    for name, column in columns.items():
        if header.count(name) != 1 and not (column.may_be_absent and name not in header):
            raise ParleyError(f"{path.name}, row 1: the column {name} must be there once: write {','.join(columns)}.")
    for name in header:
        if name not in columns:
            raise ParleyError(f"{path.name}, row 1: there is no column {name!r}: the columns are {','.join(columns)}.")


def text(cell: str) -> str:
    """Anything but nothing."""
    if not cell:
        raise ValueError("a word or more")
    return cell


def one_of(*words: str) -> Reader:
    def read(cell: str) -> str:
        if cell not in words:
            raise ValueError(" or ".join(filter(None, [", ".join(words[:-1]), words[-1]])))
        return cell

    return read


def whole(least: int, most: int = LARGEST_WHOLE) -> Reader:
    """A whole number within bounds, both included."""
    told = f"from {least} to {most}" if most < LARGEST_WHOLE else f"greater than {least - 1}"

    def read(cell: str) -> int:
        if not (cell.isascii() and cell.isdigit() and least <= int(cell) <= most):
            raise ValueError(f"a whole number {told}")
        return int(cell)

    return read


def number(least: int, most: int | None = None) -> Reader:
    """A number within bounds, both included."""

    def read(cell: str) -> Decimal:
        try:
            value = Decimal(cell)
        except InvalidOperation:
            value = Decimal("nan")
        if not value.is_finite() or value < least or (most is not None and value > most):
            raise ValueError(f"a number from {least} to {most}" if most is not None else f"a number, {least} or more")
        return value

    return read


def day(cell: str) -> date:
    try:
        return date.fromisoformat(cell)
    except ValueError:
        raise ValueError("a date such as 2026-12-25") from None


def clock(cell: str) -> str:
    """A time of a day, `00:00` to `24:00`."""
    if not _CLOCK.fullmatch(cell):
        raise ValueError("a time such as 09:00, up to 24:00")
    return cell


def positive(cell: str) -> object:
    """A number greater than 0."""
    value = number(0)(cell)
    if not value:
        raise ValueError("a number greater than 0")
    return value


def flag(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return cell.lower() == "true"


def names(cell: str) -> tuple[str, ...]:
    """Names separated by `|`."""
    found = tuple(cell.split("|"))
    if not all(found) or any(name != name.strip() for name in found):
        raise ValueError("names with | between them and no spaces")
    if len(set(found)) < len(found):
        raise ValueError("each name once")
    return found
