"""What each kind of chart is in Superset: a compact line of a board becomes the parameters of a visualisation."""

from collections.abc import Callable
from typing import Any

from dashboards.source import Dataset, Spec, listed, shown_metrics

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


def params(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    """The visualisation's parameters (`viz_type` among them)."""
    own = _KINDS[spec["kind"]](spec, dataset)
    return {
        "datasource": "1__table",
        "extra_form_data": {},
        "row_limit": 1000,
        "adhoc_filters": _filters(spec, dataset),
        "color_scheme": "parley",
        **own,
    }


def _number(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    return {
        "viz_type": "big_number_total",
        "metric": spec["metric"],
        "y_axis_format": FORMATS[dataset.metrics[spec["metric"]].format],
        "subtitle": spec.get("under", ""),
        "header_font_size": 0.4,
        "subtitle_font_size": 0.125,
    }


def _change(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    return {
        "viz_type": "pop_kpi",
        "metric": spec["metric"],
        "time_compare": ["inherit"],
        "y_axis_format": FORMATS[dataset.metrics[spec["metric"]].format],
        "percentDifferenceFormat": "+.1%",
        "header_font_size": 0.3,
        "subheader_font_size": 0.125,
        "comparison_color_enabled": True,
        "comparison_color_scheme": "Red" if spec.get("less_is_better") else "Green",
    }


def _over(viz_type: str) -> Callable[[Spec, Dataset], dict[str, Any]]:
    def over(spec: Spec, dataset: Dataset) -> dict[str, Any]:
        metrics = shown_metrics(spec)
        in_time = dataset.is_in_time(spec["x"])
        return {
            "viz_type": viz_type,
            "x_axis": spec["x"],
            "time_grain_sqla": spec.get("grain", "P1D") if in_time else None,
            "x_axis_time_format": "%b %Y" if spec.get("grain") == "P1M" else "%d %b",
            "metrics": metrics,
            "groupby": listed(spec.get("by")),
            "stack": "Stack" if spec.get("stack") else None,
            "y_axis_format": FORMATS[dataset.metrics[metrics[0]].format],
            "rich_tooltip": True,
            "showTooltipTotal": bool(spec.get("stack")),
            "show_legend": len(metrics) > 1 or "by" in spec,
            "legendType": "scroll",
            "legendOrientation": "top",
            "markerEnabled": viz_type == "echarts_timeseries_line",
            "markerSize": 4,
            "truncateYAxis": "bounds" in spec,
            "y_axis_bounds": spec.get("bounds", [None, None]),
            "tooltipTimeFormat": "%a %d %b %Y",
        }

    return over


def _share(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    return {
        "viz_type": "pie",
        "groupby": listed(spec["by"]),
        "metric": spec["metric"],
        "number_format": FORMATS[dataset.metrics[spec["metric"]].format],
        "donut": True,
        "innerRadius": 45,
        "outerRadius": 80,
        "label_type": "percent",
        "show_labels": True,
        "labels_outside": False,
        "show_labels_threshold": 8,
        "show_legend": True,
        "legendType": "scroll",
        "legendOrientation": "top",
        "sort_by_metric": True,
        "show_total": True,
    }


def _heat(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    return {
        "viz_type": "heatmap_v2",
        "x_axis": spec["x"],
        "groupby": spec["y"],
        "metric": spec["metric"],
        "y_axis_format": FORMATS[dataset.metrics[spec["metric"]].format],
        "linear_color_scheme": "parley_blues",
        "normalize_across": "heatmap",
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",  # the first at the top
        "xscale_interval": 1,
        "yscale_interval": 1,
        "left_margin": "auto",
        "bottom_margin": "auto",
        "value_bounds": spec.get("bounds", [None, None]),
        "show_legend": False,
        "show_percentage": False,
        "show_values": spec.get("values", False),
        "row_limit": 10000,
    }


def _funnel(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    return {
        "viz_type": "funnel",
        "groupby": listed(spec["by"]),
        "metric": spec["metric"],
        "number_format": FORMATS[dataset.metrics[spec["metric"]].format],
        "percent_calculation_type": "first_step",
        "label_type": 5,  # name, value and percent
        "tooltip_label_type": 5,
        "sort_by_metric": True,
        "show_legend": False,
        "show_labels": True,
        "show_tooltip_labels": True,
    }


def _table(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    order = spec.get("order")
    shared = {
        "viz_type": "table",
        "table_timestamp_format": "%Y-%m-%d %H:%M",
        "page_length": 0,
        "include_search": False,
        "show_cell_bars": spec.get("bars", False),
        "color_pn": False,
        "order_desc": not spec.get("ascending", False),
        "row_limit": spec.get("limit", 1000),
        "column_config": _formats(spec, dataset),
    }
    if "columns" in spec:
        order_by = [f'["{order}", {"true" if spec.get("ascending") else "false"}]'] if order else []
        return {
            **shared,
            "query_mode": "raw",
            "all_columns": spec["columns"],
            "order_by_cols": order_by,
            "server_pagination": spec.get("pages", False),
            "server_page_length": 10,
        }
    return {
        **shared,
        "query_mode": "aggregate",
        "groupby": listed(spec["by"]),
        "metrics": shown_metrics(spec),
        "timeseries_limit_metric": order,
    }


def _formats(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    formats = {name: FORMATS[dataset.metrics[name].format] for name in shown_metrics(spec)}
    formats |= {name: FORMATS[form] for name in spec.get("columns", []) if (form := dataset.format(name))}
    dates = [name for name in spec.get("columns", []) if dataset.columns[name]["data_type"] == "date"]
    return {name: {"d3NumberFormat": d3, "d3SmallNumberFormat": d3} for name, d3 in formats.items()} | {
        name: {"d3TimeFormat": "%Y-%m-%d"} for name in dates
    }


def _filters(spec: Spec, dataset: Dataset) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "clause": "WHERE",
            "expressionType": "SIMPLE",
            "subject": column,
            "operator": "IN" if isinstance(value, list) else "==",
            "comparator": value,
        }
        for column, value in spec.get("where", {}).items()
    ]
    found += [
        {"clause": "WHERE", "expressionType": "SIMPLE", "subject": column, "operator": "IS NOT NULL"}
        for column in spec.get("present", [])
    ]
    if dataset.time:
        found.append(
            {
                "clause": "WHERE",
                "expressionType": "SIMPLE",
                "subject": dataset.time,
                "operator": "TEMPORAL_RANGE",
                "comparator": "No filter",
            }
        )
    return found


_KINDS: dict[str, Callable[[Spec, Dataset], dict[str, Any]]] = {
    "number": _number,
    "change": _change,
    "line": _over("echarts_timeseries_line"),
    "area": _over("echarts_area"),
    "bar": _over("echarts_timeseries_bar"),
    "share": _share,
    "heat": _heat,
    "funnel": _funnel,
    "table": _table,
}
