"""Whether what came in on a day is out of the usual: a robust seasonal expectation of each metric of the input.

Per series (tenant, event type, metric) and day, from the days before it alone; docs/decisions/anomalies.md says why so.
`parley.analytics.analyses` reads the metrics and stores what is found.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import class_row

from parley.analytics.scales import SCALES, Scale
from parley.errors import ParleyError
from parley.warehouse import database
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

Array = NDArray[np.float64]

EVERY_TYPE = "*"
LEVEL_DAYS = 14  # the level follows the median of so many days, and has a lasting change after half of them
NORMAL_MAD = 1.4826  # standard deviation over median absolute deviation, of normal deviations
MONTHS = 12
LEAST_MONTHS = 3  # of which a day of the month is known
FIRST = date(1970, 1, 1)
MOST_AT_ONCE = 20_000  # days of series that are computed together: some 10 MB for each of a few arrays


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of `seeds/anomaly_settings.csv`, which `parley.build.definitions` has checked."""

    tenant_id: str
    event_name: str
    metric: str
    direction: str
    threshold: float
    min_volume: float
    min_change: float
    training_days: int
    min_training_days: int


class Settings:
    """All settings, of which the most particular one that fits a series holds: by tenant, then by event type."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        names = [each.name for each in fields(Setting)]
        settings = [Setting(**{name: row[name] for name in names}) for row in rows]
        self._by_key = {(setting.tenant_id, setting.event_name, setting.metric): setting for setting in settings}

    @property
    def longest_training(self) -> int:
        """Days before a day that any series learns from."""
        return max((setting.training_days for setting in self._by_key.values()), default=0)

    def of(self, tenant_id: str, event_name: str, metric: str) -> Setting | None:
        """The setting of a series, or None where its metric is not checked."""
        for tenant in (tenant_id, EVERY_TENANT):
            for event in (event_name, EVERY_TYPE):
                if setting := self._by_key.get((tenant, event, metric)):
                    return setting
        return None


@dataclass(frozen=True, slots=True)
class Series:
    """A metric of an event type of a tenant, day by day without a gap.

    `observed` is nan on days without a value; `base` is the number of events or lines it was taken from. Arrays have
    shape (days,).
    """

    scale: Scale
    start: int
    """Days from 1970-01-01 to the first day."""
    observed: Array
    base: Array
    is_holiday: NDArray[np.bool_]
    first: int = 0
    """Place of the first day to check; those before it are only learned from."""
    residuals: Mapping[int, float] = field(default_factory=dict)
    """`Detection.residual` of earlier days, by their days from 1970-01-01."""

    @property
    def learned(self) -> Array:
        """What is learned from: holidays say nothing about other days."""
        return np.where(self.is_holiday, np.nan, self.observed)

    @property
    def checked(self) -> slice:
        """The places of the days to check."""
        return slice(self.first, None)


@dataclass(frozen=True, slots=True)
class Detection:
    """What was expected of each day to check, and what to think of the day: arrays of shape (days,)."""

    residual: Array
    """Of counts, on their scale: what is beyond the expectation for any day of the month. nan on holidays and before
    training."""
    expected: Array
    lower: Array
    upper: Array
    score: Array
    training_days: NDArray[np.int64]
    is_trained: NDArray[np.bool_]
    has_volume: NDArray[np.bool_]
    is_anomaly: NDArray[np.bool_]
    is_critical: NDArray[np.bool_]


def detect(series: Sequence[Series], settings: Sequence[Setting]) -> list[Detection]:
    """Hold each day to check of each series against what the days before it let expect.

    On a scale on which the usual deviation does not depend on the size: each weekday's median; of what is left, the
    trend, from the medians of its newer and its older half; the level, the median of the last fortnight carried along
    the trend; the spread, the scaled median absolute deviation, or that of pure chance if it is greater.

    The settings, one of each series, have the same `training_days`: what is expected is computed for all at once.
    """
    window = settings[0].training_days
    anchors = [_anchors(each, window) for each in series]
    pasts = [
        _to_scale(each.scale, _before(each.learned, window)[each.checked], anchor[:, None])
        for each, anchor in zip(series, anchors, strict=True)
    ]
    ends = np.cumsum([len(past) for past in pasts])[:-1]
    expectations = zip(*(np.split(of_all, ends) for of_all in _expectation(np.concatenate(pasts))), strict=True)
    return [_detected(*each) for each in zip(series, settings, anchors, expectations, strict=True)]


def _detected(
    series: Series, setting: Setting, anchor: Array, expectation: tuple[Array, Array, NDArray[np.int64]]
) -> Detection:
    observed, base = series.observed[series.checked], series.base[series.checked]
    is_holiday = series.is_holiday[series.checked]
    value = _to_scale(series.scale, observed, anchor)
    expected, spread, count = expectation
    is_trained = (count >= setting.min_training_days) & np.isfinite(expected)
    expected = np.where(is_trained, expected, np.nan)
    residual = np.where(is_holiday | (series.scale != "count"), np.nan, value - expected)
    if series.scale == "count":
        expected = expected + _days_of_month(residual, series.start + series.first, series.residuals)
    spread = np.maximum(spread, _chance(series.scale, expected, base))

    score = _apart(series.scale, value, expected) / spread
    likely = _from_scale(series.scale, expected, anchor)
    lower = _from_scale(series.scale, expected - setting.threshold * spread, anchor)
    upper = _from_scale(series.scale, expected + setting.threshold * spread, anchor)
    volume = np.fmax(observed, likely) if series.scale == "count" else base
    has_volume = volume >= setting.min_volume
    minded = {"up": score > 0, "down": score < 0, "both": score != 0}[setting.direction]
    is_anomaly = (
        is_trained
        & ~is_holiday
        & has_volume
        & minded
        & (np.abs(score) >= setting.threshold)
        & (_change(series.scale, observed, likely) >= setting.min_change)
    )
    is_critical = (np.abs(score) >= 2 * setting.threshold) | ((series.scale == "count") & (observed == 0))
    return Detection(
        residual, likely, lower, upper, score, count, is_trained, has_volume, is_anomaly, is_anomaly & is_critical
    )


def _before(values: Array, window: int) -> Array:
    """Of each day the days before it, the newest first: shape (days, window), nan before the first day."""
    padded = np.concatenate([np.full(window, np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, window)[: len(values), ::-1]


def _median(values: Array) -> Array:
    """The median along the last axis of what is not nan; nan where nothing is."""
    ordered = np.sort(values, axis=-1)  # nan goes to the end
    count = np.count_nonzero(~np.isnan(values), axis=-1)
    middles = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=-1)
    middles = np.minimum(middles, values.shape[-1] - 1)
    low, high = np.moveaxis(np.take_along_axis(ordered, middles, axis=-1), -1, 0)
    return np.where(count > 0, (low + high) / 2, np.nan)


def _expectation(past: Array) -> tuple[Array, Array, NDArray[np.int64]]:
    """From the days before each day (shape (days, window), the newest first): what it is expected to be, the usual
    deviation from that, and the number of days learned from."""
    days, window = past.shape
    weeks = -(-window // 7)
    padded = np.full((days, weeks * 7), np.nan)
    padded[:, :window] = past
    by_weekday = padded.reshape(days, weeks, 7)  # the last of the seven is the weekday of the day itself
    usual = _median(by_weekday.swapaxes(1, 2))
    rest = (by_weekday - usual[:, None, :]).reshape(days, weeks * 7)[:, :window]

    ago = np.arange(1.0, window + 1)
    half = window // 2
    known = ~np.isnan(rest)
    newer, older = _mean_age(known[:, :half], ago[:half]), _mean_age(known[:, half:], ago[half:])
    daily = np.nan_to_num((_median(rest[:, :half]) - _median(rest[:, half:])) / (older - newer))
    today = rest + daily[:, None] * ago
    middle = _median(today)
    recent = _median(today[:, :LEVEL_DAYS])
    level = np.where(np.isnan(recent), middle, recent)
    spread = NORMAL_MAD * _median(np.abs(today - middle[:, None]))
    return usual[:, 6] + level, spread, known.sum(axis=1)


def _mean_age(known: NDArray[np.bool_], ago: Array) -> Array:
    count = known.sum(axis=1)
    return np.where(count > 0, known @ ago / np.maximum(count, 1), np.nan)


def _days_of_month(residual: Array, start: int, earlier: Mapping[int, float]) -> Array:
    """What the same day of the last months had beyond expectation: of its quartiles the one nearer to nothing, and 0
    where they lie on both sides of it, or too few months are known."""
    effect = np.zeros(len(residual))
    known: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    for day, of_day in sorted(earlier.items()):
        known[_day_of_month(day)].append((day, of_day))
    for place, beyond in enumerate(residual):
        day = start + place
        same = known[_day_of_month(day)]
        months = np.array([value for other, value in same if day - other <= 366][-MONTHS:])
        months = months[~np.isnan(months)]
        if len(months) >= LEAST_MONTHS:
            low, high = np.quantile(months, (0.25, 0.75))
            effect[place] = max(low, 0.0) + min(high, 0.0)
        same.append((day, float(beyond)))
    return effect


def _day_of_month(day: int) -> int:
    return (FIRST + timedelta(days=day)).day


def _anchors(series: Series, window: int) -> Array:
    """The mean time of the days before each day, taken on the circle: times of day are compared as the way from it.

    0 on every other scale.
    """
    if series.scale != "clock":
        return np.zeros(len(series.observed[series.checked]))
    past = _before(series.learned * (np.pi / 12), window)[series.checked]
    sine: Array = np.nansum(np.sin(past), axis=1)
    cosine: Array = np.nansum(np.cos(past), axis=1)
    return np.arctan2(sine, cosine) * (12 / np.pi)


def _to_scale(scale: Scale, values: Array, anchor: Array) -> Array:
    """Counts and medians by their logarithm (asinh: ln 2x, but at home at 0), shares by the arcsine of the root."""
    if scale == "share":
        return np.arcsin(np.sqrt(values))
    if scale == "hours":
        return values
    if scale == "clock":
        return (values - anchor + 12) % 24 - 12
    return np.arcsinh(values)


def _from_scale(scale: Scale, values: Array, anchor: Array) -> Array:
    """Back again; what leaves the scale ends at the least or greatest value there is."""
    if scale == "count":
        return np.maximum(np.sinh(values), 0)
    if scale == "share":
        return np.sin(np.clip(values, 0, np.pi / 2)) ** 2
    if scale == "hours":
        return np.clip(values, 0, 24)
    if scale == "clock":
        return (values + anchor) % 24
    return np.sinh(values)


def _apart(scale: Scale, value: Array, expected: Array) -> Array:
    difference = value - expected
    return (difference + 12) % 24 - 12 if scale == "clock" else difference


def _change(scale: Scale, observed: Array, expected: Array) -> Array:
    """How far it is from what was expected: relative for counts and medians, absolute for shares and hours."""
    if scale in ("share", "hours", "clock"):
        return np.abs(_apart(scale, observed, expected))
    difference = np.abs(observed - expected)
    return np.divide(difference, np.abs(expected), out=np.full_like(difference, np.inf), where=expected != 0)


def _chance(scale: Scale, expected: Array, base: Array) -> Array:
    """The deviation that chance alone brings: Poisson's of counts, the binomial one of shares, and a floor for what
    some quiet weeks make look too steady."""
    if scale == "count":
        return np.maximum(1 / np.sqrt(np.maximum(np.sinh(expected), 1)), 0.05)
    if scale == "share":
        return np.maximum(0.5 / np.sqrt(np.maximum(base, 1)), 0.01)
    return np.full(len(base), {"hours": 0.5, "clock": 0.2, "value": 0.05}[scale])


Row = dict[str, Any]


def goes_on(metric: str) -> bool:
    """Whether a day without a value is one of 0: that of a count is."""
    return SCALES.get(metric) == "count"


def end(metric: str, setting: Setting | None, last: date | None, last_day: date) -> date | None:
    """The last day of a series to check, by its last day with a value; None where it is none to check."""
    if setting is None or last is None:
        return None
    return min(last + timedelta(days=setting.training_days), last_day) if goes_on(metric) else last


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a tenant's series before the first day to check, by event type and metric."""

    since: date
    begins: Mapping[tuple[str, str], date]
    """The first day of each."""
    residuals: Mapping[tuple[str, str], Mapping[int, float]]
    """As `Series.residuals`, of a year."""


