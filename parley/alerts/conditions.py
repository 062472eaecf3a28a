"""Whether a tenant's series breaks a rule, and for how many days: pure, without a database."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median

from parley.alerts.metrics import LANDINGS, Point, Series, Tenant
from parley.alerts.rules import COMPARING, Rule
from parley.alerts.states import HELD_FOR_DAYS, Result

WEEK = timedelta(days=7)
FEWEST_WEEKDAYS = 2
"""Same weekdays that a comparison needs."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is said of a series on its last complete day."""

    result: Result
    days: int = 1
    """Evaluated days in a row with this result, up to the last."""
    observed: float | None = None
    expected: float | None = None
    """The threshold, or what the same weekdays had."""
    day: date | None = None
    since: date | None = None
    """The first of these days; of hours of silence the time (UTC) since when."""
    note: str | None = None


def days_back(rule: Rule) -> int:
    """How many days of a series an evaluation reads."""
    return _span(rule) + (7 * rule.weeks if rule.condition in COMPARING else 0)


def evaluate(rule: Rule, series: Series, last_day: date) -> Evaluation:
    """Evaluate the last day, and count the days before it of which the same is true."""
    today, expected = _day(rule, series, last_day)
    point = series.get(last_day, Point(None))
    since, days = last_day, 0
    for day in _backwards(last_day, _span(rule)):
        result, _ = _day(rule, series, day)
        if result == today and result != "no_data":
            since, days = day, days + 1
        elif result != "no_data":
            break
    return Evaluation(today, max(days, 1), point.value, expected, last_day, since, point.note)


def evaluate_silence(rule: Rule, series: Series, tenant: Tenant, as_of: datetime) -> Evaluation:
    """Evaluate how long nothing has come; `observed` is in days or hours, as the rule is."""
    since: date
    if rule.condition == "silent_hours" or rule.metric == LANDINGS:
        last = tenant.last_landed_at if rule.metric == LANDINGS else tenant.last_event_at
        heard_at = last or as_of - timedelta(days=days_back(rule))
        silent = (as_of - heard_at) / timedelta(hours=1 if rule.condition == "silent_hours" else 24)
        since = heard_at.astimezone(UTC)
    else:
        heard = [
            day
            for day, point in series.items()
            if point.value is not None and point.happened and day <= tenant.last_day
        ]
        since = max(heard, default=tenant.last_day - timedelta(days=days_back(rule)))
        silent = (tenant.last_day - since).days
    result: Result = "breach" if silent >= rule.threshold else "good"
    return Evaluation(result, 1, silent, rule.threshold, tenant.last_day, since)


def _span(rule: Rule) -> int:
    """Days to look back for a row of equal results: twice what could matter, as days without one do not count."""
    if rule.condition == "silent_days":
        return int(rule.threshold) + 1
    return 2 * max(rule.for_days, rule.resolve_after_days, HELD_FOR_DAYS)


def _backwards(last: date, days: int) -> Iterator[date]:
    return (last - timedelta(days=back) for back in range(days))


def _day(rule: Rule, series: Series, day: date) -> tuple[Result, float | None]:
    """The result of a day, and what was expected of it."""
    value = _enough(rule, series.get(day))
    if value is None:
        return "no_data", None
    if rule.condition not in COMPARING:
        wrong = value < rule.threshold if rule.condition == "below" else value > rule.threshold
        return ("breach" if wrong else "good"), rule.threshold
    before = [_enough(rule, series.get(day - week * WEEK)) for week in range(1, rule.weeks + 1)]
    known = [past for past in before if past is not None]
    if len(known) < min(FEWEST_WEEKDAYS, rule.weeks):
        return "no_data", None
    usual = median(known)
    if not usual:
        return "no_data", usual  # there is no percentage of nothing
    allowed = abs(usual) * rule.threshold / 100
    wrong = usual - value > allowed if rule.condition == "falls_by" else value - usual > allowed
    return ("breach" if wrong else "good"), usual


def _enough(rule: Rule, point: Point | None) -> float | None:
    """The day's value, None where too little happened to say one."""
    if point is None or (rule.min_volume and (point.volume is None or point.volume < rule.min_volume)):
        return None
    return point.value
