"""All that Parley has in Metabase, as its API takes it: a model per dataset, a question per chart, a dashboard a board.

Objects name each other by Metabase's numbers, so that each step takes those of the step before. What people read last
in a description is added by `provision.py`, which knows objects by it.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dashboards.metabase.questions import Filter, Question, question
from dashboards.source import DEFAULT_DATES, WITHOUT_DATES, Dataset, Source, Spec, charts, widths

Payload = dict[str, Any]
"""An object as the API takes it."""
Ids = Mapping[str, int]
"""Metabase's numbers of objects, by their keys here."""

NAMESPACE = uuid.UUID("0a0f5f0e-5a9b-5a67-8f6e-1d5c2f7b3e42")
GRID_UNITS_PER_WIDTH = 2  # Metabase's grid has 24 columns, a board's row 12
HEIGHT_PER_GRID_UNIT = 6  # a row of Metabase's grid is as high as six units of a board's
_MODEL = re.compile(r"\{\{#(\w+)\}\}")
_BASE_TYPES = {
    "text": "type/Text",
    "uuid": "type/UUID",
    "boolean": "type/Boolean",
    "integer": "type/Integer",
    "bigint": "type/BigInteger",
    "double precision": "type/Float",
    "date": "type/Date",
    "timestamp": "type/DateTime",
    "jsonb": "type/JSON",
    "text[]": "type/Array",
}


def model_key(dataset: str) -> str:
    """The key of a dataset's model."""
    return f"model/{dataset}"


def question_key(board: str, chart: Spec) -> str:
    """The key of a chart's question."""
    return f"question/{board}/{chart['name']}"


def dashboard_key(board: str) -> str:
    """The key of a board's dashboard."""
    return f"dashboard/{board}"


def models(source: Source, database: int, collection: int) -> dict[str, Payload]:
    """By key: the rows of each dataset, with the columns that it adds, each titled and described."""
    return {
        model_key(name): {
            "name": name.replace("_", " ").capitalize(),
            "description": dataset.description,
            "type": "model",
            "display": "table",
            "dataset_query": _native(database, rows_of(dataset), {}),
            "visualization_settings": {},
            "result_metadata": [
                {
                    "name": column,
                    "display_name": dataset.title(column),
                    "description": spec["description"],
                    "base_type": _base_type(spec["data_type"]),
                    "field_ref": ["field", column, {"base-type": _base_type(spec["data_type"])}],
                }
                for column, spec in dataset.columns.items()
            ],
            "collection_id": collection,
        }
        for name, dataset in source.datasets.items()
    }


def rows_of(dataset: Dataset) -> str:
    """The SQL of a dataset's rows."""
    columns = [f"{spec['sql']} as {name}" if "sql" in spec else name for name, spec in dataset.columns.items()]
    rows = f"({dataset.sql}) as dataset_rows" if dataset.sql else f"{dataset.schema}.{dataset.name}"
    return "select\n    {}\nfrom {}".format(",\n    ".join(columns), rows)


