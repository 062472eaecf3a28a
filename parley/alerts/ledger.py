"""Alerts in the database: what stands, what changed, what is to be sent, in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from psycopg import sql
from psycopg.rows import class_row

from parley.alerts import channels, messages, states
from parley.alerts.rules import Rule
from parley.alerts.states import Notice, Seen, State, Status, Terms
from parley.errors import ParleyError
from parley.warehouse import audit
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

_LOCK = 0x616C657274  # "alert" in ASCII: who changes alerts takes turns


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of `ops.alerts`."""

    alert_id: int
    rule_id: str
    tenant_id: str
    subject: str
    """The run, check or build that failed; blank for what is measured."""
    state: State
    since: datetime
    severity: str
    detail: str
    observed: float | None
    expected: float | None
    day: date | None
    evaluated_at: datetime
    breached_at: datetime | None
    """When it was last seen to be wrong."""
    incident: int
    fired_at: datetime | None
    told_at: datetime | None
    escalated_at: datetime | None
    firings: list[datetime]
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None

    @property
    def status(self) -> Status:
        """What the state machine goes by."""
        return Status(
            state=State(self.state),
            since=self.since,
            incident=self.incident,
            fired_at=self.fired_at,
            told_at=self.told_at,
            escalated_at=self.escalated_at,
            firings=tuple(self.firings),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What an evaluation says of one alert."""

    rule: Rule
    tenant_id: str
    subject: str
    seen: Seen
    detail: str
    observed: float | None = None
    expected: float | None = None
    day: date | None = None


def take_turn(connection: Connection) -> None:
    """Hold off others who change alerts, until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])


def existing_alerts(connection: Connection) -> dict[tuple[str, str, str], Alert]:
    """All alerts by rule, tenant and subject."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        found = cursor.execute(f"select {_COLUMNS} from ops.alerts").fetchall()
    return {(alert.rule_id, alert.tenant_id, alert.subject): alert for alert in found}


def find(connection: Connection, *, tenant_id: str | None = None, state: State | None = None) -> list[Alert]:
    """Alerts, those that fire first, then the newest. Without a state, all but those that are OK or have no data."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(
            f"""
            select {_COLUMNS} from ops.alerts
            where
                (%(tenant)s::text is null or tenant_id = %(tenant)s)
                and case
                    when %(state)s::text is null then state not in ('OK', 'NO_DATA')
                    else state = %(state)s
                end
            order by
                array_position(array['FIRING', 'ACKNOWLEDGED', 'PENDING', 'RESOLVED', 'NO_DATA', 'OK'], state),
                since desc, alert_id
            """.encode(),
            {"tenant": tenant_id, "state": state},
        ).fetchall()


def note(
    connection: Connection, finding: Finding, alert: Alert | None, known_channels: Mapping[str, channels.Urls]
) -> Notice | None:
    """Take a finding in: the alert as it now stands, the transition, and the messages that are to go out.

    What is older than the alert's last evaluation says nothing new. Channels that are not set up get no message: one
    that is set up later is not to be flooded with old ones.
    """
    seen, rule = finding.seen, finding.rule
    if alert and seen.at < alert.evaluated_at:
        return None
    before = alert.status if alert else Status()
    after, notice = states.step(before, seen, _terms(rule))
    alert_id = _store(connection, finding, alert, after)
    if after.state is not before.state:
        _transition(connection, alert_id, before.state, after.state, seen.at, finding.detail)
    if notice:
        _enqueue(connection, alert_id, finding, after, notice, known_channels)
    return notice


def after(alert: Alert, rule: Rule, seen: Seen) -> Status:
    """Where an alert will stand once what was seen is taken in."""
    return states.step(alert.status, seen, _terms(rule))[0]


def withdraw(connection: Connection, alert: Alert, at: datetime, why: str) -> None:
    """Close an alert that no rule asks for any more; nobody is told."""
    after = states.withdraw(alert.status, at)
    if after.state is alert.state:
        return
    connection.execute(
        "update ops.alerts set state = %s, since = %s, evaluated_at = %s where alert_id = %s",
        [after.state, at, at, alert.alert_id],
    )
    _transition(connection, alert.alert_id, alert.state, after.state, at, why)


