"""The dashboards' source makes an import that holds together, and always the same one."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import source
from dashboards.superset import bundle

SOURCE = source.Source()
CHARTS = [
    pytest.param(board, chart, id=f"{name}: {chart['name']}")
    for name, board in SOURCE.boards.items()
    for chart in source.charts(board)
]


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
