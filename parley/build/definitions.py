"""What users define in seeds (funnels, cohorts, segments, experiments and the rest) is checked before a build begins.

`definition_seeds` says what each cell may be; the functions here, what must hold between rows, and with the warehouse.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import psycopg
import yaml
from psycopg import sql

from parley.alerts import rules
from parley.build.definition_seeds import SCORES, SEEDS, SIGNALS
from parley.build.references import CHANNEL, References, parts_of
from parley.config import report_recipients, retention_periods, seeds, tenants, tracking_plan
from parley.config.seeds import Row
from parley.config.tenants import Tenant
from parley.errors import ParleyError
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

PROBE_SECRET = b"probe"  # nothing hashed with it is kept
Tables = Mapping[str, Sequence[Row]]
ALERTS_PAGE, FUNNELS_PAGE, COHORTS_PAGE = "docs/alerts.md", "docs/funnels.md", "docs/cohorts.md"
CUSTOMERS = Path("models", "marts", "customers", "_customers.yml")  # the columns that segments are defined on


def check(connection: Connection, project: Path) -> dict[str, Tenant]:
    """Raises ParleyError naming file, row and column of the first definition that no build can go by.

    Returns the tenants of their seed. The tracking plan must be in the database already.
    """
    seeds.check_written(project / seeds.FOLDER)
    listed = tenants.read(project / tenants.SEED, connection)
    of_alerts = [row for row, _ in rules.read_rows(project / rules.SEED)]
    retention_periods.read_terms(project / retention_periods.SEED)
    report_recipients.read(project / report_recipients.SEED)
    folder = project / seeds.FOLDER
    tables = {name: seeds.read(folder / f"{name}.csv", seed.columns, seed.key) for name, seed in SEEDS.items()}
    for name, rows in tables.items():
        _check_default(name, rows)
        _check_tenants(connection, listed, rows)
    plan = tracking_plan.read_privacy(project / tracking_plan.FOLDER / tracking_plan.PRIVACY_FILE)
    references = References(tracking_plan.registered(connection), plan, PROBE_SECRET, listed)
    _check_event_names(references, tables)
    for row in of_alerts:
        references.check_names(row, "event_names", row["event_names"] or (), row["tenant_id"])
        _check_predicate(connection, row, "predicate", ALERTS_PAGE)
    _check_funnels(connection, tables)
    _check_cohorts(connection, tables)
    _check_attributes(references, tables)
    _check_segments(connection, project, tables["segment_definitions"])
    _check_experiments(tables)
    _check_quality_weights(tables["quality_weights"])
    _check_roi(tables["roi_assumptions"])
    _check_training(tables["anomaly_settings"])
    _check_opening_hours(tables["opening_hours"])
    return listed


def _check_default(name: str, rows: Iterable[Row]) -> None:
    if SEEDS[name].needs_default and all(row["tenant_id"] != EVERY_TENANT for row in rows):
        raise ParleyError(
            f"{name}.csv has no row for tenant_id {EVERY_TENANT}: add one, which tenants without their own go by."
        )


def _check_tenants(connection: Connection, listed: Collection[str], rows: Iterable[Row]) -> None:
    """A tenant that has a definition of its own is in the tenants seed, or has landed."""
    missing = {row.values.get("tenant_id", EVERY_TENANT) for row in rows} - {EVERY_TENANT, *listed}
    landed = connection.execute(
        "select tenant_id from unnest(%s::text[]) as missing (tenant_id)"
        " where exists (select from raw.load_batches as batches where batches.tenant_id = missing.tenant_id)",
        [sorted(missing)],
    )
    missing -= {tenant_id for (tenant_id,) in landed}
    for row in rows:
        if row.values.get("tenant_id") in missing:
            row.wrong(
                "tenant_id",
                f"there is no tenant {row['tenant_id']!r} in {tenants.SEED}, nor in what has landed: correct it, "
                f"or write {EVERY_TENANT} for all tenants.",
            )


def _check_event_names(references: References, tables: Tables) -> None:
    """Events are named as the tracking plan of the definition's tenant has them."""
    tenant_of = {funnel["funnel_id"]: funnel["tenant_id"] for funnel in tables["funnel_definitions"]}
    for row in (*tables["funnel_steps"], *tables["funnel_exclusions"]):
        references.check_names(row, "event_names", row["event_names"], tenant_of.get(row["funnel_id"], EVERY_TENANT))
    for row in tables["cohort_definitions"]:
        for column in ("cohort_event", "returning_event"):
            references.check_names(row, column, row[column] or (), row["tenant_id"])
    for row in tables["activity_definitions"]:
        references.check_names(row, "event_names", row["event_names"] or (), row["tenant_id"])