def find(
    metrics: Iterable[Row],
    settings: Settings,
    holidays: Iterable[tuple[str, date]],
    last_day: date,
    known: Known | None = None,
) -> Iterator[Row]:
    """Rows of `ops.input_anomalies` from those of a tenant in `marts.input_metrics`, in order of series and date.

    Days up to `last_day`, the tenant's last one that is over, are checked; a count goes on, at 0, as long as there is
    something to learn from. `holidays` are pairs of tenant (`*` for all) and date. With `known` the days before its
    first one are not checked, and `metrics` need go back from it no further than the days that are learned from.
    """
    days_off = set(holidays)
    key = ("tenant_id", "event_name", "metric")
    batch: list[tuple[Row, Series, Setting]] = []
    days = 0
    for (tenant_id, event_name, metric), rows in groupby(metrics, lambda row: tuple(row[name] for name in key)):
        setting = settings.of(tenant_id, event_name, metric)
        observations = [row for row in rows if row["date"] <= last_day]
        if not setting or not observations:
            continue
        series = _series(observations, setting, days_off, last_day, known)
        length = len(series.observed[series.checked])
        if not length:
            continue
        if days > MOST_AT_ONCE or (batch and batch[-1][2].training_days != setting.training_days):
            yield from _found(batch)
            batch, days = [], 0
        days += length
        batch.append(({"tenant_id": tenant_id, "event_name": event_name, "metric": metric}, series, setting))
    yield from _found(batch)


