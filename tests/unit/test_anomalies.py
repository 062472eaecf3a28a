"""Anomalies of the input: against the oracle on random histories, by hand, and on faults put in on purpose."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from math import asinh, sinh, sqrt
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.anomalies import measure
from parley.analytics.anomalies import Row, Setting, Settings, find
from parley.analytics.scales import SCALES
from parley.build import definitions
from parley.config import seeds
from parley.errors import ParleyError
from tests.oracle import anomalies as oracle

MONDAY = date(2025, 1, 6)
SHIPPED = Setting("*", "*", "events", "both", 5, 30, 0.3, 56, 21)


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)


def detected(
    values: Sequence[float | None],
    setting: Setting = SHIPPED,
    days_off: Iterable[int] = (),
    base: int = 1000,
    until: int | None = None,
) -> dict[int, Row]:
    """What is found in a tenant's series, by number of the day; None is a day without a value."""
    rows = [
        {
            "tenant_id": "t",
            "event_name": "e",
            "metric": setting.metric,
            "date": day(number),
            "observed": value,
            "base": base,
        }
        for number, value in enumerate(values)
        if value is not None
    ]
    holidays = [("t", day(number)) for number in days_off]
    found = find(rows, Settings([vars_of(setting)]), holidays, day(len(values) - 1 if until is None else until))
    return {(row["date"] - MONDAY).days: row for row in found}


def vars_of(setting: Setting) -> dict[str, Any]:
    return {name: getattr(setting, name) for name in Setting.__dataclass_fields__}


def anomalies(rows: dict[int, Row]) -> list[int]:
    return [number for number, row in rows.items() if row["is_anomaly"]]


@pytest.mark.parametrize("metric", ["events", "late_share", "median_revenue", "silent_hours", "mean_hour"])
@pytest.mark.parametrize("seed", range(4))
def test_random_histories_score_as_the_oracle_says(metric: str, seed: int) -> None:
    random = Random(seed)
    draw = {
        "count": lambda: random.choice((0, 3, 40, 55, 1000)),
        "share": lambda: random.choice((0, 0.1, 0.5, 1)),
        "value": lambda: random.choice((-5, 0, 80, 90)),
        "hours": lambda: random.choice((0, 1, 8, 24)),
        "clock": lambda: random.choice((22, 23.5, 0.5, 2)) + random.random() * 0.1,
    }[SCALES[metric]]
    setting = replace(SHIPPED, metric=metric, training_days=random.choice((21, 30, 56)), min_training_days=10)
    known = {day(number): float(draw()) for number in range(430) if metric == "events" or random.random() < 0.8}
    off = set(random.sample(range(430), 12))
    found = detected([known.get(day(number)) for number in range(430)], setting, off)
    days_off = {day(number) for number in off} if SCALES[metric] in ("count", "hours", "clock") else set()
    expected = {
        number: oracle.score(setting, known, dict.fromkeys(known, 1000), day(number), days_off)
        for number in range(0, 430, 7)
        if day(number) in known
    }
    assert {number: found[number]["score"] for number in expected} == pytest.approx(expected, abs=1e-9, nan_ok=False)
    assert any(expected.values())


def test_a_weekday_is_held_against_its_own_kind() -> None:
    weeks = [200, 210, 190, 205, 195, 50, 40] * 8
    found = detected([*weeks, 200, 210, 190, 205, 195, 50, 200])
    assert anomalies(found) == [62]
    sunday = found[62]
    assert (sunday["expected"], sunday["direction"], sunday["reason"]) == (pytest.approx(40), "up", None)
    # nothing ever deviated, so chance alone has a say: 1/√40 on the logarithmic scale
    bounds = [sinh(asinh(40) + direction * 5 / sqrt(40)) for direction in (-1, 1)]
    assert [sunday["lower"], sunday["upper"]] == pytest.approx(bounds)


def test_growth_is_expected_and_a_bad_week_is_forgotten() -> None:
    growing = [1000 * 1.01**number for number in range(120)]
    assert anomalies(detected(growing)) == []
    broken = [0 if 80 <= number < 84 else value for number, value in enumerate(growing)]
    found = detected(broken)
    assert anomalies(found) == [80, 81, 82, 83]
    assert {row["severity"] for row in found.values() if row["is_anomaly"]} == {"critical"}
    assert found[100]["expected"] == pytest.approx(growing[100], rel=0.03)


