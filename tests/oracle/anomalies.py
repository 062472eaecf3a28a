"""What is expected of a day of the input, in plain Python: one day at a time, from the days before it."""

from collections.abc import Mapping
from datetime import date, timedelta
from math import asin, asinh, atan2, cos, pi, sin, sinh, sqrt
from statistics import mean, median, quantiles

from parley.analytics.anomalies import Setting
from parley.analytics.scales import SCALES

Values = Mapping[date, float]


def scaled(scale: str, value: float, anchor: float) -> float:
    """A value on the scale on which it is compared."""
    if scale == "share":
        return asin(sqrt(value))
    if scale == "hours":
        return value
    if scale == "clock":
        return around(value - anchor)
    return asinh(value)


def around(hours: float) -> float:
    """The way on a clock of 24 hours, from −12 up to 12."""
    return (hours + 12) % 24 - 12


def score(setting: Setting, values: Values, bases: Values, day: date, days_off: set[date]) -> float | None:
    """How many usual deviations the day is from what was expected; None where there are too few days to learn from."""
    scale = SCALES[setting.metric]
    found = expectation(setting, values, day, days_off)
    if found is None:
        return None
    expected, spread, anchor = found
    if scale == "count":
        expected += day_of_month(setting, values, day, days_off)
    chance = {
        "count": lambda: max(1 / sqrt(max(sinh(expected), 1)), 0.05),
        "share": lambda: max(0.5 / sqrt(max(bases[day], 1)), 0.01),
        "hours": lambda: 0.5,
        "clock": lambda: 0.2,
        "value": lambda: 0.05,
    }[scale]()
    difference = scaled(scale, values[day], anchor) - expected
    return (around(difference) if scale == "clock" else difference) / max(spread, chance)


def expectation(setting: Setting, values: Values, day: date, days_off: set[date]) -> tuple[float, float, float] | None:
    """Expected value and usual deviation on the scale, and the scale's anchor."""
    scale = SCALES[setting.metric]
    before = {
        ago: values[day - timedelta(days=ago)]
        for ago in range(1, setting.training_days + 1)
        if day - timedelta(days=ago) in values and day - timedelta(days=ago) not in days_off
    }
    if len(before) < setting.min_training_days or not any(ago % 7 == 0 for ago in before):
        return None
    anchor = 0.0
    if scale == "clock":
        angles = [hour * pi / 12 for hour in before.values()]
        anchor = atan2(sum(map(sin, angles)), sum(map(cos, angles))) * 12 / pi
    past = {ago: scaled(scale, value, anchor) for ago, value in before.items()}
    usual = {weekday: median(y for ago, y in past.items() if ago % 7 == weekday) for weekday in {a % 7 for a in past}}
    rest = {ago: y - usual[ago % 7] for ago, y in past.items()}
    newer = [ago for ago in rest if ago <= setting.training_days // 2]
    older = [ago for ago in rest if ago > setting.training_days // 2]
    daily = 0.0
    if newer and older:
        rise = median(rest[ago] for ago in newer) - median(rest[ago] for ago in older)
        daily = rise / (mean(older) - mean(newer))
    today = {ago: y + daily * ago for ago, y in rest.items()}
    middle = median(today.values())
    level = median([y for ago, y in today.items() if ago <= 14] or today.values())
    return usual[0] + level, 1.4826 * median(abs(y - middle) for y in today.values()), anchor


def day_of_month(setting: Setting, values: Values, day: date, days_off: set[date]) -> float:
    """What the same day of up to twelve months before had beyond expectation, by the more cautious quartile."""
    earlier = []
    for other in values:
        if other.day == day.day and 0 < (day - other).days <= 366 and other not in days_off:
            found = expectation(setting, values, other, days_off)
            if found:
                earlier.append(asinh(values[other]) - found[0])
    if len(earlier) < 3:
        return 0.0
    low, _, high = quantiles(earlier, n=4, method="inclusive")
    return max(low, 0.0) + min(high, 0.0)
