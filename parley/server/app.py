"""The routes. `create` is the application of one server process; `parley serve` starts one or several."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from parley.server import clients, intake, realtime
from parley.server.collector import Collector, Options, Server
from parley.server.documents import ACCEPTED, BATCH_BODY, EVENT_BODY, RESPONSES, VALIDATED, describe
from parley.server.faults import Faults
from parley.server.intake import Received
from parley.server.problems import Json, Problem
from parley.server.routes import JSON_TYPES, accept, authorized, body_of, collector_of, content_type, server_of
from parley.settings import Settings

BASE = "/api/v1/analytics"
LINES_TYPES = ("application/x-ndjson", "application/jsonl")


def create() -> FastAPI:
    """The application of one process, as the environment says."""
    settings, options = Settings.load(), Options.of_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.server = server = (Server if options.only == "read" else Collector)(settings, options)
        await server.start()
        yield
        await server.stop()

    app = FastAPI(
        title="Parley",
        version="1",
        lifespan=lifespan,
        openapi_url=f"{BASE}/openapi.json",
        docs_url=None,  # FastAPI's page loads scripts from outside
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(Faults)
    app.add_middleware(
        CORSMiddleware,
        # a key may be bound to origins: `access.check`. sendBeacon asks with credentials, though there are no cookies
        allow_origin_regex=".*",
        allow_credentials=True,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"],
        max_age=86_400,
    )
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    if options.only != "read":
        _add_intake(app)
        clients.add(app)
    if options.only != "collect":
        realtime.add(app)
    _add_health(app)
    describe(app)
    return app


def _add_intake(app: FastAPI) -> None:
    taken: dict[str, Any] = {
        "status_code": 202,
        "tags": ["Events in"],
        "responses": {**ACCEPTED, **RESPONSES},
        "openapi_extra": EVENT_BODY,
    }

    @app.post(f"{BASE}/events", **taken)
    async def send_events(request: Request) -> Response:
        """Send one event, a list of events, or `{"events": […]}`; NDJSON too."""
        return await _take(request)

    @app.post(f"{BASE}/events/batch", **{**taken, "openapi_extra": BATCH_BODY})
    async def send_batch(request: Request) -> Response:
        """Send `{"events": […], "batch_id": …}`. Sent again, it lands once."""
        return await _take(request, is_batch=True)

    @app.post(
        f"{BASE}/events/validate",
        tags=["Events in"],
        responses={**VALIDATED, **RESPONSES},
        openapi_extra=EVENT_BODY,
    )
    async def validate_events(request: Request) -> Response:
        """Say what would become of each event; keep nothing."""
        key, headers = await authorized(request, "write")
        answer = collector_of(request).current().validate(await _received(request), key)
        return Json(answer.in_detail(), headers=dict(headers))


async def _take(request: Request, *, is_batch: bool = False) -> Response:
    key, headers = await authorized(request, "write")
    found = await _received(request, is_batch=is_batch)
    return await accept(request, key, found, headers)


async def _received(request: Request, *, is_batch: bool = False) -> Received:
    kind = content_type(request)
    body = await body_of(request)
    if kind in LINES_TYPES:
        return intake.of_lines(body, server_of(request).most)
    if kind in JSON_TYPES:
        return intake.of_json(body, server_of(request).most, is_batch=is_batch)
    raise Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json, application/x-ndjson or text/plain with JSON in it."
    )


def _add_health(app: FastAPI) -> None:
    for base in ("", BASE):
        app.include_router(_health(), prefix=base, include_in_schema=bool(base), tags=["Health"])


def _health() -> APIRouter:
    router = APIRouter()

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @router.get("/health/ready", responses={503: {"description": "Not ready; events are kept all the same"}})
    async def ready(request: Request) -> Response:
        """Whether Postgres is there and events land."""
        problem = server_of(request).problem
        body = {"status": "ok" if problem is None else "waiting", "problem": problem}
        return Json(body, HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get("/stats")
    async def stats(request: Request) -> dict[str, Any]:
        """What this process has received and landed, and what waits in its spool."""
        server = server_of(request)
        if not isinstance(server, Collector):
            return {}
        state = server.writer.state
        return {
            "received": server.received,
            "landed_events": state.landed_events,
            "batches": state.batches,
            "failures": state.failures,
            "last_landed_at": state.last_landed_at,
            "spool_bytes": server.spool.size,
        }

    return router


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    answer = error.response()
    for name, value in getattr(request.state, "rate_limit", {}).items():
        answer.headers.setdefault(name, value)
    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {
        404: f"There is nothing here: {BASE}/openapi.json lists the paths.",
        405: "That path does not take this method: see the Allow header.",
    }
    status = HTTPStatus(error.status_code)
    return Problem(status, known.get(status, status.description or status.phrase), error.headers).response()
