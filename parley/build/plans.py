"""What a build of the project consists of, kept in `ops` so that the next build needs no dbt to know it.

`remember` writes it after dbt has built everything; `find` gives it back while all that it follows from is the same:
the project's files and the code that reads them, the columns and indexes of every table, and the views. The SQL of
each model is what dbt makes of it (macros/rebuild/record.sql); that of the checks is what it compiled. What stands in a
seed is no part of it (`parley.build.seed_tables`).
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from parley import __version__
from parley.analytics import analyses
from parley.analytics.analyses import ANALYSES, Analysis
from parley.warehouse.database import Connection

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

FROM_ANALYSES = "analyses"
"""The source, as dbt calls it, of what analyses write."""
_FILES = ("dbt_project.yml", "profiles.yml")
_PATHS = ("model-paths", "macro-paths", "seed-paths", "test-paths", "docs-paths")  # of dbt_project.yml
_PACKAGES = "packages-install-path"
_READ_BY_DBT = (".sql", ".yml", ".yaml", ".md", ".csv")
_SEEDS_IN_SQL = ("segment_definitions.csv",)  # their rows become SQL when dbt compiles it: macros/segments
_CODE = (Path(__file__).parent, Path(analyses.__file__))
_ASKING = frozenset(("macro.dbt.run_query", "macro.dbt.statement"))
_FORESEEN = frozenset(("macro.parley.segment_conditions", "macro.parley.history_is_frozen"))
"""Macros whose questions to the database are answered by the fingerprint, or asked again by what is recorded."""
_CLOCK = "current_setting('parley.as_of')"
_SHAPE = """
    select md5(concat_ws(
        ' ',
        (select version_num from ops.alembic_version),
        (
            select string_agg(
                concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, atttypmod, attnotnull), '|'
                order by attrelid::regclass::text, attname
            )
            from pg_attribute
            inner join pg_class on pg_class.oid = attrelid
            where
                (relnamespace in ('raw'::regnamespace, 'ops'::regnamespace) or attrelid = any (relations))
                and relkind in ('r', 'p', 'v') and not relispartition and attnum > 0 and not attisdropped
        ),
        (
            select string_agg(pg_get_viewdef(oid), '|' order by oid::regclass::text)
            from pg_class where oid = any (relations) and relkind = 'v'
        ),
        (
            select string_agg(
                concat_ws(' ', indrelid::regclass, indisunique, indkey), '|'
                order by indrelid::regclass::text, indisunique, indkey::text
            )
            from pg_index where indrelid = any (relations)
        )
    ))
    from (select array(select to_regclass(name) from unnest(%s::text[]) as name)::oid[] as relations) as found
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A model that is a table."""

    name: str
    relation: str
    is_rebuilt: bool
    """By affected keys; others are made whole."""
    upstream: tuple[str, ...]
    """The tables and seeds that it reads, also through views, and analyses whose results it does."""
    reads_sources: bool
    """Whether it reads what no table of the project holds, such as `raw`."""


@dataclass(frozen=True, slots=True)
class Check:
    """A data test."""

    name: str
    sql: str
    is_warning: bool
    fail_calc: str
    warn_if: str
    error_if: str
    reads: tuple[str, ...]
    """Tables and seeds, also through views."""
    is_always_due: bool
    """It depends on the clock, or on what no table of the project holds."""
    is_daily: bool
    """Due once a day (`work.CHECKED_WITHIN`), and after no change: its test says `meta: {due: daily}`."""


@dataclass(frozen=True, slots=True)
class Seed:
    name: str
    relation: str
    path: str
    """In the project."""
    options: str
    """How dbt reads the file, as JSON: the types of columns, `quote_columns`, the delimiter."""


@dataclass(frozen=True, slots=True)
class Plan:
    tables: tuple[Table, ...]
    """Each after those that it reads."""
    checks: tuple[Check, ...]
    analyses: dict[str, tuple[str, ...]]
    """By name in `upstream`: the tables that each reads, also through views."""
    views: tuple[str, ...]
    """By their relations."""
    seeds: tuple[Seed, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """The SQL of a model by step, for a session that has the build's circumstances."""

    steps: Mapping[str, Any]

    @property
    def depends_on_clock(self) -> bool:
        return any(_CLOCK in str(step) for step in self.steps.values())


def fingerprint(project: Path) -> str:
    """What everything that dbt makes SQL of comes to: the files, and the code and versions that read them."""
    found = hashlib.sha256(f"{__version__} {version('dbt-core')} {version('dbt-postgres')}".encode())
    read = {path.relative_to(project): path for path in (*(project / name for name in _FILES), *_files(project))}
    for name, path in (*read.items(), *((Path(path.name), path) for path in _code())):
        content = path.read_bytes()
        if path.suffix == ".csv" and path.name not in _SEEDS_IN_SQL:
            content = content.partition(b"\n")[0].strip()  # its columns
        found.update(f"{name} {len(content)} ".encode() + content)
    return found.hexdigest()


