"""The rules that say when to alert whom: `seeds/alert_rules.csv`, which a user edits."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

from parley.alerts import metrics
from parley.config import seeds
from parley.config.seeds import Column, Row, optional
from parley.config.tenants import id_or_every
from parley.warehouse.names import EVERY_TENANT

SEED = Path("seeds", "alert_rules.csv")

Severity = Literal["info", "warning", "critical"]
Condition = Literal["above", "below", "falls_by", "rises_by", "anomaly", "silent_days", "silent_hours", "fails"]
COMPARING: tuple[Condition, ...] = ("falls_by", "rises_by")
SILENT: tuple[Condition, ...] = ("silent_days", "silent_hours")
MOST_DAYS = 31
_WORD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the seed, blank cells filled in; `seeds/_alerts.yml` describes the columns."""

    rule_id: str
    tenant_id: str
    metric: str
    condition: Condition
    description: str
    filter: tuple[tuple[str, str], ...] = ()
    threshold: float = 0
    """In the metric's unit; percent of `falls_by` and `rises_by`; days or hours of silence."""
    weeks: int = 4
    for_days: int = 1
    resolve_after_days: int = 1
    volume: str | None = None
    min_volume: float = 0
    severity: Severity = "warning"
    channels: tuple[str, ...] = ()
    remind_after_hours: float | None = None
    escalate_after_hours: float | None = None
    escalation_channels: tuple[str, ...] = ()
    enabled: bool = True

    @property
    def remind_after(self) -> timedelta | None:
        """How long after the last message another one says that it still fires."""
        return timedelta(hours=self.remind_after_hours) if self.remind_after_hours else None

    @property
    def escalate_after(self) -> timedelta | None:
        """How long it may fire unacknowledged."""
        return timedelta(hours=self.escalate_after_hours) if self.escalate_after_hours else None


def read(path: Path) -> list[Rule]:
    """The rules of the seed, disabled ones too.

    Raises ParleyError naming file, row (the header is row 1) and column, and what to write there.
    """
    rules = []
    for row in seeds.read(path, _SEED, key=["tenant_id", "rule_id"]):
        rule = Rule(**{column: value for column, value in row.values.items() if value is not None})
        _check(row, rule)
        rules.append(rule)
    return rules


def for_tenant(rules: Iterable[Rule], tenant_id: str) -> list[Rule]:
    """The enabled rules that hold for a tenant: its own row of a rule replaces that of `*`."""
    holding = {rule.rule_id: rule for rule in rules if rule.tenant_id == EVERY_TENANT}
    holding |= {rule.rule_id: rule for rule in rules if rule.tenant_id == tenant_id}
    return [rule for rule in holding.values() if rule.enabled]


def missing_channels(rules: Iterable[Rule], known: Iterable[str]) -> list[str]:
    """Channels that enabled rules name and that are not among the known ones."""
    named = {name for rule in rules if rule.enabled for name in (*rule.channels, *rule.escalation_channels)}
    return sorted(named.difference(known))


def _check(row: Row, rule: Rule) -> None:
    """Refuse cells that are right by themselves but not together."""
    is_incident = rule.metric in metrics.INCIDENTS
    if is_incident != (rule.condition == "fails"):
        row.wrong(
            "condition",
            f"'fails' goes with {', '.join(metrics.INCIDENTS)} and nothing else does: change one of them.",
        )
    if is_incident and rule.tenant_id != EVERY_TENANT:
        row.wrong("tenant_id", f"{rule.metric} is of no tenant: write {EVERY_TENANT}.")
    if (rule.condition == "anomaly") != (rule.metric == metrics.ANOMALIES):
        row.wrong("metric", f"the condition 'anomaly' goes with the metric {metrics.ANOMALIES}: change one of them.")
    if rule.condition == "silent_hours" and rule.metric != metrics.EVENTS:
        row.wrong("condition", f"hours are known of {metrics.EVENTS} alone: write silent_days, or that metric.")
    if rule.for_days > 1 and rule.condition in (*SILENT, "fails"):
        row.wrong("for_days", f"{rule.condition} needs no days in a row: leave it blank.")
    if rule.condition in (*COMPARING, *SILENT) and rule.threshold <= 0:
        row.wrong("threshold", f"write how much {rule.condition} is too much, greater than 0.")
    if rule.condition in ("above", "below") and row["threshold"] is None:
        row.wrong("threshold", "it is blank: write the limit.")
    if rule.volume and not metrics.is_column(rule.metric):
        row.wrong("volume", f"{rule.metric} has its own: leave it blank.")
    if rule.min_volume and metrics.is_column(rule.metric) and not rule.volume:
        row.wrong("volume", "name the column of the mart that min_volume is measured by.")
    if bool(rule.escalate_after_hours) != bool(rule.escalation_channels):
        row.wrong("escalation_channels", "fill in escalate_after_hours too, or leave both blank.")


def _name(cell: str) -> str:
    if not _WORD.fullmatch(cell) or len(cell) > 64:
        raise ValueError("small letters, digits and _, beginning with a letter")
    return cell


def _metric(cell: str) -> str:
    if cell in (*metrics.NAMED, *metrics.INCIDENTS) or metrics.is_column(cell):
        return cell
    raise ValueError(
        f"a column of a mart such as daily_metrics.escalation_rate, or one of "
        f"{', '.join((*metrics.NAMED, *metrics.INCIDENTS))}"
    )


def _filter(cell: str) -> tuple[tuple[str, str], ...]:
    conditions = []
    for part in cell.split(";"):
        column, equals, value = part.partition("=")
        if not equals or not _WORD.fullmatch(column.strip()) or not value.strip():
            raise ValueError("column=value, several joined by ;")
        conditions.append((column.strip(), value.strip()))
    return tuple(conditions)


def _names(cell: str) -> tuple[str, ...]:
    found = seeds.names(cell)
    if not all(map(_WORD.fullmatch, found)):
        raise ValueError("names of channels in small letters, digits and _, joined by |")
    return found


def _number(cell: str) -> float:
    if not re.fullmatch(r"-?\d+(\.\d+)?", cell, re.ASCII):
        raise ValueError("a number such as 0.05")
    return float(cell)


def _positive(cell: str) -> float:
    if _number(cell) <= 0:
        raise ValueError("a number greater than 0")
    return float(cell)


_SEED = {
    "rule_id": Column(_name),
    "tenant_id": Column(id_or_every),
    "enabled": optional(seeds.flag),
    "severity": optional(seeds.one_of(*get_args(Severity))),
    "description": Column(seeds.text),
    "metric": Column(_metric),
    "filter": optional(_filter),
    "condition": Column(seeds.one_of(*get_args(Condition))),
    "threshold": optional(_number),
    "weeks": optional(seeds.whole(1, MOST_DAYS)),
    "for_days": optional(seeds.whole(1, MOST_DAYS)),
    "resolve_after_days": optional(seeds.whole(1, MOST_DAYS)),
    "volume": optional(_name),
    "min_volume": optional(_positive),
    "channels": optional(_names),
    "remind_after_hours": optional(_positive),
    "escalate_after_hours": optional(_positive),
    "escalation_channels": optional(_names),
}
COLUMNS = tuple(_SEED)
