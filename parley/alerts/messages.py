"""What an alert says, in plain words and without personal data: names of tenants, metrics and checks, and figures."""

from datetime import date, datetime

from parley.alerts.channels import Message
from parley.alerts.conditions import Evaluation
from parley.alerts.metrics import BUILD_SECONDS, EVENT, INCIDENTS, is_of_the_catalogue, table_of
from parley.alerts.rules import COMPARING, Rule
from parley.alerts.states import Notice
from parley.warehouse.names import EVERY_TENANT

_SAID = {
    "fired": "firing",
    "reminder": "still firing",
    "escalated": "not acknowledged",
    "resolved": "resolved",
}


def describe(rule: Rule, tenant_id: str, evaluation: Evaluation) -> str:
    """What was seen, in one sentence or two."""
    what = rule.metric + "".join(f", {column} = {value}" for column, value in rule.filter)
    if evaluation.result == "no_data":
        return f"On {evaluation.day} there was too little of {what}{_of(tenant_id)} to evaluate it."
    observed = _figure(evaluation.observed)
    if rule.condition in ("silent_days", "silent_hours"):
        unit = rule.condition.removeprefix("silent_")
        return (
            f"{tenant_id} has had no {what} for {observed} {unit}, since {_time(evaluation.since)}; "
            f"the rule allows {_figure(rule.threshold)}."
        )
    if rule.condition == "anomaly":
        anomalies = "an anomaly" if evaluation.observed == 1 else f"{observed} anomalies"
        seen = f"{tenant_id} had {anomalies} in its input on {evaluation.day}"
        return f"{seen}: {evaluation.note}." if evaluation.note else f"{seen}."
    seen = f"{what}{_of(tenant_id)} was {observed} {_when(rule, evaluation)}"
    if rule.condition in COMPARING:
        assert evaluation.observed is not None
        assert evaluation.expected
        change = (evaluation.observed - evaluation.expected) / abs(evaluation.expected)
        weekday = f"{evaluation.day:%A}"
        seen += f", {change:+.0%} against the {_figure(evaluation.expected)} usual on a {weekday}; the rule allows "
        seen += f"{'-' if rule.condition == 'falls_by' else '+'}{_figure(rule.threshold)} %"
    else:
        seen += f"; the rule allows {'at least' if rule.condition == 'below' else 'at most'} {_figure(rule.threshold)}"
    return f"{seen}. It has been so for {in_words(evaluation.days)}." if evaluation.days > 1 else f"{seen}."


def compose(
    rule: Rule, notice: Notice, *, alert_id: int, tenant_id: str, subject: str, detail: str, since: datetime, key: str
) -> Message:
    """The message of a notice; `since` is when the alert began to fire."""
    about = " ".join(filter(None, ["" if tenant_id == EVERY_TENANT else tenant_id, subject]))
    fires = "It fired from {} on." if notice == "resolved" else "Firing since {}."
    lines = [detail, fires.format(_time(since))]
    if where := _where_to_look(rule, tenant_id):
        lines.append(where)
    if notice != "resolved":
        lines.append(f"To say that you have it in hand: parley alerts ack {alert_id}")
    lines.append(f"Reference: {key}")
    return Message(
        key=key,
        title=f"[{rule.severity}, {_SAID[notice]}] {rule.description}{f': {about}' if about else ''}",
        body="\n".join(lines),
        tone="resolved" if notice == "resolved" else rule.severity,
    )


def _where_to_look(rule: Rule, tenant_id: str) -> str | None:
    if rule.metric in INCIDENTS:
        return None
    if rule.metric == EVENT:
        return f"Look at raw.events where tenant_id = '{tenant_id}', by the event_id."
    if is_of_the_catalogue(rule.metric):
        name = rule.metric.partition(".")[2]
        return f"Look at it: parley metrics query {name} --by day --tenant {tenant_id}"
    of_tenant = "" if rule.metric == BUILD_SECONDS else f" where tenant_id = '{tenant_id}'"
    return f"Look at {table_of(rule.metric)}{of_tenant}."


def _time(at: date | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if isinstance(at, datetime) else f"{at}"


def _when(rule: Rule, evaluation: Evaluation) -> str:
    """The day, or where the mart has weeks and the like, which of them the day shows."""
    period = dict(rule.filter).get("period")
    is_longer = period in ("week", "month", "quarter", "year")
    return f"in the last whole {period} up to {evaluation.day}" if is_longer else f"on {evaluation.day}"


def _of(tenant_id: str) -> str:
    return "" if tenant_id == EVERY_TENANT else f" of {tenant_id}"


def _figure(value: float | None) -> str:
    """Four digits that matter; whole numbers as they are."""
    if value is None:
        return "nothing"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def in_words(days: int) -> str:
    """A number of days."""
    return "a day" if days == 1 else f"{days} days"
