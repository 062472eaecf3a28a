{#- The `touch` macros of cohort tables, whose keys travel in a change's id as `cohort_id:period[:period_index]`. -#}

{% macro touch_cohort_cells(spec) %}
    select distinct
        tenant_id,
        split_part(id, ':', 1) as cohort_id,
        split_part(id, ':', 2) as period,
        split_part(id, ':', 3)::integer as period_index,
        date as cohort_start
    from ({{ changed(spec) }}) as changed
    {{ touched_beside_changes(spec) }}
{% endmacro %}

{% macro touch_cohorts(spec) %}
    select distinct
        tenant_id,
        split_part(id, ':', 1) as cohort_id,
        split_part(id, ':', 2) as period,
        date as cohort_start
    from ({{ changed(spec) }}) as changed
    {{ touched_beside_changes(spec) }}
{% endmacro %}

{#-
    `crosses` of marts.cohort_retention, whose rows go up to the period that as_of is in: cohorts with a column that has
    begun or ended since, or, for an earlier as_of, that has not yet.
-#}
{% macro crosses_cohort_columns(spec) %}
    select standing.tenant_id, standing.cohort_id, standing.period, standing.cohort_start
    from {{ this }} as standing
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where
        standing.is_complete <> {{ is_over(period_shift('standing.period', 'standing.period_start', 1), 'tenants.time_zone') }}
        or (
            standing.is_last_column
            and standing.period_index < standing.columns
            and {{ period_shift('standing.period', 'standing.period_start', 1) }} <= {{ local_date(as_of(), 'tenants.time_zone') }}
        )
        or standing.period_start > {{ local_date(as_of(), 'tenants.time_zone') }}
{% endmacro %}
