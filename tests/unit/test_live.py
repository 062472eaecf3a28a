"""The live windows of a server: what they count, whatever happens to tenants, clocks and connections."""

import time
from datetime import UTC, datetime

import orjson
import pytest

from parley.landing.results import Accepted
from parley.server.access import Limits
from parley.server.keys import Key
from parley.server.live import Live, Sums


def test_a_removed_tenant_is_forgotten() -> None:
    live = Live()
    for tenant in ("shop", "bank"):
        sums = Sums()
        sums.add("message.received", "ann", "c-1", {})
        live.recall(tenant, sums, time.time())
        live.note_alerts([(tenant, {"alert_id": 1})])
    assert live.snapshot("shop")["events_30m"] == 1
    live.hear(orjson.dumps(["shop", None]).decode())
    assert live.snapshot("shop")["events_30m"] == 0
    assert live.snapshot("shop")["alerts"] == []
    assert live.snapshot("bank")["events_30m"] == 1


def test_a_clock_that_is_put_back_neither_holds_up_nor_swells_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key("k", "shop", ["write"], None, [], 5, None, datetime.now(UTC), None, None)
    live, limits = Live(), Limits()
    sums = Sums()
    sums.add("message.received", "ann", "c-1", {})
    live.recall("shop", sums, time.time() + 7200)  # by a database whose clock is ahead
    limits.take(key)
    monkeypatch.setattr(time, "time", lambda: datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    assert int(limits.take(key)["RateLimit-Remaining"]) >= 3
    assert live.snapshot("shop")["events_by_5s"][-1] == 1
    later = time.monotonic() + 1900
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert live.snapshot("shop")["events_30m"] == 0


def test_what_could_not_be_told_is_told_later() -> None:
    here, elsewhere = Live(), Live()
    result = Accepted("shop", "e", "message.received", "2026-11-20T10:00:00Z", "c", None, "ann", None, b"{}", None, 1)
    here.acknowledge([result])
    here.tell_again(here.untold())
    here.acknowledge([result])
    for payload in here.untold():
        elsewhere.hear(payload)
    assert elsewhere.snapshot("shop")["events_30m"] == 2
    assert elsewhere.snapshot("shop")["active_users_30m"] == 1
    assert here.untold() == []
