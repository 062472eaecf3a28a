"""What runs report: plain values for Dagster's metadata. No Dagster here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

from psycopg import sql

from parley.build import rebuilds
from parley.build.rebuilds import Rebuild
from parley.landing.batches import Counts
from parley.landing.inbox import Outcome
from parley.quality_gate.validation import DayResult, Finding
from parley.server.collected import Collected
from parley.warehouse import database
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

FINDINGS_SHOWN = 50
STRETCHES_SHOWN = 10  # of days
COUNTED_BELOW = 1_000_000  # rows; counting more would cost more than a small build


def group_of(properties: Mapping[str, Any]) -> str:
    """A dbt resource's group: its folder (`staging`, `facts`, `marts_users`), for what lies in none its kind."""
    return "_".join(properties["fqn"][1:-1]) or f"{properties['resource_type']}s"


def rows_written(status: str) -> int | None:
    """How many rows a model's last statement wrote, from Postgres's answer (`SELECT 12`, `INSERT 0 12`)."""
    answer = re.fullmatch(r"(?:SELECT|INSERT)(?: 0)? (\d+)", status.strip())
    return int(answer[1]) if answer else None


def collected_metadata(found: Collected) -> dict[str, Any]:
    """Metadata of what came by HTTP: the five counts since the last look, and what waits."""
    return {
        **asdict(found.counts),
        "lag_seconds": found.waiting.lag_seconds,
        "spool_bytes": found.waiting.bytes,
        "last_batch_id": found.last_batch_id,
    }


def row_count(connection: Connection, schema: str, table: str) -> dict[str, int]:
    """A table's rows under the name that Dagster draws a curve of; of a big one an estimate, under another name."""
    row = connection.execute(
        "select reltuples::bigint from pg_class where oid = to_regclass(%s)",
        [sql.Identifier(schema, table).as_string(connection)],
    ).fetchone()
    estimate = int(str(row[0])) if row else 0
    if estimate >= COUNTED_BELOW:
        return {"estimated_row_count": estimate}
    counted = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))).fetchone()
    return {"dagster/row_count": int(str(counted[0])) if counted else 0}


def model_metadata(connection: Connection, build_id: str, result: Mapping[str, Any]) -> dict[str, int | str]:
    """Metadata of a model or seed from the `data` of dbt's result event; a view has none."""
    node = result["node_info"]
    if node["materialized"] == "view":
        return {}
    written = rows_written(result["status"])
    relation = node["node_relation"]
    found: dict[str, int | str] = {**row_count(connection, relation["schema"], relation["alias"])}
    if written is not None:
        found["rows_written"] = written
    if node["materialized"] == "rebuild":
        changed = rebuilds.of_build(connection, build_id, node["node_name"])
        found |= rebuild_metadata(changed[0] if changed else Rebuild(node["node_name"]))
    return found


def table_metadata(connection: Connection, path: Sequence[str], rebuild: Rebuild) -> dict[str, int | str]:
    """How many rows a table has, and what a build changed in it; a view has neither."""
    is_table = len(path) == 2 and database.is_table(connection, ".".join(path))
    return {**(row_count(connection, *path) if is_table else {}), **rebuild_metadata(rebuild)}


def rebuild_metadata(rebuild: Rebuild) -> dict[str, int | str]:
    """What a build changed in an incremental table; nothing of one that it made as a whole."""
    if rebuild.is_whole:
        return {}
    shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in rebuild.stretches]
    more = [f"and {len(shown) - STRETCHES_SHOWN} more"] if len(shown) > STRETCHES_SHOWN else []
    return {
        "rows_added": rebuild.rows_added,
        "rows_changed": rebuild.rows_changed,
        "rows_removed": rebuild.rows_removed,
        "days_changed": rebuild.days,
        **({"days": ", ".join([*shown[:STRETCHES_SHOWN], *more])} if shown else {}),
    }


def landing_metadata(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """What a run over the inbox landed: files, those set aside, lines received and their five counts."""
    reports = [outcome.report for outcome in outcomes if outcome.report]
    return {
        "files_landed": sum(not outcome.problem for outcome in outcomes),
        "files_set_aside": sum(bool(outcome.problem) for outcome in outcomes),
        **asdict(sum((report.counts for report in reports), Counts())),
    }


def landing_table(outcomes: Sequence[Outcome]) -> str:
    """A line of Markdown for each file: its counts, and why lines or the whole file were rejected."""
    names = [field.name for field in fields(Counts)]
    rows = []
    for outcome in outcomes:
        counts = [str(count) for count in astuple(outcome.report.counts)] if outcome.report else [""] * len(names)
        reasons = outcome.report.reasons if outcome.report else ()
        why = outcome.problem or ", ".join(f"{reason.reason}: {reason.lines}" for reason in reasons)
        rows.append([outcome.name, *counts, _cell(why)])
    return _table(["file", *names, "why"], rows)


def set_aside_table(outcomes: Sequence[Outcome]) -> str:
    """A line of Markdown for each file that lies in `failed/`, and why; of very many, the first."""
    return _table(["file", "why"], [[each.name, _cell(each.problem)] for each in outcomes[:FINDINGS_SHOWN]])


def input_metadata(
    validated: Sequence[DayResult], stopping: Sequence[DayResult], left_out: Sequence[DayResult]
) -> dict[str, int | str]:
    """What the input gate found, in days of tenants, how many days hold up builds, and which ones builds leave out."""
    words: list[str] = [result.result for result in validated if result.tenant_id != EVERY_TENANT]
    return {
        "days_validated": len({result.day for result in validated}),
        **{f"days_{word}": words.count(word) for word in ("passed", "warned", "blocked")},
        "days_stopping_builds": len(stopping),
        "days_left_out": len(left_out),
        "left_out": ", ".join(f"{result.tenant_id} {result.day}" for result in left_out[:FINDINGS_SHOWN]),
    }


def input_table(findings: Sequence[Finding]) -> str:
    """A line of Markdown for each figure out of bounds; of very many, the first."""
    rows = [[f"{each.day}", each.severity, _cell(each)] for each in findings[:FINDINGS_SHOWN]]
    if len(findings) > FINDINGS_SHOWN:
        rows.append(["", "", f"and {len(findings) - FINDINGS_SHOWN} more: `parley inputs list`"])
    return _table(["day", "severity", "finding"], rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|")
