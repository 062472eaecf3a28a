"""Results per day (UTC) and tenant: what is validated, what a person let through, and what builds leave out.

A blocked day of a tenant leaves out what its findings are of: the events that happened on it, or those that arrived on
it (`Metric.is_of_arrival`). `ops.blocked_inputs` says what is left out now; a build brings it up to date before it
begins. A day is blocked as a whole, under the tenant `*`, only where raw.events is not as declared, and stops builds.

A result holds for the events that were there: a day that has got new ones since is validated again. `ops.watermarks`
says up to which batch that is so, under the name `input_validation`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from psycopg.rows import class_row, dict_row

from parley.config import tenants
from parley.errors import ParleyError
from parley.quality_gate import bounds, data_docs, expectations, measures
from parley.quality_gate.bounds import Failure, Tried
from parley.quality_gate.expectations import Expectation, figure
from parley.settings import Settings
from parley.warehouse import audit, database
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT

LOCK = 0x696E70757473  # "inputs" in ASCII: held by whoever validates
NAMED_AT_MOST = 5

Word = Literal["passed", "warned", "blocked"]


@dataclass(frozen=True, slots=True)
class DayResult:
    """A row of `ops.input_validation`."""

    day: date
    tenant_id: str
    """`*`: the day as a whole."""
    result: Word
    events: int
    """That happened on the day."""
    received: int
    """Lines that arrived on the day."""
    blocking: int
    """Figures out of bounds that block."""
    warning: int
    """Figures out of bounds that warn."""
    batch_id: int
    suite: str
    page: str | None
    """Of its Data Docs, a file in PARLEY_HOME/data-docs until that is pruned."""
    validated_at: datetime
    released_by: str | None = None
    released_at: datetime | None = None
    release_reason: str | None = None

    @property
    def is_in_force(self) -> bool:
        """Whether it blocks, and nobody has released it."""
        return self.result == "blocked" and self.released_at is None

    @property
    def stops_builds(self) -> bool:
        return self.is_in_force and self.tenant_id == EVERY_TENANT

    @property
    def is_left_out(self) -> bool:
        return self.is_in_force and self.tenant_id != EVERY_TENANT


@dataclass(frozen=True, slots=True)
class Finding:
    """A row of `ops.input_failures`: a figure of a day that is outside what is expected of it."""

    day: date
    expectation: str
    tenant_id: str
    event_name: str
    severity: str
    metric: str
    observed: float
    minimum: float | None
    maximum: float | None
    description: str

    def __str__(self) -> str:
        where = " ".join(name for name in (self.tenant_id, self.event_name) if name != EVERY_TENANT)
        below = self.minimum is not None and self.observed < self.minimum
        bound = self.minimum if below else self.maximum
        assert bound is not None
        seen, expected = (figure(self.metric, value) for value in (self.observed, bound))
        about = f"{self.expectation}{f' ({where})' if where else ''}"
        return f"{about}: {self.metric} is {seen}, {'below' if below else 'above'} {expected}"


def validate_new(connection: Connection, settings: Settings) -> tuple[int, list[DayResult]]:
    """Validate the days with events or lines that no result holds for yet.

    Returns the last batch that is validated now, and the new results.

    Days that were validated by other expectations are validated again where they are blocked or still to be built. The
    connection must commit by itself. Raises ParleyError where a seed is wrong.
    """
    expected = expectations.read(settings.project / expectations.SEED)
    with database.taking_turns(connection, LOCK):  # who waited finds little to do
        position = _number(connection, "select coalesce(max(last_batch_id), 0) from raw.loads")
        days = _days_to_validate(connection, position, expectations.fingerprint(expected))
        found = _validate(connection, settings, expected, days)
        connection.execute(
            "insert into ops.watermarks (model, upstream, position, built_at)"
            " values ('input_validation', 'raw', %s, clock_timestamp()) on conflict (model, upstream)"
            " do update set position = excluded.position, built_at = excluded.built_at"
            " where watermarks.position <> excluded.position",
            [position],
        )
    return position, found


def validate_days(
    connection: Connection, settings: Settings, first: date | None, last: date | None = None
) -> list[DayResult]:
    """Validate these days again, all on which anything happened or arrived; otherwise as `validate_new`."""
    expected = expectations.read(settings.project / expectations.SEED)
    with database.taking_turns(connection, LOCK):  # who waited finds little to do
        days = _days_between(connection, first, last)
        return _validate(connection, settings, expected, days)


def find(connection: Connection, first: date | None = None, last: date | None = None) -> list[DayResult]:
    """The results of these days, the latest first."""
    with connection.cursor(row_factory=class_row(DayResult)) as cursor:
        return cursor.execute(
            "select * from ops.input_validation where day >= coalesce(%s, '-infinity'::date)"
            " and day <= coalesce(%s, 'infinity'::date) order by day desc, tenant_id",
            [first, last],
        ).fetchall()


def findings(connection: Connection, days: Iterable[date]) -> list[Finding]:
    """What is out of bounds on these days: the latest day first, of each what blocks first."""
    with connection.cursor(row_factory=class_row(Finding)) as cursor:
        return cursor.execute(
            "select * from ops.input_failures where day = any(%s)"
            " order by day desc, severity, expectation, tenant_id, event_name",
            [list(days)],
        ).fetchall()


def release(connection: Connection, day: date, *, reason: str, by: str | None, tenant: str | None = None) -> None:
    """Let a blocked day through, of one tenant or of all that are blocked on it, in the caller's transaction.

    It stays so while it fails in no other way: see `still_released`. Raises ParleyError where the day is not blocked
    or no reason is given.
    """
    if not reason.strip():
        raise ParleyError("A release needs a reason: say with --reason why the day may be built as it is.")
    changed = connection.execute(
        "update ops.input_validation set released_by = %s, released_at = clock_timestamp(), release_reason = %s"
        " where day = %s and result = 'blocked' and (%s::text is null or tenant_id = %s) returning tenant_id",
        [by, reason.strip(), day, tenant, tenant],
    ).fetchall()
    if not changed:
        of = f" for {tenant}" if tenant else ""
        raise ParleyError(f"{day} is not blocked{of}: `parley inputs list` shows the days that are.")
    released = sorted(str(tenant_id) for (tenant_id,) in changed)
    blocking = [
        str(finding)
        for finding in findings(connection, [day])
        if finding.severity == "block" and finding.tenant_id in released
    ]
    audit.record(
        connection,
        "input.released",
        actor=by,
        details={"day": day.isoformat(), "tenants": released, "reason": reason.strip(), "findings": blocking},
    )


def stopping(connection: Connection) -> list[DayResult]:
    """The days that are blocked as a whole, the earliest first: no build begins while there is one."""
    return [result for result in _in_force(connection) if result.stops_builds]


def left_out(connection: Connection) -> list[DayResult]:
    """The days of tenants that builds leave out, the earliest first."""
    return [result for result in _in_force(connection) if result.is_left_out]


def _in_force(connection: Connection) -> list[DayResult]:
    with connection.cursor(row_factory=class_row(DayResult)) as cursor:
        return cursor.execute(
            "select * from ops.input_validation where result = 'blocked' and released_at is null"
            " order by day, tenant_id"
        ).fetchall()


def apply(connection: Connection) -> None:
    """Bring `ops.blocked_inputs` up to date with the results, and tell staging what has changed of it.

    For who holds the build's lock: what is left out stays the same while a build is at work. Raises ParleyError where
    a day is blocked as a whole, naming days, what failed, and what to do.
    """
    if found := stopping(connection):
        raise ParleyError(explanation(found, findings(connection, {result.day for result in found})))
    of_arrival = [metric.name for metric in expectations.METRICS.values() if metric.is_of_arrival]
    connection.execute(_APPLY, {"of_arrival": of_arrival, "every_tenant": EVERY_TENANT})


_APPLY = """
    with blocked as materialized (
        select distinct
            tenant_id,
            day,
            case when metric = any(%(of_arrival)s) then 'arrived' else 'happened' end as basis
        from ops.input_validation inner join ops.input_failures using (day, tenant_id)
        where result = 'blocked' and released_at is null and severity = 'block' and tenant_id <> %(every_tenant)s
    ),
    gone as (
        delete from ops.blocked_inputs where (tenant_id, day, basis) not in (select tenant_id, day, basis from blocked)
        returning tenant_id, day, basis
    ),
    added as (
        insert into ops.blocked_inputs (tenant_id, day, basis) select tenant_id, day, basis from blocked
        on conflict do nothing
        returning tenant_id, day, basis
    )
    insert into ops.changes (model, kind, tenant_id, id, date)
    select 'stg_blocked_days', 'tenant_day', tenant_id, basis, day from (table gone union all table added) as changed
