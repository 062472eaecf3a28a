{#-
    CTE `filled`: what is `placed` in each column of `cohorts` up to its last, 0 where nothing is. It is added up, since
    a join would look at every cell for every column.
-#}
{% macro cohort_columns_filled() %}
{% set key -%}
        tenant_id,
        cohort_id,
        period,
        cohort_start,
        cohort_started_at,
        breakdown_kind,
        breakdown_value,
        period_index
{%- endset %}
filled as (

    select
        {{ key }},
        max(cohort_name) as cohort_name,
        max(columns) as columns,
        max(time_zone) as time_zone,
        max(last_column) as last_column,
        max(cohort_size) as cohort_size,
        sum(active_users)::bigint as active_users,
        sum(last_active_users)::bigint as last_active_users,
        sum(revenue) as revenue
    from (
        select
            {{ key }},
            cohort_name,
            columns,
            time_zone,
            last_column,
            cohort_size,
            0 as active_users,
            0 as last_active_users,
            0 as revenue
        from cohorts
        cross join lateral generate_series(0, last_column) as begun (period_index)
        union all
        select
            {{ key }},
            null,
            null,
            null,
            null,
            null,
            active_users,
            last_active_users,
            revenue
        from placed
    ) as cells
    group by {{ key }}
    having max(last_column) is not null

)
{% endmacro %}
