"""How the processes of a server, and of other servers, tell each other what they acknowledged: by NOTIFY.

Whoever may connect to a database may listen to any channel whose name he knows, and notify it: the name is a secret.
"""

import asyncio
import logging
from collections.abc import Callable

import orjson
import psycopg
from psycopg import sql

from parley.alerts.states import RAISED
from parley.errors import ParleyError
from parley.server import keys
from parley.server.live import TELL_SECONDS, WINDOWS, Live, Sums
from parley.server.writer import SOURCE
from parley.settings import Settings
from parley.warehouse import database, secret
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

PAUSE = 2.0  # seconds, where Postgres is away
MOST_RECALLED = 500_000
ALERT_SECONDS = 2.0
_ALERT_FIELDS = ("alert_id", "rule", "subject", "severity", "state", "since", "detail")

log = logging.getLogger("parley.server")

_RECALL = """
    with latest as (
        select
            tenant_id, extract(epoch from received_at)::float as at, event_name, user_id,
            coalesce(conversation_id, session_id), attributes -> 'duration_ms', attributes -> 'revenue',
            attributes -> 'currency'
        from raw.events
        where
            batch_id >= (
                select min(batch_id) from raw.load_batches inner join raw.loads using (load_id)
                where loads.source = %s and load_batches.received_at >= now() - %s * interval '1 second'
            )
            and load_id in (select load_id from raw.loads where source = %s)
        order by batch_id desc
        limit %s
    )
    select * from latest order by at
"""
_ALERTS = """
    select tenant_id, alert_id, rule_id, subject, severity, state, extract(epoch from since)::float, detail
    from ops.alerts
    where state = any(%s) and tenant_id <> %s
    order by severity, since, alert_id
"""


class News:
    """Tells others what this process acknowledged, and hears what they did."""

    def __init__(self, settings: Settings, live: Live, on_keys_changed: Callable[[], None]) -> None:
        self._settings = settings
        self._live = live
        self._on_keys_changed = on_keys_changed
        self._own_pid = 0
        self._channel = channel(settings)

    def recall(self, connection: Connection) -> None:
        """Read what the last half hour brought by HTTP."""
        half_hour = max(WINDOWS.values())
        for tenant_id, at, name, user, conversation, duration, revenue, currency in connection.execute(
            _RECALL, [SOURCE, half_hour, SOURCE, MOST_RECALLED]
        ):
            sums = Sums()
            attributes = {"duration_ms": duration, "revenue": revenue, "currency": currency}
            sums.add(str(name), _text(user), _text(conversation), attributes)
            self._live.recall(str(tenant_id), sums, float(str(at)))

    async def tell_forever(self) -> None:
        """Send what is new, some thirty times a second. While Postgres is away, others hear of it later."""
        connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        while True:
            await asyncio.sleep(TELL_SECONDS)
            payloads = self._live.untold()
            if not payloads:
                continue
            try:
                if connection is None:
                    connection = await self._connect()
                    self._own_pid = connection.info.backend_pid
                while payloads:
                    await connection.execute("select pg_notify(%s, %s)", [self._channel, payloads[0]])
                    payloads.pop(0)
            except (psycopg.Error, ParleyError):
                connection = None
                self._live.tell_again(payloads)
                await asyncio.sleep(2 * PAUSE)  # those who listen are back before

    async def hear_forever(self) -> None:
        """Take in what others send."""
        while True:
            try:
                connection = await self._connect()
                for name in (self._channel, keys.CHANNEL):
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(name)))
                self._on_keys_changed()  # what was told before is not heard
                async for notify in connection.notifies():
                    if notify.channel == keys.CHANNEL:
                        self._on_keys_changed()
                    elif notify.pid != self._own_pid:
                        self._live.hear(notify.payload)
            except (psycopg.Error, ParleyError):
                log.warning("What other processes acknowledge is not heard: Postgres is away.")
            await asyncio.sleep(PAUSE)

    async def watch_alerts_forever(self) -> None:
        """Look for alerts that change. Those of the whole installation are not a tenant's to see."""
        connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        while True:
            try:
                if connection is None:
                    connection = await self._connect()
                found = await connection.execute(_ALERTS, [list(RAISED), EVERY_TENANT])
                rows = await found.fetchall()
                self._live.note_alerts((str(row[0]), dict(zip(_ALERT_FIELDS, row[1:], strict=True))) for row in rows)
            except (psycopg.Error, ParleyError):
                connection = None
            await asyncio.sleep(ALERT_SECONDS)

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        found = await asyncio.to_thread(database.conninfo, self._settings)
        return await psycopg.AsyncConnection.connect(found, autocommit=True)


def forget(connection: Connection, settings: Settings, tenant_id: str) -> None:
    """Tell every server that a tenant was removed: none is to show what it counted of it, or to know its keys."""
    keys.tell(connection)
    told = [channel(settings), orjson.dumps([tenant_id, None]).decode()]
    connection.execute("select pg_notify(%s, %s)", told)


def channel(settings: Settings) -> str:
    """The channel of all servers with the installation's secret."""
    return f"parley_{secret.derived(settings, 'live')[:40]}"


def _text(value: object) -> str | None:
    return None if value is None else str(value)
