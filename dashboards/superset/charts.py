"""What each kind of chart is in Superset: a compact line of a board becomes the parameters of a visualisation."""

import json
from collections.abc import Callable
from typing import Any

from dashboards.source import WITHOUT_DATES, Dataset, Spec, listed, shown_metrics

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
    "text": "",
}
AXES = {"count": ",.1~f", "share": ".0%", "money": ",.2~f", "change": "+.0%"}
"""Formats of an axis where that of the numbers would say too much."""
SMALL = {"money": ",.2~r"}
"""Formats of what is below one in a table, where that of larger numbers would say too little: no cost is 0.00."""
ROWS_OF_PAGE = 10
MOST_SERIES = 5  # what is beyond is "Others", for which there is a colour, too
CURRENCY = {"symbol": "AUTO", "symbolPosition": "prefix"}  # the one that the rows are in


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
        **_currency(dataset, [spec["metric"]]),
        "subtitle": spec.get("under", ""),
        "header_font_size": 0.4,
        "subtitle_font_size": 0.15,
    }


def _change(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    is_rate = dataset.metrics[spec["metric"]].format == "share"
    return {
        "viz_type": "pop_kpi",
        "metric": spec["metric"],
        "time_compare": ["inherit"],
        "y_axis_format": FORMATS[dataset.metrics[spec["metric"]].format],
        **_currency(dataset, [spec["metric"]]),
        "percentDifferenceFormat": "+.0%",
        "header_font_size": 0.4,
        "subheader_font_size": 0.125,
        "comparison_color_enabled": spec.get("less_is_better") is not None,
        "comparison_color_scheme": "Red" if spec.get("less_is_better") else "Green",
        "column_config": {  # templates/figures.js says the words
            "Previous value": {"displayTypeIcon": False},
            # a rate changes by points, all else in percent
            "Delta": {"displayTypeIcon": False, "visible": is_rate},
            "Percent change": {"displayTypeIcon": False, "visible": not is_rate},
        },
    }


def _currency(dataset: Dataset, metrics: list[str]) -> dict[str, Any]:
    """The currency of an axis or a figure, where it is of money."""
    is_money = all(dataset.metrics[name].format == "money" for name in metrics)
    return {"currency_format": CURRENCY} if is_money and dataset.has_money else {}


def _over(viz_type: str) -> Callable[[Spec, Dataset], dict[str, Any]]:
    def over(spec: Spec, dataset: Dataset) -> dict[str, Any]:
        metrics = shown_metrics(spec)
        form = dataset.metrics[metrics[0]].format
        in_time = dataset.is_in_time(spec["x"])
        is_counted = dataset.columns[spec["x"]]["data_type"] in ("integer", "bigint")
        axis = {"minInterval": 1} if form == "count" else {"interval": 0.25} if spec.get("bounds") == [0, 1] else {}
        return {
            "viz_type": viz_type,
            "x_axis": dataset.shown(spec["x"]),
            "time_grain_sqla": spec.get("grain", "P1D") if in_time else None,
            "x_axis_time_format": "%b %Y" if spec.get("grain") == "P1M" else "%-d %b",
            "metrics": metrics,
            "groupby": [dataset.shown(column) for column in listed(spec.get("by"))],
            "limit": MOST_SERIES if "by" in spec else None,
            "group_others_when_limit_reached": "by" in spec,
            "stack": "Stack" if spec.get("stack") else None,
            "y_axis_format": AXES.get(form, FORMATS[form]),
            **_currency(dataset, metrics),
            "rich_tooltip": True,
            "showTooltipTotal": bool(spec.get("stack")),
            "show_legend": len(metrics) > 1 or "by" in spec,
            "legendType": "plain",
            "legendOrientation": "top",
            "markerEnabled": viz_type == "echarts_timeseries_line",
            "markerSize": 12 if spec["kind"] == "dots" else 4,
            "truncateYAxis": "bounds" in spec,
            "y_axis_bounds": spec.get("bounds", [None, None]),
            "tooltipTimeFormat": "%a %-d %b %Y",
            "echart_options": json.dumps({"yAxis": axis, **({"xAxis": {"minInterval": 1}} if is_counted else {})}),
        }

    return over


def _share(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    sum_of = dataset.metrics[spec["metric"]].sql
    return {
        "viz_type": "pie",
        "groupby": [dataset.shown(column) for column in listed(spec["by"])],
        # Superset's own shares have two digits, whatever the others have
        "metric": {
            "expressionType": "SQL",
            "sqlExpression": f"{sum_of}::float8 / nullif(sum({sum_of}) over (), 0)",
            "label": "Share",
            "optionName": "share",
        },
        "number_format": FORMATS["share"],
        "donut": True,
        "innerRadius": 40,
        "outerRadius": 62,
        "label_type": "value",
        "show_labels": True,
        "labels_outside": True,  # dark on white, whatever the colour of the slice
        "label_line": True,
        "show_labels_threshold": 1,
        "show_legend": True,
        "legendType": "plain",
        "legendOrientation": "top",
        "sort_by_metric": True,
        "show_total": False,
    }


def _heat(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    return {
        "viz_type": "heatmap_v2",
        "x_axis": spec["x"],
        "groupby": spec["y"],
        "metric": spec["metric"],
        "y_axis_format": FORMATS[dataset.metrics[spec["metric"]].format],
        **_currency(dataset, [spec["metric"]]),
        "linear_color_scheme": "parley_shades",
        "normalize_across": "heatmap",
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",  # the first at the top
        "xscale_interval": 1,
        "yscale_interval": 1,
        "left_margin": "auto",
        "bottom_margin": "auto",
        "value_bounds": spec.get("bounds", [None, None]),
        "show_legend": True,
        "show_percentage": False,
        "show_values": spec.get("values", False),
        "row_limit": 10000,
    }


def _funnel(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    """Bars from zero, one below the other: Superset's funnel tapers its last step to nothing."""
    return _bars(spec, dataset) | {"x_axis_sort": dataset.shown(spec["by"]), "x_axis_sort_asc": False}


def _ranking(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    return _bars(spec, dataset) | {"x_axis_sort": spec["metric"], "x_axis_sort_asc": True}  # from below


def _bars(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    """A bar per value, one below the other, where every name has room."""
    values = {**spec, "metrics": [spec["metric"]], "x": spec["by"], "by": []}
    return _over("echarts_timeseries_bar")(values, dataset) | {
        "orientation": "horizontal",
        "show_value": True,
        "show_legend": False,
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
            "all_columns": [dataset.shown(column) for column in spec["columns"]],
            "order_by_cols": order_by,
            "server_pagination": spec.get("pages", False),
            "server_page_length": ROWS_OF_PAGE,
        }
    has_money = any(dataset.metrics[name].format == "money" for name in shown_metrics(spec)) and dataset.has_money
    return {
        **shared,
        "query_mode": "aggregate",
        # a cell finds its currency in its row
        "groupby": [dataset.shown(column) for column in listed(spec["by"])] + (["currency"] if has_money else []),
        "metrics": shown_metrics(spec),
        "timeseries_limit_metric": order,
    }


def _formats(spec: Spec, dataset: Dataset) -> dict[str, Any]:
    forms = {name: dataset.metrics[name].format for name in shown_metrics(spec)}
    forms |= {name: form for name in spec.get("columns", []) if (form := dataset.format(name))}
    dates = [name for name in spec.get("columns", []) if dataset.columns[name]["data_type"] == "date"]
    formats: dict[str, dict[str, Any]] = {
        name: {"d3NumberFormat": FORMATS[form], "d3SmallNumberFormat": SMALL.get(form, FORMATS[form])}
        for name, form in forms.items()
        if form != "text"
    }
    amounts = [name for name in formats if forms[name] == "money" and dataset.has_money]
    for name in amounts:
        formats[name]["currencyFormat"] = CURRENCY
    if amounts:
        formats["currency"] = {"visible": False}  # each amount says it
    return formats | {name: {"d3TimeFormat": "%Y-%m-%d"} for name in dates}


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
    if some := spec.get("some"):
        found.append(
            {
                "clause": "WHERE",
                "expressionType": "SQL",
                "sqlExpression": " or ".join(f"{column} <> 0" for column in some),
            }
        )
    if dataset.time:
        found.append(
            {
                "clause": "WHERE",
                "expressionType": "SIMPLE",
                "subject": dataset.time,
                "operator": "TEMPORAL_RANGE",
                "comparator": WITHOUT_DATES,
            }
        )
    return found


_KINDS: dict[str, Callable[[Spec, Dataset], dict[str, Any]]] = {
    "number": _number,
    "change": _change,
    "line": _over("echarts_timeseries_line"),
    "area": _over("echarts_area"),
    "bar": _over("echarts_timeseries_bar"),
    "dots": _over("echarts_timeseries_scatter"),
    "share": _share,
    "heat": _heat,
    "funnel": _funnel,
    "ranking": _ranking,
    "table": _table,
}
