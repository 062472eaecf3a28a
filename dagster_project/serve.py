"""Webserver, daemon and the code server that both share, ended together: `python -m dagster_project.serve`.

One code server, because each of the two would start one of its own otherwise, the daemon a new one every minute. A
plain one: behind `dagster code-server` it would end by itself when a busy machine is late with a heartbeat. Runs are
processes of the code server: what ends it ends them, so that no build goes on unseen.
"""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import dagster as dg

from dagster_project.programs import program
from parley.errors import ParleyError
from parley.settings import PRIVATE, Settings
from parley.warehouse import dagster_home, database

MODULE = "dagster_project.definitions"
LOCATION = "parley"  # the same as in workspace.yaml
WORKSPACE = """\
load_from:
  - grpc_server:
      socket: {socket}
      location_name: {location}
"""
LAUNCHED_BY_A_CODE_SERVER = ".dagster/grpc_info"  # a tag
AT_WORK = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
SECRETS = ("PARLEY_SECRET", "PGPASSWORD", "DATABASE_URL")  # their own things are found by PARLEY_DAGSTER_URL
SECONDS_TO_START = 300
SECONDS_TO_STOP = 30

Process = subprocess.Popen[bytes]


def main() -> None:
    """Run until stopped (Ctrl-C, SIGTERM) or until one of the three ends; status 1 then."""
    parser = argparse.ArgumentParser(prog="python -m dagster_project.serve", description="Dagster's web UI and daemon.")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--host", default="127.0.0.1")
    asked = parser.parse_args()
    os.umask(PRIVATE)
    try:
        settings = Settings.load()
        environment = {**os.environ, **database.variables(settings), **dagster_home.prepare(settings)}
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    os.environ.update(environment)
    with _only_one(Path(environment["DAGSTER_HOME"])):
        _fail_runs_of_the_last_one()
        sys.exit(_serve(asked.host, asked.port, settings.project))


def _serve(host: str, port: int, project: Path) -> int:
    print("Dagster starts, which takes half a minute or more (Ctrl-C stops it).", flush=True)
    with TemporaryDirectory(prefix="parley-") as folder:  # not PARLEY_HOME: a socket's path must be short
        socket, workspace = Path(folder, "code"), Path(folder, "workspace.yaml")
        workspace.write_text(WORKSPACE.format(socket=socket, location=LOCATION))
        code = ["dagster", "api", "grpc", "--socket", str(socket), "-m", MODULE, "--location-name", LOCATION]
        code += ["--inject-env-vars-from-instance", "--use-python-environment-entry-point"]
        others = [
            ["dagster-webserver", "--host", host, "--port", str(port), "--workspace", str(workspace)],
            ["dagster-daemon", "run", "--workspace", str(workspace)],
        ]
        return _run_together(code, socket, others, project, (host, port))


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """An instance has one daemon. The lock ends with this process, however that ends."""
    with (home / "serve.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"parley: Dagster runs already over {home}: stop that one first.")
        yield


def _fail_runs_of_the_last_one() -> None:
    """Runs were processes of its code server: what says that it is still running died with that, without a word."""
    with dg.DagsterInstance.get() as found:
        for run in found.get_runs(dg.RunsFilter(statuses=[*AT_WORK])):
            if LAUNCHED_BY_A_CODE_SERVER in run.tags:
                found.report_run_failed(run, "The run ended with the Dagster that had started it.")


def _run_together(
    code: list[str], socket: Path, others: list[list[str]], folder: Path, address: tuple[str, int]
) -> int:
    def start(command: list[str], environment: dict[str, str] | None = None) -> Process:
        # in a session of its own: Ctrl-C reaches us alone, and we stop them in order, each with all that it has started
        whole = [program(command[0]), *command[1:]]
        return subprocess.Popen(whole, cwd=folder, env=environment, start_new_session=True)

    signal.signal(signal.SIGTERM, _interrupt)
    running: list[Process] = []
    try:
        running.append(start(code))
        _await(socket, running[0])
        running += [start(command, without_secrets(os.environ)) for command in others]
        is_told = False
        while all(process.poll() is None for process in running):
            if not is_told and _answers(*address):
                _tell(*address)
                is_told = True
            time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop(running[1:])  # first who starts runs, then the runs
        _stop(running[:1])
    print("parley: one of Dagster's processes has ended by itself; its last lines above say why.", file=sys.stderr)
    return 1


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """What the web server and the daemon run with: runs are processes of the code server, so that they hash nothing."""
    return {name: value for name, value in environment.items() if name not in SECRETS}


def _answers(host: str, port: int) -> bool:
    """Whether the webserver answers."""
    connection = HTTPConnection(_local(host), port, timeout=5)
    try:
        connection.request("GET", "/server_info")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _tell(host: str, port: int) -> None:
    url = f"http://{_local(host)}:{port}"
    print(
        f"Dagster on {url} (Ctrl-C stops it)\n"
        f"  {url}/assets  every table: the days it holds, checks, lineage\n"
        f"  {url}/locations/{LOCATION}/jobs/build  land the inbox and build what changed: Materialize all",
        flush=True,
    )


def _local(host: str) -> str:
    """Where a browser on this machine finds what listens there."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _await(socket: Path, server: Process) -> None:
    """Until the code server listens, or has ended."""
    end = time.monotonic() + SECONDS_TO_START
    while not socket.exists() and server.poll() is None and time.monotonic() < end:
        time.sleep(0.1)


def _stop(processes: list[Process]) -> None:
    """End these processes and all that they have started: politely first."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    end = time.monotonic() + SECONDS_TO_STOP
    while any(map(_is_alive, processes)) and time.monotonic() < end:
        time.sleep(0.1)
    for process in processes:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _is_alive(process: Process) -> bool:
    """Whether anything of the process's group is there still."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
