"""A funnel has up to 20 steps, in each order, and is built within memory and time that do not explode with them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from parley.build.builds import BuildRequest
from parley.settings import Settings
from tests.oracle import Event, Tenant
from tests.oracle.funnels import Exclusion, Funnel, Matcher
from tests.support.seeds import write_funnels
from tests.support.warehouse import Warehouse, copy_project

STEPS = 20
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAMES = ("commerce.view", "commerce.add_to_cart")  # in turn: most events can serve ten steps
ANY_ORDER = tuple(Matcher((NAMES[step % 2],), f"$.n >= {step // 4}") for step in range(STEPS))


@pytest.mark.builds
def test_twenty_steps_in_each_order(database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy_project(tmp_path / "project", [Tenant("shop")])
    write_funnels(
        project,
        [
            Funnel(
                f"{unit} {order}",
                ANY_ORDER,
                timedelta(days=7),
                step_order=order,
                unit=unit,
                exclusions=tuple(
                    Exclusion(Matcher(("conversation.abandoned",)), step, step + 1) for step in range(1, STEPS)
                ),
                breakdown="channel",
                breakdown_touch="last",
            )
            for order in ("ordered", "strict", "unordered")
            for unit in ("user", "session")
        ],
    )
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=120s -c work_mem=4MB")
    warehouse = Warehouse(Settings.load(), tmp_path)

    def visits(users: range, events: int) -> list[Event]:
        """Users who do `events` things in turn, a minute apart; of the last two in the same second."""
        return [
            Event(
                tenant_id="shop",
                event_id=UUID(int=user * 1000 + number),
                event_name=NAMES[number % 2],
                occurred_at=START + timedelta(minutes=min(number, events - 2)),
                conversation_id=None,
                session_id=None,
                user_id=f"u{user}",
                source="web",
                attributes={"n": number // 4},
            )
            for user in users
            for number in range(events)
        ]

    def furthest() -> dict[str, list[tuple[int, int]]]:
        """By funnel: how far its units get, and how many so far."""
        found: dict[str, list[tuple[int, int]]] = {}
        for row in sorted(warehouse.read("marts.funnels"), key=lambda row: (row["funnel_id"], row["step"])):
            if row["period"] == "all" and row["breakdown_kind"] == "all":
                found.setdefault(row["funnel_id"], []).append(row["reached"])
        return {name: [(step, count) for step, count in enumerate(reached, 1)] for name, reached in found.items()}

    warehouse.land(visits(range(200), STEPS))
    warehouse.build(BuildRequest(as_of=START + timedelta(days=1)))
    assert furthest() == {
        f"{unit} {order}": [(step, 200) for step in range(1, STEPS + 1)]
        for order in ("ordered", "strict", "unordered")
        for unit in ("user", "session")
    }

    warehouse.land(visits(range(200, 500), 12))
    warehouse.build(BuildRequest(as_of=START + timedelta(days=1)))
    assert furthest() == {
        f"{unit} {order}": [(step, 500 if step <= 12 else 200) for step in range(1, STEPS + 1)]
        for order in ("ordered", "strict", "unordered")
        for unit in ("user", "session")
    }
