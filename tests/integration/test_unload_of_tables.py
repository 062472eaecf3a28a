"""A load that is taken back leaves facts and marts as if its file had never been sent."""

from datetime import datetime
from pathlib import Path

import orjson
import pytest

from parley.build.builds import BuildRequest
from parley.landing.loader import load
from parley.people.unload import unload
from parley.settings import Settings
from tests.conftest import BUILT_AS_OF, parley, read_rows
from tests.support.warehouse import Warehouse

AS_OF = datetime.fromisoformat(BUILT_AS_OF)
PERSON = "erased-later"
GAPS = "marts.content_gaps"  # topics keep what they have learned: a gap's questions may stay together


def wrong(folder: Path) -> Path:
    """Events that meet those of the demo: its users, conversations, orders and visitors, and a tenant of their own."""
    others = folder / "others.ndjson"
    parley(
        "demo", str(others), "--size", "300", "--days", "5", "--end", "2025-06-30", "--seed", "11"
    ).check_returncode()
    lines = [orjson.loads(line) for line in others.read_bytes().splitlines()]
    known = read_rows("""
        select tenant_id, event_name, occurred_at, conversation_id, session_id, user_id, anonymous_id, attributes
        from raw.events order by tenant_id, event_id
    """)
    for number, row in enumerate(known):
        met = {key: value for key, value in row.items() if value is not None}
        lines.append(
            {**met, "occurred_at": f"2025-06-{number % 5 + 25}T09:00:00Z", "source": "wrong", "sequence": number}
        )
    # what nobody said before: visitors of the demo are one person, and of another tenant
    for number, row in enumerate(row for row in known if row["user_id"]):
        lines.append(
            {
                "event_name": "user.identified",
                "occurred_at": "2025-06-26T10:00:00Z",
                "tenant_id": row["tenant_id"] if number % 2 else "stranger",
                "user_id": PERSON if number % 3 else row["user_id"],
                "anonymous_id": row["anonymous_id"] or f"visitor-{number}",
            }
        )
    lines.append({"event_name": "no.such", "occurred_at": "2025-06-26T10:00:00Z", "tenant_id": "stranger"})
    path = folder / "wrong.ndjson"
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    return path


def raw() -> list[list[dict[str, object]]]:
    tables = ("events", "event_keys", "rejected_events", "load_batches", "loads")
    return [read_rows(f"select * from raw.{table} order by {table}::text") for table in tables]


@pytest.mark.slow
def test_tables_are_as_if_the_load_had_never_been(built: Settings, tmp_path: Path) -> None:
    warehouse = Warehouse(built, tmp_path)

    def build(*, full_refresh: bool = False) -> dict[str, list[str]]:
        warehouse.build(BuildRequest(as_of=AS_OF, full_refresh=full_refresh))
        return warehouse.contents()

    def differing(found: dict[str, list[str]]) -> list[str]:
        return [table for table in tables if found[table] != tables[table] and table != GAPS]

    tables, landed = build(), raw()
    path = wrong(tmp_path)

    taken = load(built, str(path)).load_id
    assert {"facts.sessions", "facts.conversations", "marts.daily_metrics"} <= set(differing(build()))
    unload(built, taken)
    assert raw() == landed
    assert differing(build()) == []

    # a person of the load is erased before it is taken back
    taken = load(built, str(path)).load_id
    build()
    parley("forget", "--tenant", "stranger", "--user", PERSON, "--yes").check_returncode()
    unload(built, taken)
    assert raw() == landed
    assert differing(build()) == []

    # what a later load had as duplicates counts when that file is loaded again
    taken = load(built, str(path)).load_id
    later = tmp_path / "later.ndjson"
    later.write_bytes(b"\n".join(path.read_bytes().splitlines()[100:250]))
    again = load(built, str(later))
    assert again.counts.duplicate == 150
    assert unload(built, taken).later == (again.load_id,)
    assert load(built, str(later)).counts.accepted == 150
    found = build()
    assert "marts.daily_metrics" in differing(found)
    assert build(full_refresh=True) == found
