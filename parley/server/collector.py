"""What the routes of a process share: keys and live numbers, and where it collects its spool, its writer, the rules of
the moment, and the way to be durable."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psycopg

from parley.config import seeds, tenants, tracking_plan
from parley.errors import ParleyError, may_pass, told
from parley.landing import batches, formats
from parley.landing.formats import Mapper
from parley.people import removal
from parley.server import spool
from parley.server.access import KeyRing, Limits
from parley.server.intake import Answer, Intake, Known, Most
from parley.server.live import Live
from parley.server.news import News
from parley.server.problems import Problem
from parley.server.spool import Spool, SpoolFull
from parley.server.writer import Writer, pack
from parley.settings import Settings
from parley.warehouse import audit, database, migrate
from parley.warehouse.database import Connection

REFRESH_SECONDS = 3.0
PAUSE_AT_LEAST = 0.2  # seconds, between two looks
PAUSE = 1.0  # seconds, after work that failed in a way that nobody thought of
DRAIN_SECONDS = 20.0
_TYPES = "select count(*), max(updated_at) from raw.event_types"

Work = Callable[[], Coroutine[object, object, None]]
"""What goes on for as long as the server does."""

log = logging.getLogger("parley.server")


@dataclass(frozen=True, slots=True)
class Options:
    """How a server is run, from `parley serve`; passed to its processes by the environment."""

    processes: int = 1
    spool_bytes: int = 2**30
    only: str = ""
    """`collect` or `read`: half of the server; blank: both."""

    @classmethod
    def of_environment(cls) -> "Options":
        """As `export` wrote them."""
        return cls(
            int(os.environ.get("PARLEY_SERVER_PROCESSES", "1")),
            int(os.environ.get("PARLEY_SPOOL_BYTES", str(2**30))),
            os.environ.get("PARLEY_SERVER_ONLY", ""),
        )

    def export(self) -> None:
        """For the processes that this one starts."""
        os.environ["PARLEY_SERVER_PROCESSES"] = str(self.processes)
        os.environ["PARLEY_SPOOL_BYTES"] = str(self.spool_bytes)
        os.environ["PARLEY_SERVER_ONLY"] = self.only


class Server:
    """What every process has: keys, limits and live numbers."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self.settings = settings
        self.key_ring = KeyRing(settings)
        self.most = Most.of(settings)
        self.limits = Limits(options.processes, settings.http_rate, settings.http_quota)
        self.live = Live()
        self.is_connected = False
        self._is_prepared = False
        self._changed = asyncio.Event()
        self._news = News(settings, self.live, self._changed.set)
        self._signature: tuple[object, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin. Where Postgres does not answer, it is looked for until it does; no key is known before.

        Raises ParleyError where something else is wrong.
        """
        try:
            await asyncio.to_thread(self._prepare)
        except ParleyError as error:
            if not is_away(error):
                raise
            log.warning("%s Requests are answered with 503 until it is there.", error)
        self._tasks = [asyncio.create_task(_kept_up(work)) for work in self._work()]

    async def stop(self) -> None:
        """End what `start` began."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.key_ring.close()

    @property
    def problem(self) -> str | None:
        """What is in the way now, if anything."""
        if not self.is_connected:
            return "Postgres is away"
        return None if self._is_prepared else "the rules cannot be read: the server's log says why"

    def _work(self) -> Sequence[Work]:
        news = self._news
        return [self._refresh_forever, news.hear_forever, news.watch_alerts_forever]

    async def _refresh_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), REFRESH_SECONDS)
            self._changed.clear()
            await asyncio.to_thread(self._refresh)
            await asyncio.sleep(PAUSE_AT_LEAST)  # however often it is told

    def _prepare(self) -> None:
        migrate.upgrade(self.settings)
        with database.connect(self.settings, autocommit=True) as connection:
            self._signature = self._signed(connection)
            self._take_in(connection)
            self.limits.exchange(connection)
            self._news.recall(connection)
        self.is_connected = self._is_prepared = True

    def _refresh(self) -> None:
        """Take in changed keys, plans, seeds and erasures. Where they are wrong now, all stays as it was."""
        try:
            if not self._is_prepared:
                self._prepare()
            with database.connect(self.settings, autocommit=True) as connection:
                self.is_connected = True
                self.key_ring.refresh(connection)
                self.limits.exchange(connection)
                if (signature := self._signed(connection)) != self._signature:
                    self._take_in(connection)
                    self._signature = signature
        except (ParleyError, psycopg.Error) as error:
            self.is_connected = isinstance(error, ParleyError) and not isinstance(error.__cause__, psycopg.Error)
            log.warning("The rules stay as they were: %s", error if self.is_connected else "Postgres is away")

    def _take_in(self, connection: Connection) -> None:
        found = tenants.read(self.settings.project / tenants.SEED)
        self.live.currencies = {name: tenant.currency or tenants.DEFAULT_CURRENCY for name, tenant in found.items()}

    def _signed(self, connection: Connection) -> tuple[object, ...]:
        files = [
            (path.name, path.stat().st_mtime_ns)
            for folder in (tracking_plan.FOLDER, seeds.FOLDER)
            for path in sorted(Path(self.settings.project, folder).rglob("*.*"))
        ]
        gone = (batches.count_erased(connection), audit.last_numbers(connection, removal.ACTION))
        return (*files, gone, connection.execute(_TYPES).fetchone())


