"""The metrics of `models/metrics/`: what there are, what each means, and their values, which MetricFlow's SQL reads."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from parley.alerts.metrics import MetricValues
from parley.build import dbt
from parley.errors import ParleyError, did_you_mean
from parley.settings import Settings
from parley.warehouse import postgres_errors
from parley.warehouse.database import Connection

if TYPE_CHECKING:
    from metricflow.engine.metricflow_engine import MetricFlowEngine
    from metricflow_semantic_interfaces.implementations.semantic_manifest import PydanticSemanticManifest

HOUR = "hour"
GRAINS = (HOUR, "day", "week", "month", "quarter", "year")
MONDAY = "monday"  # on which MetricFlow's own weeks begin


@dataclass(frozen=True, slots=True)
class Metric:
    """What the YAML says of a metric."""

    name: str
    label: str
    kind: str
    """simple, ratio, cumulative, derived or conversion"""
    description: str
    unit: str
    owner: str
    grains: tuple[str, ...] = ()
    """Where its name says of how long a time it is, that and the other grains that it can be asked by; none: any."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """By other grains, the metric to take."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which values are wanted: of all time and all tenants, in one number each, where nothing narrows or parts them."""

    metrics: tuple[str, ...]
    by: tuple[str, ...] = ()
    """A grain of time (`GRAINS`), `tenant`, or another dimension; `outcome` is enough for `conversation__outcome`."""
    tenant: str | None = None
    from_date: date | None = None
    """Tenant-local, like `to_date`, both included."""
    to_date: date | None = None
    where: str | None = None
    """A condition in MetricFlow's language."""
    week_start: str = MONDAY
    """The day on which a week begins."""
    tenants: tuple[str, ...] = ()
    """Of these tenants only; of all where empty."""

    def __post_init__(self) -> None:
        if self.from_date and self.to_date and self.from_date > self.to_date:
            raise ParleyError(f"--from {self.from_date} is after --to {self.to_date}: give the earlier day first.")


