{{ config(
    unique_key=['tenant_id', 'funnel_id', 'period', 'period_start', 'breakdown_kind', 'breakdown_value', 'step'],
    meta={'rebuild': {
        'key': {'funnel_id': 'id', 'period': 'id', 'period_start': 'date'},
        'reads': {'funnel_attempts': 'entry', 'funnel_journeys': 'entry'},
        'affected_by': 'affected_periods',
        'periods': ['day', 'week', 'month', 'all'],
        'time_triggered': 'time_triggered_funnel_windows',
        'definitions': ['stg_funnels'],
        'date': 'last_day',
    }}
) }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

steps as (

    select
        funnel_steps.funnel_id,
        funnel_steps.step,
        funnel_steps.step_name,
        coalesce(funnel_steps.is_optional, false) as is_optional,
        funnels.name as funnel_name,
        -- the last step before it that nobody may skip
        max(funnel_steps.step) filter (where funnel_steps.is_optional is not true) over (
            partition by funnel_steps.funnel_id
            order by funnel_steps.step
            rows between unbounded preceding and 1 preceding
        ) as previous_step
    from {{ ref('funnel_steps') }} as funnel_steps
    inner join {{ ref('stg_funnels') }} as funnels on funnel_steps.funnel_id = funnels.funnel_id

),

{{ best_attempts() }},

-- few rows: what follows need not look at units again
reaches as (

    select
        tenant_id,
        period_number,
        breakdown_kind,
        breakdown_value,
        is_in_total,
        is_in_group,
        reached,
        served_mask,
        count(*) as units,
        count(*) filter (where last_window_ends_at > {{ as_of() }}) as units_in_window
    from best
    group by
        tenant_id, period_number, breakdown_kind, breakdown_value, is_in_total, is_in_group, reached, served_mask

),

by_reach as (

    {{ in_total_and_groups(
        'reaches',
        ['reached', 'served_mask'],
        'sum(units) as units, sum(units_in_window) as units_in_window'
    ) }}

),

counted as (

    select
        periods.tenant_id,
        periods.funnel_id,
        periods.period,
        periods.period_start,
        periods.next_period_start,
        by_reach.period_number,
        by_reach.breakdown_kind,
        by_reach.breakdown_value,
        steps.step,
        steps.funnel_name,
        steps.step_name,
        steps.is_optional,
        sum(by_reach.units)::bigint as entered,
        coalesce(sum(by_reach.units) filter (where by_reach.served_mask & (1 << (steps.step - 1)) <> 0), 0)::bigint
            as reached,
        coalesce(
            sum(by_reach.units) filter (where by_reach.reached >= coalesce(steps.previous_step, 0)), 0
        )::bigint as reached_previous,
        coalesce(sum(by_reach.units_in_window) filter (where by_reach.reached < steps.step), 0)::bigint
            as still_in_window
    from by_reach
    inner join periods
        on by_reach.tenant_id = periods.tenant_id and by_reach.period_number = periods.period_number
    inner join steps on periods.funnel_id = steps.funnel_id
    group by
        periods.tenant_id,
        periods.funnel_id,
        periods.period,
        periods.period_start,
        periods.next_period_start,
        by_reach.period_number,
        by_reach.breakdown_kind,
        by_reach.breakdown_value,
        steps.step,
        steps.funnel_name,
        steps.step_name,
        steps.is_optional,
        steps.previous_step

),

-- for each furthest step the steps on the way; computed once, else each step of every funnel is tried for each unit
ways as materialized (

    select
        periods.tenant_id,
        periods.period_number,
        steps.step,
        steps.previous_step,
        furthest.reached
    from periods
    inner join steps on periods.funnel_id = steps.funnel_id
    cross join lateral generate_series(steps.step, periods.steps) as furthest (reached)
    where steps.step > 1

),

waits as (

    select
        best.tenant_id,
        best.period_number,
        best.breakdown_kind,
        best.breakdown_value,
        best.is_in_total,
        best.is_in_group,
        ways.step,
        best.reached_at[ways.step] - best.reached_at[ways.previous_step] as wait,
        best.reached_at[ways.step] - best.reached_at[1] as wait_from_start
    from best
    inner join ways
        on
            best.tenant_id = ways.tenant_id
            and best.period_number = ways.period_number
            and best.reached = ways.reached
    where best.reached_at[ways.step] is not null

),

-- computed once: a few rows are expected of it, and it would be computed for each row that it is joined to
timed as materialized (

    -- intervals add up exactly, and quicker than decimals
    {{ in_total_and_groups(
        'waits',
        ['step'],
        "(extract(epoch from sum(wait)) / count(*))::double precision as avg_seconds,
        percentile_cont(array[0.5, 0.9]) within group (order by date_part('epoch', wait)) as percentiles,
        (extract(epoch from sum(wait_from_start)) / count(*))::double precision as avg_seconds_from_start,
        percentile_cont(array[0.5, 0.9]) within group (order by date_part('epoch', wait_from_start))
            as percentiles_from_start"
    ) }}

),

final as (

    select
        counted.tenant_id,
        counted.funnel_id,
        counted.period,
        counted.period_start,
        counted.breakdown_kind,
        counted.breakdown_value,
        counted.step,
        counted.funnel_name,
        counted.step_name,
        counted.is_optional,
        counted.next_period_start,
        counted.next_period_start - 1 as last_day,
        {{ is_over('counted.next_period_start', 'tenants.time_zone') }}
        and counted.still_in_window = 0 as is_complete,
        counted.entered,
        counted.reached,
        {{ ratio('counted.reached', 'counted.entered') }} as conversion_from_start,
        {{ ratio('counted.reached', 'counted.reached_previous') }} as conversion_from_previous,
        case when not counted.is_optional then counted.reached_previous - counted.reached end as drop_off,
        timed.avg_seconds as avg_seconds_from_previous,
        timed.percentiles[1] as median_seconds_from_previous,
        timed.percentiles[2] as p90_seconds_from_previous,
        timed.avg_seconds_from_start,
        timed.percentiles_from_start[1] as median_seconds_from_start,
        timed.percentiles_from_start[2] as p90_seconds_from_start,
        counted.still_in_window
    from counted
    inner join tenants on counted.tenant_id = tenants.tenant_id
    left join timed
        on
            counted.tenant_id = timed.tenant_id
            and counted.period_number = timed.period_number
            and counted.breakdown_kind = timed.breakdown_kind
            and counted.breakdown_value = timed.breakdown_value
            and counted.step = timed.step

)

select * from final