class Collector(Server):
    """One server process's way from validated events to Postgres."""

    def __init__(self, settings: Settings, options: Options) -> None:
        super().__init__(settings, options)
        home = spool.home(settings)
        self.spool = Spool.create(home, max_bytes=options.spool_bytes // options.processes)
        self.writer = Writer(settings, self.spool, home)
        self.intake: Intake | None = None
        self.received = 0
        self._mappers: dict[str, Mapper] = {}
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._syncing = ThreadPoolExecutor(1, "sync")  # its own: no request waits for what other threads wait for

    async def start(self) -> None:
        """Begin: read the rules and let the writer land. Raises ParleyError as `Server.start` does."""
        await super().start()
        self.writer.start()

    async def stop(self) -> None:
        """Drain: everything acknowledged is on disk already; land as much of it as there is time for."""
        await super().stop()
        self._syncing.shutdown()
        self._sync(self._taken())
        if await asyncio.to_thread(self.writer.stop, DRAIN_SECONDS):
            self.spool.close()  # else it is held until the process ends: nobody may land it a second time meanwhile

    @property
    def problem(self) -> str | None:
        """What keeps events from landing now, if anything; quotes nothing of an event."""
        return self.writer.state.problem if self._is_prepared else super().problem

    def current(self) -> Intake:
        """The rules of the moment. Raises Problem before they have been read."""
        if self.intake is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The server is starting: try again.", {"Retry-After": "1"})
        return self.intake

    def mapper(self, name: str) -> Mapper:
        """Makes events of what a source sends, by its format of the moment."""
        if name not in self._mappers:
            self._mappers[name] = Mapper(formats.find(self.settings.project / tracking_plan.FOLDER, name))
        return self._mappers[name]

    async def keep(self, answer: Answer, known: Known) -> None:
        """Make what became of a request durable. Raises Problem where the spool is full."""
        self.received += len(answer.results)
        if not answer.results:
            return
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((pack(answer.validated(), known), kept))
        self._wake.set()
        try:
            await kept
        except SpoolFull as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "30"}) from None

    async def _sync_forever(self) -> None:
        """Requests that come while the disk syncs share the next sync."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if waiting := self._taken():
                await asyncio.get_running_loop().run_in_executor(self._syncing, self._sync, waiting)

    def _taken(self) -> list[tuple[bytes, asyncio.Future[None]]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _sync(self, waiting: Sequence[tuple[bytes, asyncio.Future[None]]]) -> None:
        if not waiting:
            return
        problem: SpoolFull | None = None
        try:
            self.spool.append([record for record, _ in waiting])
        except SpoolFull as error:
            problem = error
        except Exception as error:  # whatever it is, who waits is told that nothing is kept
            log.error("The spool cannot be written: %s", told(error))
            problem = SpoolFull("The spool cannot be written now: send again later.")
        for _, kept in waiting:
            kept.get_loop().call_soon_threadsafe(_settle, kept, problem)

    def _work(self) -> Sequence[Work]:
        return [*super()._work(), self._sync_forever, self._news.tell_forever]

    def _take_in(self, connection: Connection) -> None:
        super()._take_in(connection)
        self.intake = Intake.load(connection, self.settings)
        self._mappers = {}


def is_away(error: ParleyError) -> bool:
    """Whether Postgres may be there in a moment."""
    return may_pass(error) or may_pass(str(error.__cause__))


async def _kept_up(work: Work) -> None:
    """Do it, and take it up again whatever happens in it."""
    while True:
        try:
            await work()
        except Exception as error:
            log.error("The server goes on after a fault: %s", told(error))
        await asyncio.sleep(PAUSE)


def _settle(kept: "asyncio.Future[None]", problem: SpoolFull | None) -> None:
    if not kept.done():
        if problem:
            kept.set_exception(problem)
        else:
            kept.set_result(None)
