"""Helpers of the tests of landing: events to land, and what must hold of `raw` after any landing."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from tests.conftest import Rows

OUTCOMES = ("accepted", "duplicate", "rejected", "no_consent", "erased_subject")
WAITING = "select 1 from pg_locks where locktype = 'advisory' and not granted"
"""Finds a row once a batch waits for its turn to land."""
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

Json = dict[str, Any]


def event(number: int, **fields: Any) -> Json:
    """A valid event, one of its own for each number."""
    return {
        "event_id": str(UUID(int=number)),
        "event_name": "message.received",
        "occurred_at": f"2024-{number % 12 + 1:02}-05T10:{number % 60:02}:00Z",
        "tenant_id": f"tenant-{number % 3}",
        "conversation_id": f"c{number // 5}",
        "user_id": f"user-{number % 10}",
        "attributes": {"text": f"Tab\t, \\ and line\nend in {number}"},
        **fields,
    }


def write(path: Path, lines: Iterable[Json | bytes]) -> str:
    """A file of events and of lines as they are; returns its path."""
    path.write_bytes(b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines))
    return str(path)


def content(rows: Rows) -> list[Json]:
    """What landed, but for what tells of its load."""
    return rows("""
        select tenant_id, event_id, event_name, occurred_at, conversation_id, session_id, user_id, source, attributes,
          context, schema_version, anonymous_id, site_id, sequence, actor
        from raw.events order by tenant_id, event_id
    """)


def assert_accounted_for(rows: Rows) -> None:
    """Every line of every load is in exactly one count, and what is counted is there."""
    sums = ", ".join(f"coalesce(sum(load_batches.{name}), 0)::bigint as {name}" for name in ("received", *OUTCOMES))
    counts = ", ".join(("received", *OUTCOMES))
    loads = rows(f"select load_id, {counts}, last_batch_id from raw.loads order by 1")
    batches = rows(f"""
        select load_id, {sums}, max(batch_id) as last_batch_id
        from raw.loads left join raw.load_batches using (load_id) group by 1 order by 1
    """)
    for load, of_batches in zip(loads, batches, strict=True):
        assert load["received"] == sum(load[name] for name in OUTCOMES)
        assert {**load, "last_batch_id": None} == {**of_batches, "last_batch_id": None}
        assert of_batches["last_batch_id"] is None or load["last_batch_id"] >= of_batches["last_batch_id"]
    for table, count in (("events", "accepted"), ("rejected_events", "rejected")):
        stored = rows(f"""
            select batch_id, load_id, tenant, counted, coalesce(stored, 0) as stored
            from (select batch_id, load_id, tenant_id as tenant, {count} as counted from raw.load_batches) as counts
            full join (
              select batch_id, load_id, coalesce(tenant_id, '(unknown)') as tenant, count(*) as stored
              from raw.{table} group by 1, 2, 3
            ) as found using (batch_id, load_id, tenant)
        """)
        assert all(row["counted"] == row["stored"] for row in stored)
    assert rows("select tenant_id, event_id from raw.events order by 1, 2") == rows(
        "select tenant_id, event_id from raw.event_keys order by 1, 2"
    )
    assert not rows("""
        select from raw.events join raw.load_batches using (batch_id, tenant_id)
        where events.received_at <> load_batches.received_at or events.load_id <> load_batches.load_id
    """)


def totals(rows: Rows) -> list[tuple[int, ...]]:
    """The five counts of every load, in their order."""
    return [tuple(row.values()) for row in rows(f"select {', '.join(OUTCOMES)} from raw.loads order by load_id")]
