"""Loaders at once: whatever they share is stored once, and no reader meets an older batch after a newer one."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from parley.landing import sources
from parley.landing.loader import load
from parley.settings import Settings
from tests.conftest import Rows
from tests.support.landing import assert_accounted_for, content, event, totals, write


def load_in_small_batches(path: str) -> None:
    sources.CHUNK = sources.BLOCK = 5_000
    load(Settings.load(), path)


@pytest.mark.slow
def test_batches_commit_in_the_order_of_their_ids(database: Settings, rows: Rows, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    loaders = []
    for start in (0, 1000, 2000):
        lines = [
            event(number, occurred_at=f"20{number // 300 + 10}-01-01T00:00:00Z")
            for number in range(start, start + 1500)
        ]
        path = write(tmp_path / f"{start}.ndjson", lines)
        loaders.append(context.Process(target=load_in_small_batches, args=(path,)))
    for loader in loaders:
        loader.start()
    seen: set[int] = set()
    while any(loader.is_alive() for loader in loaders):
        new = {row["batch_id"] for row in rows("select batch_id from raw.load_batches")} - seen
        assert not (seen and new) or min(new) > max(seen)
        seen |= new
    assert len(seen) > 30
    for loader in loaders:
        loader.join()
    assert [loader.exitcode for loader in loaders] == [0, 0, 0]
    assert len(content(rows)) == 3500
    assert_accounted_for(rows)


@pytest.mark.slow
def test_two_loads_of_overlapping_files_at_once_store_each_event_once(
    database: Settings, rows: Rows, tmp_path: Path
) -> None:
    first = write(tmp_path / "a.ndjson", [event(number) for number in range(20_000)])
    second = write(tmp_path / "b.ndjson", [event(number) for number in range(10_000, 30_000)])
    started = [
        subprocess.Popen([sys.executable, "-m", "parley", "load", path], stdout=subprocess.DEVNULL)
        for path in (first, second, first)
    ]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert len(content(rows)) == 30_000
    assert sum(accepted for accepted, *_ in totals(rows)) == 30_000
    assert_accounted_for(rows)
