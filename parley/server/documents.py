"""What the OpenAPI document says beyond the routes: bodies, answers, keys, and a page to read it on."""

import json
import re
from collections.abc import Iterator
from html import escape
from http import HTTPStatus
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


def _body(example: dict[str, Any]) -> dict[str, Any]:
    content = {
        "application/json": {"schema": _BODY, "example": example},
        "text/plain": {"schema": {"type": "string"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    }
    return {"requestBody": {"required": True, "content": content}}


EVENT_BODY = _body(_EXAMPLE)
BATCH_BODY = _body({"batch_id": "b-1", "events": [_EXAMPLE]})
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


def _answer(properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": "What became of the events", "content": content}


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
_REJECTED_EXAMPLE = {
    "index": 1,
    "reason": "missing_field",
    "path": "attributes.results_count",
    "message": "attributes.results_count is missing: kb.search needs it.",
}
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: _answer(
        {
            "received": _COUNT,
            "accepted": {**_COUNT, "description": "durable now; whether one is a duplicate shows where it lands"},
            "rejected": {"type": "array", "items": _REJECTED},
            "no_consent": _COUNT,
            "erased_subject": _COUNT,
        },
        {"received": 2, "accepted": 1, "rejected": [_REJECTED_EXAMPLE], "no_consent": 0, "erased_subject": 0},
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
        },
        {"received": 1, "results": [{"outcome": "rejected", **_REJECTED_EXAMPLE, "index": 0}]},
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
READ_RESPONSES = {status: answer for status, answer in RESPONSES.items() if status in (401, 403, 429)} | {
    503: problem("The server is starting: try again")
}

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parley API</title>
<style>
  :root {{ color-scheme: light }}
  body {{ margin: 0; color: #1c2733; background: #fff;
    font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }}
  main {{ max-width: 960px; margin: 0 auto; padding: 28px 32px 60px }}
  h1 {{ margin: 0 0 12px; font-size: 27px; line-height: 1.2; letter-spacing: -.01em }}
  h2 {{ margin: 36px 0 0; padding-bottom: 6px; font-size: 18px }}
  h3 {{ margin: 0 0 6px; font-size: 15px; font-weight: 600; overflow-wrap: anywhere }}
  p {{ margin: 0 0 8px }}
  code, pre {{ font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: #f4f7fa }}
  code {{ padding: 1px 4px; border-radius: 4px }} h3 code {{ padding: 0; background: none; font-size: 14px }}
  pre {{ margin: 0 0 10px; padding: 10px 14px; border-radius: 6px; overflow-x: auto }}
  article {{ padding: 14px 0; border-top: 1px solid #dfe4ea }}
  .method {{ display: inline-block; min-width: 46px; color: #1f5fa8 }}
  .faint {{ color: #5a6775; font-size: 13px }}
  dl {{ display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 14px; margin: 0; font-size: 13px }}
  dt {{ font-variant-numeric: tabular-nums }} dd {{ margin: 0; color: #5a6775 }}
  dl + dl {{ margin-top: 8px }} a {{ color: #1f5fa8 }}
  @media (max-width: 640px) {{ main {{ padding: 20px 16px 40px }} }}
</style>
<main>
<h1>Parley API</h1>
<p>Send your key as <code>Authorization: Bearer KEY</code>, as the user name of HTTP Basic, or as <code>?key=KEY</code>;
<code>parley keys create</code> makes one. Every error is a problem detail (RFC 9457) with one sentence that says what
to do. Answers carry <code>RateLimit-Limit</code>, <code>-Remaining</code> and <code>-Reset</code>.</p>
<p>For programs: <a href="{url}">{url}</a> (OpenAPI 3.1).</p>
{sections}
</main>
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
            article = f"<article>{''.join(_article(path, method, entry))}</article>"
            by_tag.setdefault(entry.get("tags", ["Other"])[0], []).append(article)
    return "".join(f"<h2>{escape(tag)}</h2>{''.join(entries)}" for tag, entries in by_tag.items())


def _article(path: str, method: str, entry: dict[str, Any]) -> Iterator[str]:
    """What a call does, takes and answers."""
    yield f'<h3><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h3>'
    yield f"<p>{_prose(entry.get('description') or entry.get('summary', ''))}</p>"
    asked = [one for one in entry.get("parameters", ()) if one["in"] == "query"]
    if asked:
        terms = (f"<dt><code>?{one['name']}=</code></dt><dd>{_prose(one['description'])}</dd>" for one in asked)
        yield f"<dl>{''.join(terms)}</dl>"
    content = entry.get("requestBody", {}).get("content", {})
    if content:
        yield f'<p class="faint">Takes {", ".join(map(escape, content))}; gzip is understood.</p>'
    yield from (_example("Such as", one["example"]) for one in content.values() if "example" in one)
    answers = entry.get("responses", {})
    for answer in answers.values():
        found = answer.get("content", {}).get("application/json", {})
        if "example" in found:
            yield _example("Answer", found["example"])
    terms = (f"<dt>{status}</dt><dd>{_prose(_meaning(status, one))}</dd>" for status, one in sorted(answers.items()))
    yield f"<dl>{''.join(terms)}</dl>"


def _meaning(status: str, answer: dict[str, Any]) -> str:
    description = str(answer.get("description", ""))
    return HTTPStatus(int(status)).phrase if description in ("", "Successful Response") else description


def _prose(text: str) -> str:
    """Text with code in backticks."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _example(label: str, content: dict[str, Any]) -> str:
    return f'<p class="faint">{label}:</p><pre>{escape(json.dumps(content, indent=2), quote=False)}</pre>'
