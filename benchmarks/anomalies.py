"""How well anomalies of the input are found: faults put into realistic series, on purpose.

    .venv/bin/python benchmarks/anomalies.py            # the figures of docs/decisions/anomalies.md
    .venv/bin/python benchmarks/anomalies.py --tenants 4 --seed 7
    .venv/bin/python benchmarks/anomalies.py --real     # on the real days of Online Retail, from ../shared/data

The series are those that `marts.input_metrics` holds, of tenants from 300 to 60,000 events a day: a rhythm of the
day and the week, growth, pay days, holidays, overdispersed noise that lasts over days, users, late events and lost ids,
duplicates and rejections. They are checked by the shipped settings. Of two years the second is looked at.
"""

import argparse
import csv
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parley.analytics.anomalies import Row, Settings, find
from parley.warehouse.names import EVERY_TENANT

PROJECT = Path(__file__).resolve().parents[1]
ONLINE_RETAIL = PROJECT / "../shared/data/online_retail.events.ndjson.gz"
START = date(2024, 1, 1)
DAYS = 730
CHECKED_FROM = 365
TOGETHER = "(all)"
TYPES = {  # share of a tenant's events, and what it measures: typical value
    "message.received": (0.24, None),
    "message.sent": (0.24, None),
    "ai.response": (0.20, 900.0),
    "conversation.started": (0.08, None),
    "conversation.resolved": (0.05, None),
    "kb.search": (0.06, 150.0),
    "ai.tool_call_completed": (0.05, 400.0),
    "commerce.view": (0.04, None),
    "commerce.order_completed": (0.01, None),
    "conversation.rated": (0.02, None),
    "conversation.escalated": (0.01, None),
}
FAULTS = ("drop", "spike", "duplicates", "rejections", "missing_type", "time_zone_shift", "null_flood", "late_flood")
METRICS = {  # those that a fault shows in
    "drop": {"events", "users", "silent_hours"},
    "spike": {"events", "users"},
    "duplicates": {"duplicate_share"},
    "rejections": {"rejected_share", "events"},
    "missing_type": {"events"},
    "time_zone_shift": {"mean_hour"},
    "null_flood": {"without_user_share", "without_session_share"},
    "late_flood": {"late_share"},
}


@dataclass(frozen=True)
class Fault:
    """What was done to a tenant's input, and from which day on for how long."""

    tenant_id: str
    kind: str
    event_name: str
    day: int
    days: int
    size: float


