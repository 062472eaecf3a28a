"""The rules that say when to alert whom: `seeds/alert_rules.csv`, which a user edits."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

from parley.alerts import metrics
from parley.config import seeds
from parley.config.seeds import Column, Row, later, optional
from parley.config.tenants import id_or_every
from parley.warehouse.names import EVERY_TENANT

SEED = Path("seeds", "alert_rules.csv")

Severity = Literal["info", "warning", "critical"]
Condition = Literal[
    "above", "below", "falls_by", "rises_by", "anomaly", "silent_days", "silent_hours", "fails", "happens"
]
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
    event_names: tuple[str, ...] = ()
    """Of `happens`: the types of events."""
    predicate: str | None = None
    """Of `happens`: what their attributes have, as an SQL/JSON path."""

    @property
    def is_of_a_tenant(self) -> bool:
        """Whether it holds for one tenant only."""
        return self.tenant_id != EVERY_TENANT

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
    return [rule for _, rule in read_rows(path)]


def read_rows(path: Path) -> list[tuple[Row, Rule]]:
    """As `read`, each rule with the row that it is written in."""
    found = []
    for row in seeds.read(path, _SEED, key=["tenant_id", "rule_id"]):
        rule = Rule(**{column: value for column, value in row.values.items() if value is not None})
        _check(row, rule)
        found.append((row, rule))
    return found


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
    if rule.condition == "silent_hours" and rule.metric not in metrics.HEARD:
        known = " and ".join(metrics.HEARD)
        row.wrong("condition", f"hours are known of {known} alone: write silent_days, or one of these metrics.")
    if rule.metric == metrics.LANDINGS and rule.condition not in SILENT:
        row.wrong("condition", f"{metrics.LANDINGS} can only be silent: write {' or '.join(SILENT)}.")
    if rule.metric == metrics.BUILD_SECONDS and (rule.is_of_a_tenant or rule.condition in SILENT):
        row.wrong("tenant_id", f"{rule.metric} is a number and of no tenant: write {EVERY_TENANT}, and above a limit.")
    _check_happening(row, rule)
    if rule.for_days > 1 and rule.condition in (*SILENT, "fails", "happens"):
        row.wrong("for_days", f"{rule.condition} needs no days in a row: leave it blank.")
    if rule.condition in (*COMPARING, *SILENT) and rule.threshold <= 0:
        row.wrong("threshold", f"write how much {rule.condition} is too much, greater than 0.")
    if rule.condition in ("above", "below") and row["threshold"] is None:
        row.wrong("threshold", "it is blank: write the limit.")
    if rule.volume and not metrics.is_column(rule.metric):
        row.wrong("volume", f"{rule.metric} has its own, or none: leave it blank.")
    if rule.filter and not metrics.is_column(rule.metric):
        row.wrong("filter", f"{rule.metric} is one number a day: leave it blank.")
    if rule.min_volume and metrics.is_column(rule.metric) and not rule.volume:
        row.wrong("volume", "name the column of the mart that min_volume is measured by.")
    if bool(rule.escalate_after_hours) != bool(rule.escalation_channels):
        row.wrong("escalation_channels", "fill in escalate_after_hours too, or leave both blank.")


def _check_happening(row: Row, rule: Rule) -> None:
    """What goes with single events, and with nothing else."""
    happens = rule.condition == "happens"
    if happens != (rule.metric == metrics.EVENT):
        row.wrong("metric", f"the condition 'happens' goes with the metric {metrics.EVENT}: change one of them.")
    if happens and not rule.event_names:
        row.wrong("event_names", "it is blank: write the type of event, such as system.error.")
    for column in ("event_names", "predicate"):
        if row[column] and not happens:
            row.wrong(column, f"only the condition 'happens' has it: leave it blank, or write {metrics.EVENT}.")
    if happens and (rule.threshold < 0 or rule.min_volume):
        row.wrong("threshold", "write for how many hours an event counts as new, and no min_volume.")


def _name(cell: str) -> str:
    if not _WORD.fullmatch(cell) or len(cell) > 64:
        raise ValueError("small letters, digits and _, beginning with a letter")
    return cell


def _metric(cell: str) -> str:
    if cell in metrics.OWN or metrics.is_column(cell):
        return cell
    raise ValueError(
        "a column of a mart such as daily_metrics.escalation_rate, a metric such as metrics.resolution_rate, "
        f"or one of {', '.join(metrics.OWN)}"
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
    "event_names": later(seeds.names),
    "predicate": later(seeds.text),
}
COLUMNS = tuple(_SEED)
