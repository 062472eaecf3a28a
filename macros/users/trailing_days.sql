{#- The dates of every tenant that are built: those affected, else all. -#}
{% macro dates_asked_for() %}
    {% if rebuilding() -%}
    select tenant_id, date from pg_temp.affected
    {%- else -%}
    select tenant_id, date from {{ ref('tenant_days') }}
    {%- endif %}
{% endmacro %}

{#-
    CTEs up to `active`: of the dates in the CTE `dates`, how many users were active on it and in the 7 and 30 days up to
    it, from a table of the days on which each was. `columns` are those by which they are counted apart, besides the tenant.

    A user counts as active of the last n days from an active day on until n days later or, so that nobody counts twice,
    until the next active day: +1 and -1 whose running sum is the number of active users.
-#}
{% macro users_of_trailing_days(days, columns=[]) %}
{% set names = columns | join(', ') ~ (', ' if columns) %}
user_days as (

    select
        user_days.tenant_id,
        {% for column in columns %}user_days.{{ column }},{% endfor %}
        user_days.user_id,
        user_days.date,
        lead(user_days.date) over (
            partition by user_days.tenant_id, {% for column in columns %}user_days.{{ column }}, {% endfor %}user_days.user_id
            order by user_days.date
        ) as next_date
    from {{ days }} as user_days
    {% if rebuilding() %}
        -- the days that the affected dates look back on
        inner join (select distinct affected.tenant_id, affected.date - back.days as date from pg_temp.affected
            cross join generate_series(0, 29) as back (days)) as looked_back
            on user_days.tenant_id = looked_back.tenant_id and user_days.date = looked_back.date
    {% endif %}

),

steps as (

    select
        user_days.tenant_id,
        {% for column in columns %}user_days.{{ column }},{% endfor %}
        step.date,
        step.dau,
        step.wau,
        step.mau
    from user_days
    cross join lateral (
        values
        (user_days.date, 1, 1, 1),
        (user_days.date + 1, -1, 0, 0),
        (least(user_days.next_date, user_days.date + 7), 0, -1, 0),
        (least(user_days.next_date, user_days.date + 30), 0, 0, -1)
    ) as step (date, dau, wau, mau)

),

per_date as (

    select
        tenant_id,
        {{ names }}
        date,
        sum(dau) as dau,
        sum(wau) as wau,
        sum(mau) as mau
    from (
        select tenant_id, {{ names }}date, dau, wau, mau
        from steps
        union all
        -- every date that is asked for has a row to carry the running sum
        select tenant_id, {{ names }}date, 0, 0, 0
        from dates
    ) as all_steps
    group by tenant_id, {{ names }}date

),

running as (

    select
        tenant_id,
        {{ names }}
        date,
        (sum(dau) over in_order)::bigint as dau,
        (sum(wau) over in_order)::bigint as wau,
        (sum(mau) over in_order)::bigint as mau
    from per_date
    window in_order as (partition by tenant_id{% for column in columns %}, {{ column }}{% endfor %} order by date)

),

active as (

    select running.*
    from running
    {{ only_affected('running') }}
    inner join {{ ref('tenant_days') }} as days on running.tenant_id = days.tenant_id and running.date = days.date

)
{% endmacro %}
