"""Send events to a Parley server from Python: a queue, batches, retries. Never raises into the caller.

    from parley.client import Client

    parley = Client("http://localhost:8090", KEY)
    parley.track("message.received", user_id="u-1", conversation_id="c-1", attributes={"text": "Where is my parcel?"})
    with parley.track_tool_call("find_parcel", conversation_id="c-1"):
        ...

Needs nothing but the standard library. Each event gets its `event_id` when it is tracked, so that whatever is sent
again lands once.
"""

import atexit
import json
import logging
import os
import queue
import random
import threading
import time
import urllib.error
import urllib.request
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger("parley.client")

MAX_BATCH_BYTES = 450 * 1024
TOO_LARGE = 413
_RETRIED = (408, 429, 500, 502, 503, 504)
_ENVELOPE = ("user_id", "anonymous_id", "conversation_id", "session_id", "site_id", "tenant_id", "source", "actor")


class Client:
    """Sends events in the background. `flush` waits for them; the end of the program does so too."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        max_batch: int = 100,
        max_queue: int = 10_000,
        seconds_between_batches: float = 0.5,
        retries: int = 10,
        timeout: float = 10.0,
        **envelope: str,
    ) -> None:
        """`envelope` is what every event has, such as `source="web"`; an event's own values win."""
        self._url = f"{url.rstrip('/')}/api/v1/analytics/events/batch"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._max_batch, self._pause, self._retries, self._timeout = (
            max_batch,
            seconds_between_batches,
            retries,
            timeout,
        )
        self._envelope = envelope
        self._max_queue = max_queue
        self.dropped = 0
        """Events that found the queue full, or that the server did not take after all retries."""
        self._begin()
        atexit.register(self.close)
        begin = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (again := begin()) and again())

    def _begin(self) -> None:
        """Start with an empty queue: in a forked process too, whose parent sends what was queued before."""
        self._queue: queue.Queue[bytes] = queue.Queue(self._max_queue)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send_forever, name="parley-client", daemon=True)
        self._thread.start()

    def track(
        self,
        event_name: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
        **envelope: str | None,
    ) -> None:
        """Queue an event; `envelope` are fields such as user_id and conversation_id. Naive times are local ones."""
        try:
            at = (occurred_at or datetime.now(UTC)).astimezone(UTC)
            event = {
                "event_id": str(uuid.uuid4()),
                "event_name": event_name,
                "occurred_at": at.isoformat().replace("+00:00", "Z"),
                **self._envelope,
                **{name: value for name, value in envelope.items() if value is not None},
                "attributes": dict(attributes or {}),
                **({"context": dict(context)} if context else {}),
            }
            self._queue.put_nowait(json.dumps(event, default=str).encode())
        except queue.Full:
            self._drop(1, "the queue is full")
        except Exception:  # whatever is wrong with an event, the caller's work goes on
            self._drop(1, "it cannot be written as JSON")

    def track_response_time(self, duration_ms: float, *, model: str, **more: Any) -> None:
        """Queue an `ai.response`. `more` are fields of the envelope and attributes, such as input_tokens."""
        self._track_with("ai.response", {"duration_ms": duration_ms, "model": model}, more)

    @contextmanager
    def track_tool_call(self, tool_name: str, **more: Any) -> Iterator[None]:
        """Queue start and end of a tool call around a block; an exception in it counts as a failure and goes on."""
        call_id = str(uuid.uuid4())
        began = time.monotonic()
        self._track_with("ai.tool_call_started", {"tool_name": tool_name, "tool_call_id": call_id}, more)
        success = False
        try:
            yield
            success = True
        finally:
            duration_ms = round((time.monotonic() - began) * 1000, 3)
            attributes = {"tool_name": tool_name, "tool_call_id": call_id, "success": success}
            self._track_with("ai.tool_call_completed", {**attributes, "duration_ms": duration_ms}, more)

    def track_search(self, query: str, results_count: int, **more: Any) -> None:
        """Queue a `kb.search`."""
        self._track_with("kb.search", {"query": query, "results_count": results_count}, more)

    def track_voice(self, duration_ms: float, **more: Any) -> None:
        """Queue a `voice.first_response`."""
        self._track_with("voice.first_response", {"duration_ms": duration_ms}, more)

    def flush(self, seconds: float = 30.0) -> bool:
        """Wait until all that is queued was sent or dropped; whether that came about in time."""
        end = time.monotonic() + seconds
        while self._queue.unfinished_tasks:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        """Send what is queued, and end."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join(self._timeout * 3)

    def _track_with(self, event_name: str, attributes: dict[str, Any], more: dict[str, Any]) -> None:
        envelope = {name: more.pop(name) for name in _ENVELOPE if name in more}
        rest = {name: more.pop(name) for name in ("context", "occurred_at") if name in more}
        self.track(event_name, attributes={**attributes, **more}, **rest, **envelope)

    def _send_forever(self) -> None:
        while True:
            batch = self._take()
            if batch:
                self._send(batch)
                for _ in batch:
                    self._queue.task_done()
            elif self._closing.is_set():
                return

    def _take(self) -> list[bytes]:
        """What is queued, waiting a moment for the first and for company."""
        batch: list[bytes] = []
        size = 0
        end = time.monotonic() + self._pause
        while len(batch) < self._max_batch and size < MAX_BATCH_BYTES:
            left = 0.0 if self._closing.is_set() else end - time.monotonic()
            try:
                event = self._queue.get(timeout=max(left, 0.001))
            except queue.Empty:
                break
            batch.append(event)
            size += len(event)
        return batch

    def _send(self, batch: list[bytes]) -> None:
        for attempt in range(self._retries + 1):
            wait = random.uniform(0, min(30.0, 0.2 * 2**attempt))  # full jitter: clients do not come back all at once
            try:
                request = urllib.request.Request(
                    self._url, b'{"events":[' + b",".join(batch) + b"]}", self._headers, method="POST"
                )
                with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                    rejected = json.load(answer).get("rejected") or []
                for one in rejected:
                    log.warning("Parley rejected an event (%s): %s", one.get("reason"), one.get("message"))
                return
            except urllib.error.HTTPError as error:
                if error.code == TOO_LARGE and len(batch) > 1:
                    half = len(batch) // 2
                    self._send(batch[:half])
                    self._send(batch[half:])
                    return
                if error.code not in _RETRIED:
                    log.warning("Parley answered %s to a batch of %s events.", error.code, len(batch))
                    break
                asked = error.headers.get("Retry-After") or ""
                wait = max(wait, float(asked) if asked.isdecimal() else 0.0)
            except Exception as error:  # it is away, or answered half: the event_ids make sending again harmless
                log.debug("Parley did not answer (%s).", type(error).__name__)
            if attempt < self._retries:
                self._closing.wait(wait) if not self._closing.is_set() else time.sleep(min(wait, 1.0))
        self._drop(len(batch), "the server did not take it")

    def _drop(self, events: int, why: str) -> None:
        self.dropped += events
        log.warning("%s event(s) dropped: %s.", events, why)
