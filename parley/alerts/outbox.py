"""Sends what evaluations have put into `ops.alert_deliveries`: at least once, in order, each with the key it was given.

A message is sent while its row is locked and marked in the same transaction: who is killed in between leaves it as it
was, and it is sent again under the same key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg.rows import class_row

from parley.alerts import channels
from parley.errors import ParleyError
from parley.warehouse.database import Connection

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of one go."""

    sent: int = 0
    failed: int = 0
    """To be tried again, or given up."""


@dataclass(frozen=True, slots=True)
class _Due:
    delivery_id: int
    alert_id: int
    dedupe_key: str
    channel: str
    title: str
    body: str
    tone: str
    attempts: int
    created_at: datetime


def deliver(
    connection: Connection,
    known_channels: Mapping[str, channels.Urls],
    *,
    now: datetime | None = None,
    at_once: bool = False,
) -> Delivered:
    """Send what is due, each message once; `at_once` those that wait for another attempt too.

    The connection commits by itself (autocommit). A failure is noted with its reason and tried again after a wait that
    doubles; after two days it is given up. Messages of one alert to one channel go out in order.
    """
    moment = now or datetime.now(UTC)
    sent, failed, tried = 0, 0, [0]
    while True:
        with connection.transaction():
            due = _next(connection, moment, at_once, tried)
            if due is None:
                return Delivered(sent, failed)
            tried.append(due.delivery_id)
            try:
                if due.channel not in known_channels:
                    raise ParleyError(f"the channel {due.channel} is not set up any more")
                channels.send(
                    known_channels[due.channel],
                    channels.Message(
                        due.dedupe_key, due.title, due.body, due.tone, incident=f"parley/alert/{due.alert_id}"
                    ),
                )
            except ParleyError as error:
                _note_failure(connection, due, moment, str(error))
                failed += 1
            else:
                connection.execute(
                    "update ops.alert_deliveries set status = 'sent', sent_at = clock_timestamp(),"
                    " attempts = attempts + 1, last_error = null where delivery_id = %s",
                    [due.delivery_id],
                )
                sent += 1


def undelivered(connection: Connection) -> list[str]:
    """A sentence for each channel that has messages waiting after a failure, or given up within `GIVEN_UP_AFTER`."""
    found = connection.execute(
        """
        select channel, count(*), (array_agg(last_error order by delivery_id desc))[1]
        from ops.alert_deliveries
        where
            (status = 'pending' and attempts > 0)
            or (status = 'failed' and next_attempt_at > clock_timestamp() - %s)
        group by channel
        order by channel
        """,
        [GIVEN_UP_AFTER],
    ).fetchall()
    return [f"{count} messages to {channel} could not be sent: {reason}" for channel, count, reason in found]


def _next(connection: Connection, now: datetime, at_once: bool, tried: list[int]) -> _Due | None:
    """The oldest message that is due and that nobody else is sending, locked."""
    with connection.cursor(row_factory=class_row(_Due)) as cursor:
        return cursor.execute(
            """
            select delivery_id, alert_id, dedupe_key, channel, title, body, tone, attempts, created_at
            from ops.alert_deliveries as due
            where
                status = 'pending' and (%(at_once)s or next_attempt_at <= %(now)s) and delivery_id <> all(%(tried)s)
                and not exists (
                    select from ops.alert_deliveries as earlier
                    where
                        earlier.status = 'pending' and earlier.alert_id = due.alert_id
                        and earlier.channel = due.channel and earlier.delivery_id < due.delivery_id
                )
            order by delivery_id
            limit 1
            for update skip locked
            """,
            {"now": now, "at_once": at_once, "tried": tried},
        ).fetchone()


def _note_failure(connection: Connection, due: _Due, now: datetime, reason: str) -> None:
    wait = min(FIRST_WAIT * 2 ** min(due.attempts, 10), LONGEST_WAIT)
    is_over = now - due.created_at >= GIVEN_UP_AFTER
    connection.execute(
        "update ops.alert_deliveries set status = %s, attempts = attempts + 1, next_attempt_at = %s, last_error = %s"
        " where delivery_id = %s",
        ["failed" if is_over else "pending", now + wait, reason, due.delivery_id],
    )
