"""Great Expectations over the figures of days: which bounds are not kept, and on how many figures each was tried.

Every figure is a row beside the bounds that hold for it, so that two expectations say it all, however many rows the
seed has: each expectation costs Great Expectations some 0.1 seconds.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from parley.quality_gate.expectations import Expectation
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

_BOUNDED = """
    with bounds as (
        select *
        from unnest(%(names)s::text[], %(tenants)s::text[], %(metrics)s::text[], %(least)s::bigint[]) with ordinality
            as bounds (name, tenant_id, metric, at_least, position)
    )
    select position - 1, day, figures.tenant_id, event_name, value
    from ops.input_measures as figures
    inner join bounds on figures.metric = bounds.metric and figures.base >= bounds.at_least
    where day = any(%(days)s) and (
        bounds.tenant_id = figures.tenant_id
        or bounds.tenant_id = %(every_tenant)s and not exists (
            select from bounds as own where own.name = bounds.name and own.tenant_id = figures.tenant_id
        )
    )
    order by position, day, figures.tenant_id, event_name
"""
_RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": ["number"],
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


Bounded = tuple[int, float, float | None, float | None]
"""A number, and the value that it stands for, with its minimum and maximum."""


class _Figure(NamedTuple):
    """A figure that an expectation is of."""

    position: int
    """Of the expectation."""
    day: date
    tenant_id: str
    event_name: str
    value: float


def validate(
    connection: Connection, expectations: Sequence[Expectation], days: Sequence[date]
) -> tuple[list[Failure], list[Tried]]:
    """The failures of these days, and what was tried."""
    figures = _figures(connection, expectations, days)
    found = outside(
        (number, figure.value, expectations[figure.position].minimum, expectations[figure.position].maximum)
        for number, figure in enumerate(figures)
    )
    failed = [figures[number] for number in sorted(found)]
    failures = [
        Failure(each.day, each.tenant_id, each.event_name, each.value, expectations[each.position]) for each in failed
    ]
    failures.sort(key=lambda each: (each.day, each.expectation.name, each.tenant_id, each.event_name))
    tried, wrong = (Counter(each.position for each in some) for some in (figures, failed))
    return failures, [Tried(each, tried[position], wrong[position]) for position, each in enumerate(expectations)]


def _figures(connection: Connection, expectations: Sequence[Expectation], days: Sequence[date]) -> list[_Figure]:
    """What each expectation is of: its metric's, measured on enough, of tenants without a row of their own."""
    of_expectations = {
        "names": [each.name for each in expectations],
        "tenants": [each.tenant_id for each in expectations],
        "metrics": [each.metric for each in expectations],
        "least": [each.at_least for each in expectations],
    }
    found = connection.execute(_BOUNDED, {**of_expectations, "days": list(days), "every_tenant": EVERY_TENANT})
    return [_Figure(*row) for row in found]  # type: ignore[arg-type]


def outside(bounded: Iterable[Bounded]) -> set[int]:
    """The numbers of the figures that are below their minimum or above their maximum.

    Great Expectations takes seconds to import: it is asked about those that are not plainly within their bounds.
    """
    doubtful = [
        (number, value, minimum, maximum)
        for number, value, minimum, maximum in bounded
        if not ((minimum is None or minimum <= value) and (maximum is None or value <= maximum))
    ]
    return by_great_expectations(doubtful) if doubtful else set()


def by_great_expectations(bounded: Sequence[Bounded]) -> set[int]:
    """The same of any figures, by two expectations."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when it is imported
    import great_expectations as gx
    import pandas as pd  # type: ignore[import-untyped]
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.core import ExpectColumnPairValuesAToBeGreaterThanB

    frame = pd.DataFrame(bounded, columns=["number", "value", "minimum", "maximum"]).astype(
        dict.fromkeys(("value", "minimum", "maximum"), float)
    )
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("warehouse")
        .add_dataframe_asset("input_measures")
        .add_batch_definition_whole_dataframe("days")
    )
    suite = gx.ExpectationSuite(
        name="Input gate",
        expectations=[
            ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=upper, column_B=lower, or_equal=True, ignore_row_if="either_value_is_missing"
            )
            for upper, lower in (("value", "minimum"), ("maximum", "value"))
        ],
    )
    definition = gx.ValidationDefinition(name="Figures of days", data=batch, suite=context.suites.add(suite))
    context.validation_definitions.add(definition)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of GX's own calls
        results: Any = definition.run(batch_parameters={"dataframe": frame}, result_format=_RESULT_FORMAT)
    for result in results.results:
        if result.exception_info and result.exception_info.get("raised_exception"):
            raise RuntimeError(f"Great Expectations broke: {result.exception_info}")
    return {
        int(row["number"]) for result in results.results for row in result.result.get("unexpected_index_list") or ()
    }
