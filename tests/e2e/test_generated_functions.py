"""Functions that `parley events codegen` writes: a type checker finds what is wrong, and what they send lands."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from parley.settings import Settings
from tests.conftest import Rows, parley
from tests.support.http_server import Server, serving, until
from tests.support.node import module, node

pytestmark = pytest.mark.slow

PYTHON = """
import parley_events as events
from segment.analytics import Client

client = Client("key")
events.kb_search(client, query="parcel", results_count=3, user_id="ana", conversation_id="c1")
events.message_received(client, text="Where is it?", anonymous_id="a")
"""
WRONG_PYTHON = """
import parley_events as events
from segment.analytics import Client

client = Client("key")
events.kb_search(client, query="parcel", user_id="ana")
events.kb_search(client, query="parcel", results_count="three")
events.kb_search(client, query="parcel", results_count=3, no_such=1)
"""
TYPESCRIPT = """
import { Analytics } from "@segment/analytics-node";
import { kbSearch, messageReceived, node } from "./events";

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ writeKey, host });
const send = node(analytics);
kbSearch(send, { query: "parcel", results_count: 3 }, { userId: "ana", conversationId: "c1" });
messageReceived(send, { text: "Where is it?" }, { anonymousId: "a" });
analytics.closeAndFlush();
"""
WRONG_TYPESCRIPT = """
import { kbSearch, type Send } from "./events";
declare const send: Send;
kbSearch(send, { query: "parcel" });
kbSearch(send, { query: "parcel", results_count: "three" });
kbSearch(send, { query: "parcel", results_count: 3, no_such: 1 });
"""
OPTIONS = """{
  "compilerOptions": {
    "strict": true, "target": "ES2022", "module": "CommonJS", "moduleResolution": "Node10", "types": [],
    "lib": ["ES2022", "DOM"], "skipLibCheck": true, "outDir": "built"
  },
  "files": FILES
}"""


@pytest.fixture
def collector(database: Settings, tmp_path: Path) -> Iterator[Server]:
    with serving(database, tmp_path) as running:
        yield running


def checked(folder: Path, name: str) -> list[str]:
    """What mypy says of a file."""
    flags = ("--strict", "--ignore-missing-imports", "--cache-dir", str(folder / "cache"))
    command = [sys.executable, "-m", "mypy", *flags, name]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return [line for line in found.stdout.splitlines() if "error:" in line]


def assert_landed(rows: Rows) -> None:
    until(
        lambda: len(rows("select 1 from raw.events")) == 2,
        f"it does not land: {rows('select * from raw.rejected_events')}",
    )
    search, message = rows("select * from raw.events order by event_name")
    assert (search["event_name"], search["user_id"], search["conversation_id"]) == ("kb.search", "ana", "c1")
    assert (search["attributes"]["query"], search["attributes"]["results_count"]) == ("parcel", 3)
    assert (message["event_name"], message["anonymous_id"]) == ("message.received", "a")
    assert message["attributes"]["text"] == "Where is it?"
    assert rows("select 1 from raw.rejected_events") == []


def test_python_functions_are_checked_and_land(collector: Server, rows: Rows, tmp_path: Path) -> None:
    from segment.analytics.client import Client

    path = tmp_path / "parley_events.py"
    parley("events", "codegen", "--language", "python", "--output", str(path)).check_returncode()
    (tmp_path / "right.py").write_text(PYTHON)
    (tmp_path / "wrong.py").write_text(WRONG_PYTHON)
    assert checked(tmp_path, "right.py") == []
    codes = [line.rpartition("[")[2] for line in checked(tmp_path, "wrong.py")]
    assert codes == ["call-arg]", "arg-type]", "call-arg]"]
    spec = importlib.util.spec_from_file_location("parley_events", path)
    assert spec
    assert spec.loader
    events = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(events)
    client = Client(write_key=collector.key, host=collector.url, sync_mode=True)
    events.kb_search(client, query="parcel", results_count=3, user_id="ana", conversation_id="c1")
    events.message_received(client, text="Where is it?", anonymous_id="a")
    assert_landed(rows)


def test_typescript_functions_compile_and_land(collector: Server, rows: Rows, tmp_path: Path) -> None:
    compiler = module("typescript") / "bin" / "tsc"
    (tmp_path / "node_modules").symlink_to(module("@segment/analytics-node").parents[1])
    parley("events", "codegen", "--language", "typescript", "--output", str(tmp_path / "events.ts")).check_returncode()
    (tmp_path / "right.ts").write_text(f"declare const process: {{ argv: string[] }};\n{TYPESCRIPT}")
    (tmp_path / "wrong.ts").write_text(WRONG_TYPESCRIPT)
    (tmp_path / "tsconfig.json").write_text(OPTIONS.replace("FILES", '["right.ts"]'))
    node(compiler, "-p", tmp_path)
    (tmp_path / "tsconfig.json").write_text(OPTIONS.replace("FILES", '["wrong.ts"]'))
    with pytest.raises(AssertionError) as wrong:
        node(compiler, "-p", tmp_path, "--noEmit")
    assert str(wrong.value).count("error TS") == 3
    node(tmp_path / "built" / "right.js", collector.url, collector.key)
    assert_landed(rows)