class Tenant:
    """A tenant's counts by day, type and hour: events of shape (days, types, 24)."""

    def __init__(self, number: int, random: np.random.Generator) -> None:
        self.tenant_id = f"tenant-{number}"
        self.random = random
        daily = float(np.exp(random.uniform(np.log(300), np.log(60_000))))
        weekend = random.uniform(0.25, 1.1)
        growth = random.uniform(-0.2, 0.9)  # a year
        days = np.arange(DAYS)
        weekday = (days + START.weekday()) % 7
        level = daily * np.exp(growth * days / 365) * np.where(weekday >= 5, weekend, 1) * (1 + 0.08 * (weekday == 0))
        pay_day = np.array([(START + timedelta(days=int(day))).day == 25 for day in days])
        level = level * np.where(pay_day, random.uniform(1, 1.5), 1)
        self.holidays = [
            START + timedelta(days=int(day))
            for day in days
            if (START + timedelta(days=int(day))).timetuple().tm_yday in (1, 121, 359, 360)
        ]
        is_holiday = np.isin(days, [(day - START).days for day in self.holidays])
        level = level * np.where(is_holiday, 0.3, 1)
        shared = lasting_noise(random, DAYS, random.uniform(0.04, 0.10))
        own = np.stack([lasting_noise(random, DAYS, random.uniform(0.03, 0.08)) for _ in TYPES], axis=1)
        mean = level[:, None] * np.array([share for share, _ in TYPES.values()]) * np.exp(shared[:, None] + own)
        self.hours = hours_of_day(random)
        wobble = random.gamma(200, 1 / 200, (DAYS, 1, 24))
        rates = mean[:, :, None] * (self.hours * wobble / (self.hours * wobble).sum(axis=2, keepdims=True))
        # negative binomial: Poisson of a gamma
        self.events = random.poisson(rates * random.gamma(60, 1 / 60, rates.shape)).astype(float)
        self.null_rates = random.choice([0.0, 0.02, 0.3], size=(3, len(TYPES)))
        self.null_factor = np.ones((3, DAYS, len(TYPES)))
        self.null_flood = np.zeros((DAYS, len(TYPES)))
        self.late = np.full((DAYS, len(TYPES)), random.uniform(0.001, 0.03))
        self.duplicates = random.uniform(0, 0.01) * random.gamma(10, 0.1, DAYS)
        self.rejected = random.uniform(0, 0.01) * random.gamma(10, 0.1, DAYS)

    def spoil(self, fault: Fault) -> None:
        """Do to the input what the fault says."""
        days = slice(fault.day, fault.day + fault.days)
        types = slice(None) if fault.event_name == TOGETHER else list(TYPES).index(fault.event_name)
        if fault.kind in ("drop", "missing_type", "rejections"):
            self.events[days, types] = self.random.binomial(self.events[days, types].astype(int), 1 - fault.size)
        if fault.kind == "spike":
            self.events[days, types] = self.random.poisson(self.events[days, types] * fault.size)
        if fault.kind == "duplicates":
            self.duplicates[days] += fault.size
        if fault.kind == "rejections":
            self.rejected[days] += fault.size
        if fault.kind == "time_zone_shift":
            self.events[days, types] = np.roll(self.events[days, types], int(fault.size), axis=-1)
        if fault.kind == "null_flood":
            self.null_flood[days, types] = fault.size
        if fault.kind == "late_flood":
            self.late[days, types] = fault.size

    def metrics(self) -> Iterator[Row]:
        """Rows as `marts.input_metrics` has them, in order of series and date."""
        random = self.random
        by_type = {name: self.events[:, number] for number, name in enumerate(TYPES)}
        by_type[TOGETHER] = self.events.sum(axis=1)
        for number, (name, hours) in enumerate(by_type.items()):
            events = hours.sum(axis=1)
            column = number if name != TOGETHER else slice(None)
            weight = self.events.sum(axis=2) if name == TOGETHER else None

            def blended(rates: NDArray[np.float64], weight: Any = weight, column: Any = column) -> Any:
                if weight is None:
                    return rates[:, column]
                return (rates * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)

            yield from self.rows(name, "events", events, events)
            yield from self.rows(name, "mean_hour", mean_hour(hours), events)
            share = binomial_share(random, events, blended(self.late))
            yield from self.rows(name, "late_share", share, events)
            for place, metric in enumerate(("user", "conversation", "session")):
                rates = np.maximum(self.null_rates[place] * np.ones((DAYS, 1)), self.null_flood if place != 1 else 0)
                share = binomial_share(random, events, blended(rates))
                yield from self.rows(name, f"without_{metric}_share", share, events)
            if name != TOGETHER and TYPES[name][1]:
                noise = lasting_noise(random, DAYS, 0.05) + random.normal(0, 1, DAYS) / np.sqrt(np.maximum(events, 1))
                yield from self.rows(name, "median_duration_ms", TYPES[name][1] * np.exp(noise), events)
        together = by_type[TOGETHER].sum(axis=1)
        users = random.poisson(together / 9 * np.exp(lasting_noise(random, DAYS, 0.03)))
        yield from self.rows(TOGETHER, "users", users, together)
        silent = (by_type[TOGETHER] == 0).sum(axis=1)
        yield from self.rows(TOGETHER, "silent_hours", silent, together)
        for metric, rate in (("duplicate_share", self.duplicates), ("rejected_share", self.rejected)):
            received = np.round(together / (1 - np.minimum(rate, 0.9)))
            yield from self.rows(TOGETHER, metric, binomial_share(random, received, rate), received)

    def rows(self, event_name: str, metric: str, observed: Any, base: Any) -> Iterator[Row]:
        for day in range(DAYS):
            if base[day] > 0:
                yield {
                    "tenant_id": self.tenant_id,
                    "event_name": event_name,
                    "metric": metric,
                    "date": START + timedelta(days=day),
                    "observed": float(observed[day]),
                    "base": int(base[day]),
                }


