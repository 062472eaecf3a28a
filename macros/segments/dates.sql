{#- `affected_by` of marts.segment_sizes: a change of one day changes the sizes of that day and all after it. -#}
{% macro affected_segment_dates(spec) %}
    select distinct
        changed.tenant_id,
        later.date::date as date
    from (
        select tenant_id, min(date) as date from ({{ changed(spec) }}) as changed where date is not null group by tenant_id
    ) as changed
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    cross join lateral generate_series(
        greatest(
            changed.date, {{ local_date(as_of(), 'tenants.time_zone') }} - {{ var('segment_history_days') - 1 }}
        )::timestamp,
        {{ local_date(as_of(), 'tenants.time_zone') }}::timestamp,
        interval '1 day'
    ) as later (date)
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#-
    `time_triggered` of marts.segment_sizes: its last day, which was not over, days of the range that it does not have (those
    since, and, for an earlier as_of, those before), and days that are out of the range.
-#}
{% macro time_triggered_segment_dates(spec) %}
    select tenants.tenant_id, asked.date::date
    from {{ ref('stg_tenants') }} as tenants
    left join (select tenant_id, max(date) as date from {{ this }} group by tenant_id) as last_ones using (tenant_id)
    cross join lateral generate_series(
        ({{ local_date(as_of(), 'tenants.time_zone') }} - {{ var('segment_history_days') - 1 }})::timestamp,
        {{ local_date(as_of(), 'tenants.time_zone') }}::timestamp,
        interval '1 day'
    ) as asked (date)
    where
        asked.date >= least(last_ones.date, {{ local_date(as_of(), 'tenants.time_zone') }})
        or not exists (
            select from {{ this }} as existing
            where existing.tenant_id = tenants.tenant_id and existing.date = asked.date::date
        )
    union
    select rows.tenant_id, rows.date
    from {{ this }} as rows
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where
        rows.date <= {{ local_date(as_of(), 'tenants.time_zone') }} - {{ var('segment_history_days') }}
        or rows.date > {{ local_date(as_of(), 'tenants.time_zone') }}
{% endmacro %}
