"""What the HTTP server reaches, with clients, server and Postgres on the same cores; and that it loses nothing.

`python -m benchmarks.collector [--seconds 10] [--rounds 3] [--sustained 60] [--kills 200] [--outage 120]` runs a
Postgres and servers of its own in a temporary folder. After the rounds, 10,000 events a second are sent for a minute.
`--kills` ends the server or Postgres by SIGKILL that often under load; `--outage` stops Postgres under load for so many
seconds. All but the rounds compare what was acknowledged with what landed.
"""

import argparse
import asyncio
import gzip
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import psutil

from parley.cli.serve import serve
from parley.server import app, keys
from parley.settings import Settings
from parley.warehouse import database, embedded, migrate

EVENTS = "/api/v1/analytics/events"
LIVE = "/api/v1/analytics/realtime"
TENANT = "bench"
IMPORTED = app.create
"""What a forked server need not import."""


class Forked:
    """A `parley serve` that begins as a copy of this process: it need not import what this one has."""

    def __init__(self, port: int) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid:
            return
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        try:
            serve(port=port)
        finally:
            os._exit(1)

    def poll(self) -> int | None:
        if self.returncode is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if found else None
        return self.returncode

    def wait(self) -> int:
        while (status := self.poll()) is None:
            time.sleep(0.01)
        return status


@dataclass
class Server:
    """A `parley serve` in a process group of its own."""

    port: int
    key: str
    process: subprocess.Popen[bytes] | Forked

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self, how: signal.Signals) -> None:
        os.killpg(self.process.pid, how)
        self.process.wait()

    def end_one(self, how: signal.Signals) -> None:
        """End one of its processes, which another one takes the place of."""
        serving = [
            child for child in psutil.Process(self.process.pid).children() if "spawn_main" in str(child.cmdline())
        ]
        os.kill(random.choice(serving).pid, how)


@dataclass
class Sent:
    """What clients sent and were told."""

    seconds: list[float] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    failed: Counter[str] = field(default_factory=Counter)
    """Requests that were not acknowledged, by what came instead."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--sustained", type=float, default=60, help="seconds of 10,000 events each (default: 60)")
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs under load (default: none)")
    parser.add_argument("--outage", type=float, default=0, help="seconds without Postgres (default: none)")
    options = parser.parse_args()
    with warehouse() as settings:
        if options.kills:
            killed(settings, options.kills)
        if options.outage:
            without_postgres(settings, options.outage)
        if not (options.kills or options.outage):
            measure(settings, options.seconds, options.rounds, options.sustained)


def measure(settings: Settings, seconds: float, rounds: int, sustained: float) -> None:
    """Latencies, throughput beside a file's, and how soon an event shows live."""
    print(f"load of the machine at the beginning: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    reader = make_key(settings, "read")
    with serving(settings) as server:
        singles, hundreds, here, elsewhere = [], [], [], []
        for _ in range(rounds):
            singles.append(p95(asyncio.run(load(server, rate=200, batch=1, seconds=seconds)).seconds))
            hundreds.append(p95(asyncio.run(load(server, rate=20, batch=100, seconds=seconds)).seconds))
        with serving(settings, "--only", "read") as reading:
            for _ in range(rounds):
                here.append(p95(shown_live(server, server, reader)))
                elsewhere.append(p95(shown_live(server, reading, reader)))
        before, began = landed(settings), time.perf_counter()
        sent = asyncio.run(load(server, rate=100, batch=100, seconds=sustained))
        offered = 100 * len(sent.seconds) / (time.perf_counter() - began)
        ended = time.perf_counter()
        while landed(settings) - before < len(sent.acknowledged) and time.perf_counter() - ended < sustained:
            time.sleep(0.1)
        behind = time.perf_counter() - ended
    compare(settings, sent)
    by_file = from_file(settings, int(10_000 * sustained))
    print(f"one event, 200 requests a second   p95 {statistics.median(singles) * 1000:>7.1f} ms   goal  60")
    print(f"batches of 100, 20 a second        p95 {statistics.median(hundreds) * 1000:>7.1f} ms   goal 200")
    print(f"batches of 100, 100 a second       p95 {p95(sent.seconds) * 1000:>7.1f} ms   for {sustained:.0f} s")
    print(f"10,000 events a second: sent           {offered:>7,.0f} a second, {sent.failed.total()} requests failed")
    print(f"all had landed, after the last         {behind:>7.1f} s")
    print(f"the same events from a file            {by_file:>7,.0f} a second, ratio {offered / by_file:.2f}")
    print(f"acknowledged to shown live         p95 {statistics.median(here) * 1000:>7.1f} ms   goal 100")
    print(f"the same, by another process       p95 {statistics.median(elsewhere) * 1000:>7.1f} ms   goal 100")


def killed(settings: Settings, kills: int) -> None:
    """Kill the server, one of its processes or Postgres under load, again and again; compare at the end.

    One server in four is two processes, all of which are killed, or one. The others are copies of this process. Each
    sees up to three ends of Postgres before its own. SIGTERM ends it earlier, with the comparison.
    """
    chance = random.Random(kills)
    sent = Sent()
    of_postgres, servers, is_ended = 0, 0, threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_ended.set())
    while of_postgres + servers < kills and not is_ended.is_set():
        is_double = servers % 4 == 0
        with serving(settings, *("--processes", "2") if is_double else (), is_forked=not is_double) as server:
            for _ in range(chance.randrange(4)):
                kill = (chance.uniform(0.2, 1.5), lambda: kill_postgres(settings))
                asyncio.run(load(server, rate=50, batch=5, seconds=kill[0] + 1, sent=sent, then=kill))
                of_postgres += 1
            end = server.end_one if servers % 8 == 4 else server.end
            kill = (chance.uniform(0.2, 1.5), partial(end, signal.SIGKILL))
            asyncio.run(load(server, rate=50, batch=5, seconds=kill[0] + 0.3, sent=sent, then=kill))
            servers += 1
        told = f"{servers} kills of servers, {of_postgres} of Postgres, {len(sent.acknowledged):,} acknowledged"
        print(f"\r{told}", end="", flush=True)
    print()
    drained(settings)
    compare(settings, sent)


