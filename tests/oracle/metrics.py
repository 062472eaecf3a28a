"""`marts.daily_metrics` and `marts.period_metrics`: how the conversations went that started in a period."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from tests.oracle.conversations import conversations
from tests.oracle.days import tenant_days
from tests.oracle.figures import distinct, mean, percentile, ratio
from tests.oracle.responses import responses
from tests.oracle.world import Row, Tenant, World, grouped

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
OF_AGENTS = (
    *("resolved_conversations", "no_reply_conversations", "resolution_rate", "avg_resolution_seconds"),
    *("p50_response_time_ms", "p95_response_time_ms", "ratings", "good_ratings_share", "avg_rating"),
)
PERIODS = ("day", "week", "month", "quarter", "year")


def daily_metrics(world: World) -> list[Row]:
    """One row per tenant and local date on which a conversation started."""
    return [
        {"tenant_id": tenant_id, "date": day, **figures} for (tenant_id, day), figures in _figures(world, "day").items()
    ]


def period_metrics(world: World) -> list[Row]:
    """One row per tenant, period and local start of one in which a conversation started."""
    rows = []
    for period in PERIODS:
        found = _figures(world, period)
        for (tenant_id, start), now in found.items():
            tenant = world.tenant(tenant_id)
            before = found.get((tenant_id, period_start(tenant, period, start - timedelta(1))), summary([], []))
            rows.append(
                {
                    "tenant_id": tenant_id,
                    "period": period,
                    "period_start": start,
                    **now,
                    **{f"previous_{name}": value for name, value in before.items()},
                    "growth_rate": growth_rate(now["total_conversations"], before["total_conversations"]),
                    "is_complete": tenant.midnight(next_start(period, start)) <= world.as_of,
                }
            )
    return rows


def _figures(world: World, period: str) -> dict[tuple[str, date], Row]:
    """The figures of every tenant and period of that kind, by the period's first day."""

    def by(date_column: str) -> Callable[[Row], tuple[str, date]]:
        return lambda row: (
            row["tenant_id"],
            period_start(world.tenant(row["tenant_id"]), period, row[date_column]),
        )

    answers = [row for row in responses(world) if row["conversation_started_on"] is not None]
    answers_by_period = grouped(answers, by("conversation_started_on"))
    days = (by("date")(row) for row in tenant_days(world))
    groups = grouped(conversations(world), by("started_on"))
    return {
        key: summary(
            groups.get(key, []),
            [row["duration_ms"] for row in answers_by_period.get(key, [])],
            world.tenant(key[0]).good_rating,
        )
        for key in dict.fromkeys([*groups, *days])
    }


def summary(group: list[Row], durations: list[float], good_rating: float = 1) -> dict[str, Any]:
    """The figures of some conversations and of the durations in milliseconds of their answers."""
    outcomes = [row["outcome"] for row in group]
    answered = len(group) - outcomes.count("no_reply")
    rated = [row["rating"] for row in group if row["rating"] is not None]
    good = sum(rating >= good_rating for rating in rated)
    return {
        "total_conversations": len(group),
        "resolved_conversations": outcomes.count("resolved"),
        "escalated_conversations": outcomes.count("escalated"),
        "abandoned_conversations": outcomes.count("abandoned"),
        "open_conversations": outcomes.count("open"),
        "no_reply_conversations": outcomes.count("no_reply"),
        "resolution_rate": ratio(outcomes.count("resolved"), answered),
        "escalation_rate": ratio(outcomes.count("escalated"), answered),
        "abandonment_rate": ratio(outcomes.count("abandoned"), answered),
        "avg_response_time_ms": mean(durations),
        "p50_response_time_ms": percentile(durations, 0.50),
        "p95_response_time_ms": percentile(durations, 0.95),
        "p99_response_time_ms": percentile(durations, 0.99),
        **{name: sum(row[name] for row in group) for name in ("turns", "unanswered_turns", "sla_breaches")},
        "total_messages": sum(row["messages"] for row in group),
        "avg_conversation_length": mean(row["messages"] for row in group),
        "unique_customers": distinct(row["user_id"] for row in group),
        "avg_rating": mean(rated),
        "ratings": len(rated),
        "good_ratings": good,
        "good_ratings_share": ratio(good, len(rated)),
        "avg_resolution_seconds": mean(row["last_resolution_seconds"] for row in group if row["outcome"] == "resolved"),
    }


def agent_metrics(world: World) -> list[Row]:
    """One row per tenant, local date, agent and team with a conversation that has one of the two."""
    answers = grouped(responses(world), lambda row: (row["tenant_id"], row["conversation_id"]))
    rows = []
    for (tenant_id, day, agent, team), group in grouped(
        (row for row in conversations(world) if row["agent"] or row["team"]),
        lambda row: (row["tenant_id"], row["started_on"], row["agent"] or "unknown", row["team"] or "unknown"),
    ).items():
        durations = [
            answer["duration_ms"] for row in group for answer in answers.get((tenant_id, row["conversation_id"]), [])
        ]
        figures = summary(group, durations, world.tenant(tenant_id).good_rating)
        handovers = [row["handover_seconds"] for row in group if row["handover_seconds"] is not None]
        rows.append(
            {
                "tenant_id": tenant_id,
                "date": day,
                "agent": agent,
                "team": team,
                "conversations": len(group),
                "responses": len(durations),
                "avg_handover_seconds": mean(handovers),
                **{
                    name: figures[name]
                    for name in (
                        *(
                            "resolved_conversations",
                            "no_reply_conversations",
                            "resolution_rate",
                            "avg_resolution_seconds",
                        ),
                        *(
                            "p50_response_time_ms",
                            "p95_response_time_ms",
                            "ratings",
                            "good_ratings_share",
                            "avg_rating",
                        ),
                    )
                },
            }
        )
    return rows


def growth_rate(now: int, before: int) -> float:
    """The growth since the period before, 1 from nothing to something and 0 from nothing to nothing."""
    if before == 0:
        return 1.0 if now > 0 else 0.0
    return (now - before) / before


def period_start(tenant: Tenant, period: str, day: date) -> date:
    """The first day of the period in which the day lies."""
    match period:
        case "week":
            return day - timedelta((day.weekday() - WEEKDAYS.index(tenant.week_start)) % 7)
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def next_start(period: str, start: date) -> date:
    """The first day after the period that starts on that day."""
    if period in ("day", "week"):
        return start + timedelta(1 if period == "day" else 7)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    years, month = divmod(start.month - 1 + months, 12)
    return date(start.year + years, month + 1, 1)
