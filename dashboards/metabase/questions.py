"""What each kind of chart is in Metabase: a compact line of a board becomes SQL, a display and its settings.

Metabase has no metric of a dataset's own, so that a question is SQL over the dataset's model, which it names by
`{{#dataset}}`; `content.py` puts the model's number there. The filters of its board are variables of that SQL.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from dashboards.source import (
    BLUE,
    LABEL_COLOURS,
    WITHOUT_DATES,
    Dataset,
    Spec,
    follows_dates,
    listed,
    shown_metrics,
    used_metrics,
)

MOST_ROWS = 1000

# Of each format: what Metabase makes of it.
FORMATS: dict[str, dict[str, Any]] = {
    "count": {"number_style": "decimal", "decimals": 0},
    "share": {"number_style": "percent", "decimals": 1},
    "decimal": {"number_style": "decimal", "decimals": 1},
    "score": {"number_style": "decimal", "decimals": 2},
    "money": {"number_style": "decimal", "decimals": 2},
    "percent": {"number_style": "decimal", "decimals": 0, "suffix": " %"},
    "change": {"number_style": "percent", "decimals": 1},
    "probability": {"number_style": "decimal", "decimals": 3},
    "milliseconds": {"number_style": "decimal", "decimals": 0, "suffix": " ms"},
    "text": {},
}
# What a board's `dates` mean where nobody has chosen any: whole days up to today, today not included.
STRETCHES = {"Last week": "1 week", "Last month": "1 month", "Last quarter": "3 months", "Last year": "1 year"}
_GRAINS = {"P1W": "week", "P1M": "month", "P3M": "quarter", "P1Y": "year"}


@dataclass(frozen=True)
class Filter:
    """One filter of a board: a variable of its questions' SQL, and a field above its charts."""

    variable: str
    name: str
    column: str | None = None
    """What it compares with; none for a date, which compares with the dataset's own."""
    values_of: str | None = None
    """The dataset whose values of the column are offered."""
    default: str | None = None
    otherwise: Literal["nothing", "first", "all"] = "nothing"
    """What a chart shows where nobody has chosen: nothing at all, the first value's rows, or those of all values."""

    def acts_on(self, chart: Spec, dataset: Dataset) -> bool:
        """Whether the chart's rows have what it filters by."""
        return self.column in dataset.columns if self.column else follows_dates(chart, dataset)


@dataclass(frozen=True)
class Question:
    """A chart as Metabase has it, but for the numbers of other objects."""

    display: str
    sql: str
    settings: dict[str, Any]
    filters: list[Filter]
    """Those that act on it."""


def question(chart: Spec, dataset: Dataset, filters: Iterable[Filter], dates: str) -> Question:
    """The question of a chart, on a board with these filters and default `dates`."""
    acting = [one for one in filters if one.acts_on(chart, dataset)]
    display, sql, settings = _KINDS[chart["kind"]](_Chart(chart, dataset, acting, dates))
    return Question(display, sql, settings, acting)