def _files(project: Path) -> list[Path]:
    """What dbt reads in the folders that its own configuration names, packages' and those that links lead to too."""
    try:
        text = (project / _FILES[0]).read_text(encoding="utf-8")
        named = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except (OSError, ValueError, yaml.YAMLError):
        named = {}  # dbt says what is wrong
    folders = {folder for paths in _PATHS for folder in named.get(paths) or ()}
    folders.add(named.get(_PACKAGES) or "dbt_packages")
    return sorted(
        {
            Path(place, name)
            for folder in folders
            for place, _, names in os.walk(project / folder, followlinks=True)
            for name in names
            if name.endswith(_READ_BY_DBT)
        }
    )


def _code() -> list[Path]:
    return sorted(path for place in _CODE for path in (place.glob("*.py") if place.is_dir() else [place]))


class Unknown(Exception):
    """There is no plan, or not of what is there: dbt has to build."""


def find(connection: Connection, project: str) -> tuple[Plan, dict[str, Script]]:
    """The plan, and its scripts by model. Raises Unknown where what is there is not what dbt has built of this."""
    row = connection.execute("select plan, shape from ops.plans where project = %s", [project]).fetchone()
    if row is None:
        raise Unknown("the project is not the one of the last build of everything by dbt")
    kept: dict[str, Any] = row[0]  # type: ignore[assignment]
    plan = Plan(
        tuple(Table(**{**table, "upstream": tuple(table["upstream"])}) for table in kept["tables"]),
        tuple(Check(**{**check, "reads": tuple(check["reads"])}) for check in kept["checks"]),
        {name: tuple(reads) for name, reads in kept["analyses"].items()},
        tuple(kept["views"]),
        tuple(Seed(**seed) for seed in kept["seeds"]),
    )
    rows = connection.execute("select name, steps from ops.scripts where project = %s", [project])
    scripts: dict[str, Script] = {str(name): Script(steps) for name, steps in rows}  # type: ignore[arg-type]
    if any(table.name not in scripts for table in plan.tables):
        raise Unknown("it has not yet recorded how every table is rebuilt")
    if _shape(connection, plan) != row[1]:
        raise Unknown("tables or views are not as it left them")
    return plan, scripts


def _shape(connection: Connection, plan: Plan) -> str:
    """What the columns of all tables, and the views, come to."""
    relations = [*(table.relation for table in plan.tables), *plan.views, *(seed.relation for seed in plan.seeds)]
    [(found,)] = connection.execute(_SHAPE.encode(), [relations]).fetchall()
    return str(found)


def settled(connection: Connection) -> dict[str, datetime]:
    """When each check last passed on everything, if it has, by name."""
    rows = connection.execute("select name, settled_at from ops.owed where kind = 'check' and settled_at is not null")
    return {str(name): at for name, at in rows}  # type: ignore[misc]


def asking(manifest: "Manifest") -> list[str]:
    """Models that ask the database while dbt compiles them, such as by `run_query`: what they become is not the same
    each time, and cannot be recorded."""
    return sorted(
        node.name
        for node in manifest.nodes.values()
        if node.resource_type.value == "model" and _asks(manifest, node.depends_on.macros)
    )


def _asks(manifest: "Manifest", macros: Iterable[str]) -> bool:
    left, seen = [*macros], set(_FORESEEN)
    while left:
        name = left.pop()
        if name in _ASKING:
            return True
        if name not in seen and name in manifest.macros:
            seen.add(name)
            left += manifest.macros[name].depends_on.macros
    return False


def remember(connection: Connection, project: str, manifest: "Manifest", results: Iterable[Any]) -> None:
    """Keep the plan that dbt's results of everything are of, and which checks and tables are settled by them."""
    outcomes = {result.node.unique_id: result for result in results}
    plan = _plan(manifest, outcomes)
    settled = {result.node.name for result in outcomes.values() if result.status.value in ("pass", "success")}
    due = [(check.name, "check", [] if check.is_daily else list(check.reads)) for check in plan.checks]
    due += [(table.name, "table", list(table.upstream)) for table in plan.tables if not table.is_rebuilt]
    with connection.transaction():
        connection.execute("delete from ops.plans where project <> %s", [project])
        connection.execute(
            "insert into ops.plans (project, shape, plan) values (%s, %s, %s)"
            " on conflict (project) do update set shape = excluded.shape, plan = excluded.plan",
            [project, _shape(connection, plan), json.dumps(asdict(plan))],
        )
        connection.execute("delete from ops.owed where name <> all(%s)", [[name for name, _, _ in due]])
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into ops.owed (name, kind, reads, is_owed, settled_at)"
                " values (%s, %s, %s, not %s, case when %s then clock_timestamp() end)"
                " on conflict (name) do update set kind = excluded.kind, reads = excluded.reads,"
                " is_owed = excluded.is_owed, settled_at = coalesce(excluded.settled_at, owed.settled_at)",
                [(name, kind, reads, name in settled, name in settled) for name, kind, reads in due],
            )


