"""Faults of the server itself: a 500 for who asked, and for the log where it was, without anything that was sent."""

import logging
import sys
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley.errors import ParleyError, told
from parley.server.problems import Problem

log = logging.getLogger("parley.server")


def _in_a_sentence(send: Send) -> Send:
    """Says why the server cannot start as a user reads it; Starlette gives the traceback."""

    async def sent(message: Message) -> None:
        error = sys.exc_info()[1]
        if message["type"] == "lifespan.startup.failed" and error is not None:
            message = {**message, "message": str(error) if isinstance(error, ParleyError) else told(error)}
        await send(message)

    return sent


class Faults:
    """Answers where a route fails. A web server would log the exception as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _in_a_sentence(send))
            return
        is_begun = False

        async def noted(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            pass  # there is nobody to answer
        except Exception as error:
            log.error("A request failed: %s", told(error))
            if scope["type"] == "http" and not is_begun:
                answer = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed at this: its log says where.")
                await answer.response()(scope, receive, send)
