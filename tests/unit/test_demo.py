"""The demo's world, read back the way landing reads it."""

import gzip
import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson
import pytest
from typer.testing import CliRunner

from parley import demo
from parley.cli.app import app
from parley.config import tenants, tracking_plan
from parley.demo.tenants import PLANS
from parley.demo.world import Demo, blocks, outage
from parley.errors import ParleyError
from parley.landing.results import Accepted, Dropped, Rejected
from parley.landing.rules import Rules

PROJECT = Path(__file__).parents[2]
OF_OTHER_SOURCES = {
    *("page.viewed", "page.clicked", "page.scrolled", "page.engaged", "page.left", "screen.viewed", "session.started"),
    *("user.first_seen", "feedback.given", "message.noted"),
    *("user.logged_in", "user.logged_out", "user.identified", "user.aliased", "group.identified"),
}
"""Types of web analytics and of help desks, which the demo's four businesses do not send."""
DEFAULT = Demo(end=date(2025, 6, 1))
LANDED_AT = datetime(2025, 6, 2, tzinfo=UTC)
ZONES = {plan.tenant_id: ZoneInfo(plan.time_zone) for plan in PLANS}


class Event(NamedTuple):
    """An event that landed."""

    tenant_id: str
    name: str
    occurred_at: datetime
    attributes: dict[str, Any]
    conversation_id: str | None
    session_id: str | None
    user_id: str | None

    @property
    def local(self) -> datetime:
        return self.occurred_at.astimezone(ZONES[self.tenant_id])


class Landed(NamedTuple):
    """What became of a demo's lines."""

    events: list[Event]
    rejected: list[Rejected]
    no_consent: int
    duplicates: int
    lines: int


def lines(wanted: Demo) -> list[bytes]:
    return [line for block in blocks(wanted) for line in block]


def land(wanted: Demo) -> Landed:
    rules = Rules(
        plan=tracking_plan.load(PROJECT / "tracking_plan"),
        tenants=tenants.read(PROJECT / tenants.SEED),
        secret=b"test",
        strict_tenants=True,
    )
    events: dict[str, Event] = {}
    rejected: list[Rejected] = []
    no_consent = duplicates = 0
    sent = lines(wanted)
    for line in sent:
        try:
            result = rules.validate(orjson.loads(line), LANDED_AT)
        except orjson.JSONDecodeError:
            result = rules.rejected_line("invalid_json", "broken")
        if isinstance(result, Rejected):
            rejected.append(result)
        elif isinstance(result, Dropped):
            no_consent += 1
        else:
            duplicates += result.event_id in events
            events.setdefault(result.event_id, _event(result))
    return Landed(list(events.values()), rejected, no_consent, duplicates, len(sent))


def _event(accepted: Accepted) -> Event:
    return Event(
        accepted.tenant_id,
        accepted.event_name,
        datetime.fromisoformat(accepted.occurred_at),
        orjson.loads(accepted.attributes),
        accepted.conversation_id,
        accepted.session_id,
        accepted.user_id,
    )


@pytest.fixture(scope="module")
def landed() -> Landed:
    return land(DEFAULT)


@pytest.fixture(scope="module")
def big() -> Landed:
    """Big enough for shares to be near what they are in the long run."""
    return land(replace(DEFAULT, size=150_000))


def test_the_same_demo_gives_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("one.ndjson.gz", "another.ndjson.gz"):
        demo.write(tmp_path / name, replace(DEFAULT, size=3_000))
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert gzip.decompress(written[0]).splitlines(keepends=True) == lines(replace(DEFAULT, size=3_000))


def test_another_seed_or_end_gives_another_world() -> None:
    worlds = [
        replace(DEFAULT, size=500),
        replace(DEFAULT, size=500, seed=8),
        replace(DEFAULT, size=500, end=date(2025, 6, 2)),
    ]
    assert len({hashlib.sha256(b"".join(lines(world))).digest() for world in worlds}) == 3


@pytest.mark.parametrize(("size", "days"), [(1, 1), (7, 90), (1_000, 1), (20_000, 90), (45_000, 3), (5_000, 1_000)])
def test_a_demo_has_exactly_the_lines_asked_for(size: int, days: int) -> None:
    assert len(lines(replace(DEFAULT, size=size, days=days))) == size


def test_a_name_without_gz_is_written_as_plain_text(tmp_path: Path) -> None:
    demo.write(tmp_path / "demo.ndjson", replace(DEFAULT, size=100))
    assert (tmp_path / "demo.ndjson").read_bytes() == b"".join(lines(replace(DEFAULT, size=100)))


def test_a_file_that_cannot_be_written_is_said_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match="cannot be written"):
        demo.write(tmp_path / "nowhere" / "demo.ndjson.gz", DEFAULT)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ParleyError, match="cannot be written"):
        demo.write(tmp_path / "folder", replace(DEFAULT, size=1))
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_the_command_writes_the_file_it_says(tmp_path: Path) -> None:
    out = tmp_path / "demo.ndjson"
    asked = ["demo", str(out), "--size", "200", "--days", "5", "--end", "2025-06-01", "--seed", "3"]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0
    assert "200 events" in ran.output
    assert out.read_bytes() == b"".join(lines(Demo(date(2025, 6, 1), size=200, days=5, seed=3)))


