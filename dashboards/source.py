"""What the dashboards show, apart from the tool that draws them: `datasets.yml`, `boards/*.yml` and the models' YAML.

A chart is a compact line of a board:

    number      one metric, large
    change      one metric, large, with the same stretch of time before
    line, area, bar   metrics over `x`, one series each, or one per value of `by`
    share       a metric per value of `by`, as a ring
    heat        a metric over `x` and `y`
    funnel      a metric per value of `by`, in the order of another
    table       metrics by `by`; or plain `columns` of the rows themselves, with `pages` where they are many

Every kind takes `where` ({column: value or list}), `present` (columns that are not null), `width` (of 12), and
`dates: false` where the date filter must not act. `superset/` and `metabase/` make their tool's objects of it; this
imports neither of them, nor Parley.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PROJECT = HERE.parent
SCHEMAS = ("facts", "marts")
ROW_UNITS = 12  # the width of a row, of which a chart's `width` is a part
DEFAULT_DATES = "Last month"

GREEN, AMBER, RED, GREY, BLUE = "#3f9c6f", "#e0a030", "#cf4d4d", "#8a93a0", "#2f6fb3"

# A value or a metric that means the same on every board looks the same on every board.
LABEL_COLOURS = {
    "resolved_conversations": GREEN,
    "escalated_conversations": AMBER,
    "abandoned_conversations": RED,
    "open_conversations": GREY,
    "no_reply_conversations": BLUE,
    "resolved": GREEN,
    "escalated": AMBER,
    "abandoned": RED,
    "open": GREY,
    "no_reply": BLUE,
}

Spec = dict[str, Any]
"""A chart or a board, as its file has it."""


@dataclass(frozen=True)
class Metric:
    """A number that charts show: an aggregate over a dataset's rows."""

    name: str
    label: str
    sql: str
    format: str


@dataclass(frozen=True)
class Dataset:
    """A table of facts or marts, with the metrics that charts take from it."""

    name: str
    schema: str
    description: str
    columns: dict[str, dict[str, Any]]
    """By name: `data_type` and `description`, as the model's YAML has them; `sql` of what `datasets.yml` adds."""
    time: str | None
    """The column that the date filter goes by."""
    metrics: dict[str, Metric]
    formats: dict[str, str]
    """By column, where tables show it other than as it is."""
    sql: str | None = None
    """The query, where it is not a table as it stands."""

    def title(self, column: str) -> str:
        """How a column is headed: its unit is said by its format."""
        return column.removesuffix("_ms").replace("_", " ").capitalize()

    def format(self, column: str) -> str | None:
        """The name of a column's format; none for plain text and dates. The models' names carry units."""
        if column in self.formats:
            return self.formats[column]
        data_type = self.columns[column].get("data_type", "")
        if column.endswith("_ms"):
            return "milliseconds"
        if column.endswith(("_rate", "_share", "share")):
            return "share"
        if column.endswith(("_score", "rating", "confidence")) or column.startswith("p_value"):
            return "score"
        if data_type in ("bigint", "integer"):
            return "count"
        if data_type.startswith("numeric"):
            return "money"
        return "decimal" if data_type == "double precision" else None

    def is_in_time(self, column: str) -> bool:
        """Whether a column holds dates or times."""
        return self.columns[column]["data_type"] in ("date", "timestamptz")


class Source:
    """What is written in the folder: datasets and boards, by name."""

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """Every dataset of `datasets.yml`, with the columns of its model."""
        return {name: self._dataset(name, spec or {}) for name, spec in _read(HERE / "datasets.yml").items()}

    @cached_property
    def boards(self) -> dict[str, Spec]:
        """Every board, by the name of its file."""
        return {path.stem: _read(path) for path in sorted((HERE / "boards").glob("*.yml"))}

    @cached_property
    def _models(self) -> dict[str, dict[str, Any]]:
        return {
            model["name"]: {**model, "schema": schema}
            for schema in SCHEMAS
            for path in sorted((PROJECT / "models" / schema).rglob("_*.yml"))
            for model in _read(path).get("models") or []
        }

    def _dataset(self, name: str, spec: dict[str, Any]) -> Dataset:
        model = self._models[spec.get("model", name)]
        added = {
            column: {"data_type": kind, "description": about, "sql": expression}
            for column, (about, kind, expression) in spec.get("columns", {}).items()
        }
        return Dataset(
            name=name,
            schema=model["schema"],
            description=_plain(model["description"]),
            columns={
                column["name"]: {
                    "data_type": column["data_type"],
                    "description": _plain(column.get("description", "")),
                }
                for column in model["columns"]
            }
            | added,
            time=spec.get("time"),
            metrics={key: Metric(key, *parts) for key, parts in spec.get("metrics", {}).items()},
            formats=spec.get("formats", {}),
            sql=spec.get("sql"),
        )


def charts(board: Spec) -> list[Spec]:
    """A board's charts, in the order in which they stand."""
    return [chart for row in board["rows"] for chart in row.get("charts", [])]


def widths(row: Spec) -> list[int]:
    """How wide each chart of a row is: those that say nothing share what is left."""
    placed = row.get("charts", [])
    free = ROW_UNITS - sum(chart.get("width", 0) for chart in placed)
    sharing = sum("width" not in chart for chart in placed)
    return [chart.get("width") or free // sharing for chart in placed]


def listed(value: str | list[str] | None) -> list[str]:
    """One name, several or none, as a list."""
    return [value] if isinstance(value, str) else value or []


def shown_metrics(chart: Spec) -> list[str]:
    """The metrics that a chart shows."""
    return listed(chart.get("metrics") or chart.get("metric"))


def used_metrics(chart: Spec) -> list[str]:
    """The metrics that a chart shows or sorts by."""
    order = chart.get("order")
    return shown_metrics(chart) + ([order] if order and "columns" not in chart else [])


def used_columns(chart: Spec) -> list[str]:
    """The columns that a chart shows, groups, sorts or filters by."""
    order = [chart["order"]] if "order" in chart and "columns" in chart else []
    named = [chart[part] for part in ("x", "y") if part in chart]
    lists = (listed(chart.get("by")), chart.get("columns", []), chart.get("where", {}), chart.get("present", []))
    return [*named, *chain.from_iterable(lists), *order]


def follows_dates(chart: Spec, dataset: Dataset) -> bool:
    """Whether the board's date filter acts on a chart."""
    return dataset.time is not None and bool(chart.get("dates", True))


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return read


def _plain(text: str) -> str:
    """A description on one line."""
    return " ".join(text.split())
