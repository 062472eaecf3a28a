"""What the dashboards show, apart from the tool that draws them: `datasets.yml`, `boards/*.yml` and the models' YAML.

A chart is a compact line of a board:

    number      one metric, large
    change      one metric, large, with the same stretch of time before
    line, area, bar, dots   metrics over `x`, one series each, or one per value of `by`
    share       a metric per value of `by`, as a ring
    heat        a metric over `x` and `y`
    funnel      a metric per value of `by`, a bar each from zero, in the order of the values
    ranking     a metric per value of `by`, a bar each from zero, the longest first
    table       metrics by `by`; or plain `columns` of the rows themselves, with `pages` where they are many

Every kind takes `about` (a sentence for who hovers over it), `where` ({column: value or list}), `present` (columns that
are not null), `some` (columns of which one at least is not zero), `width` (of 12), and `dates: false` where the date
filter must not act. `superset/` and `metabase/` make their tool's objects of it; this imports neither of them, nor
Parley.

What people read is in the terms of the tenant: times are on its clock, and rows know its currency. Values that are
identifiers or yes and no are shown in words (`Dataset.shown`).
"""

import re
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
WITHOUT_DATES = "No filter"

# The scale of Okabe and Ito, which the colour-blind tell apart, too. Green and vermilion say good and bad, and nothing
# else; orange is what went to people; the others tell series apart.
GREEN, ORANGE, VERMILION, GREY = "#009e73", "#e69f00", "#d55e00", "#8a93a0"
BLUE, SKY, PURPLE, BROWN, NAVY = "#0072b2", "#56b4e9", "#cc79a7", "#8c6d46", "#1f3b63"
SERIES = (BLUE, SKY, PURPLE, BROWN, NAVY, GREY)
STEPS = ("#08306b", "#08519c", "#2171b5", "#4292c6", "#6baed6", "#9ecae1", "#c6dbef")  # of what follows in an order
SCHEMES = {"parley": SERIES, "parley_steps": STEPS}
SHADES = ("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5")  # from little to much

_MEANINGS = {
    GREEN: "resolved succeeded accepted suggestions_accepted confirmed good resolution_rate returning",
    ORANGE: "escalated agent escalation_rate fallback",
    VERMILION: "abandoned failed rejected errors unanswered abandonment_rate refunds dormant",
    GREY: "open duplicate not_scored",
    SKY: "no_reply no_results requested no_consent resurrected suggested",
    BLUE: "new assistant low_relevance holds judged identified revenue",
    PURPLE: "engaged repeated signals",
    NAVY: "erased_subject",
}


def in_words(value: str) -> str:
    """How a value that is an identifier is shown; the SQL of `_in_words` says the same."""
    return value[:1].upper() + value[1:].replace("_", " ")


_WITHIN = {"Half within": ("p50", SKY), "95 % within": ("p95", BLUE), "99 % within": ("p99", NAVY)}

# A value or a metric that means the same on every board looks the same on every board.
LABEL_COLOURS = (
    {
        label: colour
        for colour, names in _MEANINGS.items()
        for name in names.split()
        for label in (name, in_words(name), f"{name}_conversations", f"{name}_users")
    }
    | {
        label: colour
        for words, (percentile, colour) in _WITHIN.items()
        for label in (words, f"{words} ({percentile})", f"{words} (opening hours)")
    }
    | {
        f"{of}{percentile}": colour
        for percentile, colour in _WITHIN.values()
        for of in ("", "first_response_", "open_")
    }
    | {"Others": GREY}
)

# Headings that cannot be had from a column's name.
TITLES = {
    "ai_resolved_conversations": "Resolved by the assistant",
    "answering_model": "Model",
    "conversation_id": "Conversation",
    "gap_id": "Gap",
    "group_of_breakdown": "Breakdown",
    "interval": "95 % interval",
    "lift_ci_high": "Lift, at most",
    "lift_ci_low": "Lift, at least",
    "order_id": "Order",
    "p_value_adjusted": "p-value, corrected",
    "roi_percentage": "Return, %",
    "savings_high": "Savings, at most",
    "savings_low": "Savings, at least",
    "srm_p_value": "p-value of the split",
    "sure": "Result",
    "tenant_id": "Identifier",
    "step_number_and_name": "Step",
    "user_id": "Customer",
    "users": "Customers",
}

_IN_WORDS = "_in_words"

# How people know a tenant: by its name; by its id, too, where another has the same name, or its name is what another is
# known by then.
_TENANT = """\
case
    when count(*) over (partition by own.name) = 1 and not exists (
        select from marts.tenants_overview as other where own.name = other.name || ' (' || other.tenant_id || ')'
    ) then own.name
    else own.name || ' (' || own.tenant_id || ')'
end"""
_TENANTS = f"(select tenant_id, time_zone, currency, {_TENANT} as tenant from marts.tenants_overview as own)"

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

    needs: str = ""
    """What would fill it, for who sees nothing."""

    def title(self, column: str) -> str:
        """How a column is headed: its unit is said by its format."""
        name = column.removesuffix(_IN_WORDS)
        if name in TITLES:
            return TITLES[name]
        words = name.removesuffix("_ms").removesuffix("_at").removesuffix("_on").replace("avg_", "average_")
        question = "?" if words.startswith(("is_", "was_", "has_")) else ""
        return re.sub(r"^(is|was|has)_", "", words).replace("_", " ").capitalize() + question

    def shown(self, column: str) -> str:
        """The column that says the same in words, where there is one."""
        return column + _IN_WORDS if column + _IN_WORDS in self.columns else column

    @property
    def has_money(self) -> bool:
        """Whether one of its numbers is an amount of the tenant's currency."""
        return "currency" in self.columns and (
            any(metric.format == "money" for metric in self.metrics.values())
            or any(self.format(column) == "money" for column in self.columns)
        )

    def format(self, column: str) -> str | None:
        """The name of a column's format; none for plain text and dates. The models' names carry units."""
        if column in self.formats:
            return self.formats[column]
        data_type = self.columns[column].get("data_type", "")
        if column.endswith("_ms"):
            return "milliseconds"
        if column.endswith(("_rate", "share")):
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
        return self.columns[column]["data_type"] in ("date", "timestamp")