def _found(batch: Sequence[tuple[Row, Series, Setting]]) -> Iterator[Row]:
    if batch:
        names, series, settings = zip(*batch, strict=True)
        for found in zip(names, series, detect(series, settings), strict=True):
            yield from _rows(*found)


def _series(
    rows: Sequence[Row], setting: Setting, days_off: set[tuple[str, date]], last_day: date, known: Known | None
) -> Series:
    name = (rows[0]["event_name"], rows[0]["metric"])
    scale = SCALES[rows[0]["metric"]]
    first, last = rows[0]["date"], rows[-1]["date"]
    if known:
        first = max(known.begins[name], known.since - timedelta(days=setting.training_days))
        rows = [row for row in rows if row["date"] >= first]
    last = end(rows[0]["metric"], setting, last, last_day) or last
    length = max((last - first).days + 1, 0)
    observed = np.full(length, 0.0 if scale == "count" else np.nan)
    base = np.zeros(length)
    for row in rows:
        place = (row["date"] - first).days
        observed[place], base[place] = row["observed"], row["base"]
    is_holiday = np.zeros(length, dtype=bool)
    if scale in ("count", "hours", "clock"):
        for tenant, day in days_off:
            if tenant in (EVERY_TENANT, rows[0]["tenant_id"]) and first <= day <= last:
                is_holiday[(day - first).days] = True
    return Series(
        scale,
        (first - FIRST).days,
        observed,
        base,
        is_holiday,
        max((known.since - first).days, 0) if known else 0,
        known.residuals.get(name, {}) if known else {},
    )