@dataclass(frozen=True)
class _Chart:
    spec: Spec
    dataset: Dataset
    filters: list[Filter]
    dates: str

    @property
    def metrics(self) -> list[str]:
        return shown_metrics(self.spec)

    def shown(self, columns: list[str]) -> list[str]:
        """The columns that say the same in words, where there are such."""
        return [self.dataset.shown(column) for column in columns]

    def aggregate(self, by: list[str], order: str = "", limit: int = MOST_ROWS) -> str:
        """The metrics, per value of `by`; one row without."""
        grouping = [self.expression(name) for name in by]
        selected = [name if name == of else f"{of} as {name}" for name, of in zip(by, grouping, strict=True)]
        selected += [f"{self.dataset.metrics[name].sql} as {name}" for name in self.metrics]
        rest = f"\ngroup by {', '.join(grouping)}{order}\nlimit {limit}" if by else ""
        return self._query(selected) + rest

    def rows(self, columns: list[str], order: str, limit: int) -> str:
        """The rows themselves."""
        return f"{self._query(columns)}{order}\nlimit {limit}"

    def compared(self, metric: str) -> str:
        """A metric over the chosen days, and over as many days before: two rows, the later one last."""
        starts, ends = self._bounds()
        time = self.dataset.time
        conditions = [*self._conditions(), f"{time} >= stretch_start", f"{time} < stretch_end"]
        return f"""\
with chosen as (
    select {starts} as stretch_start, {ends} as stretch_end
),
stretches as (
    select stretch_start, stretch_end from chosen
    union all
    select stretch_start - (stretch_end - stretch_start), stretch_start from chosen
)
select stretches.stretch_start as since, found.{metric}
from stretches
cross join lateral (
    select {self.dataset.metrics[metric].sql} as {metric}
    from {{{{#{self.dataset.name}}}}} as found_rows
    where {_joined(conditions)}
) as found
order by since"""

    def expression(self, column: str) -> str:
        """A column, or the first day of the period in which it lies."""
        grain = _GRAINS.get(self.spec.get("grain") or "") if column == self.spec.get("x") else None
        return f"date_trunc('{grain}', {column})::date" if grain else column

    def column_settings(self, columns: Iterable[str] = ()) -> dict[str, Any]:
        """Titles and formats of what the query returns."""
        found: dict[str, dict[str, Any]] = {}
        for name in columns:
            known = self.dataset.format(name)
            found[name] = {"column_title": self.dataset.title(name), **(FORMATS[known] if known else {})}
        for name in self.metrics:
            metric = self.dataset.metrics[name]
            found[name] = {"column_title": metric.label, **FORMATS[metric.format]}
        return {"column_settings": {f'["name","{name}"]': settings for name, settings in found.items()}}

    def _query(self, selected: list[str]) -> str:
        columns = ",\n    ".join(selected)
        where = _joined([*self._conditions(), *self._days()])
        return f"select\n    {columns}\nfrom {{{{#{self.dataset.name}}}}} as found_rows\nwhere {where}"

    def _conditions(self) -> list[str]:
        return [
            *(_chosen(one) for one in self.filters if one.column),
            *(_equals(column, value) for column, value in self.spec.get("where", {}).items()),
            *(f"{column} is not null" for column in self.spec.get("present", [])),
            *(f"({' or '.join(f'{column} <> 0' for column in some)})" for some in [self.spec.get("some")] if some),
        ]

    def _days(self) -> list[str]:
        time = self.dataset.time
        if all(one.column for one in self.filters):
            return []
        if self.dates == WITHOUT_DATES:
            return [f"[[and {time} >= {{{{from}}}}]]", f"[[and {time} < {{{{to}}}}]]"]
        starts, ends = self._bounds()
        return [f"{time} >= {starts}", f"{time} < {ends}"]

    def _bounds(self) -> tuple[str, str]:
        stretch = STRETCHES[self.dates]
        return (
            f"coalesce([[{{{{from}}}}::date,]] (current_date - interval '{stretch}')::date)",
            "coalesce([[{{to}}::date,]] current_date)",
        )


def _joined(conditions: list[str]) -> str:
    """Conditions joined by "and"; `[[and …]]` is one that is left out where its variable has no value."""
    first, *others = conditions
    return "".join([first, *(f"\n    {one if one.startswith('[[') else f'and {one}'}" for one in others)])


def _chosen(one: Filter) -> str:
    variable = f"{{{{{one.variable}}}}}"
    match one.otherwise:
        case "nothing":
            return f"{one.column} = {variable}"
        case "all":
            return f"[[and {one.column} = {variable}]]"
        case "first":
            offered = f"from {{{{#{one.values_of}}}}} as offered where tenant_id = {{{{tenant}}}}"
            return f"{one.column} = coalesce([[{variable},]] (select min({one.column}) {offered}))"


def _equals(column: str, value: object) -> str:
    if isinstance(value, list):
        return f"{column} in ({', '.join(map(_literal, value))})"
    return f"{column} = {_literal(value)}"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


Made = tuple[str, str, dict[str, Any]]
"""Display, SQL and settings."""


def _number(chart: _Chart) -> Made:
    return "scalar", chart.aggregate([]), {"scalar.field": chart.metrics[0], **chart.column_settings()}


def _change(chart: _Chart) -> Made:
    [metric] = chart.metrics
    settings = {
        "scalar.field": metric,
        "scalar.comparisons": [{"id": "before", "type": "previousValue"}],
        "scalar.switch_positive_negative": bool(chart.spec.get("less_is_better")),
    }
    return "smartscalar", chart.compared(metric), settings | chart.column_settings()


