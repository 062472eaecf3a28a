"""How fast events land, beside a bare COPY of the same rows, and how much memory that takes.

`python -m benchmarks.landing [--size 1000000] [--file events.ndjson.gz]` makes a database on the server that the
environment names (Parley's own where it names none) and drops it again. The full path is the command `parley load`, its
start included. The bare COPY is of the rows that landed, made ready in a file, into an empty table with the primary key
(tenant_id, event_id). `--format segment` lands the same events as calls of the Segment spec, through jq.
"""

import argparse
import gzip
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
from psycopg import sql

from parley.demo import Demo, write
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection

DATABASE = "parley_landing_benchmark"
SERVERS_OWN = "postgres"  # there on every server
ROUNDS = 3
KIB = 1024
MIB = 1024 * KIB


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=500_000, help="events of the demo to land (default: 500000)")
    parser.add_argument("--file", type=Path, help="a file in the envelope of parley to land instead")
    parser.add_argument("--format", choices=("parley", "segment"), default="parley", help="what the demo is written in")
    options = parser.parse_args()
    settings = Settings.load()
    os.environ.update(database.variables(settings))
    os.environ.pop("DATABASE_URL", None)
    os.environ["PGDATABASE"] = DATABASE
    with tempfile.TemporaryDirectory() as folder:
        if options.file is None:
            options.file = Path(folder, "demo.ndjson.gz")
            write(options.file, Demo(end=datetime.now(UTC).date(), size=options.size))
            if options.format == "segment":
                options.file = as_calls(options.file, Path(folder, "calls.ndjson.gz"))
        loads, memory, copies, counts, cpu = [], 0, [], (0, 0), []
        for _ in range(ROUNDS):  # in turns, so that both meet the same noise
            with database.connect(settings, autocommit=True, database=SERVERS_OWN) as connection:
                connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(DATABASE)))
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
            before = cpu_of_children()
            seconds, peak = load(options.file, options.format)
            loads.append(seconds)
            cpu.append(cpu_of_children() - before)
            memory = max(memory, peak)
            with database.connect(settings, autocommit=True) as connection:
                copies.append(bare_copy(connection, Path(folder, "rows")))
                counts = lines_and_rows(connection)
        with database.connect(settings, autocommit=True, database=SERVERS_OWN) as connection:
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(DATABASE)))
    lines, rows = counts
    full, bare = statistics.median(loads), statistics.median(copies)
    print(f"full path  {lines:>11,} events {full:>8.2f} s {lines / full:>10,.0f} events/s")
    print(f"processor  {min(cpu) / lines * 1e6:>11,.1f} µs an event in parley's own processes, all cores together")
    print(f"bare COPY  {rows:>11,} rows   {bare:>8.2f} s {rows / bare:>10,.0f} rows/s")
    print(f"ratio      {bare / full:>11.2f} of the bare COPY's rows a second")
    print(f"memory     {memory / MIB:>11,.0f} MiB at the peak, all processes of parley")


def as_calls(events: Path, file: Path) -> Path:
    """Events of the demo as calls of the Segment spec; lines that are no JSON stay as they are."""
    with gzip.open(events) as lines, gzip.open(file, "wb", compresslevel=1) as out:
        for line in lines:
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                out.write(line)
                continue
            ids = {key: event.get(key) for key in ("conversation_id", "session_id")}
            call = {
                "type": "track",
                "event": event.get("event_name"),
                "messageId": event.get("event_id"),
                "userId": event.get("user_id"),
                "anonymousId": event.get("anonymous_id"),
                "tenant_id": event.get("tenant_id"),
                "timestamp": event.get("occurred_at"),
                "channel": event.get("source"),
                "context": event.get("context"),
                "properties": {**(event.get("attributes") or {}), **{k: v for k, v in ids.items() if v is not None}},
            }
            out.write(orjson.dumps(call) + b"\n")
    return file


def load(file: Path, source_format: str = "parley") -> tuple[float, int]:
    """Land a file: seconds, and the most bytes of memory that the processes held together."""
    start = time.perf_counter()
    peak = 0
    command = [sys.executable, "-m", "parley", "load", str(file), "--format", source_format]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(memory_of, members(process.pid))))
            time.sleep(0.5)  # to look takes some milliseconds of a core
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - start, peak


def cpu_of_children() -> float:
    """Seconds of the processor that processes started here, and theirs, have taken until now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def members(session: int) -> list[Path]:
    """The folders in /proc of a session's processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found.append(folder)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def memory_of(folder: Path) -> int:
    """Bytes that a process holds; what several share, such as libraries, counts in parts (Linux's Pss)."""
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * KIB for line in lines if line.startswith("Pss:"))


def bare_copy(connection: Connection, file: Path) -> float:
    """Seconds that a COPY of the rows of raw.events takes."""
    with file.open("wb") as out, connection.cursor().copy("copy (select * from raw.events) to stdout") as copy:
        for block in copy:
            out.write(block)
    connection.execute("create table bare (like raw.events, primary key (tenant_id, event_id))")
    connection.execute("checkpoint")
    start = time.perf_counter()
    with file.open("rb") as rows, connection.cursor().copy("copy bare from stdin") as copy:
        while block := rows.read(MIB):
            copy.write(block)
    return time.perf_counter() - start


def lines_and_rows(connection: Connection) -> tuple[int, int]:
    """How many events were received, and how many are stored."""
    ((lines, rows),) = connection.execute("select received, accepted from raw.loads").fetchall()
    return int(str(lines)), int(str(rows))


if __name__ == "__main__":
    main()