def _check_attributes(references: References, tables: Tables) -> None:
    """Predicates and breakdowns read what landing keeps as it is."""
    funnels = {funnel["funnel_id"]: funnel for funnel in tables["funnel_definitions"]}
    steps: defaultdict[str, list[str]] = defaultdict(list)
    for row in tables["funnel_steps"]:
        steps[row["funnel_id"]] += row["event_names"]
    for row in (*tables["funnel_steps"], *tables["funnel_exclusions"]):
        tenant_id = funnels[row["funnel_id"]]["tenant_id"]
        references.check_kept(row, "predicate", row["predicate"], row["event_names"], tenant_id)
    for funnel_id, funnel in funnels.items():
        for part in parts_of(funnel["breakdown"]):
            references.check_kept(funnel, "breakdown", part, steps[funnel_id], funnel["tenant_id"])
    any_event = (None,)
    for cohort in tables["cohort_definitions"]:
        entering = cohort["cohort_event"] or any_event
        returning = cohort["returning_event"] or any_event
        references.check_kept(cohort, "cohort_where", cohort["cohort_where"], entering, cohort["tenant_id"])
        references.check_kept(cohort, "returning_where", cohort["returning_where"], returning, cohort["tenant_id"])
        for part in parts_of(cohort["breakdown"]):
            references.check_kept(cohort, "breakdown", part, entering, cohort["tenant_id"])
    for activity in tables["activity_definitions"]:
        named = activity["event_names"] or any_event
        references.check_kept(activity, "predicate", activity["predicate"], named, activity["tenant_id"])


def _check_funnels(connection: Connection, tables: Tables) -> None:
    steps = _numbered(tables["funnel_steps"], "step", tables["funnel_definitions"])
    _numbered(tables["funnel_exclusions"], "exclusion", tables["funnel_definitions"])
    for funnel in tables["funnel_definitions"]:
        if funnel["funnel_id"] not in steps:
            funnel.wrong("funnel_id", f"{funnel['funnel_id']!r} has no steps: add rows of it to funnel_steps.csv.")
        _check_breakdown(connection, funnel, steps[funnel["funnel_id"]])
    orders = {funnel["funnel_id"]: funnel["step_order"] for funnel in tables["funnel_definitions"]}
    for row in tables["funnel_steps"]:
        if row["is_optional"] and (
            orders[row["funnel_id"]] != "ordered" or row["step"] in (1, steps[row["funnel_id"]])
        ):
            row.wrong(
                "is_optional",
                "only a step between the first and the last of an ordered funnel is optional: write false, or change "
                "step_order.",
            )
    for exclusion in tables["funnel_exclusions"]:
        steps_there = steps[exclusion["funnel_id"]]
        if not exclusion["after_step"] < exclusion["before_step"] <= steps_there:
            exclusion.wrong(
                "before_step",
                f"an exclusion lies between two steps, the earlier one first, and {exclusion['funnel_id']!r} has "
                f"{steps_there}: correct after_step or before_step.",
            )
    for row in (*tables["funnel_steps"], *tables["funnel_exclusions"]):
        _check_predicate(connection, row, "predicate", FUNNELS_PAGE)


