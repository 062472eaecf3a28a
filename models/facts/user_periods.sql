{{ config(
    unique_key=['tenant_id', 'user_id', 'period', 'period_start'],
    indexes=[
        {'columns': ['tenant_id', 'period', 'period_start']},
        {'columns': ['tenant_id', 'period', 'next_period_start']},
    ],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'user_days': 'user'},
        'periods': ['day', 'week', 'month'],
        'publishes': {'period': {'id': 'period', 'date': 'period_start'}},
    }}
) }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

days as (

    select days.*
    from {{ ref('user_days') }} as days
    {{ only_affected('days') }}

),

periods as (

    select distinct
        days.tenant_id,
        days.user_id,
        periods.period,
        {{ period_start('periods.period', 'days.date', 'tenants.week_start') }} as period_start
    from days
    inner join tenants on days.tenant_id = tenants.tenant_id
    cross join {{ periods(rebuild_spec().periods) }}

),

final as (

    select
        tenant_id,
        user_id,
        period,
        period_start,
        {{ period_shift('period', 'period_start', 1) }} as next_period_start,
        lag(period_start) over periods as previous_active_start,
        lead(period_start) over periods as next_active_start
    from periods
    window periods as (partition by tenant_id, user_id, period order by period_start)

)

select * from final
