"""The catalog says what every table and column means, and every model keeps the rules of its layer.

Read from the project's files, as a reader of the catalog would find them: what they cannot show, such as a column
without an entry, the enforced contracts refuse at the next build.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
WITHOUT_DATE_BASIS = {
    "alerts": "where each alert stands now",
    "customer_predictions": "a customer's whole history",
    "customers": "a customer's whole history",
    "segment_members": "who is in the segment now",
    "tenants_overview": "a tenant's whole history",
}


@dataclass(frozen=True)
class Model:
    """A model's SQL file, and what the YAML beside it says."""

    name: str
    folder: str
    sql: str
    entry: dict[str, Any]


def properties(folder: str) -> Iterator[dict[str, Any]]:
    """The YAML files of a folder, parsed."""
    for path in sorted((PROJECT / folder).rglob("*.yml")):
        yield yaml.safe_load(path.read_text())


@cache
def described(kind: str, folder: str) -> dict[str, dict[str, Any]]:
    """The entries of all YAML files, by name; a name stands once."""
    found: dict[str, dict[str, Any]] = {}
    for file in properties(folder):
        for entry in file.get(kind, ()):
            assert entry["name"] not in found, f"{entry['name']} is described twice"
            found[entry["name"]] = entry
    return found


def files(folder: str, suffix: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob(f"*{suffix}"))


def models() -> list[Model]:
    entries = described("models", "models")
    return [
        Model(
            name=path.stem,
            folder=path.relative_to(PROJECT / "models").parts[0],
            sql=path.read_text(),
            entry=entries.get(path.stem, {}),
        )
        for path in files("models", ".sql")
    ]


def marts() -> list[Model]:
    return [model for model in models() if model.folder == "marts"]


def rebuilt_models() -> list[Model]:
    return [model for model in models() if "materialized=" not in model.sql]


def name_of(model: Model) -> str:
    return model.name


def is_blank(entry: dict[str, Any]) -> bool:
    return not entry.get("description", "").strip()


def undescribed_columns(entry: dict[str, Any]) -> list[str]:
    return [column["name"] for column in entry.get("columns", ()) if is_blank(column)]


@pytest.mark.parametrize("model", models(), ids=name_of)
def test_a_model_and_its_columns_are_described(model: Model) -> None:
    assert model.entry, "no YAML beside it"
    assert not is_blank(model.entry)
    assert model.entry["columns"]
    assert undescribed_columns(model.entry) == []


@pytest.mark.parametrize("model", models(), ids=name_of)
def test_a_model_has_an_enforced_contract_with_typed_columns(model: Model) -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert project["models"]["parley"]["+contract"] == {"enforced": True}
    assert model.entry.get("config", {}).get("contract", {"enforced": True}) == {"enforced": True}
    assert "contract" not in config_of(model)
    assert [column["name"] for column in model.entry["columns"] if not column.get("data_type")] == []


@pytest.mark.parametrize("model", models(), ids=name_of)
def test_a_model_tests_its_key(model: Model) -> None:
    keys = [test["unique_key"]["arguments"]["columns"] for test in data_tests(model) if "unique_key" in test]
    assert len(keys) == 1
    assert set(keys[0]) <= {column["name"] for column in model.entry["columns"]}


@pytest.mark.parametrize("model", marts(), ids=name_of)
def test_a_mart_says_its_grain_and_date_basis(model: Model) -> None:
    description = " ".join(model.entry["description"].split())
    assert description.startswith("One row per ")
    assert ("Date basis:" in description) is (model.name not in WITHOUT_DATE_BASIS)


@pytest.mark.parametrize("model", rebuilt_models(), ids=name_of)
def test_a_rebuilt_model_declares_its_keys(model: Model) -> None:
    config = config_of(model)
    for entry in ("unique_key=[", "'key': {", "'reads': {"):
        assert entry in config, f"{entry} is missing"
    unique_key = re.findall(r"'(\w+)'", config.split("unique_key=[", 1)[1].split("]", 1)[0])
    tested = next(test["unique_key"]["arguments"]["columns"] for test in data_tests(model) if "unique_key" in test)
    assert sorted(unique_key) == sorted(tested)


@pytest.mark.parametrize("path", files("seeds", ".csv"), ids=lambda path: path.stem)
def test_a_seed_and_its_columns_are_described_and_typed(path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file))
    entry = described("seeds", "seeds")[path.stem]
    assert not is_blank(entry)
    assert [column["name"] for column in entry.get("columns", ())] == header
    assert undescribed_columns(entry) == []
    assert list(entry["config"]["column_types"]) == header, "a column without a type takes one from its cells"


def test_sources_and_their_tables_are_described() -> None:
    sources = described("sources", "models")
    assert sources
    for source in sources.values():
        assert not is_blank(source), source["name"]
        for table in source["tables"]:
            assert not is_blank(table), table["name"]
            assert undescribed_columns(table) == []


@pytest.mark.parametrize(("kind", "folder", "suffix"), [("models", "models", ".sql"), ("seeds", "seeds", ".csv")])
def test_nothing_is_described_that_does_not_exist(kind: str, folder: str, suffix: str) -> None:
    assert described(kind, folder).keys() - {path.stem for path in files(folder, suffix)} == set()


def test_the_list_of_marts_without_a_date_basis_names_marts() -> None:
    assert WITHOUT_DATE_BASIS.keys() <= {model.name for model in marts()}


def config_of(model: Model) -> str:
    """The text of the model's config block, which ends on a line of its own."""
    return model.sql.split("{{ config(", 1)[1].split(") }}", 1)[0]


def data_tests(model: Model) -> list[dict[str, Any]]:
    return [test for test in model.entry.get("data_tests", ()) if isinstance(test, dict)]
