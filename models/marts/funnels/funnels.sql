{{ config(
    materialized='incremental',
    incremental_strategy='rebuild',
    unique_key=['tenant_id', 'funnel_id', 'period', 'period_start', 'breakdown_value', 'step'],
    indexes=[{
        'columns': ['tenant_id', 'funnel_id', 'period', 'period_start', 'breakdown_value', 'step'], 'unique': true,
    }],
    meta={'rebuild': {
        'key': {'funnel_id': 'id', 'period': 'id', 'period_start': 'date'},
        'reads': {'funnel_attempts': 'entry'},
        'touch': 'touch_periods',
        'periods': ['week', 'month', 'all'],
        'crosses': 'crosses_funnel_windows',
        'definitions': ['stg_funnels', 'funnel_steps'],
        'publishes': {'funnel': {'id': 'funnel_id'}},
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

attempts as (

    select
        attempts.*,
        periods.period,
        {{ period_start('periods.period', 'attempts.entered_on', 'tenants.week_start') }} as period_start
    from {{ ref('funnel_attempts') }} as attempts
    inner join tenants on attempts.tenant_id = tenants.tenant_id
    cross join {{ periods(rebuild_spec().periods) }}
    {% if rebuilding() %}
        -- bounds that the index on entered_on can use; the join below is exact
        where (attempts.tenant_id, attempts.funnel_id, attempts.entered_on) in (
            select
                days.tenant_id,
                days.funnel_id,
                days.entered_on
            from {{ touched_entry_days() }} as days
        )
    {% endif %}

),

-- a unit counts once in every period in which it entered, with its furthest attempt, the fastest among equals; it can
-- still go on for as long as any of its attempts can
best as (

    select distinct on (
        attempts.tenant_id, attempts.funnel_id, attempts.period, attempts.period_start, attempts.unit_id
    )
        attempts.*,
        max(attempts.window_ends_at) over (
            partition by
                attempts.tenant_id, attempts.funnel_id, attempts.period, attempts.period_start, attempts.unit_id
        ) as last_window_ends_at
    from attempts
    {{ only_touched('attempts') }}
    order by
        attempts.tenant_id asc,
        attempts.funnel_id asc,
        attempts.period asc,
        attempts.period_start asc,
        attempts.unit_id asc,
        {{ furthest_first() }}

),

by_value as (

    select
        best.*,
        breakdown.value as counted_under
    from best
    cross join lateral (
        select '(all)' as value
        union all
        select best.breakdown_value where best.breakdown_value is not null
    ) as breakdown

),

counted as (

    select
        by_value.tenant_id,
        by_value.funnel_id,
        by_value.period,
        by_value.period_start,
        by_value.counted_under as breakdown_value,
        steps.step,
        steps.funnel_name,
        steps.step_name,
        count(*) as entered,
        count(*) filter (where by_value.reached >= steps.step) as reached,
        count(*) filter (where by_value.reached >= steps.step - 1) as reached_previous,
        count(*) filter (where by_value.reached < steps.step and by_value.last_window_ends_at > {{ as_of() }})
            as still_in_window,
        {{ mean(seconds_to_step()) }} as avg_seconds_from_previous,
        {{ percentile(0.5, seconds_to_step()) }} as median_seconds_from_previous,
        {{ percentile(0.9, seconds_to_step()) }} as p90_seconds_from_previous
    from by_value
    inner join steps on by_value.funnel_id = steps.funnel_id
    group by
        by_value.tenant_id,
        by_value.funnel_id,
        by_value.period,
        by_value.period_start,
        by_value.counted_under,
        steps.step,
        steps.funnel_name,
        steps.step_name

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
        counted.avg_seconds_from_previous,
        counted.median_seconds_from_previous,
        counted.p90_seconds_from_previous,
        counted.still_in_window
    from counted
    inner join tenants on counted.tenant_id = tenants.tenant_id

)

select * from final
