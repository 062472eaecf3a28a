"""Rules over single events: one of a type, with what a predicate asks for, alerts as soon as it has landed."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from parley.alerts import channels, ledger, outbox, rules
from parley.alerts.ledger import Finding
from parley.alerts.messages import in_words
from parley.alerts.rules import Rule
from parley.alerts.states import RAISED, Seen
from parley.config import tenants
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database, postgres_errors
from parley.warehouse.database import Connection

OLDEST_HOURS = 24.0
"""How long ago an event may have happened where the rule does not say: what is older is history that is loaded."""


@dataclass(frozen=True, slots=True)
class _Landed:
    """What has landed of a tenant that a rule asks for."""

    tenant_id: str
    events: int
    newest: datetime
    event_id: str


class Watcher:
    """For who lands all the time: looks after each landing, in a thread of its own, so that no receiver holds it up."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._lock = threading.Lock()
        self._is_unseen = False
        self._thread: threading.Thread | None = None

    def landed(self) -> None:
        """Say that something has."""
        with self._lock:
            self._is_unseen = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
                self._thread.start()

    def close(self, seconds: float) -> None:
        """Wait for what is under way, for so long at the most; what is missed then is the next look's."""
        if thread := self._thread:
            thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._is_unseen:
                    self._thread = None
                    return
                self._is_unseen = False
            watch(self._settings, self._say)


def watch(settings: Settings, say: Callable[[str], None] = lambda problem: None) -> None:
    """Take in what has landed, and tell who is to be told; for who lands events.

    What goes wrong stops no landing: `say` is given a sentence, and the next look or build makes up for it.
    """
    try:
        with database.connect(settings, autocommit=True) as connection:
            if look(settings, connection, datetime.now(UTC)):
                outbox.deliver(connection, channels.load(settings))
    except (ParleyError, psycopg.Error) as error:
        say(f"Alerts of single events wait for the next look: {postgres_errors.without_values(error).splitlines()[0]}")


def look(settings: Settings, connection: Connection, now: datetime) -> int:
    """Take in the events that have landed since the last look; returns of how many alerts something is to be said.

    Nothing is sent. Raises ParleyError where seed or channels cannot be read.
    """
    listed = rules.read(settings.project / rules.SEED)
    known_channels = channels.load(settings)
    active = {name: tenant.is_active for name, tenant in tenants.read(settings.project / tenants.SEED).items()}
    notices = 0
    with connection.transaction():
        ledger.take_turn(connection)
        first, last = _batches(connection)
        if first == last:
            return 0
        existing = ledger.existing_alerts(connection)
        for rule in listed:
            if rule.condition != "happens" or not rule.enabled:
                continue
            for landed in _landed(connection, rule, first, last, now):
                holding = rules.for_tenant(listed, landed.tenant_id)
                if rule not in holding or not active.get(landed.tenant_id, True):
                    continue
                alert = existing.get((rule.rule_id, landed.tenant_id, ""))
                notices += ledger.note(connection, _finding(rule, landed, now), alert, known_channels) is not None
        connection.execute(
            "insert into ops.alert_positions (name, batch_id) values ('events', %s)"
            " on conflict (name) do update set batch_id = excluded.batch_id",
            [last],
        )
    return notices


def settled(rule: Rule, alerts: Sequence[ledger.Alert], as_of: datetime) -> list[Finding]:
    """The alerts of a rule that are over: for so many days as it asks for, nothing of the kind has landed."""
    return [
        Finding(rule, alert.tenant_id, "", Seen(as_of, "good", days), f"None has landed for {in_words(days)}.")
        for alert in alerts
        if alert.state in RAISED and alert.breached_at and (days := (as_of - alert.breached_at).days) >= 1
    ]


def _batches(connection: Connection) -> tuple[int, int]:
    """The last batch that has been looked at, and the last that has landed."""
    row = connection.execute(
        "select coalesce((select batch_id from ops.alert_positions where name = 'events'), 0),"
        " coalesce((select max(batch_id) from raw.load_batches), 0)"
    ).fetchone()
    assert row
    first, last = (int(str(number)) for number in row)
    return min(first, last), last


def _landed(connection: Connection, rule: Rule, first: int, last: int, now: datetime) -> list[_Landed]:
    query = sql.SQL(
        """
        select
            tenant_id,
            count(*) as events,
            max(occurred_at) as newest,
            (array_agg(event_id::text order by occurred_at desc, event_id desc))[1] as event_id
        from raw.events
        where
            batch_id > %(first)s and batch_id <= %(last)s
            and occurred_at > %(oldest)s
            and event_name = any(%(names)s)
            and (
                %(predicate)s::text is null
                or coalesce(jsonb_path_match(attributes, %(predicate)s::text::jsonpath, '{{}}', true), false)
            )
            and {of_tenant}
        group by tenant_id
        order by tenant_id
        """
    ).format(of_tenant=sql.SQL("tenant_id = %(tenant)s" if rule.is_of_a_tenant else "true"))
    asked = {
        "first": first,
        "last": last,
        "oldest": now - timedelta(hours=rule.threshold or OLDEST_HOURS),
        "names": list(rule.event_names),
        "predicate": rule.predicate,
        "tenant": rule.tenant_id,
    }
    with connection.cursor(row_factory=class_row(_Landed)) as cursor:
        return cursor.execute(query, asked).fetchall()


def _finding(rule: Rule, landed: _Landed, now: datetime) -> Finding:
    what = " or ".join(rule.event_names) + (f" with {rule.predicate}" if rule.predicate else "")
    number = f"{landed.events:,} events" if landed.events > 1 else "An event"
    detail = (
        f"{number} {what} of {landed.tenant_id} landed; "
        f"{'the newest' if landed.events > 1 else 'it'} happened at {landed.newest:%Y-%m-%d %H:%M:%S} UTC and has the "
        f"event_id {landed.event_id}."
    )
    return Finding(
        rule, landed.tenant_id, "", Seen(now, "breach"), detail, observed=landed.events, day=landed.newest.date()
    )
