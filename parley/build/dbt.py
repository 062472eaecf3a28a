"""The way into dbt: the project parsed, commands run in this process, a log of what dbt says, and `parley-dbt`.

The project is parsed before it is built, without the build's variables: dbt keeps a parsed project only while they stay
the same, and `as_of` never does. That makes a second build start in a second or two instead of five to ten.
"""

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.build import plans
from parley.errors import MistakeError, ParleyError
from parley.settings import Settings
from parley.warehouse import database, postgres_errors

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

LOG = "logs/dbt.log"

_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_MOST_BYTES = 10 * 1024 * 1024
_OLDER_LOGS = 5
_parsed: "dict[str, Manifest]" = {}
"""The project that this process parsed last, by its fingerprint."""


def invoke(
    settings: Settings,
    command: list[str],
    manifest: "Manifest | None" = None,
    callback: "Callable[[EventMsg], None]" = lambda event: None,
) -> Any:
    """dbt's own result of a command, whatever its success. Raises ParleyError where it could not even begin, and where
    that is because of what the project says, MistakeError."""
    from dbt.cli.main import dbtRunner
    from dbt_common.exceptions import CompilationError

    where = ["--project-dir", str(settings.project), "--profiles-dir", str(settings.project)]
    log = settings.project / LOG
    quiet = ["--log-level", "none", "--log-level-file", "none", "--log-path", str(log.parent), "--no-use-colors"]
    with (
        _environment(database.variables(settings)),
        _as_own_command_line(command),
        kept_connections(),
        messages_without_values(),
        _logging(log) as write,
        warnings.catch_warnings(),
    ):
        # a seed may do without a column that its description gives a type
        warnings.filterwarnings("ignore", '".*" does not match the name of any column', RuntimeWarning)
        outcome = dbtRunner(manifest, [callback, write]).invoke([*quiet, *command, *where])
    if isinstance(outcome.exception, KeyboardInterrupt | ParleyError):  # the latter of the callback
        raise outcome.exception
    if outcome.exception:
        kind = MistakeError if isinstance(outcome.exception, CompilationError) else ParleyError
        raise kind(f"dbt could not begin: {reason(str(outcome.exception))} More is in {LOG}.")
    return outcome.result


def main() -> None:
    """`parley-dbt`: dbt's own command line and exit status, as Dagster calls it, several seconds of each call quicker.

    It ends when who called it has ended: the run that was killed held the build's lock, and another build may begin.
    """
    arguments = sys.argv[1:]
    if arguments == ["--version"]:  # dagster-dbt asks before every call
        print(f"installed: {version('dbt-core')}")
        return
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    parsed = dbtRunner().invoke(["--quiet", "--no-write-json", "parse"]).result
    # where it cannot be parsed there is no manifest: dbt parses again, and says aloud what is wrong
    with kept_connections(), messages_without_values():
        outcome = dbtRunner(parsed if isinstance(parsed, Manifest) else None).invoke(arguments)
    if outcome.exception:
        print(outcome.exception, file=sys.stderr)
    sys.exit(0 if outcome.success else 2 if outcome.exception else 1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def note(settings: Settings, sentences: Iterable[str]) -> None:
    """Write to dbt's log what a build without dbt has to say."""
    with _log(settings.project / LOG) as log:
        for sentence in sentences:
            log.info(sentence)


def parse(settings: Settings) -> "Manifest":
    """The project as dbt reads it, also written to `target/` for MetricFlow. Raises ParleyError where it is wrong."""
    complaints: list[str] = []
    project = plans.fingerprint(settings.project)

    def follow(event: "EventMsg") -> None:
        if event.info.name == "SemanticValidationFailure":
            complaints.append(" ".join(event.data.msg.split()))

    try:
        manifest: Manifest = invoke(settings, ["parse"], callback=follow)
    except ParleyError:
        if complaints:
            raise ParleyError(f"The metrics are not right: {complaints[0]} Fix it in models/metrics.") from None
        raise
    _parsed.clear()
    _parsed[project] = manifest
    return manifest


def parsed(settings: Settings) -> "Manifest":
    """As `parse`, to read in and not to build by: what this process has parsed serves while the project's files stay
    as they are. It may be of another database."""
    return _parsed.get(plans.fingerprint(settings.project)) or parse(settings)


def reason(message: str) -> str:
    """The first line of dbt's message that says something: a heading such as "Database Error in model x" does not."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and " Error" in lines[0]:
        del lines[0]
    return lines[0] if lines else "it gave no reason."


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """These environment variables, while dbt reads them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _as_own_command_line(command: list[str]) -> Iterator[None]:
    """dbt writes the process's command line to its artifacts, as its own; that of `parley forget` names a person."""
    before = sys.argv
    sys.argv = ["dbt", *command]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def kept_connections() -> Iterator[None]:
    """Let each of dbt's threads keep its connection to Postgres until the command ends.

    dbt opens one for every table and every check, and closes it: a new process of Postgres each time, which has the
    catalogue to read first.
    """
    import psycopg2  # type: ignore[import-untyped]
    from dbt.adapters.contracts.connection import ConnectionState
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    close = PostgresConnectionManager.release
    managers: set[Any] = set()

    def release(manager: Any) -> None:
        managers.add(manager)
        connection = manager.get_if_exists()
        if connection is None or connection.state != ConnectionState.OPEN:
            return
        try:
            connection.handle.rollback()
            connection.transaction_open = False
        except psycopg2.Error:  # the server has ended it
            close(manager)

    PostgresConnectionManager.release = release  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        PostgresConnectionManager.release = close  # type: ignore[method-assign]
        for manager in managers:
            with suppress(psycopg2.Error):  # of connections that the server has ended
                manager.cleanup_all()


@contextmanager
def messages_without_values() -> Iterator[None]:
    """Have dbt pass on what Postgres says without the values of rows: to its log and artifacts, to Dagster, to us."""
    import psycopg2
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    handler = PostgresConnectionManager.exception_handler

    @contextmanager
    def without_values(manager: Any, sql: str) -> Iterator[None]:
        with handler(manager, sql):
            try:
                yield
            except psycopg2.DatabaseError as error:
                raise type(error)(postgres_errors.without_values(error)) from None

    PostgresConnectionManager.exception_handler = without_values  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        PostgresConnectionManager.exception_handler = handler  # type: ignore[method-assign]


@contextmanager
def _logging(path: Path) -> Iterator["Callable[[EventMsg], None]"]:
    """What writes dbt's messages to a log. dbt's own spends a fifteenth of a build on lines that it then leaves out."""
    with _log(path) as log:

        def write(event: "EventMsg") -> None:
            if level := _LEVELS.get(event.info.level):
                log.log(level, "%s", event.info.msg)  # type: ignore[attr-defined]

        yield write


@contextmanager
def _log(path: Path) -> Iterator[logging.Logger]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=_MOST_BYTES, backupCount=_OLDER_LOGS, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.Logger("dbt")
    log.addHandler(handler)
    try:
        yield log
    finally:
        handler.close()
