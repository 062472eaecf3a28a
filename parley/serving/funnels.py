"""A funnel's answer for any range of days: as `marts.funnels` has it for its periods, computed when asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from psycopg.rows import class_row

from parley.errors import ParleyError
from parley.warehouse import database
from parley.warehouse.database import Connection


@dataclass(frozen=True, slots=True)
class Step:
    """How many got to a step, of the units that entered the funnel in the range; each counts once."""

    breakdown_kind: str
    """all, value, none or other"""
    breakdown_value: str
    step: int
    step_name: str
    is_optional: bool
    entered: int
    reached: int
    conversion_from_start: float | None
    conversion_from_previous: float | None
    drop_off: int | None
    avg_seconds_from_previous: float | None
    median_seconds_from_previous: float | None
    p90_seconds_from_previous: float | None
    avg_seconds_from_start: float | None
    median_seconds_from_start: float | None
    p90_seconds_from_start: float | None
    still_in_window: int


def funnels(connection: Connection, tenant: str) -> Mapping[str, str]:
    """The names of the funnels that hold for a tenant, by id. Raises ParleyError before the first build."""
    if not database.has(connection, "facts.funnel_attempts"):
        raise ParleyError("There are no tables yet: land events with `parley load` and run `parley build`.")
    found = connection.execute(
        "select funnel_id, name from staging.stg_funnels where for_tenant in ('*', %s) order by 1", [tenant]
    )
    return {str(funnel_id): str(name) for funnel_id, name in found}


def steps(
    connection: Connection, funnel: str, tenant: str, from_date: date | None = None, to_date: date | None = None
) -> list[Step]:
    """The funnel of the units that entered it from a tenant-local day to another, both included.

    Empty where nobody did. The first group is the whole, then those of the breakdown, the largest first. Raises
    ParleyError where the dates are the wrong way round, or there is no such tenant or funnel.
    """
    if from_date and to_date and from_date > to_date:
        raise ParleyError(f"--from {from_date} is after --to {to_date}: give the earlier day first.")
    known = funnels(connection, tenant)
    if connection.execute("select from staging.stg_tenants where tenant_id = %s", [tenant]).fetchone() is None:
        raise ParleyError(f"There is no tenant {tenant!r} in what is built: `parley tenants list` shows them.")
    if funnel not in known:
        raise ParleyError(f"There is no funnel {funnel!r} of {tenant}: take one of {', '.join(known)}.")
    asked = {"funnel": funnel, "tenant": tenant, "first": from_date, "last": to_date}
    with connection.cursor(row_factory=class_row(Step)) as cursor:
        return cursor.execute(_STEPS.encode(), asked).fetchall()


_FURTHEST_FIRST = "reached desc, reached_at[reached] - entered_at, entered_at, entry_event_id"

# What macros/funnels/best_attempts.sql and models/marts/funnels/funnels.sql say of a period; the tests hold both
# against each other.
_STEPS = f"""
    with definition as (
        select
            funnel_id, breakdown_limit, coalesce(breakdown_touch = 'all_events', false) as is_cut,
            (select as_of from ops.builds order by finished_at desc limit 1) as as_of
        from staging.stg_funnels
        where funnel_id = %(funnel)s
    ),
    steps as (
        select
            step, step_name, coalesce(is_optional, false) as is_optional,
            max(step) filter (where is_optional is not true) over (
                order by step rows between unbounded preceding and 1 preceding
            ) as previous_step
        from seeds.funnel_steps
        where funnel_id = %(funnel)s
    ),
    candidates as (
        select distinct on (attempts.unit_id, case when is_cut then breakdown_value end)
            attempts.*, is_cut, breakdown_limit, as_of,
            max(window_ends_at) over (
                partition by attempts.unit_id, case when is_cut then breakdown_value end
            ) as last_window_ends_at
        from facts.funnel_attempts as attempts
        inner join definition on definition.funnel_id = attempts.funnel_id
        where
            attempts.tenant_id = %(tenant)s
            and (%(first)s::date is null or entered_on >= %(first)s)
            and (%(last)s::date is null or entered_on <= %(last)s)
        order by attempts.unit_id, case when is_cut then breakdown_value end, {_FURTHEST_FIRST}
    ),
    ranked_values as (
        select
            breakdown_value,
            row_number() over (order by count(*) desc, breakdown_value) > min(breakdown_limit) as is_other
        from candidates
        where breakdown_limit is not null and breakdown_kind = 'value'
        group by breakdown_value
    ),
    placed as (
        select candidates.*, place.kind, place.value
        from candidates
        left join ranked_values on ranked_values.breakdown_value = candidates.breakdown_value
        cross join lateral unnest(
            array['all', case when is_other then 'other' else breakdown_kind end],
            array['', case when is_other then '' else coalesce(candidates.breakdown_value, '') end]
        ) as place (kind, value)
        where place.kind is not null
    ),
    best as (
        select distinct on (kind, value, unit_id)
            kind, value, reached, served_mask, reached_at, as_of,
            max(last_window_ends_at) over (partition by kind, value, unit_id) as last_window_ends_at
        from placed
        order by kind, value, unit_id, {_FURTHEST_FIRST}
    ),
    counted as (
        select
            kind, value, step, step_name, is_optional, previous_step,
            count(*) as entered,
            count(*) filter (where served_mask & (1 << (step - 1)) <> 0) as reached,
            count(*) filter (where best.reached >= coalesce(previous_step, 0)) as reached_previous,
            count(*) filter (where last_window_ends_at > as_of and best.reached < step) as still_in_window
        from best cross join steps
        group by kind, value, step, step_name, is_optional, previous_step
    ),
    timed as materialized (
        select
            kind, value, step,
            (extract(epoch from sum(wait)) / count(*))::float as avg_seconds,
            percentile_cont(array[0.5, 0.9]) within group (order by date_part('epoch', wait)) as percentiles,
            (extract(epoch from sum(wait_from_start)) / count(*))::float as avg_seconds_from_start,
            percentile_cont(array[0.5, 0.9]) within group (order by date_part('epoch', wait_from_start))
                as percentiles_from_start
        from (
            select
                kind, value, step, reached_at[step] - reached_at[previous_step] as wait,
                reached_at[step] - reached_at[1] as wait_from_start
            from best inner join steps on best.reached >= step
            where step > 1 and reached_at[step] is not null
        ) as waits
        group by kind, value, step
    )
    select
        kind as breakdown_kind, value as breakdown_value, step, step_name, is_optional, entered, reached,
        reached::float / nullif(entered, 0) as conversion_from_start,
        reached::float / nullif(reached_previous, 0) as conversion_from_previous,
        case when not is_optional then reached_previous - reached end as drop_off,
        avg_seconds as avg_seconds_from_previous,
        percentiles[1] as median_seconds_from_previous,
        percentiles[2] as p90_seconds_from_previous,
        avg_seconds_from_start,
        percentiles_from_start[1] as median_seconds_from_start,
        percentiles_from_start[2] as p90_seconds_from_start,
        still_in_window
    from counted
    left join timed using (kind, value, step)
    order by array_position(array['all', 'value', 'other', 'none'], kind), entered desc, value, step
"""
