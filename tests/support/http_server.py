"""A real `parley serve` for tests: a process of its own on a free port, in the test's warehouse."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from parley.server import keys
from parley.settings import Settings
from parley.warehouse import database

WAIT = 60.0
"""Seconds that a test waits for what must come; it comes in one or two on a quiet machine."""


@dataclass
class Server:
    """A running server; `client` speaks to it with a key that may write for its tenant."""

    process: subprocess.Popen[bytes]
    port: int
    key: str
    log: Path
    tenant: str = "shop"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, key: str | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key or self.key}"}, timeout=WAIT)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal to the server's whole process group, and wait for its end."""
        os.killpg(self.process.pid, how)
        return self.process.wait(WAIT)


def make_key(settings: Settings, tenant: str = "shop", scopes: tuple[str, ...] = ("write",), **fields: object) -> str:
    """A key of the test's warehouse."""
    with database.connect(settings, autocommit=True) as connection:
        return keys.create(connection, tenant, scopes, **fields)  # type: ignore[arg-type]


@contextmanager
def serving(settings: Settings, folder: Path, *options: str, key: str | None = None) -> Iterator[Server]:
    """Start a server and wait until it answers; it is stopped at the end, if it still runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / f"serve-{port}.log"
    command = [sys.executable, "-m", "parley", "serve", "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    server = Server(process, port, key or make_key(settings), log)
    try:
        until(lambda: _answers(server), f"the server does not answer: {log}")
        yield server
    finally:
        if process.poll() is None:
            server.stop(signal.SIGKILL)


def until(happened: Callable[[], bool], message: str) -> None:
    """Wait until something is so. Raises AssertionError with the message where it does not come."""
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end, message
        time.sleep(0.05)


def _answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return httpx.get(f"{server.url}/health/live", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
