"""The client for Python against servers that misbehave: it goes on, and says what it dropped."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain

import orjson
import pytest

from parley.client import Client

TAKEN = orjson.dumps({"rejected": []})
FORKING = """
import os, sys
from parley.client import Client
client = Client(sys.argv[1], "key")
client.track("message.received", user_id="parent")
child = os.fork()
if not child:
    client.track("message.received", user_id="child")
    os._exit(0 if client.flush(20) else 1)
assert client.flush(20)
assert os.waitpid(child, 0)[1] == 0
"""


class _Server(BaseHTTPRequestHandler):
    """Fails in every way in turn, then takes what comes."""

    failures: list[str]
    taken: list[list[str]]

    def do_POST(self) -> None:
        events = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"]
        match self.failures.pop(0) if self.failures else "":
            case "gone":
                self.close_connection = True
            case "cut off":
                self._answer(202, b"{", {"Content-Length": "99"})
                self.close_connection = True
            case "no object":
                self._answer(202, b"[]")
            case "busy":
                self._answer(503, b"", {"Retry-After": "Fri, 27 Nov 2026 23:59:59 GMT"})
            case _ if len(events) > 2:
                self._answer(413, b"{}")
            case _:
                self.taken.append([event["user_id"] for event in events])
                self._answer(202, TAKEN)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Server.failures, _Server.taken = [], []
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()


def test_what_a_server_does_wrong_is_tried_again(server: str) -> None:
    _Server.failures = ["gone", "cut off", "no object", "busy"]
    client = Client(server, "key", retries=6)
    for number in range(5):
        client.track("message.received", user_id=str(number))
    assert client.flush()
    assert sorted(chain(*_Server.taken)) == ["0", "1", "2", "3", "4"]
    assert all(len(batch) <= 2 for batch in _Server.taken), "a batch that is too large is sent in parts"
    assert client.dropped == 0
    client.track("message.received", user_id="later")
    assert client.flush()
    assert _Server.taken[-1] == ["later"]


def test_a_forked_process_sends_its_own(server: str) -> None:
    subprocess.run([sys.executable, "-c", FORKING, server], check=True, timeout=60)
    assert sorted(chain(*_Server.taken)) == ["child", "parent"]
