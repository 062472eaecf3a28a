{#-
    The life of users: of any activity, and of each that activity_definitions names. `columns` are those by which it is
    counted apart, besides the tenant.
-#}

{#- The periods in which each user was active, from a table of days. -#}
{% macro active_periods(days, columns=[]) %}
{% set names = columns | join(', ') ~ (', ' if columns) %}
with tenants as (

    select * from {{ ref('stg_tenants') }}

),

days as (

    select days.*
    from {{ days }} as days
    {{ only_affected('days') }}

),

periods as (

    select distinct
        days.tenant_id,
        {% for column in columns %}days.{{ column }},{% endfor %}
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
        {{ names }}
        user_id,
        period,
        period_start,
        {{ period_shift('period', 'period_start', 1) }} as next_period_start,
        lag(period_start) over periods as previous_active_start,
        lead(period_start) over periods as next_active_start
    from periods
    window periods as (partition by tenant_id, {{ names }}user_id, period order by period_start)

)

select * from final
{% endmacro %}

{#- How many users a period has of each status, from a table of the periods in which they were active. -#}
{% macro lifecycle(periods, columns=[]) %}
{% set names = columns | join(', ') ~ (', ' if columns) %}
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
    from {{ periods }} as active
    {{ only_affected('active') }}

),

-- who was active in the period before and not in this one
fell_dormant as (

    select
        lapsed.tenant_id,
        {% for column in columns %}lapsed.{{ column }},{% endfor %}
        lapsed.period,
        lapsed.next_period_start as period_start,
        'dormant' as status
    from {{ periods }} as lapsed
    {{ only_affected('lapsed', period_start='next_period_start') }}
    where lapsed.next_active_start is distinct from lapsed.next_period_start

),

statuses as (

    select tenant_id, {{ names }}period, period_start, status
    from active
    union all
    select * from fell_dormant

),

counted as (

    select
        tenant_id,
        {{ names }}
        period,
        period_start,
        {{ period_shift('period', 'period_start', 1) }} as next_period_start,
        count(*) filter (where status = 'new') as new_users,
        count(*) filter (where status = 'returning') as returning_users,
        count(*) filter (where status = 'resurrected') as resurrected_users,
        count(*) filter (where status = 'dormant') as dormant_users,
        count(*) filter (where status <> 'dormant') as active_users
    from statuses
    group by tenant_id, {{ names }}period, period_start

),

final as (

    select
        counted.tenant_id,
        {% for column in columns %}counted.{{ column }},{% endfor %}
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
{% endmacro %}