"""


def explanation(blocked: Sequence[DayResult], found: Iterable[Finding]) -> str:
    """What is said to whoever wants to build: the blocked days, what blocks them, and what to do."""
    found = list(found)
    days = "; ".join(f"{result.day}: {_what_blocks(result, found)}" for result in blocked[:NAMED_AT_MOST])
    more = f"; and {len(blocked) - NAMED_AT_MOST} more days" if len(blocked) > NAMED_AT_MOST else ""
    return (
        f"The input gate blocks {days}{more}. The tables keep their last state: look with `parley inputs list`, mend "
        f'what is wrong, or let a day through with `parley inputs release {blocked[0].day} --reason "…"`.'
    )


def omission(result: DayResult, found: Iterable[Finding]) -> str:
    """What is said of a tenant's day that builds leave out: what blocks it, and what to do."""
    return (
        f"No table has what {result.tenant_id} sent of {result.day}, and all others are built: "
        f"{_what_blocks(result, found)}. Fix it and land it again, or let it through with "
        f'`parley inputs release {result.day} --tenant {result.tenant_id} --reason "…"`, then `parley build`.'
    )


def _what_blocks(result: DayResult, found: Iterable[Finding]) -> str:
    said = [
        str(finding)
        for finding in found
        if finding.severity == "block" and (finding.day, finding.tenant_id) == (result.day, result.tenant_id)
    ]
    return f"{', '.join(said[:NAMED_AT_MOST])}{' …' if len(said) > NAMED_AT_MOST else ''}"


