"""Errors as RFC 9457 problem details: a status, a title, and one sentence that a person can act on."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


class Problem(Exception):
    """Ends a request: what is wrong, and what to do. The detail quotes nothing of what was sent."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> JSONResponse:
        """The answer."""
        body = {"type": "about:blank", "title": self.status.phrase, "status": int(self.status), "detail": self.detail}
        return JSONResponse(body, int(self.status), dict(self.headers), MEDIA_TYPE)