def without_postgres(settings: Settings, seconds: float) -> None:
    """Stop Postgres under load for a while: answers stay fast, and all lands afterwards."""
    sent = Sent()
    with serving(settings) as server:
        asyncio.run(load(server, rate=50, batch=20, seconds=2, sent=sent))
        embedded.stop(settings)
        meanwhile = asyncio.run(load(server, rate=50, batch=20, seconds=seconds))
        embedded.start(settings)
        sent.acknowledged |= meanwhile.acknowledged
        server.end(signal.SIGTERM)
    drained(settings)
    times = [1000 * found for found in (statistics.median(meanwhile.seconds), p95(meanwhile.seconds))]
    slowest = 1000 * max(meanwhile.seconds)
    print(f"Postgres stopped {seconds:.0f} s: p50 {times[0]:.1f} ms, p95 {times[1]:.1f} ms, slowest {slowest:.0f} ms")
    print(f"requests that failed: {dict(meanwhile.failed) or 'none'}")
    compare(settings, sent)


def compare(settings: Settings, sent: Sent) -> None:
    """Print what is missing and what is there twice; ends with status 1 where there is any."""
    with database.connect(settings) as connection:
        found = [str(row[0]) for row in connection.execute("select event_id from raw.events")]
        counted = connection.execute("select sum(accepted) from raw.loads").fetchone()
    missing = len(sent.acknowledged - set(found))
    doubled = len(found) - len(set(found))
    off = int(str((counted or (0,))[0] or 0)) - len(found)
    print(f"{len(sent.acknowledged):,} acknowledged: {missing} missing, {doubled} twice, counts off by {off}")
    if missing or doubled or off:
        raise SystemExit(1)


def drained(settings: Settings) -> None:
    """A server lands what killed ones left behind, and ends."""
    with serving(settings) as server:
        while list((settings.home / "spool").glob("*/*.rows")):
            time.sleep(0.2)
        server.end(signal.SIGTERM)


async def load(
    server: Server,
    *,
    rate: float,
    batch: int,
    seconds: float,
    sent: Sent | None = None,
    then: tuple[float, Callable[[], None]] | None = None,
) -> Sent:
    """Send so many requests a second, each on its time whether the last was answered or not."""
    sent = sent or Sent()
    running = set()
    connections = Connections(server)

    async def one() -> None:
        ids = [str(uuid4()) for _ in range(batch)]
        content = body(ids)
        began = time.perf_counter()
        try:
            status, accepted = await asyncio.wait_for(connections.post(content), 20)
        except (OSError, EOFError, TimeoutError) as error:
            status, accepted = type(error).__name__, 0
        sent.seconds.append(time.perf_counter() - began)
        if accepted == batch:
            sent.acknowledged.update(ids)
        else:
            sent.failed[status] += 1

    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        begun = [one()]
        if then and time.perf_counter() - start > then[0]:
            begun.append(asyncio.to_thread(then[1]))
            then = None
        for task in map(asyncio.create_task, begun):
            running.add(task)
            task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    connections.close()
    return sent


