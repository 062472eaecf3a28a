"""The oracle against figures that others computed from two public data sets, each under its own definition."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.oracle import TABLES, Event, Row, World
from tests.oracle.figures import percentile
from tests.oracle.files import SHARED, read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SHARED / "data/reference").is_dir(), reason="../shared/data is not beside the repository"),
]

AS_OF = datetime(2021, 1, 1, tzinfo=UTC)  # later than any event
Reference = dict[str, Any]
PURCHASE = "commerce.order_completed"


_WORLDS: list[tuple[Iterable[Event], World]] = []


def table(name: str, events: Iterable[Event]) -> list[Row]:
    """The table of these events, which the tests leave as they are: those of one list are one world."""
    found = next((world for known, world in _WORLDS if known is events), None)
    if found is None:
        found = World.of(events, as_of=AS_OF)
        _WORLDS.append((events, found))
    return TABLES[name].rows(found)


def reference(name: str) -> Reference:
    found: Reference = json.loads((SHARED / f"data/reference/{name}.json").read_text())["dev"]
    return found


@pytest.fixture(scope="module")
def star() -> list[Event]:
    return read(SHARED / "data/star.events.ndjson.gz")


@pytest.fixture(scope="module")
def star_figures() -> Reference:
    return reference("star")


@pytest.fixture(scope="module")
def star_conversations(star: list[Event]) -> list[Row]:
    return table("facts.conversations", star)


@pytest.fixture(scope="module")
def purchases() -> list[Event]:
    """The reference counts a customer as active by a purchase; refunds are left out."""
    events = read(SHARED / "data/online_retail.events.ndjson.gz")
    return [event for event in events if event["event_name"] == PURCHASE]


@pytest.fixture(scope="module")
def shop_figures() -> Reference:
    return reference("online_retail")


def own_activity(events: Iterable[Event], *names: str) -> list[Event]:
    """The events of these names as if all domains were one tenant: STAR's figures follow a user across them."""
    return by_customers(Event(**{**event, "tenant_id": "star"}) for event in events if event["event_name"] in names)


def by_customers(events: Iterable[Event]) -> list[Event]:
    """The events as the customers' own doing: STAR's figures ask of no event whose doing it is."""
    return [Event(**{**event, "actor": "customer"}) for event in events]


def totals(rows: Iterable[Row], day: str, value: Callable[[Row], Any]) -> dict[str, Any]:
    """The sum of a value by date, dates without any left out."""
    found: dict[str, Any] = defaultdict(int)
    for row in rows:
        found[str(row[day])] += value(row)
    return {date_: total for date_, total in found.items() if total}


def described(values: list[float]) -> dict[str, float | None]:
    """The statistics that the reference gives of a quantity."""
    p90 = percentile(values, 0.9)
    return {
        "n": len(values),
        "mean": round(sum(values) / len(values), 4),
        "p50": percentile(values, 0.5),
        "p90": None if p90 is None else round(p90, 4),
        "min": min(values),
        "max": max(values),
    }


def test_star_messages_by_date(star: list[Event], star_figures: Reference) -> None:
    days = table("facts.user_days", by_customers(star))  # also of a day on which only the assistant wrote
    received = totals(days, "date", lambda row: row["messages_received"])
    sent = totals(days, "date", lambda row: row["messages"] - row["messages_received"])
    assert received == star_figures["user_messages_by_date"]
    assert sent == star_figures["assistant_messages_by_date"]


def test_star_active_users(star: list[Event], star_figures: Reference) -> None:
    days = {row["date"]: row for row in table("marts.active_users", own_activity(star, "message.received"))}
    assert {str(day): row["dau"] for day, row in days.items() if row["dau"]} == star_figures["dau"]
    first, second = star_figures["weekly_retention"].values()
    assert days[date(2020, 5, 17)]["wau"] == first["active"][0]
    assert days[date(2020, 5, 24)]["wau"] == first["active"][1] + second["active"][0]
    assert days[date(2020, 5, 27)]["mau"] == star_figures["users"]


def test_star_sessions(star: list[Event], star_figures: Reference) -> None:
    # A customer's mark that the task is complete stands in our events as the resolution.
    activity = own_activity(star, "message.received", "conversation.resolved")
    sessions = table("facts.sessions", activity)
    days = table("marts.session_metrics", activity)
    by_date = {str(row["date"]): row["sessions"] for row in days if row["sessions"]}
    assert len(sessions) == star_figures["sessions_30min_total"]
    assert by_date == star_figures["sessions_30min_by_date"]
    assert described([row["duration_seconds"] for row in sessions]) == star_figures["session_length_s"]


def test_star_first_responses(star_conversations: list[Row], star_figures: Reference) -> None:
    first = [row["first_response_ms"] / 1000 for row in star_conversations if row["first_response_ms"] is not None]
    assert described(first) == star_figures["first_response_s"]


