"""What every route needs: who calls, what the body holds, and the way to be durable."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from starlette.requests import HTTPConnection

from parley.server import access, intake
from parley.server.collector import Collector, Server
from parley.server.intake import Answer, Received
from parley.server.keys import Key
from parley.server.problems import Json, Problem

JSON_TYPES = ("application/json", "text/plain", "")

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
    await collector.keep(answer, rules.known)
    collector.live.acknowledge(answer.results)
    collector.limits.count(key, len(answer.results))
    return answer


def content_type(request: Request) -> str:
    """The media type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def body_of(request: Request) -> bytes:
    """The body, unpacked. Raises Problem as soon as it is too large."""
    most = server_of(request).most
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        most.check_size(size)
        pieces.append(piece)
    return intake.unpacked(b"".join(pieces), request.headers.get("content-encoding", "").strip().lower(), most)


async def authorized(request: HTTPConnection, scope: str, given: str | None = None) -> tuple[Key, Mapping[str, str]]:
    """The request's key, and the RateLimit headers of its answer. `given` is a key that the body names."""
    server = server_of(request)
    sent = access.key_of(request) or given
    if not sent:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "The request has no key: send it as `Authorization: Bearer KEY`.",
            {"WWW-Authenticate": "Bearer"},
        )
    key = access.check(await server.key_ring.find(sent))
    headers = server.limits.take(key)
    request.state.rate_limit = headers  # of an answer that is a problem too
    access.check_may(key, scope, request.headers.get("origin"))
    return key, headers


def still_holds(request: HTTPConnection) -> bool:
    """Whether the key of a stream has neither ended nor been revoked since it began."""
    key, _ = server_of(request).key_ring.remembered(access.key_of(request) or "")
    return key is not None and not key.is_expired(datetime.now(UTC))


def server_of(request: HTTPConnection) -> Server:
    """What the process shares, whether it collects or only reads."""
    found: Server = request.app.state.server
    return found


def collector_of(request: HTTPConnection) -> Collector:
    """The process's collector."""
    found = server_of(request)
    assert isinstance(found, Collector)  # its routes are there where one is
    return found
