"""What Dagster takes for a day of a mart, from launch to green, beside its goal.

    python -m benchmarks.dagster_launch [--size 20000] [--repeat 5]

Lands and builds the demo in a warehouse of its own, starts what `make ui` starts, and has a day of `daily_metrics`
built again, as its page does: the run waits in the queue, its process starts and loads the definitions, and the day is
built and checked.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

GOAL = 15
END = date(2026, 6, 1)
DAY = "2026-05-31"
PARTS = ("in the queue", "the run's process starts and loads", "builds and checks", "ends")
LAUNCH = """
    mutation ($run: ExecutionParams!) {
        launchRun(executionParams: $run) { ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
    }
"""
LOOK = """
    query ($run: ID!) {
        runOrError(runId: $run) { ... on Run { status startTime endTime } }
        logsForRun(runId: $run) {
            ... on EventConnection { events { ... on MessageEvent { timestamp eventType } } }
        }
    }
"""


def ask(url: str, query: str, **variables: object) -> Any:
    """The `data` of a GraphQL query."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["data"]


@contextmanager
def dagster() -> Iterator[str]:
    """What `make ui` starts, on a free port; its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_project.serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5).close()
                break
            time.sleep(0.1)
        else:
            raise SystemExit("Dagster did not start: `make ui` says why.")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def launch(url: str) -> dict[str, float]:
    """Seconds from launch to green, by part. Raises SystemExit where the run fails."""
    run = {
        "selector": {
            "repositoryName": "__repository__",
            "repositoryLocationName": "parley",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": ["marts", "daily_metrics"]}],
        },
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": DAY}]},
    }
    began = time.time()
    run_id = ask(url, LAUNCH, run=run)["launchRun"]["run"]["runId"]
    while (found := ask(url, LOOK, run=run_id))["runOrError"]["status"] not in ("SUCCESS", "FAILURE", "CANCELED"):
        time.sleep(0.1)
    green = time.time()
    if found["runOrError"]["status"] != "SUCCESS":
        raise SystemExit(f"The run failed: {found['runOrError']}")
    times = {event["eventType"]: float(event["timestamp"]) / 1000 for event in found["logsForRun"]["events"] if event}
    points = (began, times["RUN_STARTING"], times["RUN_START"], times["RUN_SUCCESS"], green)
    return dict(zip(PARTS, (end - start for start, end in pairwise(points)), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=20_000, help="events of the demo")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="parley-benchmark-"))
    folder.chmod(0o755)
    for name in ("DATABASE_URL", "PGHOST"):
        os.environ.pop(name, None)
    os.environ["PARLEY_HOME"] = str(folder / "home")
    demo = str(folder / "demo.ndjson")
    try:
        for command in (
            ["demo", demo, "--size", str(options.size), "--end", END.isoformat()],
            ["load", demo],
            ["build"],
        ):
            subprocess.run([sys.executable, "-m", "parley", *command], check=True, stdout=subprocess.DEVNULL)
        with dagster() as url:
            found = [launch(url) for _ in range(options.repeat)]
    finally:
        subprocess.run([sys.executable, "-m", "parley", "stop"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"a day of daily_metrics, {options.repeat} times, median seconds; load {load} on {os.cpu_count()} cores")
    for part in PARTS:
        print(f"  {part:40} {statistics.median(each[part] for each in found):6.1f}")
    whole = [sum(each.values()) for each in found]
    print(f"  {'from launch to green':40} {statistics.median(whole):6.1f}   goal ≤ {GOAL}")


if __name__ == "__main__":
    main()
