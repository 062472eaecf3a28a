"""What a day was like: figures per day, tenant and event type, kept in `ops.input_measures`.

One statement aggregates the events of the days asked for. It names them by ranges of `occurred_at`, so that it reads
the partitions of these days alone, and of those, by the index on `occurred_at`, little more than the days themselves.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from psycopg import sql

from parley.landing.fields import EARLIEST
from parley.warehouse.database import Connection
from parley.warehouse.names import UNKNOWN_TENANT

LATE_AFTER_HOURS = 24

_MEASURE = """
with days as (
    select unnest(%(days)s::date[]) as day
),

types as materialized (
    select
        tenant_id,
        event_name,
        version,
        array(select jsonb_array_elements_text(attributes_schema -> 'required')) as required,
        (
            select ('$ ? (' || string_agg(beyond, ' || ') || ')')::jsonpath
            from (
                select '@.' || to_json(name)::text || operator || bound as beyond
                from
                    jsonb_each(attributes_schema -> 'properties') as attribute (name, rule),
                    lateral (
                        values
                            ('<', rule ->> 'minimum'), ('>', rule ->> 'maximum'),
                            ('<=', rule ->> 'exclusiveMinimum'), ('>=', rule ->> 'exclusiveMaximum')
                    ) as bounds (operator, bound)
                where bound is not null
                union all
                -- as `Scale` of the tracking plan: 0 to 1, or up to the end that the event says, from its start or 1
                select
                    format(
                        '(!exists(%%2$s ? (@ != null)) && (%%1$s < 0 || %%1$s > 1))'
                        ' || (exists(%%2$s ? (@ != null)) && (%%1$s > %%2$s || %%1$s < %%3$s'
                        ' || (!exists(%%3$s ? (@ != null)) && %%1$s < 1)))',
                        '@.' || (scale -> 'value')::text,
                        '@.' || (scale -> 'maximum')::text,
                        '@.' || (scale -> 'minimum')::text
                    )
                from (select attributes_schema -> 'scale' as scale) as keyword
                where scale is not null
            ) as ranges
        ) as out_of_range
    from raw.event_types
),

-- an event is held against its type as it is now if that is the version it landed under
validated as (
    select
        (events.occurred_at at time zone 'UTC')::date as day,
        events.*,
        coalesce(own.version, shared.version) = events.schema_version as is_of_current_version,
        coalesce(own.required, shared.required) as required,
        coalesce(own.out_of_range, shared.out_of_range) as range_left
    from raw.events
    left join types as own on events.tenant_id = own.tenant_id and events.event_name = own.event_name
    left join types as shared
        on own.tenant_id is null and shared.tenant_id = '*' and events.event_name = shared.event_name
    where {occurred}
),

by_type as (
    select
        day,
        tenant_id,
        event_name,
        max(batch_id) as batch_id,
        count(*) as events,
        count(*) filter (where user_id is null) as without_user,
        count(*) filter (where conversation_id is null) as without_conversation,
        count(*) filter (where session_id is null) as without_session,
        count(*) filter (where user_id is null and conversation_id is null and session_id is null) as without_any_id,
        count(*) filter (where received_at > occurred_at + make_interval(hours => %(late_after)s)) as late,
        count(*) filter (where occurred_at < %(earliest)s) as before_2000,
        count(*) filter (where occurred_at > received_at + make_interval(hours => %(max_future)s)) as ahead_of_arrival,
        count(*) filter (where is_of_current_version and not attributes ?& required) as missing_attributes,
        count(*) filter (where is_of_current_version and attributes @? range_left) as out_of_range
    from validated
    group by day, tenant_id, event_name
),

by_tenant as (
    select
        coalesce(happened.day, expected.day) as day,
        coalesce(happened.tenant_id, expected.tenant_id) as tenant_id,
        max(batch_id) as batch_id,
        coalesce(sum(events), 0) as events,
        sum(without_user) as without_user,
        sum(without_conversation) as without_conversation,
        sum(without_session) as without_session,
        sum(without_any_id) as without_any_id,
        sum(late) as late
    from by_type as happened
    full join (select day, unnest(%(expected)s::text[]) as tenant_id from days) as expected
        on happened.day = expected.day and happened.tenant_id = expected.tenant_id
    group by 1, 2
),

arrived as (
    select
        (received_at at time zone 'UTC')::date as day,
        tenant_id,
        max(batch_id) as batch_id,
        sum(received - resent) as received, -- a file that is sent again says nothing new about its source
        sum(rejected) as rejected,
        sum(duplicate) filter (where resent = 0) as duplicate
    from raw.load_batches
    where {received}
    group by 1, 2
),

