"""What sqlfluff renders the models with: the project's own macros, and stand-ins for the parts of dbt they call.

dbt itself would need a running warehouse and minutes. Here no database is asked (`execute` is false, as while dbt
parses), and every model renders as its first, full build.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import yaml
from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Macro
from sqlfluff.core.templaters.builtins.dbt import RelationEmulator

PROJECT = Path(__file__).resolve().parents[2]


class _Returned(Exception):
    """Carries out of a macro what it gave to dbt's `return`."""


class _SkipBlocks(Extension):
    """dbt's `test` and `materialization` blocks, which no model calls."""

    tags = {"test", "materialization"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        block = parser.stream.current.value
        while parser.stream.current.type != "block_end":
            next(parser.stream)
        parser.parse_statements((f"name:end{block}",), drop_needle=True)
        return []


def _config(**settings: Any) -> str:
    _model.config = SimpleNamespace(**{"meta": {}, "materialized": "rebuild", **settings})
    return ""


def _return(value: object = None) -> NoReturn:
    raise _Returned(value)


def _macros(given: dict[str, object]) -> dict[str, object]:
    """The macros of `macros/`, each of which sees all the others, and what is given."""
    environment = Environment(extensions=["jinja2.ext.do", _SkipBlocks])
    files = [path.read_text() for path in (PROJECT / "macros").rglob("*.sql")]
    written: dict[str, Macro] = {}

    def calling(name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            try:
                return written[name](*arguments, **named)
            except _Returned as returned:
                return returned.args[0]

        return call

    names = {
        macro.name: calling(macro.name) for file in files for macro in environment.parse(file).find_all(nodes.Macro)
    }
    for file in files:
        module = environment.from_string(file, globals=given | names).module
        written |= {name: macro for name, macro in vars(module).items() if isinstance(macro, Macro)}
    return given | names


_model = SimpleNamespace(name="this_model", config=None, depends_on=SimpleNamespace(nodes=[]))

NAMES = _macros(
    {
        "config": _config,
        "execute": False,
        "model": _model,
        "ref": RelationEmulator,
        "return": _return,
        "run_started_at": RelationEmulator("run_started_at"),
        "source": lambda schema, table: RelationEmulator(f"{schema}.{table}"),
        "target": RelationEmulator("target"),
        "this": RelationEmulator("this_model"),
        "var": yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"].get,
    }
)
