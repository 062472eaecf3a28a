"""What differs from build to build. Sessions that build have it as settings: the SQL is the same in each build."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime


@dataclass(frozen=True, slots=True)
class Circumstances:
    as_of: datetime
    build_id: str
    validated_to: int
    """The last batch that the input gate has validated: what lands meanwhile is the next build's."""
    from_date: date | None = None
    """Tenant-local, like `to_date`: days to build again besides what changed, both included."""
    to_date: date | None = None
    tenant: str | None = None
    """Of these days, only this tenant's; without them, all of it."""
    full_refresh: bool = False

    @property
    def asked(self) -> str | None:
        """What is built again besides what changed: `days` of all tenants, or a `tenant` (all of it, or days)."""
        if self.tenant:
            return "tenant"
        return "days" if self.from_date or self.to_date else None

    @property
    def variables(self) -> dict[str, str | int]:
        """As dbt's variables, without those that say nothing."""
        found: dict[str, str | int | None] = {
            "build_id": self.build_id,
            "as_of": self.as_of.astimezone(UTC).isoformat(),
            "from_date": self.from_date.isoformat() if self.from_date else None,
            "to_date": self.to_date.isoformat() if self.to_date else None,
            # what people write is never text that dbt would render as Jinja
            "tenant": self.tenant.encode().hex() if self.tenant else None,
            "validated_to": self.validated_to,
        }
        return {name: value for name, value in found.items() if value is not None}

    @contextmanager
    def in_sessions(self) -> Iterator[None]:
        """Let every session that is opened meanwhile have them, of other processes too: macros read `parley.as_of` …"""
        options = os.environ.get("PGOPTIONS")
        settings = {"from_date": "", "to_date": "", "tenant": "", **self.variables}
        os.environ["PGOPTIONS"] = " ".join(
            [*([options] if options else []), *(f"-c parley.{name}={value}" for name, value in settings.items())]
        )
        try:
            yield
        finally:
            if options is None:
                del os.environ["PGOPTIONS"]
            else:
                os.environ["PGOPTIONS"] = options
