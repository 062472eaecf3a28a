"""Live numbers over HTTP: a snapshot, server-sent events, a WebSocket, and the page that shows them."""

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import HTMLResponse
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from parley.server.documents import READ_RESPONSES
from parley.server.problems import Json, Problem
from parley.server.routes import authorized, server_of, still_holds

BASE = "/api/v1/analytics/realtime"
POLICY_VIOLATION = 1008  # RFC 6455

Metrics = Annotated[str | None, Query(description="names of numbers, with commas between; all where it is left out")]
Event = Annotated[str | None, Query(description="event names, with commas between: events a second of these alone")]


def add(app: FastAPI) -> None:
    """Add the routes."""

    @app.get(f"{BASE}/snapshot", tags=["Live"], responses=READ_RESPONSES)
    async def snapshot(request: Request, metrics: Metrics = None, event: Event = None) -> Response:
        """Return the numbers of now."""
        key, headers = await authorized(request, "read")
        found = server_of(request).live.snapshot(key.tenant_id, _listed(event))
        return Json(_chosen(found, metrics), headers=dict(headers))

    @app.get(BASE, tags=["Live"], responses=READ_RESPONSES)
    async def stream(request: Request, metrics: Metrics = None, event: Event = None) -> Response:
        """Stream the numbers as server-sent events: one at once, then one whenever they change."""
        key, headers = await authorized(request, "read")
        changes = server_of(request).live.changes(key.tenant_id, _listed(event))

        async def lines() -> AsyncIterator[bytes]:
            async for found in changes:
                if not still_holds(request):
                    return  # the client asks again, and is told
                yield b"event: snapshot\ndata: " + orjson.dumps(_chosen(found, metrics)) + b"\n\n"

        return StreamingResponse(
            lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store", **headers}
        )

    @app.websocket(BASE)
    async def socket(websocket: WebSocket) -> None:
        try:
            key, _ = await authorized(websocket, "read")
        except Problem as problem:
            await websocket.close(POLICY_VIOLATION, problem.detail)
            return
        await websocket.accept()
        asked = websocket.query_params
        try:
            async for found in server_of(websocket).live.changes(key.tenant_id, _listed(asked.get("event"))):
                if not still_holds(websocket):
                    await websocket.close(POLICY_VIOLATION, "The key has ended.")
                    return
                await websocket.send_bytes(orjson.dumps(_chosen(found, asked.get("metrics"))))
        except WebSocketDisconnect:
            return

    @app.get("/live", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(_page())


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _chosen(found: dict[str, Any], metrics: str | None) -> dict[str, Any]:
    wanted = _listed(metrics)
    return {name: value for name, value in found.items() if not wanted or name in (*wanted, "at")}


@cache
def _page() -> str:
    return Path(__file__).with_name("live.html").read_text()