def _plan(manifest: "Manifest", outcomes: Mapping[str, Any]) -> Plan:
    graph = _Graph(manifest)
    models = graph.of_type("model")
    tables = [_table(graph, node) for node in models if graph.is_table(node)]
    return Plan(
        tables=tuple(tables),
        checks=tuple(
            _check(graph, node, outcomes[node.unique_id].node.compiled_code)
            for node in graph.of_type("test")
            if node.unique_id in outcomes
        ),
        analyses={job_of(analysis): graph.read_by(analysis) for analysis in ANALYSES},
        views=tuple(_relation(node) for node in models if not graph.is_table(node)),
        seeds=tuple(_seed(node) for node in graph.of_type("seed")),
    )


def _table(graph: "_Graph", node: Any) -> Table:
    names, reads_sources = graph.upstream(node)
    return Table(
        name=node.name,
        relation=_relation(node),
        is_rebuilt=node.config.materialized == "rebuild",
        upstream=tuple(sorted(names)),
        reads_sources=reads_sources,
    )


def _check(graph: "_Graph", node: Any, compiled: str) -> Check:
    names, reads_sources = graph.upstream(node)
    is_daily = node.config.meta.get("due") == "daily"
    sql = compiled.replace(f'"{node.database}".', "")  # of this warehouse, whatever it is called
    return Check(
        name=node.name,
        sql=f"select * from ({sql}) as limited limit {node.config.limit}" if node.config.limit else sql,
        is_warning=node.config.severity.casefold() == "warn",
        fail_calc=node.config.fail_calc,
        warn_if=node.config.warn_if,
        error_if=node.config.error_if,
        reads=tuple(sorted(names)),
        is_always_due=not is_daily and (reads_sources or _CLOCK in sql),
        is_daily=is_daily,
    )


def _seed(node: Any) -> Seed:
    how = node.config
    return Seed(
        name=node.name,
        relation=_relation(node),
        path=node.original_file_path,
        options=json.dumps([how.column_types, how.quote_columns, how.delimiter]),
    )


def _relation(node: Any) -> str:
    return f"{node.schema}.{node.alias}"


class _Graph:
    """What reads what, with views seen through."""

    def __init__(self, manifest: "Manifest") -> None:
        self._nodes: Mapping[str, Any] = manifest.nodes
        self._sources = manifest.sources
        self._writers = {f"{FROM_ANALYSES}.{table}": job_of(each) for each in ANALYSES for table in each.writes}

    def of_type(self, name: str) -> list[Any]:
        return [node for node in self._nodes.values() if node.resource_type.value == name]

    def is_table(self, node: Any) -> bool:
        return bool(node.resource_type.value == "model" and node.config.materialized != "view")

    def upstream(self, node: Any) -> tuple[set[str], bool]:
        """The tables, seeds and analyses that a node reads, and whether it reads sources that no analysis writes."""
        names: set[str] = set()
        reads_sources = False
        for parent in node.depends_on_nodes:
            if parent in self._sources:
                source = self._sources[parent]
                writer = self._writers.get(f"{source.source_name}.{source.name}")
                names |= {writer} if writer else set()
                reads_sources |= writer is None
            elif self.is_table(self._nodes[parent]) or self._nodes[parent].resource_type.value == "seed":
                names.add(self._nodes[parent].name)
            else:
                beneath, of_sources = self.upstream(self._nodes[parent])
                names |= beneath
                reads_sources |= of_sources
        return names, reads_sources

    def read_by(self, analysis: Analysis) -> tuple[str, ...]:
        found: set[str] = set()
        for node in self.of_type("model"):
            if node.name in analysis.reads:
                found |= {node.name} if self.is_table(node) else self.upstream(node)[0]
        return tuple(sorted(found))


def beneath(before: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """All that each job comes after, directly or not, of what each comes after directly."""
    found: dict[str, set[str]] = {}
    for name in TopologicalSorter(before).static_order():
        direct = before.get(name, ())
        found[name] = {*direct}.union(*(found[each] for each in direct))
    return found


def job_of(analysis: Analysis) -> str:
    """What an analysis is called among tables and checks."""
    return f"{FROM_ANALYSES}.{analysis.name}"
