"""One HTTP server for the tests of a file, in a database of its own; each test may have a tenant to itself."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from parley.settings import Settings
from tests.conftest import TEMPLATE, database_copy
from tests.support.http_server import Server, make_key, serving


@pytest.fixture(scope="module")
def shared(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of a file share; its database holds what all of them sent."""
    folder = tmp_path_factory.mktemp("shared")
    with (
        pytest.MonkeyPatch.context() as environment,
        database_copy(server, TEMPLATE, environment, folder / "home") as settings,
        serving(settings, folder) as running,
    ):
        yield running
        running.stop()
        assert "Traceback" not in running.log.read_text()


@pytest.fixture
def own(shared: Server) -> Server:
    """The shared server, with a key of a tenant that is this test's alone."""
    tenant = f"t-{uuid4().hex[:12]}"
    return replace(shared, tenant=tenant, key=make_key(Settings.load(), tenant))