def _days_to_validate(connection: Connection, position: int, fingerprint: str) -> list[date]:
    """Days with batches newer than their result, up to a position; and those whose expectations have changed."""
    return [
        row[0]
        for row in connection.execute(
            """
            with since as (
                select coalesce(
                    (select position from ops.watermarks where model = 'input_validation' and upstream = 'raw'), 0
                ) as validated, coalesce(
                    (select position from ops.watermarks where model = 'stg_events' and upstream = 'raw'), 0
                ) as built
            ),
            blocked as (
                select day, tenant_id, received from ops.input_validation
                where result = 'blocked' and released_at is null and tenant_id <> %(every_tenant)s
            ),
            landed as (
                select (occurred_at at time zone 'UTC')::date as day, batch_id from raw.events
                where batch_id > (select validated from since) and batch_id <= %(position)s
                union all
                select (received_at at time zone 'UTC')::date as day, batch_id from raw.load_batches
                where batch_id > (select validated from since) and batch_id <= %(position)s
            ),
            touched as (select day, max(batch_id) as batch_id from landed group by day)
            select day from touched
            left join ops.input_validation using (day)
            where (input_validation.tenant_id is null or input_validation.tenant_id = %(every_tenant)s)
                and (input_validation.batch_id is null or input_validation.batch_id < touched.batch_id)
            union
            select day from ops.input_validation
            where suite <> %(suite)s and (
                batch_id > (select built from since) or result = 'blocked' and released_at is null
            )
            union
            -- what was rejected then may have landed since, fixed or by a replay
            select day from blocked
            where exists (
                select from raw.load_batches as later
                where later.batch_id > (select validated from since) and later.tenant_id = blocked.tenant_id
                    and later.accepted > 0
            )
            union
            -- a load was taken back
            select day from blocked
            where received <> (
                select coalesce(sum(batches.received - batches.resent), 0) from raw.load_batches as batches
                where batches.tenant_id = blocked.tenant_id
                    and batches.received_at >= blocked.day::timestamp at time zone 'UTC'
                    and batches.received_at < (blocked.day + 1)::timestamp at time zone 'UTC'
            )
            order by day
            """,
            {"position": position, "suite": fingerprint, "every_tenant": EVERY_TENANT},
        )
        if isinstance(row[0], date)
    ]


def _days_between(connection: Connection, first: date | None, last: date | None) -> list[date]:
    """Days on which anything happened or arrived, or that have a result and whose events retention has left alone."""
    bounds = {
        "from": f"{first} 00:00:00+00" if first else "-infinity",
        "before": f"{last + timedelta(days=1)} 00:00:00+00" if last else "infinity",
        "first": first or date.min,
        "last": last or date.max,
    }
    return [
        row[0]
        for row in connection.execute(
            """
            select (occurred_at at time zone 'UTC')::date as day from raw.events
            where occurred_at >= %(from)s and occurred_at < %(before)s
            union
            select (received_at at time zone 'UTC')::date from raw.load_batches
            where received_at >= %(from)s and received_at < %(before)s
            union
            select day from ops.input_validation
            where day between %(first)s and %(last)s
                and day >= coalesce((select max(frozen_before) from ops.raw_horizon), '-infinity')
            order by day
            """,
            bounds,
        )
        if isinstance(row[0], date)
    ]


