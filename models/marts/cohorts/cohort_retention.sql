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

{{ cohort_columns_filled() }},

final as (

    select
        filled.tenant_id,
        filled.cohort_id,
        filled.period,
        filled.cohort_start,
        filled.cohort_started_at,
        filled.breakdown_kind,
        filled.breakdown_value,
        filled.period_index,
        filled.cohort_name,
        {{ cohort_column_start('filled', 'filled.period_index', 'filled.time_zone') }} as period_start,
        filled.columns,
        filled.period_index = filled.last_column as is_last_column,
        {{ cohort_column_is_over('filled', 'filled.period_index', 'filled.time_zone') }} as is_complete,
        filled.cohort_size,
        filled.active_users,
        {{ ratio('filled.active_users', 'filled.cohort_size') }} as retention_rate,
        (filled.cohort_size - coalesce(sum(filled.last_active_users) over earlier_columns, 0))::bigint
            as cumulative_active_users,
        {{ ratio(
            'filled.cohort_size - coalesce(sum(filled.last_active_users) over earlier_columns, 0)', 'filled.cohort_size'
        ) }} as cumulative_retention_rate,
        filled.revenue::numeric(20, 4) as revenue,
        {{ ratio('filled.revenue', 'filled.cohort_size') }} as revenue_per_user,
        (sum(filled.revenue) over columns_so_far)::numeric(20, 4) as cumulative_revenue
    from filled
    window
        columns_so_far as (
            partition by
                filled.tenant_id,
                filled.cohort_id,
                filled.period,
                filled.cohort_started_at,
                filled.breakdown_kind,
                filled.breakdown_value
            order by filled.period_index
        ),
        -- who was active for the last time before a column is not active in it or later
        earlier_columns as (columns_so_far rows between unbounded preceding and 1 preceding)

)

select * from final
