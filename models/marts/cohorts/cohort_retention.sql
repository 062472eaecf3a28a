{{ config(
    unique_key=[
        'tenant_id', 'cohort_id', 'period', 'cohort_start', 'cohort_started_at', 'breakdown_kind', 'breakdown_value',
        'period_index',
    ],
    meta={'rebuild': {
        'key': {'cohort_id': 'id', 'period': 'id', 'cohort_start': 'date'},
        'reads': {'cohort_cells': 'cohort'},
        'affected_by': 'affected_cohorts',
        'time_triggered': 'time_triggered_cohort_columns',
        'definitions': ['stg_cohort_periods'],
        'date': 'period_start',
        'until': last_day_of_cohort('{row}'),
    }}
) }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

definitions as (

    select * from {{ ref('stg_cohort_periods') }}

),

cells as (

    select cells.*
    from {{ ref('cohort_cells') }} as cells
    {{ only_affected('cells') }}

),

{{ cohort_groups() }},

cohorts as (

    select
        placed.tenant_id,
        placed.cohort_id,
        placed.period,
        placed.cohort_start,
        placed.cohort_started_at,
        placed.breakdown_kind,
        placed.breakdown_value,
        placed.active_users as cohort_size,
        definitions.name as cohort_name,
        definitions.columns,
        tenants.time_zone,
        -- columns that have begun, and whatever the events already say of later ones
        greatest(
            least(definitions.columns, {{ cohort_columns_begun('placed', 'tenants.time_zone') }}), 0
        ) as last_column
    from placed
    inner join definitions on placed.cohort_id = definitions.cohort_id and placed.period = definitions.period
    inner join tenants on placed.tenant_id = tenants.tenant_id
    where placed.period_index = 0

),

final as (

    select
        cohorts.tenant_id,
        cohorts.cohort_id,
        cohorts.period,
        cohorts.cohort_start,
        cohorts.cohort_started_at,
        cohorts.breakdown_kind,
        cohorts.breakdown_value,
        period_index.period_index,
        cohorts.cohort_name,
        {{ cohort_column_start('cohorts', 'period_index.period_index', 'cohorts.time_zone') }} as period_start,
        cohorts.columns,
        period_index.period_index = cohorts.last_column as is_last_column,
        {{ cohort_column_is_over('cohorts', 'period_index.period_index', 'cohorts.time_zone') }} as is_complete,
        cohorts.cohort_size,
        coalesce(placed.active_users, 0) as active_users,
        {{ ratio('coalesce(placed.active_users, 0)', 'cohorts.cohort_size') }} as retention_rate,
        (cohorts.cohort_size - coalesce(sum(placed.last_active_users) over earlier_columns, 0))::bigint
            as cumulative_active_users,
        {{ ratio(
            'cohorts.cohort_size - coalesce(sum(placed.last_active_users) over earlier_columns, 0)', 'cohorts.cohort_size'
        ) }} as cumulative_retention_rate,
        coalesce(placed.revenue, 0)::numeric(20, 4) as revenue,
        {{ ratio('coalesce(placed.revenue, 0)', 'cohorts.cohort_size') }} as revenue_per_user,
        (sum(coalesce(placed.revenue, 0)) over columns_so_far)::numeric(20, 4) as cumulative_revenue
    from cohorts
    cross join lateral generate_series(0, cohorts.last_column) as period_index (period_index)
    left join placed
        on
            cohorts.tenant_id = placed.tenant_id
            and cohorts.cohort_id = placed.cohort_id
            and cohorts.period = placed.period
            and cohorts.cohort_started_at = placed.cohort_started_at
            and cohorts.breakdown_kind = placed.breakdown_kind
            and cohorts.breakdown_value = placed.breakdown_value
            and period_index.period_index = placed.period_index
    window
        columns_so_far as (
            partition by
                cohorts.tenant_id,
                cohorts.cohort_id,
                cohorts.period,
                cohorts.cohort_started_at,
                cohorts.breakdown_kind,
                cohorts.breakdown_value
            order by period_index.period_index
        ),
        -- who was active for the last time before a column is not active in it or later
        earlier_columns as (columns_so_far rows between unbounded preceding and 1 preceding)

)

select * from final
