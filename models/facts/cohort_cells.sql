{{ config(
    unique_key=[
        'tenant_id', 'cohort_id', 'period', 'cohort_start', 'period_index', 'cohort_started_at',
        'breakdown_kind', 'breakdown_value',
    ],
    meta={'rebuild': {
        'key': {'cohort_id': 'id', 'period': 'id', 'period_index': 'id', 'cohort_start': 'date'},
        'reads': {'cohort_periods': 'cell'},
        'affected_by': 'affected_cohort_cells',
        'publishes': {'cohort': {'id': "period || ':' || cohort_id", 'date': 'cohort_start'}},
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
        cohort_started_at,
        coalesce(breakdown_kind, 'all') as breakdown_kind,
        coalesce(breakdown_value, '') as breakdown_value,
        period_index,
        count(*) filter (where is_active) as active_users,
        count(*) filter (where is_last_active) as last_active_users,
        sum(revenue)::numeric(20, 4) as revenue
    from active_periods
    group by
        tenant_id,
        cohort_id,
        period,
        cohort_start,
        cohort_started_at,
        coalesce(breakdown_kind, 'all'),
        coalesce(breakdown_value, ''),
        period_index

)

select * from final
