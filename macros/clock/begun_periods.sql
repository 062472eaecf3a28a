{#-
    `time_triggered` of marts.user_lifecycle, which has rows up to the period that as_of is in: those whose end the clock has
    passed, those begun since the last row in which users were active or fell dormant, and, for an earlier as_of, those
    that have not begun yet.
-#}
{% macro time_triggered_begun_periods(spec) %}
    {{ begun_periods(spec, ref('user_periods')) }}
{% endmacro %}

{#- The same of marts.activity_lifecycle. -#}
{% macro time_triggered_begun_activity_periods(spec) %}
    {{ begun_periods(spec, ref('activity_periods'), ['activity_id']) }}
{% endmacro %}

{% macro begun_periods(spec, periods, columns=[]) %}
    {% set names = columns | join(', ') ~ (', ' if columns) %}
    {{ time_triggered_completeness(spec) }}
    union
    select distinct active.tenant_id, active.period, begun.period_start
    from {{ periods }} as active
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    left join (
        select tenant_id, {{ names }}period, max(period_start) as period_start
        from {{ this }}
        group by tenant_id, {{ names }}period
    ) as last_rows using (tenant_id, {{ names }}period)
    cross join lateral (values (active.period_start), (active.next_period_start)) as begun (period_start)
    where active.period_start >= coalesce(last_rows.period_start, '-infinity')
        and begun.period_start > coalesce(last_rows.period_start, '-infinity')
        and begun.period_start <= {{ local_date(as_of(), 'tenants.time_zone') }}
    union
    select rows.tenant_id, rows.period, rows.period_start
    from {{ this }} as rows
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where rows.period_start > {{ local_date(as_of(), 'tenants.time_zone') }}
{% endmacro %}
