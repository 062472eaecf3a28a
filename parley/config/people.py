"""Who is nobody: what producers write in place of an id that they do not know (`seeds/placeholder_ids.csv`)."""

from pathlib import Path
from typing import TypeGuard

from parley.config import seeds
from parley.config.seeds import Column, text

SEED = seeds.FOLDER / "placeholder_ids.csv"
VISITOR = "visitor:"
"""What a visitor of whom no user is known is called by, before the anonymous_id: macros/identity/people.sql."""

COLUMNS = {"id": Column(text)}


def placeholders(project: Path) -> frozenset[str]:
    """The texts that are no ids, in lower case. Raises ParleyError where the seed is wrong."""
    listed = seeds.read(project / SEED, COLUMNS, key=["id"])
    return frozenset(("null", *(str(row["id"]).lower() for row in listed)))  # dbt reads null as an empty cell


def is_id(text: object, placeholders: frozenset[str]) -> TypeGuard[str]:
    """Whether a value of user_id or anonymous_id names anybody."""
    return type(text) is str and (plain := text.strip().lower()) != "" and plain not in placeholders