def acknowledge(connection: Connection, alert_id: int, *, at: datetime, by: str | None, note: str | None) -> Alert:
    """Say that somebody has an alert in hand: no reminder and no escalation follows.

    Raises ParleyError where there is no such alert, or it does not fire.
    """
    with connection.transaction():
        take_turn(connection)
        alert = next((found for found in existing_alerts(connection).values() if found.alert_id == alert_id), None)
        if alert is None:
            raise ParleyError(f"There is no alert {alert_id}: `parley alerts list` shows their numbers.")
        if alert.state not in states.RAISED:
            raise ParleyError(f"Alert {alert_id} is {alert.state}: only one that fires can be acknowledged.")
        after = states.acknowledge(alert.status, at)
        connection.execute(
            "update ops.alerts set state = %s, since = %s, acknowledged_at = %s, acknowledged_by = %s, note = %s"
            " where alert_id = %s",
            [after.state, after.since, at, by, note, alert_id],
        )
        if alert.state is not after.state:
            _transition(connection, alert_id, alert.state, after.state, at, note or "")
        audit.record(
            connection,
            "alert.acknowledged",
            tenant_id=None if alert.tenant_id == EVERY_TENANT else alert.tenant_id,
            actor=by,
            details={"alert_id": alert_id, "rule_id": alert.rule_id, "incident": alert.incident},
        )
    return alert


def _terms(rule: Rule) -> Terms:
    return Terms(rule.for_days, rule.resolve_after_days, rule.remind_after, rule.escalate_after)


_COLUMNS = ", ".join(Alert.__dataclass_fields__)


def _store(connection: Connection, finding: Finding, alert: Alert | None, after: Status) -> int:
    seen = finding.seen
    values = {
        "state": after.state,
        "since": after.since or seen.at,
        "severity": finding.rule.severity,
        "detail": finding.detail,
        "observed": finding.observed,
        "expected": finding.expected,
        "day": finding.day,
        "evaluated_at": seen.at,
        "incident": after.incident,
        "fired_at": after.fired_at,
        "told_at": after.told_at,
        "escalated_at": after.escalated_at,
        "firings": list(after.firings),
    }
    if seen.result == "breach":
        values["breached_at"] = seen.at
    if alert and alert.incident != after.incident:
        values |= {"acknowledged_at": None, "acknowledged_by": None, "note": None}  # what was said of another incident
    names = sql.SQL(", ").join(map(sql.Identifier, values))
    if alert:
        query = sql.SQL("update ops.alerts set ({}) = row ({}) where alert_id = %s returning alert_id")
        key: list[object] = [alert.alert_id]
    else:
        query = sql.SQL(
            "insert into ops.alerts ({}, rule_id, tenant_id, subject) values ({}, %s, %s, %s) returning alert_id"
        )
        key = [finding.rule.rule_id, finding.tenant_id, finding.subject]
    placeholders = sql.SQL(", ").join([sql.Placeholder()] * len(values))
    row = connection.execute(query.format(names, placeholders), [*values.values(), *key]).fetchone()
    assert row
    return int(str(row[0]))


def _transition(connection: Connection, alert_id: int, before: State, after: State, at: datetime, reason: str) -> None:
    connection.execute(
        "insert into ops.alert_transitions (alert_id, from_state, to_state, at, reason) values (%s, %s, %s, %s, %s)",
        [alert_id, before, after, at, reason],
    )


def _enqueue(
    connection: Connection,
    alert_id: int,
    finding: Finding,
    after: Status,
    notice: Notice,
    known_channels: Mapping[str, channels.Urls],
) -> None:
    rule = finding.rule
    is_escalated = after.escalated_at is not None
    named = dict.fromkeys((*rule.channels, *(rule.escalation_channels if is_escalated else ())))
    key = "/".join(filter(None, [rule.rule_id, finding.tenant_id, finding.subject, str(after.incident), notice]))
    if notice == "reminder":
        key += f"/{finding.seen.at:%Y-%m-%dT%H:%M:%S}"
    message = messages.compose(
        rule,
        notice,
        alert_id=alert_id,
        tenant_id=finding.tenant_id,
        subject=finding.subject,
        detail=finding.detail,
        since=after.fired_at or finding.seen.at,
        key=key,
    )
    for channel in named:
        if channel in known_channels:
            connection.execute(
                "insert into ops.alert_deliveries (alert_id, dedupe_key, channel, notice, title, body, tone)"
                " values (%s, %s, %s, %s, %s, %s, %s) on conflict (dedupe_key, channel) do nothing",
                [alert_id, key, channel, notice, message.title, message.body, message.tone],
            )