class Connections:
    """Keep-alive connections to a server. Little more than the bytes: a client shares the server's cores."""

    def __init__(self, server: Server) -> None:
        self._port = server.port
        self._head = f"POST {EVENTS} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {server.key}\r\n".encode()
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, content: bytes) -> tuple[str, int]:
        """Send events; the status, and how many were accepted."""
        while self._free and self._free[-1][0].at_eof():
            self._free.pop()
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        length = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        try:
            writer.write(self._head + length + content)
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = orjson.loads(await reader.readexactly(size))
        except BaseException:
            writer.close()
            raise
        self._free.append((reader, writer))
        status = head.split(b" ", 2)[1].decode()
        return status, int(answer["accepted"]) if status == "202" else 0

    def close(self) -> None:
        """End them."""
        for _, writer in self._free:
            writer.close()


def body(ids: list[str]) -> bytes:
    """Events of a conversation."""
    return orjson.dumps([event(event_id) for event_id in ids])


def event(event_id: str) -> dict[str, object]:
    return {
        "event_id": event_id,
        "event_name": "message.received",
        "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "conversation_id": f"c{random.randrange(10_000)}",
        "user_id": f"u{random.randrange(5_000)}",
        "attributes": {"text": "Where is my parcel? I have been waiting for it since Monday."},
    }


def shown_live(server: Server, reading: Server, reader: str) -> list[float]:
    """Seconds from an acknowledgement of one server to the snapshot of another that counts it."""
    found = []
    headers = {"Authorization": f"Bearer {reader}"}
    with httpx.stream("GET", f"{reading.url}{LIVE}?metrics=events_30m", headers=headers, timeout=30) as stream:
        counts = (orjson.loads(line[6:])["events_30m"] for line in stream.iter_lines() if line.startswith("data: "))
        seen = next(counts)
        for _ in range(30):
            httpx.post(f"{server.url}{EVENTS}?key={server.key}", json=event(str(uuid4()))).raise_for_status()
            began = time.perf_counter()
            while seen == (seen := next(counts)):
                pass
            found.append(time.perf_counter() - began)
            time.sleep(0.1)
    return found


def from_file(settings: Settings, events: int) -> float:
    """Events a second that `parley load` lands of such events."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.ndjson.gz")
        with gzip.open(path, "wb", 1) as file:
            file.writelines(orjson.dumps({**event(str(uuid4())), "tenant_id": TENANT}) + b"\n" for _ in range(events))
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "parley", "load", str(path)], check=True, stdout=subprocess.DEVNULL)
        return events / (time.perf_counter() - began)


def landed(settings: Settings) -> int:
    """How many events have landed."""
    with database.connect(settings) as connection:
        row = connection.execute("select coalesce(sum(accepted), 0) from raw.loads").fetchone()
    return int(str((row or (0,))[0]))


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]


def make_key(settings: Settings, scope: str) -> str:
    with database.connect(settings, autocommit=True) as connection:
        return keys.create(connection, TENANT, [scope])


def kill_postgres(settings: Settings) -> None:
    """End the benchmark's Postgres by SIGKILL, and start it again once that has come about."""
    [path] = settings.home.glob("**/postmaster.pid")
    number = int(path.read_text().split()[0])
    os.kill(number, signal.SIGKILL)
    for _ in range(300):
        time.sleep(0.1)
        if not psutil.pid_exists(number):
            break
    embedded.start(settings)


@contextmanager
def warehouse() -> Iterator[Settings]:
    """A Postgres of its own, named by DATABASE_URL so that no server starts it by itself."""
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        os.environ["PARLEY_HOME"] = folder
        settings = Settings.load()
        found = embedded.start(settings)
        url = f"postgresql://{found['PGUSER']}@/postgres?host={found['PGHOST']}&port={found['PGPORT']}"
        os.environ["DATABASE_URL"] = url
        try:
            migrate.upgrade(settings)
            yield settings
        finally:
            embedded.stop(settings)


@contextmanager
def serving(settings: Settings, *options: str, is_forked: bool = False) -> Iterator[Server]:
    """A server that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "parley", "serve", "--port", str(port), *options]
    key = make_key(settings, "write")
    quiet = subprocess.DEVNULL
    process = (
        Forked(port) if is_forked else subprocess.Popen(command, start_new_session=True, stdout=quiet, stderr=quiet)
    )
    server = Server(port, key, process)
    try:
        while True:
            try:
                urllib.request.urlopen(f"{server.url}/health/live", timeout=2)
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("The server ended before it answered.") from None
                time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            server.end(signal.SIGKILL)


if __name__ == "__main__":
    main()