def _over(display: str) -> Callable[[_Chart], Made]:
    def over(chart: _Chart) -> Made:
        by = chart.shown([chart.spec["x"], *listed(chart.spec.get("by"))])
        lower, upper = chart.spec.get("bounds", (None, None))
        settings = {
            "graph.dimensions": by,
            "graph.metrics": chart.metrics,
            "graph.x_axis.title_text": "",
            "graph.y_axis.title_text": "",
            "graph.x_axis.scale": "timeseries" if chart.dataset.is_in_time(by[0]) else "ordinal",
            "graph.y_axis.auto_range": "bounds" not in chart.spec,
            "series_settings": {
                name: {"title": chart.dataset.metrics[name].label}
                | ({"color": LABEL_COLOURS[name]} if name in LABEL_COLOURS else {})
                for name in chart.metrics
                if len(by) == 1
            },
        }
        bounds = {"graph.y_axis.min": lower, "graph.y_axis.max": upper}
        settings |= {name: bound for name, bound in bounds.items() if bound is not None}
        settings |= {"stackable.stack_type": "stacked"} if chart.spec.get("stack") else {}
        order = f"\norder by {', '.join(map(chart.expression, by))}"
        return display, chart.aggregate(by, order), settings | chart.column_settings()

    return over


def _share(chart: _Chart) -> Made:
    by, [metric] = chart.shown(listed(chart.spec["by"])), chart.metrics
    settings = {
        "pie.dimension": by[0],
        "pie.metric": metric,
        "pie.colors": LABEL_COLOURS,
        "pie.show_total": True,
        "pie.percent_visibility": "inside",
        "pie.decimal_places": FORMATS["share"]["decimals"],
    }
    return "pie", chart.aggregate(by, f"\norder by {metric} desc, {by[0]}"), settings | chart.column_settings()


def _heat(chart: _Chart) -> Made:
    """Metabase has no heat map: a table with `x` across, whose cells are the darker the more they say."""
    across, down, [metric] = chart.spec["x"], chart.spec["y"], chart.metrics
    lower, upper = chart.spec.get("bounds", (None, None))
    shades = {
        "columns": [metric],
        "type": "range",
        "colors": ["white", BLUE],
        "min_type": None if lower is None else "custom",
        "min_value": lower,
        "max_type": None if upper is None else "custom",
        "max_value": upper,
    }
    settings = {
        "table.pivot": True,
        "table.pivot_column": across,
        "table.cell_column": metric,
        "table.column_formatting": [shades],
    }
    sql = chart.aggregate([down, across], f"\norder by {down}, {across}", limit=10 * MOST_ROWS)
    return "table", sql, settings | chart.column_settings([down])


def _funnel(chart: _Chart) -> Made:
    by, [metric] = chart.shown(listed(chart.spec["by"])), chart.metrics
    settings = {"funnel.dimension": by[0], "funnel.metric": metric, "funnel.type": "funnel"}
    return "funnel", chart.aggregate(by, f"\norder by {by[0]}"), settings | chart.column_settings()


def _ranking(chart: _Chart) -> Made:
    by, [metric] = chart.shown(listed(chart.spec["by"])), chart.metrics
    settings = {"graph.dimensions": by, "graph.metrics": [metric]}
    return "row", chart.aggregate(by, f"\norder by {metric} desc, {by[0]}"), settings | chart.column_settings(by)


def _table(chart: _Chart) -> Made:
    direction = "" if chart.spec.get("ascending") else " desc nulls last"
    limit = chart.spec.get("limit", MOST_ROWS)
    if columns := chart.shown(chart.spec.get("columns", [])):
        order = f"\norder by {chart.spec['order']}{direction}" if "order" in chart.spec else ""
        return "table", chart.rows(columns, order, limit), chart.column_settings(columns)
    by = chart.shown(listed(chart.spec["by"]))
    ordered = [name for name in used_metrics(chart.spec) if name == chart.spec.get("order")]
    order = "".join(f"\norder by {chart.dataset.metrics[name].sql}{direction}" for name in ordered[-1:])
    return "table", chart.aggregate(by, order, limit), chart.column_settings(by)


_KINDS: dict[str, Callable[[_Chart], Made]] = {
    "number": _number,
    "change": _change,
    "line": _over("line"),
    "area": _over("area"),
    "bar": _over("bar"),
    "dots": _over("scatter"),
    "share": _share,
    "heat": _heat,
    "funnel": _funnel,
    "ranking": _ranking,
    "table": _table,
}
