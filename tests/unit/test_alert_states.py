"""The life of an alert: each path by hand, and whatever happens, by Hypothesis."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from parley.alerts.states import (
    FLAPPING,
    HELD_FOR_DAYS,
    RAISED,
    Notice,
    Seen,
    State,
    Status,
    Terms,
    acknowledge,
    step,
)

START = datetime(2026, 11, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def lived(*seen: Seen, terms: Terms | None = None) -> tuple[list[State], list[Notice | None]]:
    """The states and notices of an alert that sees these things."""
    existing, states, notices = Status(), [], []
    for sight in seen:
        existing, notice = step(existing, sight, terms or Terms())
        states.append(existing.state)
        notices.append(notice)
    return states, notices


def breach(at: datetime, days: int = 1) -> Seen:
    return Seen(at, "breach", days)


def good(at: datetime, days: int = 1) -> Seen:
    return Seen(at, "good", days)


def silence(at: datetime) -> Seen:
    return Seen(at, "no_data")


def test_it_fires_once_it_has_been_wrong_for_long_enough() -> None:
    states, notices = lived(
        good(START), breach(START + DAY, 1), breach(START + 2 * DAY, 2), breach(START + 3 * DAY, 3), terms=Terms(2)
    )
    assert states == [State.OK, State.PENDING, State.FIRING, State.FIRING]
    assert notices == [None, None, "fired", None]


def test_what_passes_before_that_is_never_told() -> None:
    states, notices = lived(breach(START, 1), good(START + DAY), breach(START + 2 * DAY, 1), terms=Terms(2))
    assert states == [State.PENDING, State.OK, State.PENDING]
    assert set(notices) == {None}


def test_it_is_resolved_after_enough_good_days_and_ok_a_day_later() -> None:
    states, notices = lived(
        breach(START),
        good(START + DAY, 1),
        good(START + 2 * DAY, 2),
        good(START + 2 * DAY + HOUR, 2),
        good(START + 3 * DAY, 3),
        terms=Terms(resolve_after_days=2),
    )
    assert states == [State.FIRING, State.FIRING, State.RESOLVED, State.RESOLVED, State.OK]
    assert notices == ["fired", None, "resolved", None, None]


def test_a_lack_of_data_resolves_nothing() -> None:
    states, notices = lived(silence(START), breach(START + DAY), silence(START + 2 * DAY), good(START + 3 * DAY))
    assert states == [State.NO_DATA, State.FIRING, State.FIRING, State.RESOLVED]
    assert notices == [None, "fired", None, "resolved"]


def test_reminders_and_the_escalation_come_while_nobody_acknowledges() -> None:
    terms = Terms(remind_after=24 * HOUR, escalate_after=4 * HOUR)
    hours = (0, 3, 4, 5, 27, 28, 29, 52)
    _, notices = lived(*(breach(START + hour * HOUR) for hour in hours), terms=terms)
    assert notices == ["fired", None, "escalated", None, None, "reminder", None, "reminder"]


def test_nothing_is_said_of_an_acknowledged_alert_until_it_is_resolved() -> None:
    terms = Terms(remind_after=HOUR, escalate_after=HOUR)
    existing, _ = step(Status(), breach(START), terms)
    existing = acknowledge(existing, START + HOUR)
    existing, notice = step(existing, breach(START + 9 * HOUR), terms)
    assert (existing.state, notice) == (State.ACKNOWLEDGED, None)
    existing, notice = step(existing, good(START + DAY), terms)
    assert (existing.state, notice) == (State.RESOLVED, "resolved")


def test_an_alert_that_flaps_is_held_until_it_has_been_good_for_days() -> None:
    there_and_back = [sight(START + day * DAY) for day, sight in enumerate([breach, good] * (FLAPPING - 1) + [breach])]
    end = START + len(there_and_back) * DAY
    states, notices = lived(*there_and_back, *(good(end + (day - 1) * DAY, day) for day in range(1, HELD_FOR_DAYS + 1)))
    assert states[-HELD_FOR_DAYS - 1 :] == [State.FIRING] * HELD_FOR_DAYS + [State.RESOLVED]
    assert notices.count("fired") == FLAPPING
    assert notices.count("resolved") == FLAPPING


class Life(RuleBasedStateMachine):
    """Anything may be seen at any time, and acknowledged by anybody: what is told stays true and is told once."""

    def __init__(self) -> None:
        super().__init__()
        self.existing = Status()
        self.now = START
        self.told: list[tuple[datetime, Notice]] = []
        self.acknowledged = False

    @initialize(
        for_days=st.integers(1, 3),
        resolve=st.integers(1, 3),
        remind=st.none() | st.integers(1, 48),
        escalate=st.none() | st.integers(1, 48),
    )
    def choose(self, for_days: int, resolve: int, remind: int | None, escalate: int | None) -> None:
        self.terms = Terms(for_days, resolve, remind and remind * HOUR, escalate and escalate * HOUR)

    @rule(hours=st.integers(0, 60), result=st.sampled_from(["breach", "good", "no_data"]), days=st.integers(1, 5))
    def see(self, hours: int, result: str, days: int) -> None:
        self.now += hours * HOUR
        seen = Seen(self.now, result, days)  # type: ignore[arg-type]
        before = self.existing
        self.existing, notice = step(before, seen, self.terms)
        assert step(before, seen, self.terms) == (self.existing, notice)
        if notice:
            self.told.append((self.now, notice))
        self._told_what_happened(before, seen, notice)

    def _told_what_happened(self, before: Status, seen: Seen, notice: Notice | None) -> None:
        was, is_raised = before.state in RAISED, self.existing.state in RAISED
        assert (notice == "fired") is (is_raised and not was)
        assert (notice == "resolved") is (was and not is_raised)
        if notice == "fired":
            assert (seen.result, seen.days >= self.terms.for_days) == ("breach", True)
            self.acknowledged = False
        if notice == "resolved":
            needed = max(self.terms.resolve_after_days, HELD_FOR_DAYS if before.is_flapping(self.now) else 0)
            assert (seen.result, seen.days >= needed) == ("good", True)
        if notice in ("reminder", "escalated"):
            assert not self.acknowledged
            assert is_raised
        if notice == "reminder":
            assert self.terms.remind_after
            assert self.now - self.told[-2][0] >= self.terms.remind_after

    @precondition(lambda self: self.existing.state is State.FIRING)
    @rule()
    def acknowledge(self) -> None:
        self.existing = acknowledge(self.existing, self.now)
        self.acknowledged = True

    @invariant()
    def an_incident_begins_ends_and_escalates_once(self) -> None:
        notices = [notice for _, notice in self.told]
        ends = [notice for notice in notices if notice in ("fired", "resolved")]
        assert ends == (["fired", "resolved"] * len(ends))[: len(ends)]
        assert notices.count("fired") == self.existing.incident
        since_fired = notices[len(notices) - notices[::-1].index("fired") :] if "fired" in notices else []
        assert since_fired.count("escalated") <= 1

    @invariant()
    def only_an_acknowledged_alert_is_acknowledged(self) -> None:
        assert self.existing.state is not State.ACKNOWLEDGED or self.acknowledged


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_life = Life.TestCase
