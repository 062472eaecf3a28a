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

converted as (

    select
        periods.tenant_id,
        periods.funnel_id,
        periods.period,
        periods.period_start,
        periods.next_period_start,
        best.breakdown_kind,
        best.breakdown_value,
        best.reached_at[periods.steps] - best.reached_at[1] as wait
    from best
    inner join periods on best.tenant_id = periods.tenant_id and best.period_number = periods.period_number
    where best.reached = periods.steps

),

-- buckets of doubling width: bucket i holds more than 2^(i-1) seconds, up to 2^i
final as (

    select
        tenant_id,
        funnel_id,
        period,
        period_start,
        breakdown_kind,
        breakdown_value,
        {{ doubling_bucket("date_part('epoch', wait)") }} as bucket,
        power(2, {{ doubling_bucket("date_part('epoch', wait)") }}) as up_to_seconds,
        next_period_start - 1 as last_day,
        count(*) as units
    from converted
    group by
        tenant_id,
        funnel_id,
        period,
        period_start,
        next_period_start,
        breakdown_kind,
        breakdown_value,
        {{ doubling_bucket("date_part('epoch', wait)") }}

)

select * from final