@dataclass(frozen=True, slots=True)
class Table:
    """Values: first the columns that part them, then one column per metric; rows in the order of the former."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Weeks:
    """The tenants whose weeks begin on a day."""

    week_start: str
    tenants: list[str]


class Catalogue:
    """The metrics of a project. Make one with `load`."""

    def __init__(
        self, metrics: dict[str, Metric], manifest: "PydanticSemanticManifest", instants: dict[tuple[str, str], str]
    ) -> None:
        """`instants`: by semantic model and dimension of local dates, the SQL of the instant that the date is of."""
        self.metrics = metrics
        self.manifest = manifest
        self._instants = instants

    @classmethod
    def load(cls, settings: Settings) -> "Catalogue":
        """Read the project's files. Raises ParleyError where they are wrong."""
        from dbt.contracts.graph.semantic_manifest import SemanticManifest
        from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest

        project = dbt.parsed(settings)
        with TemporaryDirectory() as scratch:
            written = Path(scratch, "semantic_manifest.json")
            SemanticManifest(project).write_json_to_file(str(written))
            manifest = parse_manifest_from_dbt_generated_manifest(written.read_text())
        for table in (*manifest.semantic_models, *manifest.project_configuration.time_spines):
            relation = table.node_relation  # without its database: the connection says which
            named = {"database": None, "relation_name": f"{relation.schema_name}.{relation.alias}"}
            table.node_relation = relation.copy(update=named)
        metrics = {
            metric.name: Metric(
                name=metric.name,
                label=metric.label,
                kind=metric.type.value,
                description=" ".join(metric.description.split()),
                unit=metric.config.meta.get("unit", ""),
                owner=metric.config.meta.get("owner", ""),
                grains=tuple(metric.config.meta.get("grains", ())),
                instead=metric.config.meta.get("instead", {}),
            )
            for metric in sorted(project.metrics.values(), key=lambda metric: metric.name)
        }
        models = [node for node in project.nodes.values() if node.resource_type.value == "model"]
        columns = {node.name: set(node.columns) for node in models}
        return cls(metrics, manifest, _instants(manifest, columns))

    def metric(self, name: str) -> Metric:
        """What a metric is. Raises ParleyError where there is none of this name, with names like it."""
        if name in self.metrics:
            return self.metrics[name]
        guess = did_you_mean(name, self.metrics)
        raise ParleyError(f"There is no metric {name!r}: {guess}{guess and ' '}`parley metrics list` shows all.")

    def dimensions(self, *metrics: str) -> list[str]:
        """What all these metrics can be parted by, besides grains of time; the shortest names first."""
        names = [self.metric(metric).name for metric in metrics]
        engine = self._engine
        found = {
            *(dimension.dunder_name for dimension in engine.list_dimensions(names)),
            *(entity.name for entity in engine.entities_for_metrics(names)),
        }
        return sorted(
            (name for name in found if not name.startswith("metric_time")), key=lambda name: (name.count("__"), name)
        )

    def grains(self, name: str) -> tuple[str, ...]:
        """By which lengths of time a metric can be asked: by hours where the instants of what it counts are known."""
        metric = self.metric(name)
        return metric.grains or tuple(grain for grain in GRAINS if grain != HOUR or self._has_hours(name))

    def sql(self, query: Query) -> str:
        """MetricFlow's SQL for the query. Raises ParleyError where a name is unknown or the condition is wrong."""
        from metricflow.engine.metricflow_engine import MetricFlowQueryRequest, OutputColumnOrderMode
        from metricflow_semantics.errors.error_classes import MetricFlowException

        group_by = self._group_by(query)
        self._check(query)
        by_hour = HOUR in query.by
        engine = self._hourly_engine if by_hour else self._engine
        tenants = (query.tenant,) if query.tenant else query.tenants
        tenant = [f"{{{{ Entity('tenant') }}}} in ({', '.join(map(_literal, tenants))})"] if tenants else []
        request = MetricFlowQueryRequest.create(
            metric_names=query.metrics,
            group_by_names=group_by,
            where_constraints=[*tenant, *([query.where] if query.where else [])] or None,
            time_constraint_start=_midnight(query.from_date),
            time_constraint_end=_last_hour(query.to_date) if by_hour else _midnight(query.to_date),
            order_by_names=group_by,
            output_column_order_mode=OutputColumnOrderMode.INPUT_ORDER,
        )
        try:
            found = engine.explain(request).sql_statement.without_descriptions.sql
            return self._with_local_hours(found) if by_hour else found
        except MetricFlowException as error:
            reason = _reason(error)
            if "do not include 'metric_time'" in reason:
                reason = f"{' and '.join(query.metrics)} looks back from each day: part it by day or longer."
            raise ParleyError(f"This cannot be asked: {reason}") from error

    def values(self, connection: Connection, query: Query) -> Table:
        """The query's values. Raises ParleyError as `sql`, and where the tenant is unknown or nothing is built."""
        rows: list[tuple[Any, ...]] = []
        columns: tuple[str, ...] = ()
        parts = self.by_week_start(connection, query)
        for part in parts:
            statement = self.sql(part)
            with _explained():
                if part.tenant:
                    _check_tenant(connection, part.tenant)
                cursor = connection.execute(statement.encode())
            assert cursor.description is not None
            columns = columns or tuple(
                column.name.replace(_week(part.week_start), "week") for column in cursor.description
            )
            rows += (tuple(map(_instant, row)) for row in cursor.fetchall())
        if len(parts) > 1:
            rows.sort(key=lambda row: [(value is None, value) for value in row[: len(query.by)]])
        return Table(columns, rows)

    def by_week_start(self, connection: Connection, query: Query) -> list[Query]:
        """The query for each first day that the tenants' weeks have; the query itself where no weeks are asked for.

        Raises ParleyError where one number would be of weeks that begin on different days.
        """
        if "week" not in query.by:
            return [query]
        self._check(query)
        with _explained():
            cursor = connection.cursor(row_factory=class_row(_Weeks)).execute(
                "select week_start, array_agg(tenant_id order by tenant_id) as tenants from staging.stg_tenants"
                " where tenant_id = coalesce(%s, tenant_id) group by week_start order by week_start",
                [query.tenant],
            )
            weeks = cursor.fetchall()
        if len(weeks) > 1 and "tenant" not in query.by:
            raise ParleyError(
                "Weeks do not begin on the same day for all tenants: name one with --tenant, or add --by tenant."
            )
        if len(weeks) < 2:
            return [replace(query, week_start=each.week_start) for each in weeks] or [query]
        return [replace(query, week_start=each.week_start, tenants=tuple(each.tenants)) for each in weeks]

    @cached_property
    def _engine(self) -> "MetricFlowEngine":
        from metricflow.engine.metricflow_engine import MetricFlowEngine
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

        return MetricFlowEngine(SemanticManifestLookup(self.manifest), _postgres())

    @cached_property
    def _hourly_engine(self) -> "MetricFlowEngine":
        """As `_engine`, with local hours in the place of local dates where the instants are known."""
        from metricflow.engine.metricflow_engine import MetricFlowEngine
        from metricflow_semantic_interfaces.type_enums.time_granularity import TimeGranularity
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

        manifest = self.manifest.copy(deep=True)
        for table in manifest.semantic_models:
            for dimension in table.dimensions:
                if (table.name, dimension.name) in self._instants and dimension.type_params:
                    dimension.type_params.time_granularity = TimeGranularity.HOUR
                    dimension.expr = f"{dimension.name}_{HOUR}"
        return MetricFlowEngine(SemanticManifestLookup(manifest), _postgres())

    def _with_local_hours(self, statement: str) -> str:
        """The statement with tables that have the local hours which the hourly engine takes for granted."""
        for table in self.manifest.semantic_models:
            hours = [
                f"date_trunc('hour', {instant} at time zone tenants.time_zone) as {dimension}_{HOUR}"
                for (name, dimension), instant in self._instants.items()
                if name == table.name
            ]
            relation = table.node_relation.relation_name
            if hours:
                rows = (
                    f"(select own.*, {', '.join(hours)} from {relation} as own"
                    " inner join staging.stg_tenants as tenants using (tenant_id))"
                )
                statement = re.sub(rf"\b(FROM|JOIN)(\s+){re.escape(relation)}(?=\s)", rf"\1\2{rows}", statement)
        return statement

    def _has_hours(self, name: str) -> bool:
        """Whether all that a metric counts is counted by local dates whose instants are known."""
        [metric] = [metric for metric in self.manifest.metrics if metric.name == name]
        params = metric.type_params
        if metric.type.value not in ("simple", "ratio", "derived"):
            return False
        if params.measure:
            dates = {
                (table.name, measure.agg_time_dimension or (table.defaults and table.defaults.agg_time_dimension))
                for table in self.manifest.semantic_models
                for measure in table.measures
                if measure.name == params.measure.name
            }
            return dates <= self._instants.keys()
        inputs = [params.numerator, params.denominator, *(params.metrics or ())]
        given = [one for one in inputs if one]
        return all(not one.offset_window and not one.offset_to_grain and self._has_hours(one.name) for one in given)

    def _check(self, query: Query) -> None:
        """Raises ParleyError where there is no such metric, or none by the grain that is asked for."""
        for name in query.metrics:
            metric = self.metric(name)
            _check_grain(metric, query)
            if HOUR in query.by and not self._has_hours(name):
                raise ParleyError(f"{name} is known by day and longer: ask for it by {' or '.join(self.grains(name))}.")
        if HOUR in query.by and (others := [grain for grain in query.by if grain in GRAINS and grain != HOUR]):
            raise ParleyError(f"By hour and by {others[0]} is too much: leave one out.")

    def _group_by(self, query: Query) -> list[str]:
        """The full names of what the query is parted by."""
        known = self.dimensions(*query.metrics)
        names = []
        for asked in query.by:
            if asked in GRAINS:
                names.append(f"metric_time__{_week(query.week_start) if asked == 'week' else asked}")
                continue
            exact = [name for name in known if name == asked]
            fitting = exact or [name for name in known if name.endswith(f"__{asked}")]
            if not fitting:
                raise ParleyError(
                    f"{' and '.join(query.metrics)} cannot be parted by {asked!r}:"
                    f" take one of {', '.join((*GRAINS, *known))}."
                )
            if len(fitting) > 1 and fitting[1].count("__") == fitting[0].count("__"):
                raise ParleyError(f"{asked!r} may be {' or '.join(fitting)}: say which.")
            names.append(fitting[0])
        return names


