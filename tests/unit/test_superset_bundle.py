"""The dashboards' source makes an import that holds together, and always the same one."""

import json
import math
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import source
from dashboards.metabase import questions
from dashboards.superset import bundle
from dashboards.superset.charts import FORMATS, params

# How those see linear red, green and blue who have no cones for red or for green (Machado and others 2009).
PROTANOPIA = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
DEUTERANOPIA = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
SOURCE = source.Source()
CHARTS = [
    pytest.param(board, chart, id=f"{name}: {chart['name']}")
    for name, board in SOURCE.boards.items()
    for chart in source.charts(board)
]

EVERY_CHART = [chart for board in SOURCE.boards.values() for chart in source.charts(board)]


@pytest.fixture(scope="module")
def files() -> dict[str, dict[str, Any]]:
    return {path: json.loads(text) for path, text in bundle.build("postgresql://", SOURCE).items()}


def test_the_same_source_makes_the_same_import() -> None:
    assert bundle.build("postgresql://", source.Source()) == bundle.build("postgresql://", SOURCE)


def test_no_two_objects_share_an_identity(files: dict[str, dict[str, Any]]) -> None:
    counts = Counter(file["uuid"] for file in files.values() if "uuid" in file)
    assert [uuid for uuid, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(("board", "chart"), CHARTS)
def test_a_chart_names_only_what_its_dataset_has(board: dict[str, Any], chart: dict[str, Any]) -> None:
    dataset = SOURCE.datasets[chart["dataset"]]
    assert set(source.used_metrics(chart)) <= set(dataset.metrics)
    assert set(source.used_columns(chart)) <= set(dataset.columns)


@pytest.mark.parametrize("name", SOURCE.boards)
def test_every_row_of_a_board_fills_its_width(name: str, files: dict[str, dict[str, Any]]) -> None:
    position = files[f"dashboards/{name}.yaml"]["position"]
    for row in (part for part in position.values() if isinstance(part, dict) and part["type"] == "ROW"):
        assert sum(position[child]["meta"]["width"] for child in row["children"]) == source.ROW_UNITS


def tables(dataset: source.Dataset) -> set[str]:
    """The tables that it reads."""
    return set(re.findall(r"(?:from|join) \w+\.(\w+)", dataset.sql)) if dataset.sql else {dataset.name}


def test_lineage_ends_in_the_dashboards_with_every_table_they_read() -> None:
    path = Path(__file__).resolve().parents[2] / "models" / "_exposures.yml"
    shown = {
        exposure["name"]: {re.fullmatch(r"ref\('(\w+)'\)", ref)[1] for ref in exposure["depends_on"]}  # type: ignore[index]
        for exposure in yaml.safe_load(path.read_text())["exposures"]
    }
    assert shown == {
        f"dashboard_{name}": {
            table
            for row in board["rows"]
            for chart in row.get("charts", [])
            for table in tables(SOURCE.datasets[chart["dataset"]])
        }
        for name, board in SOURCE.boards.items()
    }


@pytest.mark.parametrize("dataset", SOURCE.datasets.values(), ids=lambda dataset: dataset.name)
def test_every_metric_has_a_name_and_a_format(dataset: source.Dataset) -> None:
    for metric in dataset.metrics.values():
        assert metric.format in FORMATS
        assert metric.format in questions.FORMATS
        assert _is_said_in_words(metric.label), metric.label


@pytest.mark.parametrize("dataset", SOURCE.datasets.values(), ids=lambda dataset: dataset.name)
def test_no_two_metrics_of_a_dataset_have_one_name(dataset: source.Dataset) -> None:
    """Superset finds a series' colour by the metric, and the metric by its label."""
    labels = [metric.label for metric in dataset.metrics.values()]
    assert len(set(labels)) == len(labels)


def test_what_a_chart_shows_is_headed_in_words() -> None:
    for chart in EVERY_CHART:
        dataset = SOURCE.datasets[chart["dataset"]]
        headed = [*source.listed(chart.get("by")), *chart.get("columns", [])]
        assert [title for column in headed if not _is_said_in_words(title := dataset.title(column))] == []
        assert _is_said_in_words(chart["name"]), chart["name"]


def _is_said_in_words(text: str) -> bool:
    """It begins as a sentence does, and has no underscore and no abbreviation out of a column's name."""
    return bool(re.match(r"(?!.*_)(?!.*\b(avg|ci|id|ms|srm|kb|sla|roi|pct)\b)[A-Z0-9p]", text))


def test_a_chart_says_what_it_shows_and_what_would_fill_it(files: dict[str, dict[str, Any]]) -> None:
    assert [path for path, file in files.items() if path.startswith("charts/") and not file["description"]] == []
    for chart in EVERY_CHART:
        if chart["kind"] not in ("number", "change"):  # which are 0 rather than empty
            assert chart.get("needs") or SOURCE.datasets[chart["dataset"]].needs, chart["name"]


def test_identifiers_and_yes_and_no_are_shown_in_words() -> None:
    for chart in EVERY_CHART:
        dataset = SOURCE.datasets[chart["dataset"]]
        shown = params(chart, dataset)
        columns = [*shown.get("groupby", []), *shown.get("all_columns", [])] if chart["kind"] != "heat" else []
        assert [name for name in columns if dataset.columns[name]["data_type"] == "boolean"] == []
        assert [name for name in columns if name + "_in_words" in dataset.columns] == []


def test_times_are_on_the_clock_of_the_tenant_and_money_knows_its_currency() -> None:
    for dataset in SOURCE.datasets.values():
        assert [name for name, column in dataset.columns.items() if column["data_type"] == "timestamptz"] == []
        shows_money = any(metric.format == "money" for metric in dataset.metrics.values())
        assert not shows_money or dataset.has_money, dataset.name


def test_the_overview_is_what_superset_lists_first(files: dict[str, dict[str, Any]]) -> None:
    written = [path for path in files if path.startswith("dashboards/")]
    assert written[-1] == "dashboards/overview.yaml"  # the last one written is the first one listed


def test_colours_with_a_meaning_are_given_to_nothing_else() -> None:
    assert not {source.GREEN, source.ORANGE, source.VERMILION} & {*source.SERIES, *source.STEPS, *source.SHADES}
    for label, colour in source.LABEL_COLOURS.items():
        assert source.LABEL_COLOURS.get(source.in_words(label), colour) == colour, label


def test_a_percentile_has_one_colour_on_every_board() -> None:
    drawn = {
        (metric, SOURCE.datasets[chart["dataset"]].metrics[metric].label)
        for chart in EVERY_CHART
        if chart["kind"] == "line"
        for metric in chart["metrics"]
    }
    percentiles = [each for each in drawn if "within" in each[1]]
    assert len(percentiles) > 5
    for metric, label in percentiles:  # Superset knows a line by the one or by the other
        assert source.LABEL_COLOURS[metric] == source.LABEL_COLOURS[label]


def test_a_figure_that_adds_up_is_0_where_there_is_nothing() -> None:
    figures = [
        (chart["name"], metric.sql)
        for chart in EVERY_CHART
        if chart["kind"] in ("number", "change")
        and (metric := SOURCE.datasets[chart["dataset"]].metrics[chart["metric"]]).format in ("count", "money")
    ]
    assert [name for name, sql in figures if not sql.startswith(("count(", "coalesce("))] == []


@pytest.mark.parametrize("seen_as", [PROTANOPIA, DEUTERANOPIA], ids=["protanopia", "deuteranopia"])
@pytest.mark.parametrize(
    "side_by_side",
    [
        ("resolved", "escalated", "abandoned", "open", "no_reply"),
        ("accepted", "duplicate", "rejected", "no_consent", "erased_subject"),
        ("new_users", "returning_users", "resurrected_users", "dormant_users"),
        ("new", "engaged", "returning"),
        ("no_results", "fallback", "low_relevance", "repeated"),
        ("holds", "requested", "confirmed"),
        ("Half within", "95 % within", "99 % within"),
    ],
    ids=lambda names: names[0],
)
def test_the_colour_blind_tell_values_of_a_chart_apart(
    seen_as: list[list[float]], side_by_side: tuple[str, ...]
) -> None:
    seen = {name: _seen(source.LABEL_COLOURS[name], seen_as) for name in side_by_side}
    assert [pair for pair in combinations(side_by_side, 2) if math.dist(*(seen[name] for name in pair)) < 0.12] == []


def _seen(colour: str, matrix: list[list[float]]) -> list[float]:
    """Red, green and blue as they are seen, each from 0 to 1 and linear."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return [sum(weight * part for weight, part in zip(row, linear, strict=True)) for row in matrix]