def test_the_command_ends_the_world_today_and_never_later(tmp_path: Path) -> None:
    out = tmp_path / "demo.ndjson"
    assert CliRunner().invoke(app, ["demo", str(out), "--size", "5000"]).exit_code == 0
    last = max(
        line[line.index(b'"occurred_at"') :][15:25] for line in out.read_bytes().splitlines() if b"2999" not in line
    )
    since = datetime.now(UTC) - datetime.fromisoformat(last.decode()).replace(tzinfo=UTC)
    assert timedelta(0) < since < timedelta(days=4)
    refused = CliRunner().invoke(app, ["demo", str(out), "--end", "2999-01-01"])
    assert isinstance(refused.exception, ParleyError)
    assert "--end" in str(refused.exception)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 0}, "--size"),
        ({"days": 0}, "--days"),
        ({"days": 10_000}, "--days"),
        ({"seed": -1}, "--seed"),
        ({"end": date(2000, 2, 1)}, "--end"),
    ],
)
def test_a_world_that_cannot_be_is_rejected_with_the_option_to_change(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ParleyError, match=said):
        replace(DEFAULT, **wrong)


def test_the_tenants_are_those_of_the_seed_in_the_same_time_zones() -> None:
    seeded = tenants.read(PROJECT / tenants.SEED)
    assert {plan.tenant_id: plan.time_zone for plan in PLANS}.items() <= {
        tenant_id: tenant.time_zone for tenant_id, tenant in seeded.items()
    }.items()
    assert sum(plan.share for plan in PLANS) == pytest.approx(1)


def test_every_shipped_event_type_lands_at_the_default_size(landed: Landed) -> None:
    shipped = {kind.event_name for kind in tracking_plan.load(PROJECT / "tracking_plan").types}
    assert {event.name for event in landed.events} == shipped - OF_OTHER_SOURCES


def test_every_attribute_that_the_marts_read_occurs(landed: Landed) -> None:
    given = {name for event in landed.events for name in event.attributes}
    assert given >= {
        *("text", "actor", "intent", "is_fallback", "resolved_by", "reason", "rating"),
        *("judge", "rubric", "helpfulness", "accuracy", "politeness", "overall"),
        *("duration_ms", "latency_ms", "offset_ms", "model", "tool_name", "tool_kind", "tool_count", "success"),
        *("optimistic", "query", "results_count", "top_score", "rank", "error_class", "error_message"),
        *("product_id", "order_id", "revenue", "currency", "booking_id", "services_count", "estimated_total"),
        *("service_name", "confidence_score", "experiment", "variant"),
    }


def test_rejected_repeated_and_not_consented_lines_have_their_share(big: Landed) -> None:
    assert len(big.rejected) / big.lines == pytest.approx(0.003, abs=0.0002)
    assert big.duplicates / big.lines == pytest.approx(0.004, abs=0.0002)
    assert 0.003 < big.no_consent / big.lines < 0.008
    reasons = Counter(refused.reason for refused in big.rejected)
    assert set(reasons) == {
        "unknown_event_type",
        "missing_field",
        "invalid_value",
        "invalid_type",
        "clock_skew",
        "invalid_json",
    }
    assert min(reasons.values()) > 0.1 * len(big.rejected)


def test_nothing_happens_outside_the_span(landed: Landed) -> None:
    first, last = (datetime.fromtimestamp(moment / 1000, UTC) for moment in (DEFAULT.start_ms, DEFAULT.end_ms))
    assert all(first <= event.occurred_at < last for event in landed.events)
    assert len({event.local.date() for event in landed.events}) >= DEFAULT.days


def test_lines_come_in_order_but_for_some_that_are_hours_or_days_late(big: Landed) -> None:
    latest = big.events[0].occurred_at
    delays = []
    for event in big.events:
        delays.append(latest - event.occurred_at)
        latest = max(latest, event.occurred_at)
    late = [delay for delay in delays if delay > timedelta(hours=1)]
    assert 0.005 < len(late) / len(delays) < 0.02
    assert any(delay > timedelta(days=2) for delay in late)
    assert sum(delay < timedelta(seconds=10) for delay in delays) / len(delays) > 0.95


def test_nights_are_quiet_in_local_time(big: Landed) -> None:
    hours = Counter((event.tenant_id, event.local.hour) for event in big.events)
    totals = Counter(event.tenant_id for event in big.events)
    for tenant_id in ZONES:
        assert hours[tenant_id, 3] < 0.01 * totals[tenant_id]
        assert max(hours[tenant_id, hour] for hour in range(9, 23)) > 0.07 * totals[tenant_id]


def test_the_bank_rests_at_the_weekend_and_traffic_grows(big: Landed) -> None:
    bank = [event.local for event in big.events if event.tenant_id == "nordic-bank"]
    assert sum(then.weekday() >= 5 for then in bank) / len(bank) < 0.2
    halfway = datetime(2025, 4, 17, tzinfo=UTC)
    others = [event.occurred_at for event in big.events if event.tenant_id != "nordic-bank"]
    assert sum(then >= halfway for then in others) > 1.08 * sum(then < halfway for then in others)


