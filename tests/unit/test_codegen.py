"""Typed functions of the tracking plan: the same text each time, valid for any names and texts."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from parley.config import tracking_plan
from parley.serving import codegen

PLAN = tracking_plan.load(Path(__file__).parents[2] / tracking_plan.FOLDER)
ODD = replace(
    PLAN.types[0],
    event_name="class.new-type",
    description='It says "*/ """ \\ and\tmore.',
    attributes_schema={
        "required": ["from"],
        "properties": {
            "from": {"type": "string"},
            "user_id": {"type": "string"},
            "a-b": {"enum": ['x"y', None, 3]},
            "a.b": {"type": ["array", "null"], "items": {"type": "integer"}},
            "2nd": {},
            "secret": {"type": "string"},
        },
    },
    privacy={"secret": "drop"},
)


@pytest.mark.parametrize("language", codegen.LANGUAGES)
def test_the_same_plan_gives_the_same_text(language: str) -> None:
    text = codegen.generate(language, PLAN.types)
    assert text == codegen.generate(language, reversed(PLAN.types))
    assert all(f'"{kind.event_name}"' in text for kind in PLAN.types if kind.is_active)
    assert text.endswith("\n")


def test_any_name_becomes_valid_python() -> None:
    module = ast.parse(codegen.generate("python", [ODD]))
    [function] = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name != "_track"]
    assert function.name == "class_new_type"
    assert ast.get_docstring(function, clean=False) == ODD.description
    annotations = {one.arg: ast.unparse(one.annotation) for one in function.args.kwonlyargs if one.annotation}
    assert annotations["from_"] == "str"
    assert annotations["_2nd"] == "Any"
    assert {name: annotations[name] for name in ("a_b", "a_b_", "user_id_")} == {
        "a_b": "Literal['x\"y', None, 3] | None",
        "a_b_": "list[int] | None",
        "user_id_": "str | None",
    }
    assert not any("secret" in name for name in annotations), "what is dropped on landing is not asked for"


def test_any_name_becomes_valid_typescript() -> None:
    text = codegen.generate("typescript", [ODD])
    for line in (
        "export interface ClassNewType {",
        '  "from": string;',
        '  "2nd"?: unknown;',
        '  "a-b"?: "x\\"y" | null | 3;',
        '  "a.b"?: Array<number> | null;',
        "export function classNewType(send: Send, attributes: ClassNewType, who: Who = {}): void {",
    ):
        assert line in text
    assert text.count("*/") == text.count("/**")
