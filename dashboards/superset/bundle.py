"""The dashboards in Superset's import format, made from `datasets.yml`, `boards/*.yml` and the models' YAML.

Nothing generated is kept: `apply.py` imports what `build()` returns. Identities are UUIDv5 of names, so that the same
source always makes the same objects, and an import replaces what it made before. Imports neither Parley nor Superset.
"""

import json
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from dashboards.superset import charts

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
NAMESPACE = uuid.UUID("5b0c2f0e-7a0a-5c55-9d0c-2f6d7a1c9e11")
VERSION = "1.0.0"
DATABASE = "Parley"
SCHEMAS = ("facts", "marts")
DEFAULT_DATES = "Last month"

# Of each format: what d3 makes of it. Durations are of milliseconds.
FORMATS = {
    "count": ",d",
    "share": ".1%",
    "decimal": ",.1f",
    "score": ".2f",
    "money": ",.2f",
    "percent": ",.0f",
    "change": "+.1%",
    "probability": ".3f",
    "milliseconds": "DURATION",
    "seconds": ",.1f",
}
ROW_UNITS = 12  # columns of Superset's grid


def identity(kind: str, name: str) -> str:
    """The UUID of an object, the same for ever."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))


@dataclass(frozen=True)
class Metric:
    """A number that charts show: an aggregate over a dataset's rows."""

    name: str
    label: str
    sql: str
    format: str

    @property
    def d3(self) -> str:
        """Its format as d3 and Superset write it."""
        return FORMATS[self.format]


@dataclass(frozen=True)
class Dataset:
    """A table of facts or marts, with the metrics that charts take from it."""

    name: str
    schema: str
    description: str
    columns: dict[str, dict[str, Any]]
    """By name: `data_type` and `description`, as the model's YAML has them."""
    time: str | None
    """The column that the date filter goes by."""
    metrics: dict[str, Metric]
    formats: dict[str, str]
    """By column, where tables show it other than as it is."""
    sql: str | None = None
    """The query, where it is not a table as it stands."""

    @property
    def uuid(self) -> str:
        """Its identity in Superset."""
        return identity("dataset", self.name)

    def d3(self, column: str) -> str | None:
        """A column's format as d3 writes it; none for plain text and dates."""
        if column in self.formats:
            return FORMATS[self.formats[column]]
        return _d3_by_name(column, self.columns[column].get("data_type", ""))

    def export(self) -> dict[str, Any]:
        """The dataset as Superset imports it."""
        return {
            "table_name": self.name,
            "schema": self.schema,
            "sql": self.sql,
            "description": self.description,
            "main_dttm_col": self.time,
            "uuid": self.uuid,
            "database_uuid": identity("database", DATABASE),
            "version": VERSION,
            "filter_select_enabled": True,
            "columns": [
                {
                    "column_name": name,
                    "verbose_name": name.removesuffix("_ms").replace("_", " ").capitalize(),  # the format says ms
                    "description": column["description"],
                    "type": column["data_type"].upper(),
                    "expression": column.get("sql"),
                    "is_dttm": column["data_type"] in ("date", "timestamptz"),
                    "is_active": True,
                    "groupby": True,
                    "filterable": True,
                }
                for name, column in self.columns.items()
            ],
            "metrics": [
                {
                    "metric_name": metric.name,
                    "verbose_name": metric.label,
                    "expression": metric.sql,
                    "d3format": metric.d3,
                    "metric_type": None,
                }
                for metric in self.metrics.values()
            ],
        }


class Source:
    """What is written in the folder: datasets and boards, by name."""

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """Every dataset of `datasets.yml`, with the columns of its model."""
        return {name: self._dataset(name, spec or {}) for name, spec in _read(HERE / "datasets.yml").items()}

    @cached_property
    def boards(self) -> dict[str, dict[str, Any]]:
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


def build(database_url: str, source: Source | None = None) -> dict[str, str]:
    """Every file of the import by its path, as Superset's "assets" import reads them."""
    source = source or Source()
    files: dict[str, dict[str, Any]] = {
        "metadata.yaml": {"version": VERSION, "type": "assets"},
        "databases/parley.yaml": {
            "database_name": DATABASE,
            "sqlalchemy_uri": database_url,
            "uuid": identity("database", DATABASE),
            "version": VERSION,
            "expose_in_sqllab": True,
            "allow_file_upload": False,
            "extra": {"allows_virtual_table_explore": True},
        },
    }
    for dataset in source.datasets.values():
        files[f"datasets/{dataset.name}.yaml"] = dataset.export()
    for name, board in source.boards.items():
        made = _Board(name, board, source.datasets)
        files |= made.charts()
        files[f"dashboards/{name}.yaml"] = made.dashboard()
    return {path: json.dumps(content) for path, content in files.items()}  # JSON is YAML, and quicker


