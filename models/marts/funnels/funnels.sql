{{ config(
    unique_key=['tenant_id', 'funnel_id', 'period', 'period_start', 'breakdown_value', 'step'],
    meta={'rebuild': {
        'key': {'funnel_id': 'id', 'period': 'id', 'period_start': 'date'},
        'reads': {'funnel_attempts': 'entry', 'funnel_journeys': 'entry'},
        'affected_by': 'affected_periods',
        'periods': ['week', 'month', 'all'],
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
        funnel_steps.*,
        funnels.name as funnel_name
    from {{ ref('funnel_steps') }} as funnel_steps
    inner join {{ ref('stg_funnels') }} as funnels on funnel_steps.funnel_id = funnels.funnel_id

),

periods as (

    select
        *,
        row_number() over (order by tenant_id, funnel_id, period, period_start) as period_number
    from (
        {{ periods_to_build(ref('funnel_attempts'), 'entered_on', columns=['funnel_id']) }}
    ) as to_build

),

-- a unit counts once in every period in which it entered, with its furthest attempt, the fastest among equals; it can
-- still go on for as long as any of its attempts can
best as (

    -- in all of time: its journey
    select
        periods.period_number,
        journeys.breakdown_value,
        journeys.reached,
        journeys.reached_at,
        journeys.last_window_ends_at
    from periods
    inner join {{ ref('funnel_journeys') }} as journeys
        on periods.tenant_id = journeys.tenant_id and periods.funnel_id = journeys.funnel_id
    where periods.period = 'all'
    union all
    select
        periods.period_number,
        entered.*
    from periods
    -- period by period, so that sorting compares units alone
    cross join lateral (
        select distinct on (attempts.unit_id)
            attempts.breakdown_value,
            attempts.reached,
            attempts.reached_at,
            max(attempts.window_ends_at) over (partition by attempts.unit_id) as last_window_ends_at
        from {{ ref('funnel_attempts') }} as attempts
        where
            attempts.tenant_id = periods.tenant_id
            and attempts.funnel_id = periods.funnel_id
            and attempts.entered_on >= periods.period_start
            and attempts.entered_on < periods.next_period_start
        order by
            attempts.unit_id asc,
            {{ furthest_first() }}
    ) as entered
    where periods.period <> 'all'

),

-- few rows: what follows need not look at units again
by_reach as (

    select
        period_number,
        breakdown_value,
        reached,
        count(*) as units,
        count(*) filter (where last_window_ends_at > {{ as_of() }}) as units_in_window
    from best
    group by period_number, breakdown_value, reached

),

-- every unit counts in the total, and under its value where the funnel has a breakdown
by_value as (

    select
        by_reach.*,
        breakdown.value as counted_under
    from by_reach
    cross join lateral (
        select '(all)' as value
        union all
        select by_reach.breakdown_value where by_reach.breakdown_value is not null
    ) as breakdown

),

counted as (

    select
        periods.tenant_id,
        periods.funnel_id,
        periods.period,
        periods.period_start,
        by_value.period_number,
        by_value.counted_under as breakdown_value,
        steps.step,
        steps.funnel_name,
        steps.step_name,
        sum(by_value.units)::bigint as entered,
        coalesce(sum(by_value.units) filter (where by_value.reached >= steps.step), 0)::bigint as reached,
        coalesce(sum(by_value.units) filter (where by_value.reached >= steps.step - 1), 0)::bigint
            as reached_previous,
        coalesce(sum(by_value.units_in_window) filter (where by_value.reached < steps.step), 0)::bigint
            as still_in_window
    from by_value
    inner join periods on by_value.period_number = periods.period_number
    inner join steps on periods.funnel_id = steps.funnel_id
    group by
        periods.tenant_id,
        periods.funnel_id,
        periods.period,
        periods.period_start,
        by_value.period_number,
        by_value.counted_under,
        steps.step,
        steps.funnel_name,
        steps.step_name

),

waits as (

    select
        best.period_number,
        best.breakdown_value,
        step.number as step,
        best.reached_at[step.number] - best.reached_at[step.number - 1] as wait
    from best
    cross join lateral generate_series(2, best.reached) as step (number)

),

timed as (

    select
        period_number,
        step,
        case when grouping(breakdown_value) = 1 then '(all)' else breakdown_value end as counted_under,
        -- intervals add up exactly, and quicker than decimals
        (extract(epoch from sum(wait)) / count(*))::double precision as avg_seconds,
        percentile_cont(array[0.5, 0.9]) within group (order by date_part('epoch', wait)) as percentiles
    from waits
    group by grouping sets ((period_number, step), (period_number, step, breakdown_value))

),

final as (

    select
        counted.tenant_id,
        counted.funnel_id,
        counted.period,
        counted.period_start,
        counted.breakdown_value,
        counted.step,
        counted.funnel_name,
        counted.step_name,
        {{ period_shift('counted.period', 'counted.period_start', 1) }} as next_period_start,
        {{ period_shift('counted.period', 'counted.period_start', 1) }} - 1 as last_day,
        {{ is_over(period_shift('counted.period', 'counted.period_start', 1), 'tenants.time_zone') }}
        and counted.still_in_window = 0 as is_complete,
        counted.entered,
        counted.reached,
        {{ ratio('counted.reached', 'counted.entered') }} as conversion_from_start,
        {{ ratio('counted.reached', 'counted.reached_previous') }} as conversion_from_previous,
        counted.reached_previous - counted.reached as drop_off,
        timed.avg_seconds as avg_seconds_from_previous,
        timed.percentiles[1] as median_seconds_from_previous,
        timed.percentiles[2] as p90_seconds_from_previous,
        counted.still_in_window
    from counted
    inner join tenants on counted.tenant_id = tenants.tenant_id
    left join timed
        on
            counted.period_number = timed.period_number
            and counted.breakdown_value = timed.counted_under
            and counted.step = timed.step

)

select * from final
