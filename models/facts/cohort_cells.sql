{{ config(
    unique_key=['tenant_id', 'cohort_id', 'period', 'cohort_start', 'period_index'],
    meta={'rebuild': {
        'key': {'cohort_id': 'id', 'period': 'id', 'period_index': 'id', 'cohort_start': 'date'},
        'reads': {'cohort_periods': 'cell'},
        'affected_by': 'affected_cohort_cells',
        'publishes': {'cohort': {'id': "cohort_id || ':' || period", 'date': 'cohort_start'}},
    }}
) }}

with active_periods as (

    select active_periods.*
    from {{ ref('cohort_periods') }} as active_periods
    {{ only_affected('active_periods') }}

),

final as (

    select
        tenant_id,
        cohort_id,
        period,
        cohort_start,
        period_index,
        count(*) filter (where is_active) as active_users,
        sum(revenue)::numeric(20, 4) as revenue
    from active_periods
    group by tenant_id, cohort_id, period, cohort_start, period_index

)

select * from final
