{#-
    The `affected_by` macros of cohort tables, whose keys travel in a change's id as `period:[period_index:]cohort_id`: an id
    may have colons of its own.
-#}

{% macro affected_cohort_cells(spec) %}
    select distinct
        tenant_id,
        regexp_replace(id, '^[^:]*:[^:]*:', '') as cohort_id,
        split_part(id, ':', 1) as period,
        split_part(id, ':', 2)::integer as period_index,
        date as cohort_start
    from ({{ changed(spec) }}) as changed
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{% macro affected_cohorts(spec) %}
    select distinct
        tenant_id,
        regexp_replace(id, '^[^:]*:', '') as cohort_id,
        split_part(id, ':', 1) as period,
        date as cohort_start
    from ({{ changed(spec) }}) as changed
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#-
    `time_triggered` of marts.cohort_retention, whose rows go up to the period that as_of is in: cohorts with a column that
    has ended since, or one that has begun and has no row yet.
-#}
{% macro time_triggered_cohort_columns(spec) %}
    select existing.tenant_id, existing.cohort_id, existing.period, existing.cohort_start
    from {{ this }} as existing
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where existing.is_complete <> ({{ cohort_column_is_over('existing', 'existing.period_index', 'tenants.time_zone') }})
    union
    select cohorts.tenant_id, cohorts.cohort_id, cohorts.period, cohorts.cohort_start
    from (
        select
            tenant_id, cohort_id, period, cohort_start, cohort_started_at,
            max(period_index) as last_column, max(columns) as columns
        from {{ this }}
        group by tenant_id, cohort_id, period, cohort_start, cohort_started_at
    ) as cohorts
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where cohorts.last_column < least(cohorts.columns, {{ cohort_columns_begun('cohorts', 'tenants.time_zone') }})
{% endmacro %}
