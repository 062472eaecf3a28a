"""What the OpenAPI document says beyond the routes: bodies, answers, keys, and a page to read it on."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

_EXAMPLE = {
    "event_name": "message.received",
    "occurred_at": "2026-11-27T09:30:00Z",
    "conversation_id": "c-1",
    "user_id": "u-1",
    "attributes": {"text": "Where is my parcel?"},
}
_EVENT = {
    "type": "object",
    "required": ["event_name", "occurred_at"],
    "properties": {
        "event_id": {"type": "string", "description": "UUID; absent: made of the event's content"},
        "event_name": {"type": "string", "maxLength": 100},
        "occurred_at": {"type": "string", "format": "date-time"},
        "tenant_id": {"type": "string", "maxLength": 64, "description": "the key's, if it is given"},
        **{
            name: {"type": "string", "maxLength": 128}
            for name in ("conversation_id", "session_id", "user_id", "anonymous_id", "site_id")
        },
        "sequence": {"type": "integer"},
        "actor": {"enum": ["customer", "assistant", "agent", "system"]},
        "source": {"type": "string", "maxLength": 32},
        "attributes": {"type": "object"},
        "context": {"type": "object"},
    },
    "example": _EXAMPLE,
}
_BODY = {"oneOf": [_EVENT, {"type": "object", "required": ["events"], "properties": {"events": {"type": "array"}}}]}
EVENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _BODY},
            "text/plain": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}
_PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "one sentence: what is wrong, and what to do"},
    },
}


def problem(description: str) -> dict[str, Any]:
    """An answer of problem details."""
    return {"description": description, "content": {"application/problem+json": {"schema": _PROBLEM}}}


def _answer(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"description": "What became of the events", "content": {"application/json": {"schema": schema}}}


_COUNT = {"type": "integer", "minimum": 0}
_REJECTED = {
    "type": "object",
    "required": ["index", "reason", "message"],
    "properties": {
        "index": {**_COUNT, "description": "its place in the request"},
        "reason": {"type": "string", "description": "a code, such as missing_field"},
        "path": {"type": ["string", "null"], "description": "what of the event is wrong, such as attributes.model"},
        "message": {"type": "string", "description": "one sentence: what is wrong, and what to do"},
    },
}
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: _answer(
        {
            "received": _COUNT,
            "accepted": {**_COUNT, "description": "durable now; whether one is a duplicate shows where it lands"},
            "rejected": {"type": "array", "items": _REJECTED},
            "no_consent": _COUNT,
            "erased_subject": _COUNT,
        }
    )
}
VALIDATED: dict[int | str, dict[str, Any]] = {
    200: _answer(
        {
            "received": _COUNT,
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "outcome"],
                    "properties": {
                        **_REJECTED["properties"],  # type: ignore[dict-item]
                        "outcome": {"enum": ["accepted", "rejected", "no_consent", "erased_subject"]},
                        "event_id": {"type": "string", "format": "uuid"},
                        "event_name": {"type": "string"},
                    },
                },
            },
        }
    )
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: problem("The body cannot be read"),
    401: problem("No key, or one that is unknown or expired"),
    403: problem("The key may not do this"),
    413: problem("Too large: 64 KiB an event, 500 KiB and 500 events a request"),
    415: problem("Another content type or encoding"),
    429: problem("Too many requests, or the day's quota is used up"),
    503: problem("The spool is full, or the server is starting: try again"),
}

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Parley API</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }}
  h2 {{ margin-top: 2rem }} code {{ font-family: ui-monospace, monospace; background: #f2f4f7; padding: .1em .3em }}
  .method {{ display: inline-block; min-width: 4rem; font-weight: 600 }}
  article {{ border-top: 1px solid #d9dee5; padding: .8rem 0 }} p {{ margin: .3rem 0 }}
</style>
<h1>Parley API</h1>
<p>The machine-readable form is <a href="{url}">{url}</a> (OpenAPI 3.1). Send your key as
<code>Authorization: Bearer KEY</code>.</p>
{sections}
</html>"""


def describe(app: FastAPI) -> None:
    """Give the application its document, and `/docs` to read it on without anything from outside."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer"}
            document["security"] = [{"key": []}]
            for entry in (entry for methods in document["paths"].values() for entry in methods.values()):
                entry["responses"].pop("422", None)  # FastAPI's own, which no request gets
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_PAGE.format(url=app.openapi_url, sections=_sections(openapi())))


def _sections(document: dict[str, Any]) -> str:
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, entry in methods.items():
            text = entry.get("description") or entry.get("summary", "")
            answers = ", ".join(sorted(entry.get("responses", {})))
            by_tag.setdefault(entry.get("tags", ["Other"])[0], []).append(
                f'<article><span class="method">{method.upper()}</span> <code>{path}</code>'
                f"<p>{text}</p><p>Answers: {answers}</p></article>"
            )
    return "".join(f"<h2>{tag}</h2>{''.join(entries)}" for tag, entries in by_tag.items())
