"""The dashboards in Superset's import format, made from what `dashboards/source.py` reads.

Nothing generated is kept: `apply.py` imports what `build()` returns. Identities are UUIDv5 of names, so that the same
source always makes the same objects, and an import replaces what it made before. Imports neither Parley nor Superset.
"""

import json
import uuid
from typing import Any

from dashboards.source import (
    DEFAULT_DATES,
    LABEL_COLOURS,
    ROW_UNITS,
    SCHEMES,
    WITHOUT_DATES,
    Dataset,
    Source,
    Spec,
    charts,
    follows_dates,
    widths,
)
from dashboards.superset.charts import CURRENCY, FORMATS, params

NAMESPACE = uuid.UUID("5b0c2f0e-7a0a-5c55-9d0c-2f6d7a1c9e11")
VERSION = "1.0.0"
DATABASE = "Parley"


_LOOKS = """
.slice_container div:has(> .ant-empty) + div { display: none; }
.slice_container .ant-empty::after { display: block; margin: 4px auto; max-width: 44em; color: #45505c; }
.pop_kpi > div > div > div:first-child { margin-bottom: 6px; }
.pop_kpi > div > div > div:last-child { gap: 12px; justify-content: center; }
.pop_kpi > div > div > div:last-child > div { flex: none; font-size: 13px; padding: 0; white-space: nowrap; }
.big_number_total .superset-legacy-chart-big-number { align-items: center; text-align: center; }
.big_number_total .text-container { align-items: center; width: 100%; }
.big_number_total .header-line, .big_number_total .subtitle-line { text-align: center; width: 100%; }
.big_number_total .header-line { font-size: 32px !important; height: auto !important; justify-content: center; }
.big_number_total .subtitle-line { font-size: 13px !important; height: auto !important; }
.dt-controls { display: none !important; }
.slice_container td[title] { white-space: nowrap; }
.echarts-tooltip td:nth-child(3) { display: none; }
"""


# Under every board, once.
_FOOT = {
    "height": 10,
    "text": "Dates and times are those of the tenant's clock, money is in its currency; N/A is what nobody knows.",
}


