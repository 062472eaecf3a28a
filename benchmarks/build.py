"""What a build costs beside its goals: in full, of what is new, and of nothing new, onto a short and a long history.

    python -m benchmarks.build [--size 1000000] [--days 60] [--short 10]

Makes the demo's world, lands its last `--short` days and, in another database, all of its days, each without the last
day; builds; lands the last day; builds what changed. The increment is the same in both, so the ratio of the two says
whether cost follows the change or the history. Goals are ratios, to two things measured in the same run: importing dbt
in a process of its own, and a bare COPY of the events into a table with the same key. SQL is the time of the models,
seeds and tests themselves, added up. It starts servers of its own in a temporary folder.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

END = date(2026, 6, 1)
AS_OF = datetime(2026, 6, 1, 1, tzinfo=UTC)
SHOWN = 8  # models that cost most, of each build


@dataclass(frozen=True)
class Cost:
    """Of a build, in seconds."""

    total: float
    spent: dict[str, float]
    """By model, seed and test."""

    @property
    def sql(self) -> float:
        return sum(self.spent.values())

    def __str__(self) -> str:
        most = sorted(self.spent.items(), key=lambda item: -item[1])[:SHOWN]
        return (
            f"{self.total:7.1f} s = {self.total - self.sql:5.1f} s start-up + {self.sql:6.1f} s SQL, most of it in "
            + ", ".join(f"{name} {seconds:.1f}" for name, seconds in most)
        )


def write_world(folder: Path, size: int, days: int, short: int) -> dict[str, Path]:
    """The world's lines by when they happened: long before, the last days, and the very last one."""
    from parley.demo import Demo
    from parley.demo.world import blocks

    files = {name: folder / f"{name}.ndjson" for name in ("old", "recent", "last_day")}
    recent_from = (END - timedelta(days=short + 1)).isoformat().encode()
    last_from = (END - timedelta(days=1)).isoformat().encode()
    handles = {name: path.open("wb") for name, path in files.items()}
    for block in blocks(Demo(end=END, size=size, days=days + 1)):
        for line in block:
            _, found, rest = line.partition(b'"occurred_at":"')
            day = rest[:10] if found else b""
            name = "last_day" if day >= last_from else "recent" if day >= recent_from else "old"
            handles[name].write(line)
    for handle in handles.values():
        handle.close()
    return files


def land(paths: list[Path]) -> tuple[int, float]:
    """Events accepted, and seconds."""
    from parley.landing import loader
    from parley.settings import Settings

    began = time.perf_counter()
    accepted = sum(loader.load(Settings.load(), str(path)).counts.accepted for path in paths)
    return accepted, time.perf_counter() - began


def build() -> Cost:
    """Build, and see what it took."""
    from parley.build import builds
    from parley.build.results import Result
    from parley.settings import Settings

    spent: dict[str, float] = {}
    outcome_of = builds._outcome  # the one place where the results of all are at hand

    def timed(results: list[Result], as_of: datetime, seconds: float) -> builds.Outcome:
        spent.update((result.name, result.seconds) for result in results)
        return outcome_of(results, as_of, seconds)

    builds._outcome = timed
    try:
        began = time.perf_counter()
        outcome = builds.build(Settings.load(), builds.BuildRequest(as_of=AS_OF))
        total = time.perf_counter() - began
    finally:
        builds._outcome = outcome_of
    if not outcome.is_good:
        raise SystemExit(f"The build failed: {outcome.problems}")
    return Cost(total, spent)


def process(*arguments: str) -> float:
    """Seconds that a Python process takes, its start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@dataclass(frozen=True)
class History:
    """What was measured of a history."""

    landing: float
    copy: float
    """Of what landed, by a bare COPY."""
    full: Cost
    day: Cost
    """From a process that stays."""
    day_in_process: float
    nothing: float
    """In a process of its own, as the one before."""


def measure(home: Path, history: list[Path], last_day: list[Path], label: str) -> History:
    """Build a history, then the day after it in two halves, in a warehouse of its own."""
    from benchmarks.landing import bare_copy
    from parley.settings import Settings
    from parley.warehouse import database, embedded

    os.environ["PARLEY_HOME"] = str(home)
    for name in ("DATABASE_URL", "PGHOST"):
        os.environ.pop(name, None)
    command = ("-m", "parley", "build", "--as-of", AS_OF.isoformat())
    try:
        events, landing = land(history)
        with database.connect(Settings.load(), autocommit=True) as connection:
            copy = bare_copy(connection, home / "rows")
        print(f"{label}: {events:,} events landed in {landing:.1f} s ({events / landing:,.0f} a second)")
        full = build()
        print(f"  full build      {full}")
        print(f"  dbt once more   {build()}  (it records what it runs)")
        events, _ = land(last_day[:1])
        day = build()
        print(f"  half a day more {day}   ({events:,} events)")
        events, _ = land(last_day[1:])
        day_in_process = process(*command)
        print(f"  the other half  {day_in_process:7.1f} s in a process of its own ({events:,} events)")
        nothing = min(process(*command) for _ in range(3))
        print(f"  nothing new     {nothing:7.1f} s in a process of its own", flush=True)
        return History(landing, copy, full, day, day_in_process, nothing)
    finally:
        embedded.stop(Settings.load())
        shutil.rmtree(home, ignore_errors=True)


def halves(file: Path) -> list[Path]:
    """A file of lines as two, every other line in each."""
    found = [file.with_name(f"{number}-{file.name}") for number in range(2)]
    with file.open("rb") as lines, found[0].open("wb") as even, found[1].open("wb") as odd:
        for number, line in enumerate(lines):
            (odd if number % 2 else even).write(line)
    return found


def goals(short: History, long: History) -> None:
    """Each figure that has a goal, beside it."""
    dbt = min(process("-c", "import dbt.cli.main") for _ in range(3))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"importing dbt {dbt:.2f} s, bare COPY {long.copy:.1f} s; load {load} on {os.cpu_count()} cores")
    for name, ratio, goal in (
        ("nothing new, to importing dbt", long.nothing / dbt, "≤ 1.2"),
        ("half a day more in a process of its own, to importing dbt", long.day_in_process / dbt, "≤ 4"),
        ("half a day more from a process that stays, to importing dbt", long.day.total / dbt, "≤ 2"),
        ("whole build, to the bare COPY", long.full.total / long.copy, "≤ 6"),
        ("landing's speed, to that of the bare COPY", long.copy / long.landing, "≥ 0.6"),
        ("half a day onto the long history, to that onto the short one", long.day.total / short.day.total, "≤ 1.15"),
    ):
        print(f"  {name:62} {ratio:7.2f}   goal {goal}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="events in all")
    parser.add_argument("--days", type=int, default=60, help="days of the long history")
    parser.add_argument("--short", type=int, default=10, help="days of the short history")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="parley-benchmark-"))
    folder.chmod(0o755)
    try:
        files = write_world(folder, options.size, options.days, options.short)
        last_day = halves(files["last_day"])
        short = measure(folder / "short", [files["recent"]], last_day, f"{options.short} days of history")
        long = measure(folder / "long", [files["old"], files["recent"]], last_day, f"{options.days} days of history")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    goals(short, long)


if __name__ == "__main__":
    main()