class Boards:
    """The questions and dashboards of every board."""

    def __init__(self, source: Source, first_tenant: Callable[[str], str | None]) -> None:
        """`first_tenant` tells by name which tenant of a dataset a board shows until somebody chooses another."""
        self.source = source
        self.filters = {name: list(_filters(source, board, first_tenant)) for name, board in source.boards.items()}

    def questions(self, database: int, collection: int, models: Ids) -> dict[str, Payload]:
        """By key: the question of each chart."""
        return {
            question_key(name, chart): self._question(name, chart, database, collection, models)
            for name, board in self.source.boards.items()
            for chart in charts(board)
        }

    def dashboards(self, collection: int, models: Ids, questions: Ids) -> dict[str, Payload]:
        """By key: each board as `PUT /api/dashboard/:id` takes it; cards that are new to it have negative numbers."""
        return {
            dashboard_key(name): {
                "name": board["title"],
                "description": f"{board['about']} {_about_dates(board)}",
                "parameters": [self._parameter(name, one, models) for one in self._acting(name)],
                "dashcards": list(self._dashcards(name, questions)),
                "tabs": [],
                "width": "full",
                "collection_id": collection,
            }
            for name, board in self.source.boards.items()
        }

    def _made(self, board: str, chart: Spec) -> Question:
        dates = self.source.boards[board].get("dates", DEFAULT_DATES)
        return question(chart, self.source.datasets[chart["dataset"]], self.filters[board], dates)

    def _acting(self, board: str) -> list[Filter]:
        """The filters that act on a chart of the board at least."""
        acting = {one for chart in charts(self.source.boards[board]) for one in self._made(board, chart).filters}
        return [one for one in self.filters[board] if one in acting]

    def _question(self, board: str, chart: Spec, database: int, collection: int, models: Ids) -> Payload:
        made = self._made(board, chart)
        key = question_key(board, chart)
        datasets = dict.fromkeys(_MODEL.findall(made.sql))
        tags = {one.variable: _tag(key, one) for one in made.filters}
        for number in (models[model_key(dataset)] for dataset in datasets):
            name = f"#{number}"
            tags[name] = {
                "id": _identity(key, name),
                "name": name,
                "display-name": name,
                "type": "card",
                "card-id": number,
            }
        sql = _MODEL.sub(lambda found: f"{{{{#{models[model_key(found[1])]}}}}}", made.sql)
        return {
            "name": chart["name"],
            "description": chart.get("about") or chart.get("under") or "",
            "type": "question",
            "display": made.display,
            "dataset_query": _native(database, sql, tags),
            "visualization_settings": made.settings,
            "parameters": [
                {
                    "id": tags[one.variable]["id"],
                    "target": _target(one),
                    **_described(one, models),
                    **({"default": one.default, "required": True} if one.default else {}),
                }
                for one in made.filters
            ],
            "collection_id": collection,
        }

    def _parameter(self, board: str, one: Filter, models: Ids) -> Payload:
        known = {"default": [one.default], "required": True} if one.default else {}
        section = "string" if one.column else "date"
        return {"id": parameter_id(board, one), "sectionId": section, **_described(one, models), **known}

    def _dashcards(self, name: str, questions: Ids) -> Iterator[Payload]:
        top, number = 0, 0
        for row in self.source.boards[name]["rows"]:
            height = max(2, round(row["height"] / HEIGHT_PER_GRID_UNIT))
            left = 0
            for card in self._row(name, row, questions):
                number += 1
                yield {"id": -number, "row": top, "col": left, "size_y": height, **card}
                left += card["size_x"]
            top += height

    def _row(self, name: str, row: Spec, questions: Ids) -> Iterator[Payload]:
        if text := row.get("text"):
            yield {
                "size_x": 12 * GRID_UNITS_PER_WIDTH,
                "card_id": None,
                "parameter_mappings": [],
                "visualization_settings": {
                    "virtual_card": {"display": "text", "visualization_settings": {}, "dataset_query": {}},
                    "text": text,
                },
            }
        for chart, width in zip(row.get("charts", []), widths(row), strict=True):
            card = questions[question_key(name, chart)]
            yield {
                "size_x": width * GRID_UNITS_PER_WIDTH,
                "card_id": card,
                "parameter_mappings": [
                    {"parameter_id": parameter_id(name, one), "card_id": card, "target": _target(one)}
                    for one in self._made(name, chart).filters
                ],
                "visualization_settings": {},
            }


def parameter_id(board: str, one: Filter) -> str:
    """What a dashboard calls one of its filters, the same for ever."""
    return _identity(dashboard_key(board), one.variable)[:8]


def _filters(source: Source, board: Spec, first_tenant: Callable[[str], str | None]) -> Iterator[Filter]:
    tenants_of = board.get("tenants_of", "tenants_overview")
    yield Filter("tenant", "Tenant", "tenant", tenants_of, first_tenant(tenants_of))
    yield Filter("from", "From")
    yield Filter("to", "Before")
    for spec in board.get("filters", []):
        column, default = spec["column"], spec.get("default")
        yield Filter(column, spec["name"], column, spec["dataset"], default, "nothing" if default else "first")
    yield Filter("channel", "Channel", "channel", "conversations", otherwise="all")


def _about_dates(board: Spec) -> str:
    dates = board.get("dates", DEFAULT_DATES)
    unless = "all dates" if dates == WITHOUT_DATES else f"the {dates.lower()}"
    return f"Without dates it shows {unless}; days are the tenant's, and “Before” is not included."


def _described(one: Filter, models: Ids) -> Payload:
    """What a filter is, on a question and on a dashboard."""
    described: Payload = {"name": one.name, "slug": one.variable, "type": "string/=" if one.column else "date/single"}
    if not one.column or not one.values_of:
        return described
    offered = {
        "card_id": models[model_key(one.values_of)],
        "value_field": ["field", one.column, {"base-type": "type/Text"}],
    }
    return described | {
        "isMultiSelect": False,
        "values_query_type": "list",
        "values_source_type": "card",
        "values_source_config": offered,
    }


def _tag(key: str, one: Filter) -> Payload:
    tag = {
        "id": _identity(key, one.variable),
        "name": one.variable,
        "display-name": one.name,
        "type": "text" if one.column else "date",
    }
    return tag | ({"default": one.default, "required": True} if one.default else {})


def _target(one: Filter) -> list[Any]:
    return ["variable", ["template-tag", one.variable]]


def _native(database: int, sql: str, tags: Payload) -> Payload:
    return {"type": "native", "database": database, "native": {"query": sql, "template-tags": tags}}


def _identity(key: str, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{key}/{name}"))


def _base_type(data_type: str) -> str:
    return "type/Decimal" if data_type.startswith("numeric") else _BASE_TYPES[data_type]