def _validate(
    connection: Connection, settings: Settings, expected: Sequence[Expectation], days: Sequence[date]
) -> list[DayResult]:
    if not days:
        return []
    validated_at = datetime.now(UTC)
    with connection.transaction():
        measures.measure(
            connection,
            days,
            listed=tenants.read(settings.project / tenants.SEED),
            expected=expectations.tenants_of_their_own(expected),
            max_future=settings.max_future_hours,
        )
    in_force = [each for each in expected if each.severity != "off"]
    folder = settings.home / data_docs.FOLDER
    failures: dict[date, list[Failure]] = {day: [] for day in days}
    page: str | None = None
    tried: list[Tried] = []
    if in_force:
        found, tried = bounds.validate(connection, in_force, days)
        for failure in found:
            failures[failure.day].append(failure)
        page = data_docs.name_of(validated_at)
    with connection.transaction():
        validated = [
            result
            for day, of_day in failures.items()
            for result in _store(connection, day, of_day, page, validated_at, expected)
        ]
    if page:
        findings_of = [failure for of_day in failures.values() for failure in of_day]
        data_docs.write_page(folder, data_docs.page(validated, findings_of, tried, validated_at), validated_at)
    data_docs.prune(folder, settings.data_docs_days, validated_at)
    data_docs.write_index(folder, find(connection))
    return validated


def _store(
    connection: Connection,
    day: date,
    failures: Sequence[Failure],
    page: str | None,
    validated_at: datetime,
    expected: Sequence[Expectation],
) -> list[DayResult]:
    """The day's results, of each tenant with any figure and of the day as a whole, in place of those there were."""
    known = {result.tenant_id: result for result in find(connection, day, day)}
    found = findings(connection, [day])
    connection.execute("delete from ops.input_failures where day = %s", [day])
    connection.execute("delete from ops.input_validation where day = %s", [day])
    with connection.cursor(row_factory=dict_row) as cursor:
        figures = cursor.execute(_FIGURES, {"day": day, "every_tenant": EVERY_TENANT}).fetchall()
    validated = []
    for counts in figures:
        tenant_id = counts["tenant_id"]
        own = [failure for failure in failures if failure.tenant_id == tenant_id]
        blocking = {(each.expectation.name, tenant_id, each.event_name) for each in own if each.blocks}
        before = known.get(tenant_id)
        holds = before is not None and still_released(before, found, blocking)
        result = DayResult(
            day=day,
            result=word(own),
            **counts,
            blocking=len(blocking),
            warning=len(own) - len(blocking),
            suite=expectations.fingerprint(expected),
            page=page,
            validated_at=validated_at,
            released_by=before.released_by if before and holds else None,
            released_at=before.released_at if before and holds else None,
            release_reason=before.release_reason if before and holds else None,
        )
        _write(connection, result, own)
        validated.append(result)
    return validated


_FIGURES = """
    with figures as (
        select
            tenant_id,
            coalesce(sum(value) filter (where metric = 'events'), 0)::bigint as events,
            coalesce(sum(base) filter (where metric in ('rejected_share', 'unreadable_share')), 0)::bigint as received,
            coalesce(max(batch_id), 0) as batch_id
        from ops.input_measures
        where day = %(day)s
        group by tenant_id
    )
    select tenant_id, events, received, batch_id from figures where tenant_id <> %(every_tenant)s
    union all
    select
        %(every_tenant)s,
        sum(events)::bigint,
        coalesce(sum(received) filter (where tenant_id = %(every_tenant)s), 0)::bigint,
        max(batch_id)
    from figures
    having count(*) > 0
    order by 1
"""


def word(failures: Iterable[Failure]) -> Word:
    """What a day's failures come to: the worst of them."""
    severities = {each.expectation.severity for each in failures}
    return "blocked" if "block" in severities else "warned" if severities else "passed"


def still_released(existing: DayResult, found: Iterable[Finding], blocking: set[tuple[str, str, str]]) -> bool:
    """Whether a release goes on: the tenant's day still fails, in no other expectation or event type than then.

    By how much does not matter: who let a day through with half of a tenant's lines rejected need not do so again for
    each line that comes late.
    """
    then = {(each.expectation, each.tenant_id, each.event_name) for each in found if each.severity == "block"}
    return existing.released_at is not None and bool(blocking) and blocking <= then


def _write(connection: Connection, result: DayResult, failures: Iterable[Failure]) -> None:
    connection.execute(
        """
        insert into ops.input_validation (
            day, tenant_id, result, events, received, blocking, warning, batch_id, suite, page, validated_at,
            released_by, released_at, release_reason
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            *(
                result.day,
                result.tenant_id,
                result.result,
                result.events,
                result.received,
                result.blocking,
                result.warning,
            ),
            *(result.batch_id, result.suite, result.page, result.validated_at),
            *(result.released_by, result.released_at, result.release_reason),
        ],
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.input_failures (day, expectation, tenant_id, event_name, severity, metric, observed,"
            " minimum, maximum, description) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                [
                    *(result.day, each.expectation.name, each.tenant_id, each.event_name, each.expectation.severity),
                    *(each.expectation.metric, each.observed, each.expectation.minimum, each.expectation.maximum),
                    each.expectation.description,
                ]
                for each in failures
            ],
        )


def _number(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(str(row[0])) if row else 0
