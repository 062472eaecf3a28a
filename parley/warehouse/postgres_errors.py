"""What Postgres says of an error, without what it quotes of rows: that may be a person's.

For whatever keeps or shows a message: logs, tables, Dagster, terminals. Knows the errors of psycopg, of psycopg2, which
dbt uses, and of SQLAlchemy, which wraps them.
"""

import re
from typing import Any

STATEMENTS = "42"  # of SQLSTATE, the class of errors in the statement itself: they quote no row
VALUES = "22"  # of values that are not right: the message quotes them

_QUOTED = re.compile(r'".*"', re.DOTALL)
_KEY = re.compile(r"Key \((.*?)\)=", re.DOTALL)


def is_of_postgres(error: BaseException) -> bool:
    """Whether Postgres' server has said it."""
    return _diagnosis(error) is not None


def _diagnosis(error: BaseException) -> Any:
    error = getattr(error, "orig", None) or error
    diagnosis = getattr(error, "diag", None)
    return diagnosis if diagnosis and diagnosis.message_primary else None


def without_values(error: BaseException) -> str:
    """Postgres' message without details, context and values; of a mistake in the statement, all that it says.

    A broken key is said to be by its columns.
    """
    diagnosis = _diagnosis(error)
    if diagnosis is None:  # it was not reached, or was lost
        return str(error).strip() or type(error).__name__
    state, said = str(diagnosis.sqlstate), str(diagnosis.message_primary)
    if state.startswith(STATEMENTS):
        return str(getattr(error, "orig", None) or error).strip()
    if state.startswith(VALUES):
        return _QUOTED.sub('"…"', said)
    key = _KEY.match(diagnosis.message_detail or "")
    return f"{said} ({key[1]})" if key else said
