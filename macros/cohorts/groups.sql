{#-
    CTEs `ranked_values` and `placed`: the cells of each cohort as a whole and, where there is a breakdown, of each group of
    it. Each user counts in the total and in one group. Values beyond the definition's limit, those of most users first,
    are the group `other`. Reads the CTEs `cells` and `definitions`.
-#}
{% macro cohort_groups() %}
ranked_values as (

    select
        cells.tenant_id,
        cells.cohort_id,
        cells.period,
        cells.cohort_started_at,
        cells.breakdown_value,
        row_number() over (
            partition by cells.tenant_id, cells.cohort_id, cells.period, cells.cohort_started_at
            order by cells.active_users desc, cells.breakdown_value
        ) > definitions.breakdown_limit as is_other
    from cells
    inner join definitions on cells.cohort_id = definitions.cohort_id and cells.period = definitions.period
    where cells.period_index = 0 and cells.breakdown_kind = 'value'

),

placed as (

    select
        cells.tenant_id,
        cells.cohort_id,
        cells.period,
        cells.cohort_start,
        cells.cohort_started_at,
        place.kind as breakdown_kind,
        place.value as breakdown_value,
        cells.period_index,
        sum(cells.active_users)::bigint as active_users,
        sum(cells.last_active_users)::bigint as last_active_users,
        sum(cells.revenue) as revenue
    from cells
    left join ranked_values
        on
            cells.breakdown_kind = 'value'
            and cells.tenant_id = ranked_values.tenant_id
            and cells.cohort_id = ranked_values.cohort_id
            and cells.period = ranked_values.period
            and cells.cohort_started_at = ranked_values.cohort_started_at
            and cells.breakdown_value = ranked_values.breakdown_value
    cross join lateral unnest(
        array['all', case when ranked_values.is_other then 'other' else nullif(cells.breakdown_kind, 'all') end],
        array['', case when ranked_values.is_other then '' else cells.breakdown_value end]
    ) as place (kind, value)
    where place.kind is not null
    group by
        cells.tenant_id,
        cells.cohort_id,
        cells.period,
        cells.cohort_start,
        cells.cohort_started_at,
        place.kind,
        place.value,
        cells.period_index

)
{% endmacro %}