class _Board:
    """One board: its charts, where they stand, and the filters that act on them."""

    def __init__(self, name: str, spec: dict[str, Any], datasets: dict[str, Dataset]) -> None:
        self.name, self.spec, self.datasets = name, spec, datasets
        self.placed = [chart for row in spec["rows"] for chart in row.get("charts", [])]
        self.numbers = {id(chart): number for number, chart in enumerate(self.placed, start=1)}

    def charts(self) -> dict[str, dict[str, Any]]:
        """Its charts' files."""
        return {
            f"charts/{self.name}_{number}.yaml": {
                "slice_name": chart["name"],
                "description": chart.get("about"),
                "viz_type": (params := charts.params(chart, self.datasets[chart["dataset"]]))["viz_type"],
                "params": params,
                "uuid": self._chart_uuid(chart),
                "dataset_uuid": self.datasets[chart["dataset"]].uuid,
                "version": VERSION,
            }
            for number, chart in enumerate(self.placed, start=1)
        }

    def dashboard(self) -> dict[str, Any]:
        """Its own file."""
        return {
            "dashboard_title": self.spec["title"],
            "description": self.spec["about"],
            "slug": self.name,
            "uuid": identity("dashboard", self.name),
            "published": True,
            "css": "",
            "version": VERSION,
            "position": self._position(),
            "metadata": {
                "color_scheme": "parley",
                "label_colors": charts.LABEL_COLOURS,
                "map_label_colors": charts.LABEL_COLOURS,
                "filter_bar_orientation": "HORIZONTAL",
                "cross_filters_enabled": True,
                "refresh_frequency": 0,
                "expanded_slices": {},
                "timed_refresh_immune_slices": [],
                "native_filter_configuration": self._filters(),
            },
        }

    def _chart_uuid(self, chart: dict[str, Any]) -> str:
        return identity("chart", f"{self.name}/{chart['name']}")

    def _position(self) -> dict[str, Any]:
        grid: dict[str, Any] = {"id": "GRID_ID", "type": "GRID", "children": [], "parents": ["ROOT_ID"]}
        position: dict[str, Any] = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
            "GRID_ID": grid,
            "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": self.spec["title"]}},
        }
        for number, row in enumerate(self.spec["rows"], start=1):
            row_id = f"ROW-{number}"
            parents = ["ROOT_ID", "GRID_ID"]
            grid["children"].append(row_id)
            children = [*self._texts(row, row_id, number), *self._charts(row, row_id)]
            position[row_id] = {
                "id": row_id,
                "type": "ROW",
                "children": [child["id"] for child in children],
                "parents": parents,
                "meta": {"background": "BACKGROUND_TRANSPARENT"},
            }
            position |= {child["id"]: child for child in children}
        return position

    def _texts(self, row: dict[str, Any], row_id: str, number: int) -> list[dict[str, Any]]:
        if "text" not in row:
            return []
        return [
            {
                "id": f"MARKDOWN-{number}",
                "type": "MARKDOWN",
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID", row_id],
                "meta": {"code": row["text"], "width": ROW_UNITS, "height": row["height"]},
            }
        ]

    def _charts(self, row: dict[str, Any], row_id: str) -> list[dict[str, Any]]:
        placed = row.get("charts", [])
        free = ROW_UNITS - sum(chart.get("width", 0) for chart in placed)
        sharing = sum("width" not in chart for chart in placed)
        return [
            {
                "id": f"CHART-{self.numbers[id(chart)]}",
                "type": "CHART",
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID", row_id],
                "meta": {
                    "chartId": self.numbers[id(chart)],
                    "uuid": self._chart_uuid(chart),
                    "sliceName": chart["name"],
                    "width": chart.get("width") or free // sharing,
                    "height": row["height"],
                },
            }
            for chart in placed
        ]

    def _filters(self) -> list[dict[str, Any]]:
        """Tenant, dates and channel, each acting on the charts whose dataset has what it filters by."""
        tenants_of = self.datasets[self.spec.get("tenants_of", "tenants_overview")]
        tenant = {
            "id": "NATIVE_FILTER-tenant",
            "name": "Tenant",
            "filterType": "filter_select",
            "requiredFirst": True,  # charts wait for it
            "targets": [{"datasetUuid": tenants_of.uuid, "column": {"name": "tenant_id"}}],
            "controlValues": {
                "multiSelect": False,
                "enableEmptyFilter": True,
                "defaultToFirstItem": True,
                "inverseSelection": False,
                "searchAllOptions": False,
                "sortAscending": True,
            },
            "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
            "description": "No number adds up tenants: each has its own currency, clock and week.",
        }
        dates = {
            "id": "NATIVE_FILTER-dates",
            "name": "Dates",
            "filterType": "filter_time",
            "targets": [{}],
            "controlValues": {"enableEmptyFilter": False},
            "defaultDataMask": {
                "extraFormData": {"time_range": self.spec.get("dates", DEFAULT_DATES)},
                "filterState": {"value": self.spec.get("dates", DEFAULT_DATES)},
                "ownState": {},
            },
            "description": "Whole days of the tenant's calendar; the last day is not included.",
        }
        channel = {
            "id": "NATIVE_FILTER-channel",
            "name": "Channel",
            "filterType": "filter_select",
            "targets": [{"datasetUuid": self.datasets["conversations"].uuid, "column": {"name": "channel"}}],
            "cascadeParentIds": [tenant["id"]],
            "controlValues": {
                "multiSelect": True,
                "enableEmptyFilter": False,
                "defaultToFirstItem": False,
                "inverseSelection": False,
                "searchAllOptions": False,
                "sortAscending": True,
            },
            "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
            "description": "Acts on the charts whose table knows the channel.",
        }
        acts_on = {
            tenant["id"]: lambda chart, dataset: "tenant_id" in dataset.columns,
            dates["id"]: lambda chart, dataset: dataset.time is not None and chart.get("dates", True),
            channel["id"]: lambda chart, dataset: "channel" in dataset.columns,
        }
        own = [self._own_filter(spec) for spec in self.spec.get("filters", [])]
        found = []
        for one in (tenant, dates, *own, channel):
            column = one["targets"][0].get("column", {}).get("name")
            acts = acts_on.get(one["id"], lambda chart, dataset, column=column: column in dataset.columns)
            excluded = [
                self.numbers[id(chart)] for chart in self.placed if not acts(chart, self.datasets[chart["dataset"]])
            ]
            if len(excluded) == len(self.placed):
                continue  # it would act on nothing
            found.append(
                {
                    "type": "NATIVE_FILTER",
                    "cascadeParentIds": [],
                    "chartsInScope": [],
                    "tabsInScope": [],
                    "scope": {"rootPath": ["ROOT_ID"], "excluded": excluded},
                    **one,
                }
            )
        return found

    def _own_filter(self, spec: dict[str, Any]) -> dict[str, Any]:
        """A filter of this board alone: one value of a column, always one."""
        column, default = spec["column"], spec.get("default")
        state = {"value": [default], "label": default} if default else {}
        extra = {"filters": [{"col": column, "op": "IN", "val": [default]}]} if default else {}
        return {
            "id": f"NATIVE_FILTER-{column}",
            "name": spec["name"],
            "filterType": "filter_select",
            "requiredFirst": not default,
            "targets": [{"datasetUuid": self.datasets[spec["dataset"]].uuid, "column": {"name": column}}],
            "cascadeParentIds": ["NATIVE_FILTER-tenant"],
            "controlValues": {
                "multiSelect": False,
                "enableEmptyFilter": True,
                "defaultToFirstItem": not default,
                "inverseSelection": False,
                "searchAllOptions": False,
                "sortAscending": True,
            },
            "defaultDataMask": {"extraFormData": extra, "filterState": state, "ownState": {}},
            "description": spec.get("about", ""),
        }


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return read


def _d3_by_name(column: str, data_type: str) -> str | None:
    """The models' names carry units: `_ms`, `_rate`, `_score`, …"""
    if column.endswith("_ms"):
        return FORMATS["milliseconds"]
    if column.endswith(("_rate", "_share", "share")):
        return FORMATS["share"]
    if column.endswith(("_score", "rating", "confidence")) or column.startswith("p_value"):
        return FORMATS["score"]
    if data_type in ("bigint", "integer"):
        return FORMATS["count"]
    if data_type.startswith("numeric"):
        return FORMATS["money"]
    return FORMATS["decimal"] if data_type == "double precision" else None


def _plain(text: str) -> str:
    """A description without dbt's Jinja (doc blocks), on one line."""
    return " ".join(text.split())
