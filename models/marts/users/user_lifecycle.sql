{{ config(
    unique_key=['tenant_id', 'period', 'period_start'],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'user_periods': 'period'},
        'affected_by': 'affected_period_and_next',
        'time_triggered': 'time_triggered_begun_periods',
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
    {{ only_affected('active') }}

),

-- who was active in the period before and not in this one
fell_dormant as (

    select
        lapsed.tenant_id,
        lapsed.period,
        lapsed.next_period_start as period_start,
        'dormant' as status
    from {{ ref('user_periods') }} as lapsed
    {{ only_affected('lapsed', period_start='next_period_start') }}
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

counted as (

    select
        tenant_id,
        period,
        period_start,
        {{ period_shift('period', 'period_start', 1) }} as next_period_start,
        count(*) filter (where status = 'new') as new_users,
        count(*) filter (where status = 'returning') as returning_users,
        count(*) filter (where status = 'resurrected') as resurrected_users,
        count(*) filter (where status = 'dormant') as dormant_users,
        count(*) filter (where status <> 'dormant') as active_users
    from statuses
    group by tenant_id, period, period_start

),

final as (

    select
        counted.tenant_id,
        counted.period,
        counted.period_start,
        counted.next_period_start,
        counted.next_period_start - 1 as last_day,
        {{ is_over('counted.next_period_start', 'tenants.time_zone') }} as is_complete,
        counted.new_users,
        counted.returning_users,
        counted.resurrected_users,
        counted.dormant_users,
        counted.active_users
    from counted
    inner join tenants on counted.tenant_id = tenants.tenant_id
    where counted.period_start <= tenants.today

)

select * from final
