"""What differs from build to build. Sessions that build have it as settings: the SQL is the same in each build."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Circumstances:
    as_of: datetime
    build_id: str
    judged_to: int
    """The last batch that the input gate has judged: what lands meanwhile is the next build's."""

    @contextmanager
    def in_sessions(self) -> Iterator[None]:
        """Let every session that is opened meanwhile have them, of other processes too: macros read `parley.as_of` …"""
        options = os.environ.get("PGOPTIONS")
        found = {
            "as_of": self.as_of.astimezone(UTC).isoformat(),
            "build_id": self.build_id,
            "judged_to": self.judged_to,
        }
        os.environ["PGOPTIONS"] = " ".join(
            [*([options] if options else []), *(f"-c parley.{name}={value}" for name, value in found.items())]
        )
        try:
            yield
        finally:
            if options is None:
                del os.environ["PGOPTIONS"]
            else:
                os.environ["PGOPTIONS"] = options
