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

{#-
    How many users each period of the tenant has of each status, from a table of the periods in which they were active. What is
    counted apart is named by `definitions`, a relation with `tenant_id` and the columns.
-#}
{% macro lifecycle(active_periods, columns=[], definitions=none) %}
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
    from {{ active_periods }} as active
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
    from {{ active_periods }} as lapsed
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
        count(*) filter (where status = 'new') as new_users,
        count(*) filter (where status = 'returning') as returning_users,
        count(*) filter (where status = 'resurrected') as resurrected_users,
        count(*) filter (where status = 'dormant') as dormant_users,
        count(*) filter (where status <> 'dormant') as active_users
    from statuses
    group by tenant_id, {{ names }}period, period_start

),

-- also those in which nobody did anything
periods_of_tenants as (

    select
        periods.*
        {%- for column in columns %},
        definitions.{{ column }}
        {%- endfor %}
    from ({{ periods_to_build([(ref('tenant_days'), 'date')]) }}) as periods
    {% if definitions -%}
    inner join {{ definitions }} as definitions on definitions.tenant_id in ('*', periods.tenant_id)
    {% endif -%}
    where {{ has_days('periods') }}

),

spans as (

    select tenant_id, {{ names }}period, period_start
    from periods_of_tenants
    union
    select tenant_id, {{ names }}period, period_start
    from counted

),

final as (

    select
        spans.tenant_id,
        {% for column in columns %}spans.{{ column }},{% endfor %}
        spans.period,
        spans.period_start,
        {{ period_shift('spans.period', 'spans.period_start', 1) }} as next_period_start,
        {{ period_shift('spans.period', 'spans.period_start', 1) }} - 1 as last_day,
        {{ is_over(period_shift('spans.period', 'spans.period_start', 1), 'tenants.time_zone') }} as is_complete,
        {%- for status in ['new', 'returning', 'resurrected', 'dormant', 'active'] %}
        coalesce(counted.{{ status }}_users, 0) as {{ status }}_users{{ ',' if not loop.last }}
        {%- endfor %}
    from spans
    inner join tenants on spans.tenant_id = tenants.tenant_id
    left join counted
        on
            spans.tenant_id = counted.tenant_id
            {%- for column in columns %}
            and spans.{{ column }} = counted.{{ column }}
            {%- endfor %}
            and spans.period = counted.period
            and spans.period_start = counted.period_start
    where spans.period_start <= tenants.today

)

select * from final
{% endmacro %}
