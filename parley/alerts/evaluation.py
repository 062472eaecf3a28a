"""Goes through the rules and takes in what they say, and what other parts report as failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from parley.alerts import channels, conditions, happenings, ledger, messages, metrics, rules, states
from parley.alerts.conditions import Evaluation
from parley.alerts.ledger import Alert, Finding
from parley.alerts.rules import SILENT, Rule
from parley.alerts.states import RAISED, Seen, Status
from parley.config import tenants
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

_LONG_AGO = 10_000  # days


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """What came of an evaluation."""

    evaluated: int = 0
    """Alerts that a rule says something of, good or bad."""
    notices: int = 0
    """Alerts of which something is to be said to somebody."""
    problems: tuple[str, ...] = ()
    """Rules that cannot be evaluated, each with what to do."""


def evaluate(
    settings: Settings, connection: Connection, as_of: datetime, values: metrics.MetricValues | None = None
) -> EvaluationSummary:
    """Evaluate the last complete day of each active tenant by the rules that hold for it, in one transaction.

    `values` reads the metrics of models/metrics/, for rules over them.

    Nothing is sent: `parley.alerts.outbox` does that. The same tables and `as_of` give the same alerts; an evaluation
    older than an alert's last one changes nothing of it. Raises ParleyError where seed or channels cannot be read.
    """
    notices = happenings.look(settings, connection, as_of)
    listed = rules.read(settings.project / rules.SEED)
    found = tenants.read(settings.project / tenants.SEED)
    resting = {tenant_id: tenant.state for tenant_id, tenant in found.items() if not tenant.is_active}
    known_channels = channels.load(settings)
    problems: list[str] = []
    evaluated = 0
    with connection.transaction():
        ledger.take_turn(connection)
        existing = ledger.existing_alerts(connection)
        measured = [each for each in metrics.tenants(connection, as_of) if each.tenant_id not in resting]
        holding = {tenant.tenant_id: rules.for_tenant(listed, tenant.tenant_id) for tenant in measured}
        for rule in listed:
            if rule.metric in metrics.INCIDENTS or not rule.enabled:
                continue
            of_rule = [tenant for tenant in measured if rule in holding[tenant.tenant_id]]
            try:
                findings = list(_findings(connection, rule, of_rule, existing, as_of, values))
            except ParleyError as error:
                problems.append(f"{rules.SEED.name}, {rule.rule_id}: {str(error).removesuffix('.')}.")
                continue
            for finding in findings:
                alert = existing.get((rule.rule_id, finding.tenant_id, finding.subject))
                evaluated += finding.seen.result != "no_data"
                notices += ledger.note(connection, finding, alert, known_channels) is not None
        for alert in existing.values():
            if state := resting.get(alert.tenant_id):
                ledger.withdraw(connection, alert, as_of, f"The tenant's state is {state}.")
            elif alert.rule_id not in {rule.rule_id for rule in rules.for_tenant(listed, alert.tenant_id)}:
                ledger.withdraw(connection, alert, as_of, "The rule no longer holds.")
    return EvaluationSummary(evaluated, notices, tuple(problems))


def report(
    settings: Settings,
    connection: Connection,
    metric: str,
    *,
    failed: Mapping[str, str],
    succeeded: Sequence[str] = (),
    at: datetime,
) -> int:
    """Take in what failed and what succeeded, of one of `metrics.INCIDENTS`; returns how many have something to say.

    `failed` maps a subject (a job, a check) to a sentence about it without personal data. A success of what never
    failed says nothing. Raises ParleyError where seed or channels cannot be read.
    """
    listed = rules.for_tenant(rules.read(settings.project / rules.SEED), EVERY_TENANT)
    known_channels = channels.load(settings)
    notices = 0
    with connection.transaction():
        ledger.take_turn(connection)
        existing = ledger.existing_alerts(connection)
        for rule in listed:
            if rule.metric != metric:
                continue
            for subject in {*failed, *succeeded}:
                alert = existing.get((rule.rule_id, EVERY_TENANT, subject))
                if subject in failed:
                    finding = Finding(rule, EVERY_TENANT, subject, Seen(at, "breach"), failed[subject])
                elif alert:
                    seen = Seen(at, "good", _good_days(alert, at))
                    detail = _success(ledger.after(alert, rule, seen), seen)
                    finding = Finding(rule, EVERY_TENANT, subject, seen, detail)
                else:
                    continue
                notices += ledger.note(connection, finding, alert, known_channels) is not None
    return notices


def _findings(
    connection: Connection,
    rule: Rule,
    tenants: Sequence[metrics.Tenant],
    existing: Mapping[tuple[str, str, str], Alert],
    as_of: datetime,
    values: metrics.MetricValues | None,
) -> Iterator[Finding]:
    if rule.metric == metrics.EVENT:
        holding = {tenant.tenant_id for tenant in tenants}
        alerts = [each for each in existing.values() if each.rule_id == rule.rule_id and each.tenant_id in holding]
        yield from happenings.settled(rule, alerts, as_of)
        return
    if rule.metric == metrics.BUILD_SECONDS:
        builds = metrics.read_builds(connection, as_of, conditions.days_back(rule))
        evaluation = conditions.evaluate(rule, builds, as_of.date() - timedelta(days=1))
        yield _finding(rule, EVERY_TENANT, evaluation, Seen(as_of, evaluation.result, evaluation.days))
        return
    if rule.metric == metrics.ANOMALIES and not database.has(connection, metrics.table_of(rule.metric)):
        return  # an installation may do without
    if not tenants:
        return
    series = {} if rule.metric == metrics.LANDINGS else _series(connection, rule, as_of, values)
    for tenant in tenants:
        of_tenant = series.get(tenant.tenant_id, {})
        if rule.condition in SILENT:
            evaluation = conditions.evaluate_silence(rule, of_tenant, tenant, as_of)
            alert = existing.get((rule.rule_id, tenant.tenant_id, ""))
            days = _good_days(alert, as_of) if alert else _LONG_AGO
        else:
            evaluation = conditions.evaluate(rule, of_tenant, tenant.last_day)
            days = evaluation.days
        yield _finding(rule, tenant.tenant_id, evaluation, Seen(as_of, evaluation.result, days))


def _series(
    connection: Connection, rule: Rule, as_of: datetime, values: metrics.MetricValues | None
) -> dict[str, metrics.Series]:
    asked: dict[str, Any] = {"conditions": rule.filter, "volume": rule.volume, "as_of": as_of}
    asked["days"] = conditions.days_back(rule)
    if not metrics.is_of_the_catalogue(rule.metric):
        return metrics.read(connection, rule.metric, **asked)
    if values is None:
        return {}
    return metrics.read_values(values, rule.metric, **asked)


def _finding(rule: Rule, tenant_id: str, evaluation: Evaluation, seen: Seen) -> Finding:
    return Finding(
        rule=rule,
        tenant_id=tenant_id,
        subject="",
        seen=seen,
        detail=messages.describe(rule, tenant_id, evaluation),
        observed=evaluation.observed,
        expected=evaluation.expected,
        day=evaluation.day,
    )


def _success(after: Status, seen: Seen) -> str:
    """What is said of a success, which alone does not end an alert that comes and goes."""
    if after.state not in RAISED:
        return "It has succeeded since."
    if after.is_flapping(seen.at):
        return (
            f"It has succeeded since, but failed {states.FLAPPING} times within {states.FLAPPING_WITHIN.days} days: it "
            f"counts as failing until {states.HELD_FOR_DAYS} days have passed without a failure."
        )
    return "It has succeeded since, and counts as failing until it has done so for the days that the rule asks for."


def _good_days(alert: Alert, at: datetime) -> int:
    """For how many days, this one included, nothing wrong has been seen of what has no days of its own."""
    return 1 + (at - alert.breached_at).days if alert.breached_at else _LONG_AGO
