{#-
    `crosses` of marts.active_users, which has rows up to as_of's local day: the days that have begun since its last row
    (thirty at the most: after thirty silent days there is no row), and, for an earlier as_of, those that have not yet.
-#}
{% macro crosses_into_new_days(spec) %}
    select days.tenant_id, days.last_date + new_day.days as date
    from (select tenant_id, max(date) as last_date from {{ this }} group by tenant_id) as days
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    cross join generate_series(1, 30) as new_day (days)
    where days.last_date + new_day.days <= {{ local_date(as_of(), 'tenants.time_zone') }}
    union
    select rows.tenant_id, rows.date
    from {{ this }} as rows
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where rows.date > {{ local_date(as_of(), 'tenants.time_zone') }}
{% endmacro %}

{#-
    `crosses` of marts.user_lifecycle, which has rows up to the period that as_of is in: those whose end the clock has
    passed, the one after the last (in which its users may have gone dormant), and, for an earlier as_of, those to come.
-#}
{% macro crosses_begun_periods(spec) %}
    {{ crosses_completeness(spec) }}
    union
    select last_ones.tenant_id, last_ones.period, {{ period_shift('last_ones.period', 'last_ones.period_start', 1) }}
    from (
        select tenant_id, period, max(period_start) as period_start from {{ this }} group by tenant_id, period
    ) as last_ones
    union
    select rows.tenant_id, rows.period, rows.period_start
    from {{ this }} as rows
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where rows.period_start > {{ local_date(as_of(), 'tenants.time_zone') }}
{% endmacro %}