def _rows(key: Mapping[str, str], series: Series, detection: Detection) -> Iterator[Row]:
    observed, is_holiday = series.observed[series.checked], series.is_holiday[series.checked]
    for place in np.flatnonzero(~np.isnan(observed)):
        score = _number(detection.score[place])
        reason = None
        if not detection.is_trained[place]:
            reason = "training"
        elif is_holiday[place]:
            reason = "holiday"
        elif not detection.has_volume[place]:
            reason = "low_volume"
        severity = None
        if detection.is_anomaly[place]:
            severity = "critical" if detection.is_critical[place] else "warning"
        yield {
            **key,
            "date": FIRST + timedelta(days=series.start + series.first + int(place)),
            "observed": float(observed[place]),
            "expected": _number(detection.expected[place]),
            "lower": _number(detection.lower[place]),
            "upper": _number(detection.upper[place]),
            "score": score,
            "direction": None if not score else "up" if score > 0 else "down",
            "is_anomaly": severity is not None,
            "severity": severity,
            "training_days": int(detection.training_days[place]),
            "reason": reason,
            "residual": _number(detection.residual[place]),
        }


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A row of `marts.input_anomalies` that is an anomaly."""

    tenant_id: str
    date: date
    event_name: str
    metric: str
    observed: float
    expected: float
    direction: str
    severity: str
    score: float
    details: str | None


def newest(connection: Connection, tenant_id: str | None = None, days: int = 7) -> list[Anomaly]:
    """The anomalies of the last so many days that are over, of a tenant or of all; the newest and gravest first.

    Raises ParleyError where nothing has been built yet.
    """
    if not database.has(connection, "marts.input_anomalies"):
        raise ParleyError("Nothing has been checked yet: land events with `parley load` and run `parley build`.")
    with connection.cursor(row_factory=class_row(Anomaly)) as cursor:
        return cursor.execute(
            """
            select tenant_id, date, event_name, metric, observed, expected, direction, severity, score, details
            from marts.input_anomalies
            where
                is_anomaly
                and (%(tenant)s::text is null or tenant_id = %(tenant)s)
                and date > (
                    select (max(as_of) at time zone 'UTC')::date - 1 - %(days)s::integer from ops.builds
                )
            order by date desc, severity, abs(score) desc, tenant_id, event_name, metric
            """,
            {"tenant": tenant_id, "days": days},
        ).fetchall()