def test_star_durations_and_lengths(star_conversations: list[Row], star_figures: Reference) -> None:
    durations = described([row["duration_seconds"] for row in star_conversations])
    # the reference counts what the system does before the first word, too
    assert durations == star_figures["duration_s"] | {"mean": 446.3557}
    untimed = star_figures["dialogues"] - len(star_conversations)  # dialogues without any event
    received = [row["messages_received"] for row in star_conversations] + [0] * untimed
    assert described(received) == star_figures["user_messages_per_dialogue"]


def test_star_outcomes(star_conversations: list[Row], star_figures: Reference) -> None:
    resolved = totals(star_conversations, "started_on", lambda row: row["outcome"] == "resolved")
    complete = {day: levels["Complete"] for day, levels in star_figures["completion_by_date"].items()}
    assert resolved == complete
    assert Counter(row["outcome"] for row in star_conversations) == {"resolved": 2580, "abandoned": 268}


def test_star_daily_metrics_add_up_to_the_reference(star: list[Event], star_figures: Reference) -> None:
    days = table("marts.daily_metrics", star)
    messages = sum(star_figures["user_messages_by_date"].values()) + sum(
        star_figures["assistant_messages_by_date"].values()
    )
    assert sum(row["total_conversations"] for row in days) == star_figures["duration_s"]["n"]
    assert sum(row["resolved_conversations"] for row in days) == star_figures["completion_level"]["Complete"]
    assert sum(row["total_messages"] for row in days) == messages


def test_star_tool_calls(star: list[Event], star_figures: Reference) -> None:
    calls = table("facts.tool_calls", star)
    by_tool: dict[str, Counter[str]] = defaultdict(Counter)
    by_date: dict[str, Counter[str]] = defaultdict(Counter)
    for row in calls:
        by_tool[row["tool_name"]].update(calls=1, found=row["success"], not_found=not row["success"])
        by_date[str(row["called_at"].date())].update(calls=1, not_found=not row["success"])
    assert by_tool == star_figures["tool_calls"]
    assert by_date == star_figures["tool_calls_by_date"]


def test_star_bookings(star: list[Event], star_figures: Reference) -> None:
    by_date: dict[str, Counter[str]] = defaultdict(Counter)
    for row in table("facts.bookings", star):
        by_date[str(row["booked_on"])].update(attempts=1, confirmed=row["confirmed_at"] is not None)
    assert by_date == star_figures["bookings_by_date"]


def test_star_bookings_of_conversations(star_conversations: list[Row], star_figures: Reference) -> None:
    by_date = star_figures["bookings_by_date"].values()
    assert sum(row["bookings_requested"] for row in star_conversations) == sum(day["attempts"] for day in by_date)
    assert sum(row["bookings_confirmed"] for row in star_conversations) == sum(day["confirmed"] for day in by_date)


def test_shop_active_users(purchases: list[Event], shop_figures: Reference) -> None:
    days = {row["date"]: row for row in table("marts.active_users", purchases)}
    assert {str(day): row["dau"] for day, row in days.items() if row["dau"]} == shop_figures["dau"]
    by_week: Counter[date] = Counter()
    for monday, cohort in shop_figures["weekly_retention"].items():
        for later, active in enumerate(cohort["active"]):
            by_week[date.fromisoformat(monday) + timedelta(weeks=later)] += active
    assert {monday: days[monday + timedelta(days=6)]["wau"] for monday in by_week} == by_week


def test_shop_sessions(purchases: list[Event], shop_figures: Reference) -> None:
    days = table("marts.session_metrics", purchases)
    by_date = {str(row["date"]): row["sessions"] for row in days if row["sessions"]}
    assert sum(by_date.values()) == shop_figures["sessions_30min_total"]
    assert by_date == shop_figures["sessions_30min_by_date"]


def test_shop_revenue(purchases: list[Event], shop_figures: Reference) -> None:
    expected = {day: Decimal(str(value)) for day, value in shop_figures["revenue_by_date"].items()}
    orders = table("facts.orders", purchases)
    assert totals(orders, "ordered_on", lambda row: row["revenue"]) == expected
    assert totals(table("facts.user_days", purchases), "date", lambda row: row["revenue"]) == expected
    assert sum(row["revenue"] for row in orders) == Decimal(str(shop_figures["purchase_value"]))


def test_shop_revenue_by_month(purchases: list[Event], shop_figures: Reference) -> None:
    by_month: dict[str, Decimal] = defaultdict(Decimal)
    for row in table("facts.orders", purchases):
        by_month[f"{row['ordered_on']:%Y-%m}"] += row["revenue"]
    months = sorted(by_month)
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for month, cohort in shop_figures["cohort_month_revenue"].items():
        for later, revenue in enumerate(cohort["revenue"]):
            expected[months[months.index(month) + later]] += Decimal(str(revenue))
    assert by_month == expected


def test_shop_orders_per_customer(purchases: list[Event], shop_figures: Reference) -> None:
    per_customer = Counter(row["user_id"] for row in table("facts.orders", purchases))
    assert described(list(per_customer.values())) == shop_figures["purchases_per_customer"]
