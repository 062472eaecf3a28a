"""Whether a series breaks a rule: rows computed by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from parley.alerts.conditions import Evaluation, evaluate, evaluate_silence
from parley.alerts.messages import describe
from parley.alerts.metrics import Point, Series, Tenant
from parley.alerts.rules import Rule

LAST = date(2026, 11, 20)  # a Friday


def rule(condition: str, threshold: float, **given: Any) -> Rule:
    return Rule("mine", "*", given.pop("metric", "daily_metrics.rate"), condition, "Mine", threshold=threshold, **given)  # type: ignore[arg-type]


def days(*values: float | None, volume: float | None = None) -> Series:
    """The last of these is of the last day; None is a day without a row."""
    return {
        LAST - timedelta(days=back): Point(value, volume)
        for back, value in enumerate(reversed(values))
        if value is not None
    }


def fridays(*values: float) -> Series:
    return {LAST - timedelta(weeks=back): Point(value) for back, value in enumerate(reversed(values))}


def test_the_threshold_itself_is_allowed() -> None:
    assert evaluate(rule("above", 0.5), days(0.5), LAST).result == "good"
    assert evaluate(rule("above", 0.5), days(0.51), LAST).result == "breach"
    assert evaluate(rule("below", 0.5), days(0.5), LAST).result == "good"
    assert evaluate(rule("below", 0.5), days(0.49), LAST).result == "breach"


def test_days_in_a_row_are_counted_over_days_that_say_nothing() -> None:
    found = evaluate(rule("above", 0.5, for_days=3), days(0.1, 0.6, 0.7, None, 0.8), LAST)
    assert (found.result, found.days, found.since) == ("breach", 3, LAST - timedelta(days=3))
    found = evaluate(rule("above", 0.5, for_days=3), days(0.9, 0.1, 0.2), LAST)
    assert (found.result, found.days, found.observed) == ("good", 2, 0.2)


def test_a_last_day_without_a_row_or_with_too_little_says_nothing() -> None:
    assert evaluate(rule("above", 0.5), days(0.9, None), LAST).result == "no_data"
    least = rule("above", 0.5, volume="total", min_volume=50)
    assert evaluate(least, days(0.9, volume=49), LAST).result == "no_data"
    assert evaluate(least, days(0.9, volume=50), LAST).result == "breach"


def test_a_change_is_measured_against_the_median_of_the_same_weekdays() -> None:
    # the median of 0.5, 0.6, 0.7 and 0.1 is 0.55: 20 % under it is 0.44
    falls = rule("falls_by", 20)
    found = evaluate(falls, fridays(0.1, 0.7, 0.6, 0.5, 0.43), LAST)
    assert (found.result, found.expected) == ("breach", pytest.approx(0.55))
    assert evaluate(falls, fridays(0.1, 0.7, 0.6, 0.5, 0.45), LAST).result == "good"
    rises = rule("rises_by", 20)
    assert evaluate(rises, fridays(0.1, 0.7, 0.6, 0.5, 0.67), LAST).result == "breach"
    assert evaluate(rises, fridays(0.1, 0.7, 0.6, 0.5, 0.65), LAST).result == "good"


def test_a_change_needs_two_weekdays_and_something_to_compare_with() -> None:
    assert evaluate(rule("falls_by", 20), fridays(0.6, 0.1), LAST).result == "no_data"
    assert evaluate(rule("falls_by", 20), fridays(0.6, 0.6, 0.1), LAST).result == "breach"
    assert evaluate(rule("falls_by", 20, weeks=1), fridays(0.6, 0.1), LAST).result == "breach"
    assert evaluate(rule("rises_by", 20), fridays(0, 0, 0.1), LAST).result == "no_data"


def test_silence_is_counted_in_complete_days_or_in_hours() -> None:
    now = datetime(2026, 11, 21, 6, tzinfo=UTC)
    tenant = Tenant("shop", LAST, now - timedelta(hours=47))
    for threshold, result in ((48, "good"), (47, "breach")):
        assert evaluate_silence(rule("silent_hours", threshold), {}, tenant, now).result == result
    heard = days(3, None, None)
    found = evaluate_silence(rule("silent_days", 2), heard, tenant, now)
    assert (found.result, found.observed, found.since) == ("breach", 2, LAST - timedelta(days=2))
    assert evaluate_silence(rule("silent_days", 3), heard, tenant, now).result == "good"


def test_days_on_which_nothing_happened_are_silent() -> None:
    tenant = Tenant("shop", LAST, datetime(2026, 11, 21, 6, tzinfo=UTC))
    empty = {LAST - timedelta(days=back): Point(0, happened=False) for back in range(2)}
    heard = {**empty, LAST - timedelta(days=2): Point(3)}
    assert evaluate_silence(rule("silent_days", 2), heard, tenant, tenant.last_event_at).observed == 2
    quiet = {LAST: Point(0)}  # a rate of 0 is of something
    assert evaluate_silence(rule("silent_days", 2), quiet, tenant, tenant.last_event_at).observed == 0


def test_what_was_seen_is_said_in_plain_words() -> None:
    falls = rule("falls_by", 20)
    found = evaluate(falls, fridays(0.5, 0.5, 0.4), LAST)
    assert describe(falls, "shop", found) == (
        "daily_metrics.rate of shop was 0.4 on 2026-11-20, -20% against the 0.5 usual on a Friday; "
        "the rule allows -20 %."
    )
    above = rule("above", 3000)
    found = evaluate(above, days(3500, 4200.4), LAST)
    assert describe(above, "shop", found) == (
        "daily_metrics.rate of shop was 4,200 on 2026-11-20; the rule allows at most 3,000. It has been so for 2 days."
    )
    of_weeks = rule("below", 0.3, filter=(("period", "week"),))
    found = evaluate(of_weeks, days(0.2), LAST)
    assert describe(of_weeks, "shop", found) == (
        "daily_metrics.rate, period = week of shop was 0.2 in the last whole week up to 2026-11-20; "
        "the rule allows at least 0.3."
    )
    silent = rule("silent_hours", 2, metric="events")
    tenant = Tenant("shop", LAST, datetime(2026, 11, 21, 6, tzinfo=UTC))
    found = evaluate_silence(silent, {}, tenant, datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
    assert describe(silent, "shop", found) == (
        "shop has had no events for 3.5 hours, since 2026-11-21 06:00 UTC; the rule allows 2."
    )
    unusual = rule("anomaly", 0)
    found = Evaluation("breach", observed=1, day=LAST, note="(all) events down")
    assert describe(unusual, "shop", found) == "shop had an anomaly in its input on 2026-11-20: (all) events down."
