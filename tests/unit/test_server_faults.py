"""A fault of the HTTP server is answered in a sentence and logged by its place, without what was sent."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from parley.errors import ParleyError
from parley.server.faults import Faults

PLANT = "plant@example.org"


def test_a_fault_quotes_nothing_of_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_middleware(Faults)

    @app.get("/fault")
    async def fault() -> None:
        try:
            raise KeyError(PLANT)
        except KeyError as error:
            raise ValueError(PLANT) from error

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.get("/fault")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert answer.json()["detail"].endswith(".")
    [record] = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert PLANT not in record.getMessage()
    assert record.exc_info is None
    assert "ValueError" in record.getMessage()
    assert "test_server_faults.py" in record.getMessage()


def test_a_server_that_cannot_start_says_why_in_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise ParleyError("The plan is wrong: correct it.")
        yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(Faults)
    with pytest.raises(SystemExit) as ended:
        uvicorn.run(app, port=0, log_config=None)
    assert ended.value.code not in (0, None)
    assert "The plan is wrong: correct it." in caplog.messages
    assert "Traceback" not in caplog.text