def _instants(manifest: "PydanticSemanticManifest", columns: Mapping[str, set[str]]) -> dict[tuple[str, str], str]:
    """By semantic model and dimension of local dates, the SQL of their instants: `started_at` of `started_on`."""
    found = {
        (table.name, dimension.name): f"own.{instant}"
        for table in manifest.semantic_models
        for dimension in table.dimensions
        if (instant := f"{dimension.name.removesuffix('_on')}_at") in columns.get(table.node_relation.alias, ())
        and dimension.name.endswith("_on")
    }
    begun = (
        "(select begun.started_at from facts.conversations as begun"
        " where begun.tenant_id = own.tenant_id and begun.conversation_id = own.conversation_id)"
    )
    for table in manifest.semantic_models:
        for dimension in table.dimensions:
            if dimension.name == "conversation_started_on":
                found[table.name, dimension.name] = begun
    return found | {("orders", "completed_on"): "own.ordered_at"}


def reader(settings: Settings, connection: Connection) -> MetricValues:
    """What rules of alerts read metrics with: the project's files are read once, where a rule asks."""
    read: list[Catalogue] = []

    def values(names: Sequence[str], dimensions: Sequence[str], first: date, last: date) -> list[tuple[Any, ...]]:
        if not read:
            read.append(Catalogue.load(settings))
        asked = Query(tuple(names), ("day", "tenant", *dimensions), from_date=first, to_date=last)
        return read[0].values(connection, asked).rows

    return values


