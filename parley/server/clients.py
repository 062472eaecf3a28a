"""Ways in for clients that exist already: Segment's libraries, and OpenTelemetry's exporters.

What they send is read by the source formats that read files of it (`tracking_plan/formats/segment.jq`, `otel.jq`).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

from parley.landing.formats import Failure
from parley.server import access, intake
from parley.server.collector import Collector
from parley.server.documents import RESPONSES, problem
from parley.server.intake import Answer, Received
from parley.server.problems import Json, Problem
from parley.server.routes import JSON_TYPES, authorized, body_of, collector_of, content_type, server_of, taken_in

_CALLS = {
    **{name: name for name in ("track", "page", "screen", "identify", "group", "alias")},
    **{name[0]: name for name in ("track", "page", "screen", "identify", "group", "alias")},
}
_BATCHES = ("batch", "b", "import")
_AROUND = ("sentAt", "context", "integrations")
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_CALL = {
    "type": "track",
    "userId": "u-1",
    "event": "Order Completed",
    "properties": {"order_id": "7", "total": 30, "currency": "EUR"},
}
_SEGMENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {_JSON: {"schema": {"type": "object"}, "example": _CALL}, "text/plain": {"schema": {}}},
    }
}
_SEGMENT_RESPONSES = {**RESPONSES, 404: problem("No such call")}
_OTLP_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {_JSON: {"schema": {"type": "object"}}, _PROTOBUF: {"schema": {}}}}
}


def add(app: FastAPI) -> None:
    """Add the routes."""

    @app.post("/v1/traces", tags=["OpenTelemetry"], responses=RESPONSES, openapi_extra=_OTLP_BODY)
    async def send_spans(request: Request) -> Response:
        """Take spans of OTLP/HTTP, protobuf or JSON: GenAI, OpenInference and OpenLLMetry attributes become events."""
        key, headers = await authorized(request, "write")
        kind = content_type(request)
        body = await body_of(request)
        if kind == _PROTOBUF:
            document = _of_protobuf(body)
        elif kind == _JSON:
            document, _ = intake.decoded(body)
        else:
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send OTLP as {_PROTOBUF} or {_JSON}.")
        spans = _spans_apart(document)
        answer = await taken_in(request, key, Received(spans, {}), _maker(collector_of(request), "otel"))
        return _otlp_answer(answer, kind, dict(headers))

    @app.get("/v1/projects/{write_key}/settings", tags=["Segment"])
    async def browser_settings(request: Request, write_key: str) -> dict[str, Any]:
        """Tell Segment's browser library where to send to: here."""
        segment = {"apiKey": write_key, "apiHost": f"{request.url.netloc}/v1", "protocol": request.url.scheme}
        return {"integrations": {"Segment.io": segment}, "plan": {"track": {}}, "enabledMiddleware": {}}

    @app.post("/v1/{call}", tags=["Segment"], responses=_SEGMENT_RESPONSES, openapi_extra=_SEGMENT_BODY)
    async def send_call(request: Request, call: str) -> Response:
        """Take a call, or a batch of calls, of Segment's libraries."""
        if call not in _CALLS and call not in _BATCHES:
            raise Problem(HTTPStatus.NOT_FOUND, "There is no such call: see the Segment spec.")
        found_key = await authorized(request, "write") if access.key_of(request) else None
        body = await body_of(request)
        if content_type(request) not in JSON_TYPES:
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json, or text/plain with JSON in it.")
        content, has_digits = intake.decoded(body)
        if type(content) is not dict:
            raise Problem(HTTPStatus.BAD_REQUEST, "The body is no JSON object: send a call, or a batch of calls.")
        given = content.get("writeKey")
        key, headers = found_key or await authorized(request, "write", given if type(given) is str else None)
        found = intake.received(_calls(content, call), server_of(request).most, is_small=False, has_digits=has_digits)
        answer = await taken_in(request, key, found, _maker(collector_of(request), "segment"))
        return Json({"success": True, **answer.as_json()}, headers=dict(headers))


def _calls(content: dict[str, Any], call: str) -> list[Any]:
    """The calls of a body, each with what stands around it. Raises Problem where a batch is none."""
    around = {name: content[name] for name in _AROUND if name in content}
    around["receivedAt"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if "batch" in content or call in _BATCHES:
        batch = content.get("batch")
        if type(batch) is not list:
            raise Problem(HTTPStatus.BAD_REQUEST, "`batch` is no list: send the calls as a list.")
        return [{**around, **one, "sequence": index} if type(one) is dict else one for index, one in enumerate(batch)]
    alone = {name: value for name, value in content.items() if name != "writeKey"}
    return [{**around, "type": _CALLS[call], **alone}]


def _spans_apart(document: Any) -> list[Any]:
    """One document a span, so that a span that cannot be read spoils none of the others."""
    if type(document) is not dict or type(document.get("resourceSpans")) is not list:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is no OTLP export of traces: it has no `resourceSpans`.")
    found: list[Any] = []
    for resource in document["resourceSpans"]:
        for scope in _listed(resource, "scopeSpans"):
            for span in _listed(scope, "spans"):
                if type(span) is not dict:
                    found.append(span)  # the format says that it is none
                    continue
                inner = [{**scope, "spans": [span]}]
                found.append({"resourceSpans": [{"resource": resource.get("resource"), "scopeSpans": inner}]})
    return found


def _listed(holder: Any, name: str) -> list[Any]:
    found = holder.get(name) if type(holder) is dict else None
    return found if type(found) is list else []


def _of_protobuf(body: bytes) -> Any:
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is no OTLP export in protobuf: check the exporter.") from None
    document = MessageToDict(message)
    # OTLP's JSON has these ids in hex, where protobuf's own mapping has base64
    spans = [span for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans]
    shown = [
        span
        for resource in document.get("resourceSpans", ())
        for scope in resource.get("scopeSpans", ())
        for span in scope.get("spans", ())
    ]
    for span, one in zip(spans, shown, strict=True):
        one |= {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "parentSpanId": span.parent_span_id.hex()}
    document.setdefault("resourceSpans", [])
    return document


def _otlp_answer(answer: Answer, kind: str, headers: dict[str, str]) -> Response:
    rejected = answer.as_json()["rejected"]
    message = rejected[0]["message"] if rejected else ""
    if kind == _JSON:
        partial = {"partialSuccess": {"rejectedSpans": str(len(rejected)), "errorMessage": message}} if rejected else {}
        return Json(partial, headers=headers)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    success = ExportTracePartialSuccess(rejected_spans=len(rejected), error_message=message) if rejected else None
    return Response(
        ExportTraceServiceResponse(partial_success=success).SerializeToString(), media_type=_PROTOBUF, headers=headers
    )


def _maker(collector: Collector, name: str) -> Callable[[Any], Sequence[Any]]:
    """Makes events of documents of a source format. Raises ValueError with a sentence where it cannot."""
    mapper = collector.mapper(name)

    def made(document: Any) -> Sequence[Any]:
        try:
            found = mapper.events(document)
        except orjson.JSONEncodeError:
            found = Failure("holds a number that cannot be kept")
        if isinstance(found, Failure):
            raise ValueError(found.message)
        return list(found)

    return made
