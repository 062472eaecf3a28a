"""What is expected of the raw events of a day: `seeds/input_expectations.csv`, which a user edits."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal, get_args

from parley.config import seeds
from parley.config.seeds import Column, optional
from parley.config.tenants import id_or_every
from parley.warehouse.names import EVERY_TENANT

SEED = seeds.FOLDER / "input_expectations.csv"

Severity = Literal["block", "warn", "off"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Grain = Literal["day", "tenant", "event_type"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that `parley.quality_gate.measures` computes for each day, tenant or event type."""

    name: str
    grain: Grain
    meaning: str
    is_fault: bool = False
    """Counts what is wrong: kept only where there is any, so that it has no minimum."""
    is_of_arrival: bool = False
    """Of the lines that arrived on the day; else of the events that happened on it."""


METRICS = {
    metric.name: metric
    for metric in (
        Metric("wrong_columns", "day", "columns of raw.events that are missing, or of another type than declared"),
        Metric(
            "unreadable_share", "day", "of the lines received, those whose tenant cannot be read", is_of_arrival=True
        ),
        Metric(
            "rejected_share",
            "tenant",
            "of the lines received, those rejected for what is in them, and not landed since",
            is_of_arrival=True,
        ),
        Metric(
            "unknown_type_share",
            "tenant",
            "of the lines received, those whose event type is not in the tracking plan, and not landed since",
            is_of_arrival=True,
        ),
        Metric("duplicate_share", "tenant", "of the lines received, those that were there already", is_of_arrival=True),
        Metric("events", "tenant", "events that happened on the day"),
        Metric("events_of_full_day", "tenant", "the same, once the day is over"),
        Metric("unlisted_tenant", "tenant", "1 where the tenants seed does not name the tenant, else 0"),
        Metric("share_without_user", "tenant", "of the events, those without user_id"),
        Metric("share_without_conversation", "tenant", "of the events, those without conversation_id"),
        Metric("share_without_session", "tenant", "of the events, those without session_id"),
        Metric("share_without_any_id", "tenant", "of the events, those without user, conversation and session"),
        Metric("late_share", "tenant", "of the events, those that landed more than a day after they happened"),
        Metric("before_2000", "event_type", "events from before 2000-01-01", is_fault=True),
        Metric("ahead_of_arrival", "event_type", "events from after their arrival, by more than is allowed", True),
        Metric("missing_attributes", "event_type", "events without an attribute their type requires", True),
        Metric("out_of_range", "event_type", "events with a number outside its type's range", True),
    )
}


def figure(metric: str, value: float) -> str:
    """A value of a metric, or a bound of it, as people read it: a share in percent."""
    if "share" in metric.split("_"):
        return f"{100 * value:.4g} %"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One row of the seed: the bounds of a metric, both included."""

    name: str
    tenant_id: str
    """`*`: of every tenant that has no row of its own for this expectation."""
    metric: str
    minimum: float | None
    maximum: float | None
    at_least: int
    """Validated where the metric was measured on at least so many events or lines."""
    severity: Severity
    description: str


def read(path: Path) -> tuple[Expectation, ...]:
    """The expectations of the seed, those that are off included.

    Raises ParleyError naming file, row (the header is row 1) and column, and what to write there.
    """
    return tuple(_expectation(row) for row in seeds.read(path, COLUMNS, key=["tenant_id", "expectation"]))


def fingerprint(expectations: Iterable[Expectation]) -> str:
    """Changes when what is expected does, whatever it is called and however it is described."""
    said = sorted(
        (each.name, each.tenant_id, each.metric, repr(each.minimum), repr(each.maximum), each.at_least, each.severity)
        for each in expectations
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def tenants_of_their_own(expectations: Iterable[Expectation]) -> set[str]:
    """The tenants that the seed names: they are expected to send something even on a day they are silent."""
    return {each.tenant_id for each in expectations} - {EVERY_TENANT}


def _expectation(row: seeds.Row) -> Expectation:
    metric, minimum, maximum = METRICS[row["metric"]], row["minimum"], row["maximum"]
    if minimum is None and maximum is None:
        row.wrong("maximum", "there is neither a minimum nor a maximum: write one of them.")
    if minimum is not None and maximum is not None and minimum > maximum:
        row.wrong("minimum", "it is above the maximum: put them right.")
    if metric.is_fault and minimum is not None:
        row.wrong("minimum", f"{metric.name} counts what is wrong: leave it blank.")
    if metric.grain == "day" and row["tenant_id"] != EVERY_TENANT:
        row.wrong("tenant_id", f"{metric.name} is of a day as a whole: write {EVERY_TENANT}.")
    if metric.name == "unreadable_share" and row["severity"] == "block":
        row.wrong("severity", "such lines are of no tenant, so that there is nothing to leave out: write warn or off.")
    return Expectation(
        name=row["expectation"],
        tenant_id=row["tenant_id"],
        metric=metric.name,
        minimum=minimum,
        maximum=maximum,
        at_least=row["at_least"] or 0,
        severity=row["severity"],
        description=row["description"] or "",
    )


def _name(cell: str) -> str:
    if not cell or not cell.isprintable():
        raise ValueError("a name such as few_rejected")
    return cell


def _bound(cell: str) -> float:
    try:
        bound = float(cell)
    except ValueError:
        bound = float("nan")
    if not isfinite(bound):
        raise ValueError("a number such as 0.05, or nothing")
    return bound


COLUMNS = {
    "expectation": Column(_name),
    "tenant_id": Column(id_or_every),
    "metric": Column(seeds.one_of(*METRICS)),
    "minimum": optional(_bound),
    "maximum": optional(_bound),
    "at_least": optional(seeds.whole(0)),
    "severity": Column(seeds.one_of(*SEVERITIES)),
    "description": optional(str),
}