def lasting_noise(random: np.random.Generator, days: int, size: float) -> NDArray[np.float64]:
    """Normal noise, of which half of a day's stays to the next."""
    noise = random.normal(0, size, days)
    for day in range(1, days):
        noise[day] = 0.5 * noise[day - 1] + np.sqrt(0.75) * noise[day]
    return noise


def hours_of_day(random: np.random.Generator) -> NDArray[np.float64]:
    """Shares of the 24 hours: one or two humps by day, little by night."""
    hour = np.arange(24)
    peak, width = random.uniform(10, 20), random.uniform(3, 5)
    shares = np.exp(-(((hour - peak + 12) % 24 - 12) ** 2) / (2 * width**2)) + random.uniform(0.01, 0.15)
    return shares / shares.sum()


def mean_hour(hours: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = (np.arange(24) + 0.5) * np.pi / 12
    return np.arctan2(hours @ np.sin(angle), hours @ np.cos(angle)) * 12 / np.pi % 24


def binomial_share(random: np.random.Generator, events: Any, rate: Any) -> NDArray[np.float64]:
    events = np.asarray(events).astype(int)
    return random.binomial(events, np.clip(rate, 0, 1)) / np.maximum(events, 1)


def faults_of(tenant: Tenant, random: np.random.Generator) -> list[Fault]:
    """One fault every nine to fifteen days of the second year, each of one to three days."""
    usual = np.median(tenant.events.sum(axis=2), axis=0)
    big_enough = [name for name, events in zip(TYPES, usual, strict=True) if events >= 100]
    faults = []
    day = CHECKED_FROM + 5
    while day < DAYS - 5:
        kind = str(random.choice(FAULTS))
        size = {
            "drop": random.uniform(0.6, 1),
            "spike": random.uniform(2, 5),
            "duplicates": random.uniform(0.05, 0.5),
            "rejections": random.uniform(0.05, 0.5),
            "missing_type": 1.0,
            "time_zone_shift": float(random.choice([-8, -5, -3, -2, 2, 3, 5, 8])),
            "null_flood": random.uniform(0.5, 1),
            "late_flood": random.uniform(0.3, 1),
        }[kind]
        whole = (
            TOGETHER
            if kind in ("duplicates", "rejections") or not big_enough
            else str(random.choice([TOGETHER, *big_enough]))
        )
        if kind == "missing_type":
            whole = str(random.choice(big_enough)) if big_enough else "message.received"
        faults.append(Fault(tenant.tenant_id, kind, whole, day, int(random.integers(1, 4)), float(size)))
        day += int(random.integers(9, 16))
    return faults


def settings() -> Settings:
    with (PROJECT / "seeds/anomaly_settings.csv").open(newline="") as file:
        types = {
            "threshold": float,
            "min_volume": float,
            "min_change": float,
            "training_days": int,
            "min_training_days": int,
        }
        return Settings(
            [{name: types.get(name, str)(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
        )


def measure(tenants: int, seed: int) -> dict[str, Any]:
    """Precision and recall on faulty input, and false alarms on the same kind of input without a fault."""
    random = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    injected: Counter[str] = Counter()
    alarms_true = alarms_false = quiet_alarms = 0
    quiet: Counter[str] = Counter()
    seconds, days_checked = 0.0, 0
    for number in range(tenants):
        for faulty in (False, True):
            tenant = Tenant(number, random)
            faults = faults_of(tenant, random) if faulty else []
            for fault in faults:
                tenant.spoil(fault)
            rows = list(tenant.metrics())
            began = time.perf_counter()
            holidays = [(EVERY_TENANT, day) for day in tenant.holidays]
            detected = list(find(rows, settings(), holidays, START + timedelta(days=DAYS - 1)))
            seconds += time.perf_counter() - began
            days_checked += len(detected)
            alarms = [
                ((row["date"] - START).days, row)
                for row in detected
                if row["is_anomaly"] and (row["date"] - START).days >= CHECKED_FROM
            ]
            if not faulty:
                # an alarm is a day that somebody must look at, whatever number of metrics says so
                quiet_alarms += len({day for day, _ in alarms})
                quiet.update(row["metric"] for _, row in alarms)
                continue
            for fault in faults:
                injected[fault.kind] += 1
                found[fault.kind] += any(
                    fault.day <= day < fault.day + fault.days
                    and row["metric"] in METRICS[fault.kind]
                    and (row["event_name"] in (TOGETHER, fault.event_name) or fault.event_name == TOGETHER)
                    for day, row in alarms
                )
            during = {day for fault in faults for day in range(fault.day, fault.day + fault.days)}
            alarmed = {day for day, _ in alarms}
            alarms_true += len(alarmed & during)
            alarms_false += len(alarmed - during)
    months = tenants * (DAYS - CHECKED_FROM) / 30.4
    return {
        "tenants": tenants,
        "seed": seed,
        "series_days": days_checked,
        "seconds": round(seconds, 2),
        "recall": round(sum(found.values()) / sum(injected.values()), 4),
        "recall_by_fault": {kind: f"{found[kind]}/{injected[kind]}" for kind in FAULTS},
        "precision": round(alarms_true / max(alarms_true + alarms_false, 1), 4),
        "false_alarm_days_per_tenant_and_month": round(quiet_alarms / months, 3),
        "false_alarm_days_per_tenant_and_month_beside_faults": round(alarms_false / months, 3),
        "false_alarms_by_metric": dict(quiet.most_common()),
    }


def measure_real() -> dict[str, Any]:
    """The daily counts of a real shop (Online Retail, 2010-12 to 2011-12), shut on Saturdays and round New Year:
    alarms as it was, and of each day of its last four months cut to a tenth or made fivefold, how many are noticed."""
    counts: dict[str, Counter[date]] = defaultdict(Counter)
    with gzip.open(ONLINE_RETAIL, "rt") as lines:
        for line in lines:
            event = json.loads(line)
            for name in (event["event_name"], TOGETHER):
                counts[name][date.fromisoformat(event["occurred_at"][:10])] += 1
    last = max(max(days) for days in counts.values())
    report: dict[str, Any] = {}
    for name, days in counts.items():
        quiet = [row for row in _detected(name, days, last) if row["is_anomaly"]]
        tried = [day for day in days if last - timedelta(days=120) <= day < last and days[day] >= 30]
        noticed = Counter(
            fault
            for fault, factor in (("cut to a tenth", 0.1), ("fivefold", 5))
            for day in tried
            for row in _detected(name, {**days, day: int(factor * days[day])}, last)
            if row["is_anomaly"] and row["date"] == day
        )
        report[name] = {
            "days": len(days),
            "alarms": [str(row["date"]) for row in quiet],
            "tried": len(tried),
            **noticed,
        }
    return report


def _detected(name: str, days: Mapping[date, int], last: date) -> list[Row]:
    rows = [
        {
            "tenant_id": "t",
            "event_name": name,
            "metric": "events",
            "date": day,
            "observed": days[day],
            "base": days[day],
        }
        for day in sorted(days)
    ]
    return list(find(rows, settings(), [], last))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true")
    given = parser.parse_args()
    print(json.dumps(measure_real() if given.real else measure(given.tenants, given.seed), indent=2))
