"""What a spool holds of people who are erased before it lands does not land, as if it had come after."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from parley.config import tracking_plan
from parley.landing.privacy import Erased, subject_hmac, visitor_hmac
from parley.landing.rules import Rules
from parley.landing.validation import collect
from parley.server import writer
from parley.server.intake import Known

SECRET = b"test"
PLAN = tracking_plan.load(Path(__file__).parents[2] / tracking_plan.FOLDER)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ERASED = Erased(SECRET, [subject_hmac(SECRET, "shop", "ann"), visitor_hmac(SECRET, "shop", "v-1")], tenants=["shop"])


def event(**fields: Any) -> dict[str, Any]:
    standard = {"event_name": "cart.confirmed", "occurred_at": "2026-05-31T12:30:00Z", "tenant_id": "shop"}
    return {key: value for key, value in {**standard, **fields}.items() if value is not ...}


@pytest.mark.parametrize(
    ("fields", "tenant"),
    [
        ({"user_id": "ann"}, "shop"),
        ({"anonymous_id": "v-1"}, "shop"),
        ({"anonymous_id": "v-1", "event_name": "no.such"}, "shop"),
        ({"event_name": "no.such", "attributes": {"note": "said by ann, of course"}}, "shop"),
        ({"tenant_id": 7, "attributes": {"note": "said by ann, of course"}}, "(unknown)"),
        ({"tenant_id": ..., "user_id": "ann"}, "(unknown)"),
    ],
)
def test_who_is_erased_meanwhile_does_not_land(fields: dict[str, Any], tenant: str) -> None:
    rules = Rules(plan=PLAN, tenants={}, secret=SECRET)
    validated = collect([(1, rules.validate(event(**fields), NOW)), (2, rules.validate(event(user_id="bo"), NOW))])
    [before] = [outcome for _, outcome in validated.counts if outcome != "accepted"] or ["accepted"]
    record = writer.pack(validated, Known())
    landed = writer.merge([record], writer.Gone(ERASED, 2, {}))
    assert (landed.events.count(b"\n"), landed.rejected) == (1, b"")
    assert landed.counts == {(tenant, "erased_subject"): 1, ("shop", "accepted"): 1}
    unchanged = writer.merge([record], writer.Gone(ERASED, 0, {}))
    assert unchanged.counts[tenant, before] == validated.counts[tenant, before]


def test_of_a_line_with_too_much_to_search_nothing_is_kept() -> None:
    rules = Rules(plan=PLAN, tenants={}, secret=SECRET)
    long = event(event_name="no.such", attributes={"note": " ".join(f"w{number}" for number in range(11_000))})
    validated = collect([(1, rules.validate(long, NOW))])
    landed = writer.merge([writer.pack(validated, Known())], writer.Gone(ERASED, 2, {}))
    assert landed.counts == {("shop", "rejected"): 1}
    assert b"w777" in validated.rejected
    assert b"w777" not in landed.rejected
    assert landed.rejected.count(b"\t") == validated.rejected.count(b"\t")
