"""Builds whenever something has landed or changed, in one process: what it has imported and read stays."""

import time
from collections.abc import Callable
from threading import Event

import psycopg

from parley.build import builds
from parley.build.builds import BuildRequest, Outcome
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database, migrate
from parley.warehouse.database import Connection

LOOK_SECONDS = 1.0
RETRY_SECONDS = 10.0
CLOCK_SECONDS = 3600.0
"""After so long a build looks at what the clock has changed, also where nothing landed."""


def watch(
    settings: Settings,
    stop: Event,
    *,
    threads: int | None = None,
    on_built: Callable[[Outcome], None],
    on_trouble: Callable[[str], None],
) -> None:
    """Build until told to stop; a build that has begun is brought to its end.

    What keeps a build from beginning (a seed that is wrong, a server that is down) is told once, and tried again.
    """
    told: str | None = None
    built: tuple[object, ...] | None = None
    built_at = 0.0
    while not stop.is_set():
        try:
            with (
                migrate.connect(settings, autocommit=True) as connection,
                database.explained("the look at what landed"),
            ):
                while not stop.is_set():
                    found = _newest(connection)
                    if found != built or time.monotonic() - built_at > CLOCK_SECONDS:
                        outcome = builds.build(settings, BuildRequest(threads=threads), wait=True)
                        # what landed meanwhile is after `found`; what the build itself published is taken in
                        built, built_at = (found[0], *_newest(connection)[1:]), time.monotonic()
                        told = None
                        on_built(outcome)
                    stop.wait(LOOK_SECONDS)
        except ParleyError as error:
            if str(error) != told:
                told = str(error)
                on_trouble(told)
        except psycopg.OperationalError:  # the server has gone while the connection was closed
            pass
        stop.wait(RETRY_SECONDS)


def _newest(connection: Connection) -> tuple[object, ...]:
    """The last batch that landed, and the last change that somebody published."""
    [row] = connection.execute(
        "select (select max(last_batch_id) from raw.loads), (select max(change_id) from ops.changes)"
    ).fetchall()
    return row
