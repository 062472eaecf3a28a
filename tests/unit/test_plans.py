"""What a build without dbt follows from: all that dbt reads, wherever the project keeps it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parley.build.plans import asking, fingerprint
from parley.build.quick import SHORT, seconds_to_the_end

FILES = {
    "dbt_project.yml": "model-paths: [models, own]\nseed-paths: [seeds]\nmacro-paths: [macros]\n",
    "profiles.yml": "parley: {}\n",
    "models/marts/a.sql": "select 1",
    "own/deep/b.sql": "select 2",
    "macros/c.sql": "{% macro c() %}{% endmacro %}",
    "seeds/d.csv": "tenant_id,x\nshop,1\n",
    "seeds/segment_definitions.csv": "segment_id\nall\n",
    "dbt_packages/theirs/models/e.sql": "select 3",
    "elsewhere/f.sql": "select 4",
    "elsewhere/g.py": "pass",
}


def write(project: Path) -> Path:
    for name, content in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (project / "models/linked").symlink_to(project / "elsewhere")
    return project


def put(name: str, content: str) -> Callable[[Path], object]:
    return lambda project: (project / name).write_text(content)


@pytest.mark.parametrize(
    "change",
    [
        put("dbt_project.yml", "model-paths: [models, own]\nseed-paths: [seeds]\n"),
        put("profiles.yml", "parley: {target: x}\n"),
        put("models/marts/a.sql", "select 5"),
        put("models/marts/_a.yml", "version: 2\n"),
        put("own/deep/b.sql", "select 5"),
        put("macros/c.sql", ""),
        put("seeds/d.csv", "tenant_id,y\nshop,1\n"),
        put("seeds/segment_definitions.csv", "segment_id\nnone\n"),
        put("dbt_packages/theirs/models/e.sql", "select 5"),
        put("elsewhere/f.sql", "select 5"),
        lambda project: (project / "models/marts/a.sql").rename(project / "models/a.sql"),
        lambda project: (project / "own/deep/b.sql").unlink(),
    ],
)
def test_whatever_dbt_reads_makes_another_project(tmp_path: Path, change: Callable[[Path], object]) -> None:
    project = write(tmp_path / "project")
    before = fingerprint(project)
    change(project)
    assert fingerprint(project) != before


def test_rows_of_seeds_and_the_place_of_the_project_do_not(tmp_path: Path) -> None:
    project = write(tmp_path / "project")
    before = fingerprint(project)
    for change in (put("seeds/d.csv", "tenant_id,x\nbank,2\n"), put("elsewhere/g.py", ""), put("README.md", "")):
        change(project)
        assert fingerprint(project) == before
    shutil.rmtree(project)
    assert fingerprint(write(tmp_path / "another")) == before


def node(kind: str, name: str, *macros: str) -> Any:
    return SimpleNamespace(
        resource_type=SimpleNamespace(value=kind), name=name, depends_on=SimpleNamespace(macros=list(macros))
    )


def test_a_model_that_asks_the_database_while_it_is_compiled_is_left_to_dbt() -> None:
    calls = {
        "macro.dbt.run_query": ("macro.dbt.statement",),
        "macro.dbt.statement": (),
        "macro.own.columns": ("macro.own.values",),
        "macro.own.values": ("macro.dbt.run_query", "macro.own.columns"),
        "macro.own.plain": (),
        "macro.parley.segment_conditions": ("macro.dbt.run_query",),
    }
    manifest: Any = SimpleNamespace(
        macros={name: node("macro", name, *others) for name, others in calls.items()},
        nodes={
            "a": node("model", "pivoted", "macro.own.columns"),
            "b": node("model", "stated", "macro.dbt.statement"),
            "c": node("model", "plain", "macro.own.plain", "macro.elsewhere.unknown"),
            "d": node("model", "segments", "macro.parley.segment_conditions"),
            "e": node("test", "a_check", "macro.dbt.statement"),  # as dbt runs each of them
        },
    )
    assert asking(manifest) == ["pivoted", "stated"]


def test_what_the_most_time_goes_by_after_is_most_urgent() -> None:
    before: dict[str, set[str]] = {
        "events": set(),
        "sessions": {"events"},
        "funnels": {"sessions"},
        "unique_key_funnels": {"funnels"},
        "errors": {"events"},
    }
    expected = {"events": 2.0, "funnels": 5.0, "errors": 4.0}
    assert seconds_to_the_end(before, expected) == pytest.approx(
        {
            "events": 2 + SHORT + 5 + SHORT,
            "sessions": SHORT + 5 + SHORT,
            "funnels": 5 + SHORT,
            "unique_key_funnels": SHORT,
            "errors": 4,
        }
    )