def test_a_type_that_falls_silent_counts_zero_until_nothing_is_left_to_learn_from() -> None:
    found = detected([100] * 60, until=1000)
    assert list(found) == list(range(60 + 56))
    assert (found[60]["observed"], found[60]["severity"]) == (0, "critical")
    assert anomalies(found)[-1] < 60 + 28  # by then silence is the usual
    assert max(detected([100] * 60, until=64)) == 64
    assert max(detected([100] * 60, until=50)) == 50


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        (SHIPPED, 0, None),
        (replace(SHIPPED, min_volume=101), 0, "low_volume"),
        (replace(SHIPPED, min_training_days=42), 0, "training"),
        (replace(SHIPPED, direction="up"), 0, None),
        (replace(SHIPPED, min_change=1.5), 0, None),
        (replace(SHIPPED, threshold=60), 0, None),
    ],
)
def test_settings_say_what_is_an_anomaly(setting: Setting, value: float, reason: str | None) -> None:
    found = detected([*[100] * 41, value], setting)[41]
    assert found["reason"] == reason
    assert found["is_anomaly"] is (setting == SHIPPED)


def test_a_holiday_is_neither_checked_nor_learned_from() -> None:
    values = [0 if number % 7 == 4 else 100 for number in range(56)]
    off = [number for number in range(56) if number % 7 == 4]
    assert anomalies(detected([*values, *[100] * 4, 0], days_off=[*off, 60])) == []
    assert detected([*values, *[100] * 4, 0], days_off=[*off, 60])[60]["reason"] == "training"
    assert detected([*[100] * 60, 0], days_off=[60])[60]["reason"] == "holiday"
    shares = replace(SHIPPED, metric="late_share")
    assert anomalies(detected([*[0.0] * 60, 1.0], shares, days_off=[60])) == [60]


def test_a_pay_day_is_expected_once_three_months_have_shown_it() -> None:
    values = [300 if day(number).day == 25 else 100 for number in range(400)]
    found = detected(values)
    assert [day(number).month for number in anomalies(found)] == [2, 3, 4]
    assert found[(date(2025, 12, 25) - MONDAY).days]["expected"] == pytest.approx(300)


def test_midnight_is_near_to_itself() -> None:
    clock = replace(SHIPPED, metric="mean_hour", min_change=1)
    values = [23.9 if number % 2 else 0.1 for number in range(60)]
    assert anomalies(detected([*values, 0.2], clock)) == []
    found = detected([*values, 21.0], clock)
    assert anomalies(found) == [60]
    assert found[60]["direction"] == "down"


def test_the_most_particular_setting_holds() -> None:
    rows = [
        {**vars_of(SHIPPED), "tenant_id": tenant, "event_name": event, "threshold": threshold}
        for tenant, event, threshold in (("*", "*", 1), ("*", "e", 2), ("t", "*", 3), ("t", "e", 4))
    ]
    settings = Settings(rows)
    series = [("u", "f"), ("u", "e"), ("t", "f"), ("t", "e")]
    assert [setting.threshold for s in series if (setting := settings.of(*s, "events"))] == [1, 2, 3, 4]
    assert settings.of("t", "e", "users") is None


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("direction", "sideways"),
        ("metric", "evnts"),
        ("threshold", "-1"),
        ("min_training_days", "3"),
        ("min_volume", ""),
    ],
)
def test_a_wrong_setting_is_rejected_with_its_place(column: str, wrong: str, tmp_path: Path) -> None:
    seed = definitions.SEEDS["anomaly_settings"]
    file = tmp_path / "anomaly_settings.csv"
    values = {**vars_of(SHIPPED), column: wrong}
    file.write_text(f"{','.join(values)}\n{','.join(map(str, values.values()))}\n")
    with pytest.raises(ParleyError, match=f"anomaly_settings.csv, row 2, {column}: "):
        seeds.read(file, seed.columns, seed.key)


@pytest.mark.slow
def test_faults_are_found_and_quiet_input_raises_few_alarms() -> None:
    found = measure(tenants=2, seed=11)
    assert found["recall"] > 0.9
    assert found["false_alarm_days_per_tenant_and_month"] < 1
    assert found["precision"] > 0.8
