"""Processes that validate chunks side by side; what they make of them comes back in the chunks' order.

A worker has one chunk at a time, and gets its next when the outcome of the last has been taken: so no more is in memory
than a chunk and an outcome per worker, however slow Postgres is.
"""

import gc
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from multiprocessing import get_context
from multiprocessing.connection import Connection

from parley.errors import ParleyError
from parley.landing.sources import Chunk, SourceError
from parley.landing.validation import MakeRules, ValidatedChunk, validate_chunk

_context = get_context("spawn")  # a forked process would share the connection to Postgres


class Workers(AbstractContextManager["Workers"]):
    """So many worker processes; they end with the context, or with this process."""

    def __init__(self, make_rules: MakeRules, count: int) -> None:
        self._links: list[Connection] = []
        self._processes = []
        for _ in range(count):
            ours, theirs = _context.Pipe()
            process = _context.Process(target=_work, args=(make_rules, theirs), daemon=True)
            process.start()
            theirs.close()
            self._links.append(ours)
            self._processes.append(process)

    def __exit__(self, *_: object) -> None:
        for link in self._links:
            link.close()
        for process in self._processes:
            process.join()

    def validate(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, ValidatedChunk]]:
        """The chunks in their order, and what was made of them. A SourceError comes after what was read before it.

        Raises ParleyError where a worker process has died.
        """
        waiting: deque[tuple[int, Chunk]] = deque()
        failure: SourceError | None = None

        def send_next(worker: int) -> None:
            nonlocal failure
            try:
                chunk = None if failure else next(chunks, None)
            except SourceError as error:
                failure = error
                return
            if chunk:
                self._send(worker, chunk)
                waiting.append((worker, chunk))

        for worker in range(len(self._links)):
            send_next(worker)
        while waiting:
            worker, chunk = waiting.popleft()
            validated = self._receive(worker)
            send_next(worker)
            yield chunk, validated
        if failure:
            raise failure

    def _send(self, worker: int, chunk: Chunk) -> None:
        try:
            self._links[worker].send(chunk)
        except OSError:
            raise self._death(worker) from None

    def _receive(self, worker: int) -> ValidatedChunk:
        try:
            validated: ValidatedChunk = self._links[worker].recv()
        except (EOFError, OSError):
            raise self._death(worker) from None
        return validated

    def _death(self, worker: int) -> ParleyError:
        process = self._processes[worker]
        process.join()
        code = process.exitcode or 0
        how = f"was killed (signal {-code}), perhaps for want of memory" if code < 0 else f"failed (status {code})"
        return ParleyError(f"A worker process {how}: run the same command again, and it goes on where it stopped.")


def _work(make_rules: MakeRules, link: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    rules = make_rules()
    gc.disable()  # what an event is made of goes by itself; a tenth of the time went into looking for what does not
    try:
        while True:
            link.send(validate_chunk(rules, link.recv()))
            gc.collect(0)
    except (EOFError, OSError):
        pass  # the parent has closed the link, or is gone
