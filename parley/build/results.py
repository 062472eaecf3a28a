"""What came of each table and check of a build, whoever built it: dbt, or `parley.build.quick`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parley.build import dbt


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a table or a check."""

    name: str
    kind: str
    """model, seed or test"""
    status: str
    """success, pass, warn, fail, error or skipped"""
    reason: str = ""
    seconds: float = 0.0

    @staticmethod
    def of_dbt(result: Any) -> "Result":
        return Result(
            name=result.node.name,
            kind=result.node.resource_type.value,
            status=result.status.value,
            reason=dbt.reason(result.message or ""),
            seconds=result.execution_time,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is."""

    total: int
    done: int
    running: tuple[str, ...]
    """Names of the tables and checks at work."""


OnProgress = Callable[[Progress], None]
