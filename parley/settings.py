"""Where things are and what the installation has chosen, all from the environment.

| variable | default | meaning |
|---|---|---|
| `PARLEY_HOME` | `.parley` in the project | embedded Postgres, the secret, exports |
| `PARLEY_PROJECT` | found from the working directory, else from this file | the folder of `dbt_project.yml` |
| `PARLEY_SECRET` | made once, in `PARLEY_HOME/secret` | key of the HMAC that hashes personal data |
| `PARLEY_STRICT_TENANTS` | false | reject events of tenants that the seed does not name |
| `PARLEY_TENANT_PATTERN` | anything printable but braces | regular expression for a whole tenant id |
| `PARLEY_MAX_FUTURE_HOURS` | 24 | how far ahead of its arrival an event may claim to be |
| `PARLEY_POSTGRES_VERSION` | 18 | major version of the embedded Postgres: 16 or 18 |
| `PARLEY_INBOX` | `PARLEY_HOME/inbox` | the folder whose files Dagster lands |
| `PARLEY_EXPORTS` | none | marts and facts, with commas between, that Dagster exports every day |
| `PARLEY_FIRST_DAY` | 2024-01-01 | the first daily partition that Dagster shows |
| `PARLEY_DOCS` | `PARLEY_HOME/docs` | the folder to which Dagster publishes dbt's documentation every night |
| `PARLEY_DOCS_URL` | http://localhost:8080 | where people find it, as `make docs` serves it: Dagster links to it |
| `PARLEY_DATA_DOCS_DAYS` | 30 | how long the pages of the input gate are kept |
| `PARLEY_HTTP_RATE` | 5000 | requests a second that the HTTP server takes of a tenant |
| `PARLEY_HTTP_QUOTA` | none | events a day (UTC) that the HTTP server takes of a tenant |
| `PARLEY_HTTP_BODY_KIB` | 500 | KiB of a request's body, unpacked, that the HTTP server takes at the most |
| `PARLEY_HTTP_EVENTS` | 500 | events of a request that the HTTP server takes at the most |
| `PARLEY_ENVIRONMENT` | local | where this is: schedules run by themselves in `production` only |

The database is named by `DATABASE_URL` or libpq's `PG*`; see `parley.warehouse.database`.
"""

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from parley.errors import ParleyError

TENANT_PATTERN = r"[^\s{}](?:[^{}]*[^\s{}])?"
_BLANK = b"\0 \t\r\n"  # zeros are what a broken disk leaves of a file
PRIVATE = 0o077
"""The umask of all that Parley runs: what it writes is nobody else's to read."""


def _find_project() -> Path:
    if named := os.environ.get("PARLEY_PROJECT"):
        return Path(named).expanduser().resolve()
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "dbt_project.yml").is_file() and (folder / "tracking_plan").is_dir():
            return folder
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "dbt_project.yml").is_file():
        return checkout
    raise ParleyError("There is no Parley project here: run `parley init FOLDER` and go there, or set PARLEY_PROJECT.")


def _flag(name: str) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in ("", "0", "false", "no", "off"):
        return False
    if value in ("1", "true", "yes", "on"):
        return True
    raise ParleyError(f"{name}={value!r} is neither true nor false: set it to true or false.")


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    try:
        return int(value)
    except ValueError:
        raise ParleyError(f"{name}={value!r} is not a whole number: set it to one.") from None


def _pattern(name: str, default: str) -> str:
    value = os.environ.get(name, "") or default
    try:
        re.compile(value)
    except re.error as error:
        raise ParleyError(f"{name} is no regular expression ({error}): write one such as [a-z0-9-]+.") from None
    return value


def _date(name: str) -> date | None:
    value = os.environ.get(name, "").strip()
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ParleyError(f"{name}={value!r} is not a date: write it as 2026-01-31.") from None


@dataclass(frozen=True)
class Settings:
    """The installation's choices. Build one with `Settings.load()`."""

    project: Path
    home: Path
    strict_tenants: bool
    tenant_pattern: str
    max_future_hours: int
    postgres_version: int
    inbox: Path
    first_day: date | None
    """The first day that Dagster shows; None: that of the data."""
    docs: Path
    docs_url: str
    data_docs_days: int
    environment: str
    exports: tuple[str, ...]
    http_rate: int = 5000
    http_quota: int = 0
    """Zero: none."""
    http_body_kib: int = 500
    http_events: int = 500

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment. Raises ParleyError where a value makes no sense."""
        project = _find_project()
        named = os.environ.get("PARLEY_HOME")
        home = Path(named).expanduser().resolve() if named else project / ".parley"
        inbox = os.environ.get("PARLEY_INBOX")
        docs = os.environ.get("PARLEY_DOCS")
        return cls(
            project=project,
            home=home,
            strict_tenants=_flag("PARLEY_STRICT_TENANTS"),
            tenant_pattern=_pattern("PARLEY_TENANT_PATTERN", TENANT_PATTERN),
            max_future_hours=_number("PARLEY_MAX_FUTURE_HOURS", 24),
            postgres_version=_number("PARLEY_POSTGRES_VERSION", 18),
            inbox=Path(inbox).expanduser().resolve() if inbox else home / "inbox",
            first_day=_date("PARLEY_FIRST_DAY"),
            docs=Path(docs).expanduser().resolve() if docs else home / "docs",
            docs_url=(os.environ.get("PARLEY_DOCS_URL") or "http://localhost:8080").rstrip("/"),
            data_docs_days=_number("PARLEY_DATA_DOCS_DAYS", 30),
            environment=os.environ.get("PARLEY_ENVIRONMENT", "").strip().lower() or "local",
            exports=tuple(filter(None, map(str.strip, os.environ.get("PARLEY_EXPORTS", "").split(",")))),
            http_rate=max(_number("PARLEY_HTTP_RATE", 5000), 1),
            http_quota=max(_number("PARLEY_HTTP_QUOTA", 0), 0),
            http_body_kib=max(_number("PARLEY_HTTP_BODY_KIB", 500), 1),
            http_events=max(_number("PARLEY_HTTP_EVENTS", 500), 1),
        )

    @cached_property
    def secret(self) -> bytes:
        """The key that personal data is hashed with: whoever loses it can no longer match subjects."""
        given = os.environ.get("PARLEY_SECRET")
        if given is not None:
            if not given.strip():
                raise ParleyError("PARLEY_SECRET is blank: set it to the installation's secret, or unset it.")
            return given.encode()
        path = self.home / "secret"
        if not path.exists():
            _write_secret(path)
        try:
            found = path.read_bytes()
        except OSError as error:
            raise ParleyError(
                f"{path} cannot be read ({error.strerror}): it holds the installation's secret."
            ) from None
        if not found.strip(_BLANK):
            raise ParleyError(
                f"{path} is empty: put the installation's secret back from its backup. Where nothing has landed yet, "
                "remove the file, and a new one is made."
            )
        return found


def _write_secret(path: Path) -> None:
    """Make a secret, wholly and on the disk, or not at all. Another process may have been first."""
    draft = path.with_name(f"secret.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_hex(32).encode())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ParleyError(f"The installation's secret cannot be written to {path}: {error.strerror}.") from None
