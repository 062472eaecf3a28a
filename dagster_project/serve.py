"""Webserver and daemon, as two processes that end together: `python -m dagster_project.serve [--port 3000]`."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from dagster_project import instance
from dagster_project.programs import program
from parley import database
from parley.errors import ParleyError
from parley.settings import Settings

SECONDS_TO_STOP = 30


def main() -> None:
    """Run until stopped (Ctrl-C, SIGTERM) or until one of the two ends; status 1 then."""
    parser = argparse.ArgumentParser(prog="python -m dagster_project.serve", description="Dagster's web UI and daemon.")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--host", default="127.0.0.1")
    asked = parser.parse_args()
    try:
        settings = Settings.load()
        environment = {**os.environ, **database.variables(settings), **instance.prepare(settings)}
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    commands = [
        ["dagster-webserver", "--host", asked.host, "--port", str(asked.port)],
        ["dagster-daemon", "run"],
    ]
    print(f"Dagster on http://{asked.host}:{asked.port} (Ctrl-C stops it)", flush=True)
    sys.exit(_run_together(commands, settings.project, environment))


def _run_together(commands: list[list[str]], folder: Path, environment: dict[str, str]) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    running = [
        subprocess.Popen(
            [program(command[0]), *command[1:], "--workspace", "workspace.yaml"],
            cwd=folder,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches us alone, and we stop both in order
        )
        for command in commands
    ]
    try:
        while all(process.poll() is None for process in running):
            time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(running)
    print("parley: Dagster's webserver or daemon has ended by itself; its last lines above say why.", file=sys.stderr)
    return 1


def _stop(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
