"""Great Expectations over the figures of days: which bounds are not kept, and on how many figures each was tried."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from parley.quality_gate.expectations import METRICS, Expectation
from parley.warehouse.names import EVERY_TENANT

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.row_conditions import AndCondition

_RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": ["day", "tenant_id", "event_name"],
    "partial_unexpected_count": 2**31 - 1,  # by default it names 20 of what it found, even in COMPLETE
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A figure outside the bounds of an expectation."""

    day: date
    tenant_id: str
    """`*` where the figure is of the day as a whole."""
    event_name: str
    """`*` where the figure is of all event types."""
    observed: float
    expectation: Expectation

    @property
    def blocks(self) -> bool:
        return self.expectation.severity == "block"


@dataclass(frozen=True, slots=True)
class Tried:
    """An expectation, and on how many figures it was tried."""

    expectation: Expectation
    figures: int
    failures: int


def validate(url: str, expectations: Sequence[Expectation], days: Sequence[date]) -> tuple[list[Failure], list[Tried]]:
    """The failures of these days, and what was tried. `url` is SQLAlchemy's, of psycopg2.

    The figures must be committed: Great Expectations reads them by a connection of its own.
    """
    results = _run(url, expectations, days)
    failures = [
        Failure(
            day=date.fromisoformat(str(row["day"])[:10]),
            tenant_id=row["tenant_id"],
            event_name=row["event_name"],
            observed=float(row["value"]),
            expectation=expectations[result.expectation_config.meta["position"]],
        )
        for result in results.results
        for row in result.result.get("unexpected_index_list") or ()
    ]
    failures.sort(key=lambda each: (each.day, each.expectation.name, each.tenant_id, each.event_name))
    tried = [
        Tried(
            expectations[result.expectation_config.meta["position"]],
            int(result.result.get("element_count") or 0),
            int(result.result.get("unexpected_count") or 0),
        )
        for result in results.results
    ]
    return failures, tried


def _run(url: str, expectations: Sequence[Expectation], days: Sequence[date]) -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when it is imported
    import great_expectations as gx  # takes seconds: only here, where there are days to judge
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_sql("warehouse", connection_string=url.replace("$", r"\$"))
    asset = source.add_query_asset("input_measures", query=_query(days))
    batch = asset.add_batch_definition_whole_table("days")
    definition = gx.ValidationDefinition(
        name=f"Raw events of {days[0]} to {days[-1]}", data=batch, suite=context.suites.add(_suite(expectations))
    )
    context.validation_definitions.add(definition)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of GX's own calls
        results = definition.run(result_format=_RESULT_FORMAT)
    source.get_engine().dispose()
    for result in results.results:
        if result.exception_info and result.exception_info.get("raised_exception"):
            raise RuntimeError(f"Great Expectations broke: {result.exception_info}")
    return results


def _query(days: Sequence[date]) -> str:
    listed = ", ".join(f"date '{day}'" for day in days)
    return f"select day, tenant_id, event_name, metric, value, base from ops.input_measures where day in ({listed})"


def _suite(expectations: Sequence[Expectation]) -> "ExpectationSuite":
    import great_expectations as gx
    from great_expectations.expectations.core import ExpectColumnValuesToBeBetween
    from great_expectations.expectations.metadata_types import FailureSeverity

    severities = {"block": FailureSeverity.CRITICAL, "warn": FailureSeverity.WARNING}
    return gx.ExpectationSuite(
        name="Input gate",
        expectations=[
            ExpectColumnValuesToBeBetween(
                column="value",
                min_value=each.minimum,
                max_value=each.maximum,
                row_condition=_applies(each, expectations),
                severity=severities[each.severity],
                description=f"{each.name}: {METRICS[each.metric].meaning}. {each.description}.",
                meta={"position": position},
            )
            for position, each in enumerate(expectations)
        ],
    )


def _applies(expectation: Expectation, expectations: Sequence[Expectation]) -> "AndCondition":
    """Which figures an expectation is of: its metric's, measured on enough, of tenants without a row of their own."""
    from great_expectations.expectations.row_conditions import Column

    condition = (Column("metric") == expectation.metric) & (Column("base") >= expectation.at_least)
    if expectation.tenant_id != EVERY_TENANT:
        return condition & (Column("tenant_id") == expectation.tenant_id)
    others = [
        each.tenant_id for each in expectations if each.name == expectation.name and each.tenant_id != EVERY_TENANT
    ]
    return condition & Column("tenant_id").is_not_in(others) if others else condition
