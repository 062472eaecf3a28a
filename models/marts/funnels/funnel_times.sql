{{ config(
    unique_key=['tenant_id', 'funnel_id', 'period', 'period_start', 'breakdown_kind', 'breakdown_value', 'bucket'],
    meta={'rebuild': {
        'key': {'funnel_id': 'id', 'period': 'id', 'period_start': 'date'},
        'reads': {'funnel_attempts': 'entry', 'funnel_journeys': 'entry'},
        'affected_by': 'affected_periods',
        'periods': ['day', 'week', 'month', 'all'],
        'definitions': ['stg_funnels'],
        'date': 'last_day',
    }}
) }}

with {{ best_attempts(only_converted=true) }},

-- buckets of doubling width: bucket i holds more than 2^(i-1) seconds, up to 2^i
converted as (

    select
        best.tenant_id,
        best.period_number,
        best.breakdown_kind,
        best.breakdown_value,
        best.is_in_total,
        best.is_in_group,
        {{ doubling_bucket("date_part('epoch', best.reached_at[periods.steps] - best.reached_at[1])") }} as bucket,
        count(*) as units
    from best
    inner join periods on best.tenant_id = periods.tenant_id and best.period_number = periods.period_number
    where best.reached = periods.steps
    group by
        best.tenant_id,
        best.period_number,
        best.breakdown_kind,
        best.breakdown_value,
        best.is_in_total,
        best.is_in_group,
        bucket

),

counted as (

    {{ in_total_and_groups('converted', ['bucket'], 'sum(units)::bigint as units') }}

),

final as (

    select
        counted.tenant_id,
        periods.funnel_id,
        periods.period,
        periods.period_start,
        counted.breakdown_kind,
        counted.breakdown_value,
        counted.bucket,
        power(2, counted.bucket) as up_to_seconds,
        periods.next_period_start - 1 as last_day,
        counted.units
    from counted
    inner join periods on counted.tenant_id = periods.tenant_id and counted.period_number = periods.period_number

)

select * from final