def test_some_customers_come_all_the_time_and_most_hardly_ever(big: Landed) -> None:
    sessions: defaultdict[str, set[str | None]] = defaultdict(set)
    for event in big.events:
        if event.user_id and event.tenant_id == "shop-newyork":
            sessions[event.user_id].add(event.session_id)
    visits = sorted(map(len, sessions.values()), reverse=True)
    assert sum(count <= 2 for count in visits) > 0.4 * len(visits)
    assert sum(visits[: len(visits) // 10]) > 0.25 * sum(visits)


def test_some_sessions_cross_midnight(big: Landed) -> None:
    dates: defaultdict[str | None, set[date]] = defaultdict(set)
    for event in big.events:
        if event.name not in ("commerce.order_refunded", "booking.confirmed"):  # those may come days later
            dates[event.session_id].add(event.local.date())
    assert sum(len(days) == 2 for session_id, days in dates.items() if session_id) >= 5


def test_ratings_follow_the_outcome(big: Landed) -> None:
    outcomes: dict[str, str] = {}
    for event in sorted(big.events, key=lambda event: event.occurred_at):
        if event.conversation_id and event.name in ("conversation.resolved", "conversation.abandoned"):
            outcomes[event.conversation_id] = event.name
    ratings: defaultdict[str, list[float]] = defaultdict(list)
    for event in big.events:
        if event.name == "conversation.rated" and event.conversation_id in outcomes:
            ratings[outcomes[event.conversation_id]].append(event.attributes["rating"])
    assert mean(ratings["conversation.resolved"]) > mean(ratings["conversation.abandoned"]) + 0.4


def test_the_outage_is_slow_and_full_of_errors(big: Landed) -> None:
    began, ended = (datetime.fromtimestamp(moment / 1000, UTC) for moment in outage(PLANS[0], DEFAULT))
    bank = [event for event in big.events if event.tenant_id == "nordic-bank"]

    def error_rate(events: list[Event]) -> float:
        return sum(event.name == "system.error" for event in events) / len(events)

    def response_ms(events: list[Event]) -> float:
        return float(mean(event.attributes["duration_ms"] for event in events if event.name == "ai.response"))

    during = [event for event in bank if began <= event.occurred_at < ended]
    before = [event for event in bank if event.occurred_at < began]
    assert error_rate(during) > 10 * error_rate(before)
    assert response_ms(during) > 4 * response_ms(before)


def test_the_new_variant_sells_more(big: Landed) -> None:
    shown: dict[str, str] = {}
    for event in big.events:
        if event.name == "experiment.exposed" and event.user_id:
            shown[event.user_id] = event.attributes["variant"]
    buyers = {event.user_id for event in big.events if event.name == "commerce.order_completed"}
    exposed = Counter(shown.values())
    bought = Counter(variant for user_id, variant in shown.items() if user_id in buyers)
    assert exposed["one_page"] == pytest.approx(exposed["control"], rel=0.15)
    assert bought["one_page"] / exposed["one_page"] > 1.2 * bought["control"] / exposed["control"]


def test_what_the_knowledge_base_misses_is_asked_in_many_ways(landed: Landed) -> None:
    searches = [event.attributes for event in landed.events if event.name == "kb.search"]
    missed = [search["query"] for search in searches if search["results_count"] == 0]
    assert 0.1 < len(missed) / len(searches) < 0.35
    assert len(set(missed)) > 0.6 * len(missed)
    for word in ("fee", "cancel", "gluten", "deliver"):
        assert sum(word in query.lower() for query in missed) >= 5


def test_customers_type_personal_data_that_landing_hides(landed: Landed) -> None:
    said = " ".join(event.attributes.get("text", "") for event in landed.events)
    assert "[email]" in said
    assert "[phone]" in said
    assert "[card]" in said
    assert "@example" not in said


def test_some_speak_other_languages(landed: Landed) -> None:
    spoken = Counter(event.attributes.get("language") for event in landed.events if event.name == "message.received")
    assert spoken["en"] > spoken["sv"] + spoken["fr"] + spoken["ja"]
    assert min(spoken["sv"], spoken["fr"], spoken["ja"]) > 20


@pytest.mark.slow
def test_a_million_events_take_no_more_memory_than_a_hundred_thousand() -> None:
    program = (
        "import resource, sys\n"
        "from datetime import date\n"
        "from parley.demo.world import Demo, blocks\n"
        "assert sum(map(len, blocks(Demo(date(2025, 6, 1), int(sys.argv[1]))))) == int(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"  # in KiB on Linux, in bytes on macOS
    )
    peaks = []
    for size in (100_000, 1_000_000):
        run = subprocess.run(
            [sys.executable, "-c", program, str(size)], cwd=PROJECT, capture_output=True, text=True, check=True
        )
        peaks.append(int(run.stdout))
    assert peaks[1] < 1.25 * peaks[0]
