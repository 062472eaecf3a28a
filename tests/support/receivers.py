"""What messages are sent to in tests: a webhook and a mail server, on this machine."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Webhook:
    """Keeps what is posted to it, and answers with `status`."""

    port: int
    status: int = 200
    posts: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """The `Idempotency-Key` of each post."""
    before_answering: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"json://{HOST}:{self.port}/hook"


@contextmanager
def webhook(port: int = 0) -> Iterator[Webhook]:
    """A webhook; on a port that is free, where none is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append(json.loads(body))
            found.keys.append(self.headers["Idempotency-Key"])
            found.before_answering()
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        found = Webhook(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def mailbox() -> Iterator[tuple[str, list[Message]]]:
    """The apprise URL of a mail server, and the mails it has got."""
    mails: list[Message] = []

    class Handler:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            assert isinstance(envelope.content, bytes)
            mails.append(message_from_bytes(envelope.content))
            return "250 OK"

    controller = Controller(Handler(), hostname=HOST, port=free_port())
    controller.start()
    try:
        yield f"mailto://{HOST}:{controller.port}?from=parley@example.org&to=team@example.org", mails
    finally:
        controller.stop()