def identity(kind: str, name: str) -> str:
    """The UUID of an object, the same for ever."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))


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
        files[f"datasets/{dataset.name}.yaml"] = _dataset(dataset)
    for name, board in reversed(source.boards.items()):  # Superset lists first what was written last
        made = _Board(name, board, source.datasets)
        files |= made.charts()
        files[f"dashboards/{name}.yaml"] = made.dashboard()
    return {path: json.dumps(content) for path, content in files.items()}  # JSON is YAML, and quicker


def _dataset(dataset: Dataset) -> dict[str, Any]:
    return {
        "table_name": dataset.name,
        "schema": dataset.schema,
        "sql": dataset.sql,
        "description": dataset.description,
        "main_dttm_col": dataset.time,
        "currency_code_column": "currency" if dataset.has_money else None,
        "uuid": _dataset_uuid(dataset),
        "database_uuid": identity("database", DATABASE),
        "version": VERSION,
        "filter_select_enabled": True,
        "columns": [
            {
                "column_name": name,
                "verbose_name": dataset.title(name),
                "description": column["description"],
                "type": column["data_type"].upper(),
                "expression": column.get("sql"),
                "is_dttm": dataset.is_in_time(name),
                "is_active": True,
                "groupby": True,
                "filterable": True,
            }
            for name, column in dataset.columns.items()
        ],
        "metrics": [
            {
                "metric_name": metric.name,
                "verbose_name": metric.label,
                "expression": metric.sql,
                "d3format": FORMATS[metric.format],
                "metric_type": None,
                "currency": CURRENCY if metric.format == "money" and dataset.has_money else None,
            }
            for metric in dataset.metrics.values()
        ],
    }


def _dataset_uuid(dataset: Dataset) -> str:
    return identity("dataset", dataset.name)


class _Board:
    """One board: its charts, where they stand, and the filters that act on them."""

    def __init__(self, name: str, spec: Spec, datasets: dict[str, Dataset]) -> None:
        self.name, self.spec, self.datasets = name, spec, datasets
        self.placed = charts(spec)
        self.numbers = {id(chart): number for number, chart in enumerate(self.placed, start=1)}

    def charts(self) -> dict[str, dict[str, Any]]:
        """Its charts' files."""
        return {
            f"charts/{self.name}_{number}.yaml": {
                "slice_name": chart["name"],
                "description": chart.get("about") or self.datasets[chart["dataset"]].description,
                "viz_type": (made := params(chart, self.datasets[chart["dataset"]]))["viz_type"],
                "params": made,
                "uuid": self._chart_uuid(chart),
                "dataset_uuid": _dataset_uuid(self.datasets[chart["dataset"]]),
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
            "css": self._css(),
            "version": VERSION,
            "position": self._position(),
            "metadata": {
                "color_scheme": (scheme := self.spec.get("colours", "parley")),
                "color_scheme_domain": list(SCHEMES[scheme]),
                "shared_label_colors": [],  # as Superset adds both when an administrator opens the board
                "label_colors": LABEL_COLOURS,
                "map_label_colors": LABEL_COLOURS,
                "filter_bar_orientation": "HORIZONTAL",
                "cross_filters_enabled": True,
                "refresh_frequency": 0,
                "expanded_slices": {},
                "timed_refresh_immune_slices": [],
                "native_filter_configuration": self._filters(),
            },
        }

    def _css(self) -> str:
        """Where a chart has nothing to show, what would fill it: Superset says only that there is nothing."""
        return _LOOKS + "\n".join(
            f"[data-test-chart-name={json.dumps(chart['name'], ensure_ascii=False)}] .ant-empty::after "
            f"{{ content: {json.dumps(self._why_empty(chart), ensure_ascii=False)}; }}"
            for chart in self.placed
        )

    def _why_empty(self, chart: dict[str, Any]) -> str:
        dataset = self.datasets[chart["dataset"]]
        when = " in these dates" if follows_dates(chart, dataset) else ""
        return f"Nothing{when}. {chart.get('needs', dataset.needs)}".strip()

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
        for number, row in enumerate([*self.spec["rows"], _FOOT], start=1):
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
                    "width": width,
                    "height": row["height"],
                },
            }
            for chart, width in zip(row.get("charts", []), widths(row), strict=True)
        ]

    def _filters(self) -> list[dict[str, Any]]:
        """Tenant, dates and channel, each acting on the charts whose dataset has what it filters by."""
        tenants_of = self.datasets[self.spec.get("tenants_of", "tenants_overview")]
        tenant = {
            "id": "NATIVE_FILTER-tenant",
            "name": "Tenant",
            "filterType": "filter_select",
            "requiredFirst": True,  # charts wait for it
            "sortMetric": self.spec.get("tenants_by", "events"),  # the first has most to show
            "targets": [{"datasetUuid": _dataset_uuid(tenants_of), "column": {"name": "tenant"}}],
            "controlValues": _choice(many=False, required=True, first=True, ascending=False),
            "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
            "description": "No number adds up tenants: each has its own currency, clock and week.",
        }
        chosen = self.spec.get("dates", DEFAULT_DATES)
        mask = {} if chosen == WITHOUT_DATES else {"time_range": chosen}
        dates = {
            "id": "NATIVE_FILTER-dates",
            "name": "Dates",
            "filterType": "filter_time",
            "targets": [{}],
            "controlValues": {"enableEmptyFilter": False},
            "defaultDataMask": {
                "extraFormData": mask,
                "filterState": {"value": chosen} if mask else {},  # what it would change to by itself, unapplied
                "ownState": {},
            },
            "description": "Whole days of the tenant's calendar; the last day is not included.",
        }
        channel = {
            "id": "NATIVE_FILTER-channel",
            "name": "Channel",
            "filterType": "filter_select",
            "targets": [{"datasetUuid": _dataset_uuid(self.datasets["conversations"]), "column": {"name": "channel"}}],
            "cascadeParentIds": [tenant["id"]],
            "controlValues": _choice(many=True, required=False, first=False),
            "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
            "description": "Acts on the charts whose table knows the channel.",
        }
        acts_on = {
            tenant["id"]: lambda chart, dataset: "tenant" in dataset.columns,
            dates["id"]: follows_dates,
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
            "targets": [{"datasetUuid": _dataset_uuid(self.datasets[spec["dataset"]]), "column": {"name": column}}],
            "cascadeParentIds": ["NATIVE_FILTER-tenant"],
            "controlValues": _choice(many=False, required=True, first=not default),
            "defaultDataMask": {"extraFormData": extra, "filterState": state, "ownState": {}},
            "description": spec.get("about", ""),
        }


def _choice(*, many: bool, required: bool, first: bool, ascending: bool = True) -> dict[str, bool]:
    """How a filter lets choose among a column's values; `first`: it begins with the first of them."""
    return {
        "multiSelect": many,
        "enableEmptyFilter": required,
        "defaultToFirstItem": first,
        "inverseSelection": False,
        "searchAllOptions": False,
        "sortAscending": ascending,
    }
