"""What every route needs: who calls, what the body holds, and the way to be durable."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from starlette.requests import HTTPConnection

from parley.server import access, intake
from parley.server.collector import Collector
from parley.server.intake import Answer, Received
from parley.server.keys import Key
from parley.server.problems import Json, Problem

Made = Callable[[Any], Sequence[Any]]
"""Makes events of a source's document."""


async def accept(
    request: Request, key: Key, found: Received, headers: Mapping[str, str], made: Made | None = None
) -> Response:
    """Validate, make durable, and answer 202."""
    answer = await taken_in(request, key, found, made)
    return Json(answer.as_json(), HTTPStatus.ACCEPTED, dict(headers))


async def taken_in(request: Request, key: Key, found: Received, made: Made | None = None) -> Answer:
    """Validate the events of a request and make what became of them durable."""
    collector = collector_of(request)
    rules = collector.current()
    answer = rules.validate(found, key, made)
    await collector.keep(answer, rules.erased)
    collector.live.acknowledge(answer.verdicts)
    collector.limits.count(key, len(answer.verdicts))
    return answer


def content_type(request: Request) -> str:
    """The media type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def body_of(request: Request) -> bytes:
    """The body, unpacked. Raises Problem as soon as it is too large."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        intake.check_size(size)
        pieces.append(piece)
    return intake.unpacked(b"".join(pieces), request.headers.get("content-encoding", "").strip().lower())


async def authorized(request: HTTPConnection, scope: str, given: str | None = None) -> tuple[Key, Mapping[str, str]]:
    """The request's key, and the RateLimit headers of its answer. `given` is a key that the body names."""
    collector = collector_of(request)
    sent = access.key_of(request) or given
    if not sent:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "The request has no key: send it as `Authorization: Bearer KEY`.",
            {"WWW-Authenticate": "Bearer"},
        )
    key, is_fresh = collector.key_ring.remembered(sent)
    if not is_fresh:
        key = await asyncio.to_thread(collector.key_ring.look_up, sent)
    checked = access.check(key, scope, request.headers.get("origin"))
    return checked, collector.limits.take(checked)


def collector_of(request: HTTPConnection) -> Collector:
    """The process's collector."""
    found: Collector = request.app.state.collector
    return found
