"""What a build costs: in full, and of one day onto a short and a long history.

    python benchmarks/build.py [--size 1000000] [--days 60] [--short 10]

Makes the demo's world, lands its last `--short` days and, in another database, all of its days, each without the last
day; builds; lands the last day; builds what changed. The increment is the same in both, so the ratio of the two says
whether cost follows the change or the history. Start-up is what dbt takes before and between its queries; SQL is the
time of the models, seeds and tests themselves, added up. It starts servers of its own in a temporary folder.
"""

import argparse
import os
import shutil
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
    from parley.build import builds as builds
    from parley.settings import Settings

    spent: dict[str, float] = {}
    run = builds._run  # the one place where dbt's results are at hand

    def timed(*arguments: object) -> list[object]:
        results = run(*arguments)  # type: ignore[arg-type]
        spent.update((result.node.name, result.execution_time) for result in results)
        return results

    builds._run = timed
    try:
        began = time.perf_counter()
        outcome = builds.build(Settings.load(), builds.BuildRequest(as_of=AS_OF, threads=1))
        total = time.perf_counter() - began
    finally:
        builds._run = run
    if not outcome.is_good:
        raise SystemExit(f"The build failed: {outcome.problems}")
    return Cost(total, spent)


def measure(home: Path, history: list[Path], last_day: Path, label: str) -> Cost:
    """Build a history, then the day after it, in a warehouse of its own; returns the cost of the day."""
    from parley.settings import Settings
    from parley.warehouse import embedded

    os.environ["PARLEY_HOME"] = str(home)
    for name in ("DATABASE_URL", "PGHOST"):
        os.environ.pop(name, None)
    try:
        events, seconds = land(history)
        print(f"{label}: {events:,} events landed in {seconds:.1f} s ({events / seconds:,.0f} a second)")
        print(f"  full build      {build()}")
        events, _ = land([last_day])
        cost = build()
        print(f"  one day more    {cost}   ({events:,} events)")
        print(f"  nothing new     {build()}", flush=True)
        return cost
    finally:
        embedded.stop(Settings.load())
        shutil.rmtree(home, ignore_errors=True)


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
        short = measure(folder / "short", [files["recent"]], files["last_day"], f"{options.short} days of history")
        long = measure(
            folder / "long", [files["old"], files["recent"]], files["last_day"], f"{options.days} days of history"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"One day onto {options.days} days costs {long.total / short.total:.2f} times one day onto {options.short} days"
        f" ({long.sql / short.sql:.2f} times the SQL)."
    )


if __name__ == "__main__":
    main()
