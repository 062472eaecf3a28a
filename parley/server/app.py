"""The routes. `create` is the application of one server process; `parley serve` starts one or several."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import ORJSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from parley.server import access, intake
from parley.server.collector import Collector, Options
from parley.server.documents import EVENT_BODY, RESPONSES, describe
from parley.server.intake import Answer, Received
from parley.server.keys import Key
from parley.server.problems import Problem
from parley.settings import Settings

BASE = "/api/v1/analytics"
JSON_TYPES = ("application/json", "text/plain", "")
LINES_TYPES = ("application/x-ndjson", "application/jsonl")

Made = Callable[[Any], Sequence[Any]]


def create() -> FastAPI:
    """The application of one process, as the environment says."""
    settings, options = Settings.load(), Options.of_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.collector = collector = Collector(settings, options)
        await collector.start()
        yield
        await collector.stop()

    app = FastAPI(
        title="Parley",
        version="1",
        lifespan=lifespan,
        openapi_url=f"{BASE}/openapi.json",
        docs_url=None,  # FastAPI's page loads scripts from outside
        redoc_url=None,
        default_response_class=ORJSONResponse,
    )
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],  # a key may be bound to origins: `access.check`
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"],
        max_age=86_400,
    )
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _fault)
    _add_intake(app)
    _add_health(app)
    describe(app)
    return app


def _add_intake(app: FastAPI) -> None:
    @app.post(f"{BASE}/events", status_code=202, tags=["Events in"], responses=RESPONSES, openapi_extra=EVENT_BODY)
    async def send_events(request: Request) -> Response:
        """Send one event, a list of events, or `{"events": […]}`; NDJSON too."""
        return await _take(request)

    @app.post(
        f"{BASE}/events/batch", status_code=202, tags=["Events in"], responses=RESPONSES, openapi_extra=EVENT_BODY
    )
    async def send_batch(request: Request) -> Response:
        """Send `{"events": […], "batch_id": …}`. Sent again, it lands once."""
        return await _take(request)

    @app.post(f"{BASE}/events/validate", tags=["Events in"], responses=RESPONSES, openapi_extra=EVENT_BODY)
    async def validate_events(request: Request) -> Response:
        """Say what would become of each event; keep nothing."""
        key, headers = await authorized(request, "write")
        answer = collector_of(request).current().validate(await _received(request), key)
        return ORJSONResponse(answer.in_detail(), headers=dict(headers))


async def _take(request: Request) -> Response:
    key, headers = await authorized(request, "write")
    found = await _received(request)
    return await accept(request, key, found, headers)


async def accept(
    request: Request, key: Key, found: Received, headers: Mapping[str, str], made: Made | None = None
) -> Response:
    """Validate, make durable, and answer 202."""
    answer = await taken_in(request, key, found, made)
    return ORJSONResponse(answer.as_json(), HTTPStatus.ACCEPTED, dict(headers))


async def taken_in(request: Request, key: Key, found: Received, made: Made | None = None) -> Answer:
    """Validate the events of a request and make what became of them durable."""
    collector = collector_of(request)
    rules = collector.current()
    answer = rules.validate(found, key, made)
    await collector.keep(answer, rules.erased)
    collector.limits.count(key, len(answer.verdicts))
    return answer


async def _received(request: Request) -> Received:
    kind = content_type(request)
    body = await body_of(request)
    if kind in LINES_TYPES:
        return intake.of_lines(body)
    if kind in JSON_TYPES:
        return intake.of_json(body)
    raise Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json, application/x-ndjson or text/plain with JSON in it."
    )


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


async def authorized(request: Request, scope: str, given: str | None = None) -> tuple[Key, Mapping[str, str]]:
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


def collector_of(request: Request) -> Collector:
    """The process's collector."""
    found: Collector = request.app.state.collector
    return found


def _add_health(app: FastAPI) -> None:
    @app.get("/health/live", tags=["Health"])
    async def live() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get(
        "/health/ready", tags=["Health"], responses={503: {"description": "Not ready; events are kept all the same"}}
    )
    async def ready(request: Request) -> Response:
        """Whether events land: Postgres is there, and the spool is not full."""
        state = collector_of(request).writer.state
        body = {"status": "ok" if state.problem is None else "waiting", "problem": state.problem}
        return ORJSONResponse(body, HTTPStatus.OK if state.problem is None else HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/stats", tags=["Health"])
    async def stats(request: Request) -> dict[str, Any]:
        """What this process has received and landed, and what waits in its spool."""
        collector = collector_of(request)
        state = collector.writer.state
        return {
            "received": collector.received,
            "landed_events": state.landed_events,
            "batches": state.batches,
            "failures": state.failures,
            "last_landed_at": state.last_landed_at,
            "spool_bytes": collector.spool.size,
        }


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {
        404: f"There is nothing here: {BASE}/openapi.json lists the paths.",
        405: "That path does not take this method: see the Allow header.",
    }
    status = HTTPStatus(error.status_code)
    return Problem(status, known.get(status, status.description or status.phrase), error.headers).response()


async def _fault(request: Request, error: Exception) -> Response:
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed at this: its log says where.").response()