def _check_cohorts(connection: Connection, tables: Tables) -> None:
    for cohort in tables["cohort_definitions"]:
        for column in ("cohort_where", "returning_where"):
            _check_predicate(connection, cohort, column, COHORTS_PAGE)
        _check_values(connection, cohort, COHORTS_PAGE)
    cohort_ids = {cohort["cohort_id"] for cohort in tables["cohort_definitions"]}
    for activity in tables["activity_definitions"]:
        if activity["activity_id"] in cohort_ids:
            activity.wrong("activity_id", f"{activity['activity_id']!r} is a cohort's id already: take another one.")
        if not (activity["event_names"] or activity["predicate"]):
            activity.wrong("event_names", "any event is what marts.user_lifecycle counts: name one, or a predicate.")
        _check_predicate(connection, activity, "predicate", COHORTS_PAGE)


def _numbered(rows: Iterable[Row], column: str, definitions: Iterable[Row]) -> dict[str, int]:
    """How many rows each funnel has, which are numbered from 1 without gaps."""
    known = {definition["funnel_id"] for definition in definitions}
    by_funnel: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["funnel_id"] not in known:
            row.wrong("funnel_id", f"funnel_definitions.csv has no {row['funnel_id']!r}: add or correct it.")
        by_funnel[row["funnel_id"]].append(row)
    for funnel_id, of_funnel in by_funnel.items():
        for expected, row in enumerate(sorted(of_funnel, key=lambda row: int(row[column])), 1):
            if row[column] != expected:
                row.wrong(column, f"{funnel_id!r} has no {column} {expected}: number them from 1 without gaps.")
    return {funnel_id: len(of_funnel) for funnel_id, of_funnel in by_funnel.items()}


def _check_breakdown(connection: Connection, funnel: Row, steps: int) -> None:
    breakdown, touch, step = (funnel[column] for column in ("breakdown", "breakdown_touch", "breakdown_step"))
    if bool(breakdown) != bool(touch):
        funnel.wrong("breakdown_touch", "breakdown and breakdown_touch go together: fill in both or none.")
    if (touch == "step") != (step is not None):
        funnel.wrong(
            "breakdown_step", "it belongs to breakdown_touch step alone: fill it in there, clear it elsewhere."
        )
    if step is not None and step > steps:
        funnel.wrong("breakdown_step", f"{funnel['funnel_id']!r} has {steps} steps: write one of them.")
    _check_values(connection, funnel, FUNNELS_PAGE)


def _check_values(connection: Connection, row: Row, page: str) -> None:
    """The attributes whose values a definition tells apart."""
    if row["breakdown_limit"] is not None and not row["breakdown"]:
        row.wrong("breakdown_limit", "it limits the values of a breakdown: fill in breakdown, or clear it.")
    for part in parts_of(row["breakdown"]):
        if part == CHANNEL:
            continue
        if not part.startswith("$"):
            row.wrong("breakdown", f"{part!r} is not right: write {CHANNEL}, or a path such as $.category.")
        query = b"select jsonb_path_query_first('{}', %s::jsonpath, silent => true)"
        _check_path(connection, row, "breakdown", part, query, page)


def _check_predicate(connection: Connection, row: Row, column: str, page: str) -> None:
    if row[column]:
        _check_path(connection, row, column, row[column], b"select jsonb_path_match('{}', %s::jsonpath)", page)


def _check_path(connection: Connection, row: Row, column: str, path: str, query: bytes, page: str) -> None:
    if problem := _problem(connection, query, [path]):
        row.wrong(column, f"Postgres cannot use {path!r} ({problem}): write it as {page} shows.")


def _check_segments(connection: Connection, project: Path, segments: Iterable[Row]) -> None:
    """Each condition is tried on a table like the one that the models apply it to."""
    content = yaml.safe_load((project / CUSTOMERS).read_text(encoding="utf-8"))
    [columns] = [model["columns"] for model in content["models"] if model["name"] == "customers"]
    types = [*((column["name"], column["data_type"]) for column in columns), ("as_of", "timestamptz")]
    seen = sql.SQL(", ").join(
        sql.SQL("null::{} as {}").format(sql.SQL(kind), sql.Identifier(column)) for column, kind in types
    )
    for segment in segments:
        query = sql.SQL("explain with seen as (select {}) select from seen where ({})").format(
            seen, sql.SQL(segment["predicate"])
        )
        problem = _problem(connection, query)
        if problem:
            segment.wrong(
                "predicate",
                f"Postgres cannot use it ({problem}): write a condition on the columns of marts.customers and as_of.",
            )


