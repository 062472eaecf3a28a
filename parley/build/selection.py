"""What `--select` names, of a project that dbt has built before: dbt's selectors, as far as they are names.

A name may have a `+` before it (and all that it is made of) or after it (and all that is made of it);
`resource_type:model`, `resource_type:seed` and `resource_type:test` are kinds. Parts with a comma between them hold
together. Everything else is dbt's to read.
"""

import os
from collections.abc import Iterable

from parley.build import plans
from parley.build.plans import Plan, Unknown

_KIND = "resource_type:"


def selected(plan: Plan, selectors: Iterable[str]) -> frozenset[str]:
    """The names of the tables, seeds and checks. Raises Unknown where dbt has to read a selector.

    As dbt has it, each part also selects the checks of what it names, unless `DBT_INDIRECT_SELECTION` is `empty`.
    """
    found: set[str] = set()
    for selector in (part for text in selectors for part in text.split()):
        found |= set.intersection(*(_with_checks(plan, _named(plan, part)) for part in selector.split(",")))
    return frozenset(found)


def _with_checks(plan: Plan, found: set[str]) -> set[str]:
    indirect = os.environ.get("DBT_INDIRECT_SELECTION", "eager")
    if indirect not in ("eager", "empty"):
        raise Unknown(f"DBT_INDIRECT_SELECTION is {indirect}")
    if indirect == "empty":
        return found
    return found | {check.name for check in plan.checks if not found.isdisjoint(check.reads)}


def _named(plan: Plan, part: str) -> set[str]:
    kinds = {
        "model": {table.name for table in plan.tables},
        "seed": {seed.name for seed in plan.seeds},
        "test": {check.name for check in plan.checks},
    }
    if part.startswith(_KIND) and part.removeprefix(_KIND) in kinds:
        return kinds[part.removeprefix(_KIND)]
    name = part.strip("+")
    if name not in kinds["model"] | kinds["seed"]:
        raise Unknown(f"{part} is for dbt to read")
    found = {name}
    beneath = plans.beneath({table.name: {*table.upstream} - plan.analyses.keys() for table in plan.tables})
    if part.startswith("+"):
        found |= beneath.get(name, set())
    if part.endswith("+"):
        found |= {table for table, upstream in beneath.items() if name in upstream}
    return found
