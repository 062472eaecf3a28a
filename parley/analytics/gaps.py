"""What people say of content gaps: their status, which builds keep and `marts.content_gaps` shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from psycopg.rows import class_row

from parley.errors import ParleyError
from parley.warehouse import audit, database
from parley.warehouse.database import Connection

Status = Literal["identified", "in_progress", "resolved"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Gap:
    """A row of `marts.content_gaps`, with the status as it stands now, which the mart has from the next build on."""

    tenant_id: str
    gap_id: str
    topic: str
    status: Status
    frequency: int
    customers: int
    escalation_rate: float | None
    """Share of the questions, 0 to 1."""
    last_seen_at: datetime
    example_questions: list[str]
    frequency_after: int | None
    """Questions since it was resolved."""


def find(connection: Connection, tenant_id: str | None = None, status: Status | None = None) -> list[Gap]:
    """The gaps of a tenant or of all, the most frequent first. Raises ParleyError where nothing has been built yet."""
    if not database.has(connection, "marts.content_gaps"):
        raise ParleyError("There are no content gaps yet: land events with `parley load` and run `parley build`.")
    with connection.cursor(row_factory=class_row(Gap)) as cursor:
        return cursor.execute(
            """
            select
                gaps.tenant_id, gaps.gap_id, topic, coalesce(statuses.status, 'identified') as status,
                frequency, customers, escalation_rate, last_seen_at, example_questions, frequency_after
            from marts.content_gaps as gaps
            left join ops.gap_statuses as statuses
                on statuses.tenant_id = gaps.tenant_id and statuses.gap_id = gaps.gap_id
            where
                (%(tenant)s::text is null or gaps.tenant_id = %(tenant)s)
                and (%(status)s::text is null or coalesce(statuses.status, 'identified') = %(status)s)
            order by frequency desc, gaps.tenant_id, gaps.gap_id
            """,
            {"tenant": tenant_id, "status": status},
        ).fetchall()


def set_status(
    connection: Connection,
    gap_id: str,
    status: Status,
    *,
    tenant_id: str,
    by: str | None,
    note: str | None = None,
    since: datetime | None = None,
) -> None:
    """Note the status of a gap and since when it has it: by default now, or what was noted if the status is the same.

    From `resolved` on, the mart counts what is still asked. The beginning of an id is enough where only one gap of the
    tenant has it; the id of a gap that was folded into another one names that one. Raises ParleyError where the tenant
    has no such gap, or several.
    """
    known = connection.execute(
        """
        select topic_id from ops.topics where tenant_id = %(tenant)s and starts_with(topic_id, %(gap)s)
        union
        select merged_into from ops.merged_topics where tenant_id = %(tenant)s and starts_with(topic_id, %(gap)s)
        """,
        {"tenant": tenant_id, "gap": gap_id},
    ).fetchall()
    if not known:
        raise ParleyError(f"The tenant {tenant_id!r} has no gap {gap_id!r}: `parley gaps list` shows the ids.")
    if len(known) > 1:
        raise ParleyError(f"{len(known)} gaps of {tenant_id!r} begin with {gap_id!r}: give more of the id.")
    gap_id = str(known[0][0])
    changed = connection.execute(
        """
        insert into ops.gap_statuses (tenant_id, gap_id, status, note, changed_by, changed_at)
        values (%(tenant)s, %(gap)s, %(status)s, %(note)s, %(by)s, coalesce(%(since)s, clock_timestamp()))
        on conflict (tenant_id, gap_id) do update set
            status = excluded.status,
            note = coalesce(excluded.note, gap_statuses.note),
            changed_by = excluded.changed_by,
            changed_at = case
                when %(since)s::timestamptz is null and gap_statuses.status = excluded.status
                then gap_statuses.changed_at
                else excluded.changed_at
            end
        where
            gap_statuses.status <> excluded.status
            or gap_statuses.note is distinct from coalesce(excluded.note, gap_statuses.note)
            or %(since)s::timestamptz <> gap_statuses.changed_at
        """,
        {"tenant": tenant_id, "gap": gap_id, "status": status, "note": note, "by": by, "since": since},
    )
    if changed.rowcount:
        audit.record(
            connection, "gap.status_set", tenant_id=tenant_id, actor=by, details={"gap_id": gap_id, "status": status}
        )
