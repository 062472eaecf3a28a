"""`facts.responses` and `marts.response_times`: how long customers waited for an answer."""

from datetime import date, datetime

from tests.oracle.figures import mean, percentile
from tests.oracle.turns import turns
from tests.oracle.world import Row, World, grouped, once


@once
def responses(world: World) -> list[Row]:
    """One row per answer: the turns that have one."""
    return [
        {
            "tenant_id": turn["tenant_id"],
            "response_id": turn["answer_id"],
            "turn_id": turn["turn_id"],
            "conversation_id": turn["conversation_id"],
            "responded_at": turn["answered_at"],
            "duration_ms": turn["wait_ms"],
            "model": turn["model"],
            "channel": turn["channel"],
            "actor": turn["actor"],
            "basis": turn["basis"],
            "is_breach": turn["is_breach"],
            "conversation_started_on": turn["conversation_started_on"],
        }
        for turn in turns(world)
        if turn["status"] == "answered"
    ]


def response_times(world: World) -> list[Row]:
    """One row per tenant, hour of its clock, model, channel and who answered; overdue turns by when they were asked."""
    counted = [turn for turn in turns(world) if turn["status"] == "answered" or turn["is_breach"]]
    rows = []
    for (tenant_id, hour, day, model, channel, actor), group in grouped(
        counted, lambda turn: _place(world, turn)
    ).items():
        durations = [turn["wait_ms"] for turn in group if turn["wait_ms"] is not None]
        rows.append(
            {
                "tenant_id": tenant_id,
                "hour": hour,
                "date": day,
                "model": model,
                "channel": channel,
                "actor": actor,
                "turns": len(group),
                "responses": len(durations),
                "avg_ms": mean(durations),
                "p50_ms": percentile(durations, 0.50),
                "p95_ms": percentile(durations, 0.95),
                "p99_ms": percentile(durations, 0.99),
                "sla_breaches": sum(turn["is_breach"] for turn in group),
            }
        )
    return rows


def _place(world: World, turn: Row) -> tuple[str, datetime, date, str, str, str]:
    tenant = world.tenant(turn["tenant_id"])
    at = turn["answered_at"] or turn["asked_at"]
    actor = turn["actor"] or "nobody"
    return turn["tenant_id"], tenant.hour(at), tenant.local_date(at), turn["model"], turn["channel"], actor
