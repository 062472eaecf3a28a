"""The live windows of a server forget a tenant that is removed, and no other."""

import time

import orjson

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