def _problem(
    connection: Connection, query: bytes | sql.Composed, parameters: Sequence[object] | None = None
) -> str | None:
    """What Postgres says against a query, which it may not run as several."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(query, parameters, prepare=True)
    except psycopg.Error as error:
        return error.diag.message_primary or type(error).__name__
    return None


def _check_experiments(tables: Tables) -> None:
    units = {funnel["funnel_id"]: funnel["unit"] for funnel in tables["funnel_definitions"]}
    variants: defaultdict[str, list[Row]] = defaultdict(list)
    for row in tables["experiment_variants"]:
        variants[row["experiment"]].append(row)
    for experiment, of_experiment in variants.items():
        controls = [row for row in of_experiment if row["is_control"]]
        if len(controls) != 1:
            (controls or of_experiment)[-1].wrong(
                "is_control", f"{experiment!r} has {len(controls)} controls: let one variant be it."
            )
    for row in tables["experiment_metrics"]:
        if row["experiment"] not in (EVERY_TENANT, *variants):
            row.wrong("experiment", f"{row['experiment']!r} has no variants: add them to experiment_variants.csv.")
        if (row["source"] == "funnel") != (row["funnel_id"] is not None):
            row.wrong("funnel_id", "it belongs to the source funnel alone: fill it in there, clear it elsewhere.")
        if row["funnel_id"] and units.get(row["funnel_id"]) != "user":
            row.wrong(
                "funnel_id", f"funnel_definitions.csv has no {row['funnel_id']!r} of unit user: name one that is."
            )


def _check_quality_weights(rows: Iterable[Row]) -> None:
    versions: dict[str, str] = {}
    for row in rows:
        allowed = SCORES if row["score"] == "overall" else SIGNALS
        if row["signal"] not in allowed:
            row.wrong("signal", f"{row['signal']!r} is no part of {row['score']}: write one of {', '.join(allowed)}.")
        if versions.setdefault(row["tenant_id"], row["rubric_version"]) != row["rubric_version"]:
            row.wrong("rubric_version", f"{row['tenant_id']!r} has another one above: give all its rows the same.")


def _check_roi(rows: Iterable[Row]) -> None:
    for row in rows:
        for likely, low, high in (
            ("minutes_per_conversation", "minutes_low", "minutes_high"),
            ("hourly_cost", "hourly_cost_low", "hourly_cost_high"),
            ("cost_per_conversation", "cost_per_conversation_low", "cost_per_conversation_high"),
        ):
            if not row[low] <= row[likely] <= row[high]:
                row.wrong(likely, f"{row[likely]} is not from {low} to {high}: put the three in order.")


def _check_opening_hours(rows: Iterable[Row]) -> None:
    """Each span ends after it begins and before the next one of its day."""
    closed: dict[tuple[str, str], str] = {}
    for row in sorted(rows, key=lambda row: (row["tenant_id"], row["weekday"], row["opens"])):
        if not row["opens"] < row["closes"]:
            row.wrong(
                "closes", f"{row['closes']} is not after {row['opens']}: write two rows where midnight lies between."
            )
        day_of_tenant = (row["tenant_id"], row["weekday"])
        if row["opens"] < closed.get(day_of_tenant, ""):
            row.wrong("opens", f"the one before closes at {closed[day_of_tenant]}: put one after the other.")
        closed[day_of_tenant] = row["closes"]


def _check_training(settings: Iterable[Row]) -> None:
    for row in settings:
        if row["min_training_days"] > row["training_days"]:
            row.wrong(
                "min_training_days", f"only {row['training_days']} days are learned from: write so many or fewer."
            )
