"""What a build has to do, known before it begins: of what is not named here, the tables stay as they are."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from parley.build.circumstances import Circumstances
from parley.build.plans import Plan, Script
from parley.warehouse.database import Connection

CHECKED_WITHIN = "1 day"
"""Every check passes on everything at least so often, whatever changed."""
_CLOCK = "*as_of"


@dataclass(frozen=True, slots=True)
class Work:
    tables: frozenset[str]
    """With something to do, whatever becomes of those that they read."""
    owed: frozenset[str]
    """Checks, and tables that are made whole, that are not settled: something changed, or a day has gone by."""


def find(connection: Connection, plan: Plan, scripts: Mapping[str, Script], circumstances: Circumstances) -> Work:
    """What has something to do, in a session that has the circumstances."""
    names = {*(table.name for table in plan.tables if not table.is_rebuilt), *(check.name for check in plan.checks)}
    settled = connection.execute(
        "select name from ops.owed where not is_owed and settled_at >= now() - %s::interval", [CHECKED_WITHIN]
    )
    owed = names - {str(name) for (name,) in settled}
    made_whole = {
        table.name
        for table in plan.tables
        if not table.is_rebuilt and (table.reads_sources or table.name in owed or scripts[table.name].depends_on_clock)
    }
    if circumstances.asked:
        made_whole |= {table.name for table in plan.tables if table.is_rebuilt}
    tables = _behind(connection, plan, circumstances) | _built_otherwise(connection, scripts)
    return Work(frozenset(tables | _moved_by_the_clock(connection, scripts) | made_whole), frozenset(owed))


def _behind(connection: Connection, plan: Plan, circumstances: Circumstances) -> set[str]:
    """Models with an upstream that has published, or landed, something since."""
    newest = {
        str(model): int(str(change))
        for model, change in connection.execute("select model, max(change_id) from ops.changes group by model")
    }
    [(landed,)] = connection.execute("select coalesce(max(last_batch_id), 0) from raw.loads").fetchall()
    newest["raw"] = min(int(str(landed)), circumstances.validated_to)
    watermarks = connection.execute("select model, upstream, position from ops.watermarks").fetchall()
    behind = {
        str(model) for model, upstream, position in watermarks if newest.get(str(upstream), 0) > int(str(position))
    }
    known = {model for model, _, _ in watermarks}
    return behind | {table.name for table in plan.tables if table.is_rebuilt and table.name not in known}


def _built_otherwise(connection: Connection, scripts: Mapping[str, Script]) -> set[str]:
    """Models whose definitions are others than those that their rows were built under."""
    readers: defaultdict[str, list[str]] = defaultdict(list)
    for name, script in scripts.items():
        for query in script.steps.get("definitions", ()):
            readers[query].append(name)
    current: defaultdict[str, dict[str, str]] = defaultdict(dict)
    queries = [*readers]
    every_one = " union all ".join(
        f"select {number}, key, fingerprint from ({query}) as definitions_{number}"
        for number, query in enumerate(queries)
    )
    for number, key, found in connection.execute(every_one.encode()):
        for name in readers[queries[int(str(number))]]:
            current[name][str(key)] = str(found)
    stored: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for model, key, found in connection.execute("select model, tenant_id, fingerprint from ops.definitions"):
        stored[str(model)][str(key)] = str(found)
    return {name for name in current if _differs(stored[name], current[name])}


def _differs(stored: Mapping[str, str], current: Mapping[str, str]) -> bool:
    """As `tenants_built_otherwise` has it: anything new, other or gone, a clock turned back."""
    if any(stored.get(key) != found for key, found in current.items() if key != _CLOCK):
        return True
    if any(key not in current for key in stored):
        return True
    return _CLOCK in stored and datetime.fromisoformat(stored[_CLOCK]) > datetime.fromisoformat(current[_CLOCK])


def _moved_by_the_clock(connection: Connection, scripts: Mapping[str, Script]) -> set[str]:
    """Models with rows whose outcome the clock has changed."""
    queries = [(name, script.steps["clock"]) for name, script in scripts.items() if script.steps.get("clock")]
    every_one = " union all ".join(f"select '{name}' where exists ({query})" for name, query in queries)
    return {str(name) for (name,) in connection.execute(every_one.encode())} if queries else set()
