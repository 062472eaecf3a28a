"""How the rows of a table are held against the oracle's."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from math import isclose
from typing import Any
from uuid import UUID

from tests.oracle.world import Row


def differences(expected: Iterable[Row], actual: Iterable[Row], key: tuple[str, ...]) -> list[str]:
    """What is wrong with the actual rows, one line per finding, none where they agree.

    Columns that the oracle does not know are passed over. Floating-point numbers may differ by rounding,
    money may not; ids may come as text.
    """
    wanted, found = list(expected), list(actual)
    doubled = [name for name, times in Counter(_key(row, key) for row in found).items() if times > 1]
    expected_rows = {_key(row, key): row for row in wanted}
    actual_rows = {_key(row, key): row for row in found}
    return [
        *(f"{_words(name)}: stands there more than once" for name in doubled),
        *(f"{_words(name)}: missing" for name in expected_rows.keys() - actual_rows.keys()),
        *(f"{_words(name)}: should not exist" for name in actual_rows.keys() - expected_rows.keys()),
        *(
            f"{_words(name)}: {column} is {actual_rows[name].get(column, 'absent')!r}, should be {value!r}"
            for name, row in expected_rows.items()
            if name in actual_rows
            for column, value in row.items()
            if column not in actual_rows[name] or not _same(value, actual_rows[name][column])
        ),
    ]


def _key(row: Row, key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(_plain(row[column]) for column in key)


def _words(key: tuple[Any, ...]) -> str:
    return " ".join(map(str, key))


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _same(expected: Any, actual: Any) -> bool:
    if isinstance(expected, float) and isinstance(actual, int | float | Decimal):
        return isclose(expected, actual, rel_tol=1e-9, abs_tol=1e-9)
    return bool(_plain(expected) == _plain(actual))