-- what the tracking plan lacks is no fault of the lines; what was fixed has landed by a replay or under the same id
excused as (
    select
        (rejected.received_at at time zone 'UTC')::date as day,
        rejected.tenant_id,
        count(*) as lines,
        count(*) filter (where not is_fixed) as of_unknown_type
    from raw.rejected_events as rejected
    cross join lateral (
        select
            rejected.replayed_by is not null
            or exists (
                select from raw.event_keys
                where event_keys.tenant_id = rejected.tenant_id
                    and event_keys.event_id = case
                        when pg_input_is_valid(rejected.payload ->> 'event_id', 'uuid')
                            then (rejected.payload ->> 'event_id')::uuid
                    end
            ) as is_fixed
    ) as since
    where rejected.load_id in (select load_id from raw.load_batches where {received} and rejected > 0)
        and {rejected}
        and (is_fixed or rejected.reason = 'unknown_event_type')
    group by 1, 2
),

arrived_in_all as (
    select
        days.day,
        max(batch_id) as batch_id,
        coalesce(sum(received), 0) as received,
        sum(received) filter (where tenant_id = %(unknown)s) as unreadable
    from days left join arrived on days.day = arrived.day
    group by days.day
),

measured as (
    select day, tenant_id, event_name, metric, value, events as base, batch_id
    from by_type, lateral (
        values
            ('before_2000', before_2000), ('ahead_of_arrival', ahead_of_arrival),
            ('missing_attributes', missing_attributes), ('out_of_range', out_of_range)
    ) as figures (metric, value)
    where value > 0
    union all
    select day, tenant_id, '*', metric, value, events, batch_id
    from by_tenant, lateral (
        values
            ('events', events),
            ('events_of_full_day', case when day < (now() at time zone 'UTC')::date then events end),
            ('unlisted_tenant', case when events > 0 then (tenant_id <> all(%(listed)s::text[]))::int end),
            ('share_without_user', without_user / nullif(events, 0)),
            ('share_without_conversation', without_conversation / nullif(events, 0)),
            ('share_without_session', without_session / nullif(events, 0)),
            ('share_without_any_id', without_any_id / nullif(events, 0)),
            ('late_share', late / nullif(events, 0))
    ) as figures (metric, value)
    union all
    select arrived.day, arrived.tenant_id, '*', metric, value, received, batch_id
    from arrived
    left join excused on arrived.day = excused.day and arrived.tenant_id = excused.tenant_id
    cross join lateral (
        values
            ('rejected_share', greatest(rejected - coalesce(excused.lines, 0), 0) / nullif(received, 0)),
            ('unknown_type_share', coalesce(excused.of_unknown_type, 0) / nullif(received, 0)),
            ('duplicate_share', coalesce(duplicate, 0) / nullif(received, 0))
    ) as figures (metric, value)
    where arrived.tenant_id <> %(unknown)s
    union all
    select day, '*', '*', metric, value, received, batch_id
    from arrived_in_all, lateral (
        values
            ('wrong_columns', %(wrong_columns)s::int),
            ('unreadable_share', coalesce(unreadable, 0) / nullif(received, 0))
    ) as figures (metric, value)
)

insert into ops.input_measures (day, tenant_id, event_name, metric, value, base, batch_id)
select day, tenant_id, event_name, metric, value::double precision, base, batch_id from measured where value is not null
"""


def measure(
    connection: Connection, days: Sequence[date], *, listed: Iterable[str], expected: Iterable[str], max_future: int
) -> None:
    """Compute the figures of these days (UTC) again, in the caller's transaction.

    `listed` are the tenants that the tenants seed names, `expected` those measured even where they are silent, and
    `max_future` the hours that an event may be ahead of its arrival.
    """
    connection.execute("delete from ops.input_measures where day = any(%s)", [list(days)])
    query = sql.SQL(_MEASURE).format(
        occurred=_within("occurred_at", days),
        received=_within("received_at", days),
        rejected=_within("rejected.received_at", days),
    )
    connection.execute(
        query,
        {
            "days": list(days),
            "listed": list(listed),
            "expected": list(expected),
            "max_future": max_future,
            "late_after": LATE_AFTER_HOURS,
            "earliest": EARLIEST,
            "unknown": UNKNOWN_TENANT,
            "wrong_columns": _wrong_columns(connection),
        },
    )


def _within(column: str, days: Iterable[date]) -> sql.Composable:
    """The condition that a time is of one of these days, as ranges that partitions are pruned by."""
    bounds = [
        sql.SQL("({column} >= {first} and {column} < {end})").format(
            column=sql.Identifier(*column.split(".")),
            first=sql.Literal(f"{first} 00:00:00+00"),
            end=sql.Literal(f"{last + timedelta(days=1)} 00:00:00+00"),
        )
        for first, last in ranges(days)
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(bounds))


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days as ranges of days that follow one another, first and last included, in order."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _wrong_columns(connection: Connection) -> int:
    """How many columns of raw.events are missing, unknown, or not of the type in `parley.warehouse.schema`."""
    from sqlalchemy.dialects import postgresql  # takes half a second: only here, where there are days to validate

    from parley.warehouse import schema

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    declared = {(column.name, column.type.compile(dialect).lower()) for column in schema.events.columns}
    found = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'raw.events'::regclass and attnum > 0 and not attisdropped"
    ).fetchall()
    existing = {(str(name), str(type_)) for name, type_ in found}
    return len({name for name, _ in declared ^ existing})
