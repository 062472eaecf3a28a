{{ config(
    materialized='incremental',
    incremental_strategy='rebuild',
    unique_key=['tenant_id', 'period', 'period_start'],
    indexes=[{'columns': ['tenant_id', 'period', 'period_start'], 'unique': true}],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'user_periods': 'period'},
        'touch': 'touch_period_and_next',
        'crosses': 'crosses_begun_periods',
        'end': 'next_period_start',
        'date': 'last_day',
    }}
) }}

with tenants as (

    select
        *,
        {{ local_date(as_of(), 'time_zone') }} as today
    from {{ ref('stg_tenants') }}

),

active as (

    select
        active.*,
        case
            when active.previous_active_start is null then 'new'
            when {{ period_shift('active.period', 'active.previous_active_start', 1) }} = active.period_start
                then 'returning'
            else 'resurrected'
        end as status
    from {{ ref('user_periods') }} as active
    {{ only_touched('active') }}

),

-- who was active in the period before and not in this one
fell_dormant as (

    select
        lapsed.tenant_id,
        lapsed.period,
        lapsed.next_period_start as period_start,
        'dormant' as status
    from {{ ref('user_periods') }} as lapsed
    {{ only_touched('lapsed', period_start='next_period_start') }}
    where lapsed.next_active_start is distinct from lapsed.next_period_start

),

statuses as (

    select
        tenant_id,
        period,
        period_start,
        status
    from active
    union all
    select * from fell_dormant

),

final as (

    select
        statuses.tenant_id,
        statuses.period,
        statuses.period_start,
        {{ period_shift('statuses.period', 'statuses.period_start', 1) }} as next_period_start,
        {{ period_shift('statuses.period', 'statuses.period_start', 1) }} - 1 as last_day,
        {{ is_over(period_shift('statuses.period', 'statuses.period_start', 1), 'tenants.time_zone') }} as is_complete,
        count(*) filter (where statuses.status = 'new') as new_users,
        count(*) filter (where statuses.status = 'returning') as returning_users,
        count(*) filter (where statuses.status = 'resurrected') as resurrected_users,
        count(*) filter (where statuses.status = 'dormant') as dormant_users,
        count(*) filter (where statuses.status <> 'dormant') as active_users
    from statuses
    inner join tenants on statuses.tenant_id = tenants.tenant_id
    where statuses.period_start <= tenants.today
    group by statuses.tenant_id, statuses.period, statuses.period_start, tenants.time_zone

)

select * from final