def _check_grain(metric: Metric, query: Query) -> None:
    """One name is one number: a count of a day's customers is none of a week's."""
    asked = [grain for grain in query.by if grain in GRAINS]
    other = [grain for grain in asked if grain not in metric.grains]
    if metric.grains and (other or not asked):
        known = [metric.instead[grain] for grain in other if grain in metric.instead]
        take = f"take {known[0]}, or " if known else ""
        raise ParleyError(f"{metric.name} is per {metric.grains[0]}: {take}ask for it by {' or '.join(metric.grains)}.")


def _week(start: str) -> str:
    """The name of the grain of weeks that begin on a day: MetricFlow's own, or one of those of `time_spine`."""
    return "week" if start == MONDAY else f"week_from_{start}"


def _instant(value: Any) -> Any:
    """A date as MetricFlow has those of its own grains: those of `time_spine` are dates."""
    is_date = isinstance(value, date) and not isinstance(value, datetime)
    return datetime.combine(value, time(), UTC) if is_date else value


@contextmanager
def _explained() -> Iterator[None]:
    """What Postgres says against a query, as one sentence."""
    try:
        yield
    except psycopg.errors.UndefinedTable:
        raise ParleyError("There are no tables yet: land events with `parley load` and run `parley build`.") from None
    except (psycopg.DataError, psycopg.ProgrammingError) as error:
        said = postgres_errors.without_values(error).splitlines()[0]
        raise ParleyError(f"This cannot be asked: {said}.") from error


def _postgres() -> Any:
    """What MetricFlow must know of Postgres to write SQL for it; it runs none itself."""
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer

    class Postgres:
        sql_engine_type = SqlEngine.POSTGRES
        sql_plan_renderer = PostgresSQLSqlPlanRenderer()

    return Postgres()


def _check_tenant(connection: Connection, tenant: str) -> None:
    tenants = [str(row[0]) for row in connection.execute("select tenant_id from marts.tenants_overview order by 1")]
    if tenant not in tenants:
        raise ParleyError(f"There is no tenant {tenant!r} in what is built: take one of {', '.join(tenants)}.")


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time.min) if day else None


def _last_hour(day: date | None) -> datetime | None:
    return datetime.combine(day, time(23)) if day else None


def _literal(text: str) -> str:
    """The text as SQL, inside a template of Jinja's that must not take it for its own."""
    literal = sql.Literal(text).as_string(None)
    return "{% raw %}" + literal + "{% endraw %}" if "{" in literal else literal


def _reason(error: Exception) -> str:
    """MetricFlow's own words, without its traces, lists and advice."""
    if raised := re.findall(r"^[\w. ]+(?:Exception|Error): (.+)$", str(error), re.MULTILINE):
        return str(raised[0])
    message = str(error).partition("Message:")[2] or str(error)
    paragraph = message.strip().split("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(" Common issues are:")