class Source:
    """What is written in the folder: datasets and boards, by name."""

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """Every dataset of `datasets.yml`, with the columns of its model."""
        return {name: self._dataset(name, spec or {}) for name, spec in _read(HERE / "datasets.yml").items()}

    @cached_property
    def boards(self) -> dict[str, Spec]:
        """Every board, by the name of its file, in the order of their `place`."""
        found = {path.stem: _read(path) for path in sorted((HERE / "boards").glob("*.yml"))}
        return dict(sorted(found.items(), key=lambda item: int(item[1]["place"])))

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
        columns = {
            column["name"]: {"data_type": column["data_type"], "description": _plain(column.get("description", ""))}
            for column in model["columns"]
            if column["name"] in spec.get("only", [column["name"]])
        }
        added = {
            column: {"data_type": kind, "description": about, "sql": expression}
            for column, (about, kind, expression) in spec.get("columns", {}).items()
        }
        for column in [column for column, known in added.items() if known["sql"] == column]:
            columns[column] = {**added.pop(column)}  # the query has it
            del columns[column]["sql"]
        sql = spec.get("sql")
        knows_tenant = "{tenants}" in (sql or "")
        if sql:
            sql = sql.replace("{tenants}", f"{_TENANTS} as tenants")
        table = f"({sql}) as own" if sql else f"{model['schema']}.{model['name']} as own"
        if name == "tenants_overview":
            sql = f"select {_local(columns, 'own')}, {_TENANT} as tenant from {table}"
        else:
            with_currency = _has_terms_of_the_tenant(spec, columns)
            sql = _in_terms_of_the_tenant(
                table, columns, "own" if knows_tenant else "tenants", with_currency=with_currency
            )
        columns["tenant"] = {"data_type": "text", "description": "The tenant's name."}
        for column in columns.values():
            column["data_type"] = column["data_type"].replace("timestamptz", "timestamp")
        columns |= added
        asked = [column for column, known in columns.items() if known["data_type"] == "boolean"]
        return Dataset(
            name=name,
            schema=model["schema"],
            description=_plain(model["description"]),
            columns=columns
            | {column + _IN_WORDS: _in_words(columns, column) for column in asked + spec.get("words", [])},
            time=spec.get("time"),
            metrics={key: Metric(key, *parts) for key, parts in spec.get("metrics", {}).items()},
            formats=spec.get("formats", {}),
            sql=sql,
            needs=spec.get("needs", ""),
        )


def _has_terms_of_the_tenant(spec: dict[str, Any], columns: dict[str, dict[str, Any]]) -> bool:
    shown = [metric[2] for metric in spec.get("metrics", {}).values()] + list(spec.get("formats", {}).values())
    return "money" in shown or any(column["data_type"] == "timestamptz" for column in columns.values())


def _in_terms_of_the_tenant(
    table: str, columns: dict[str, dict[str, Any]], named_by: str, *, with_currency: bool
) -> str:
    """The rows of a table with the name of their tenant, times on its clock, and where wanted its currency."""
    selected = f"{_local(columns, 'tenants')}, {named_by}.tenant"
    if with_currency and "currency" not in columns:
        selected += ", tenants.currency"
        columns["currency"] = {"data_type": "text", "description": "The tenant's currency."}
    return f"select {selected} from {table} inner join {_TENANTS} as tenants using (tenant_id)"


def _local(columns: dict[str, dict[str, Any]], zone: str) -> str:
    return ", ".join(
        f"own.{name} at time zone {zone}.time_zone as {name}" if column["data_type"] == "timestamptz" else f"own.{name}"
        for name, column in columns.items()
    )


def _in_words(columns: dict[str, dict[str, Any]], column: str) -> dict[str, Any]:
    """A column whose values are identifiers, or yes and no, as people read them."""
    own = columns[column].get("sql") or column
    said = (
        f"case when {own} then 'Yes' when not {own} then 'No' end"
        if columns[column]["data_type"] == "boolean"
        else f"upper(left({own}, 1)) || replace(substr({own}, 2), '_', ' ')"
    )
    return {"data_type": "text", "description": columns[column]["description"], "sql": said}


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
    parts = (chart.get(part, []) for part in ("columns", "where", "present", "some"))
    return [*named, *listed(chart.get("by")), *chain.from_iterable(parts), *order]


def follows_dates(chart: Spec, dataset: Dataset) -> bool:
    """Whether the board's date filter acts on a chart."""
    return dataset.time is not None and bool(chart.get("dates", True))


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return read


def _plain(text: str) -> str:
    """A description on one line."""
    return " ".join(text.split())
