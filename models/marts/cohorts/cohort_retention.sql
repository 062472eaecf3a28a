{{ config(
    unique_key=['tenant_id', 'cohort_id', 'period', 'cohort_start', 'period_index'],
    meta={'rebuild': {
        'key': {'cohort_id': 'id', 'period': 'id', 'cohort_start': 'date'},
        'reads': {'cohort_cells': 'cohort'},
        'affected_by': 'affected_cohorts',
        'time_triggered': 'time_triggered_cohort_columns',
        'date': 'period_start',
        'until': period_shift('{row}.period', '{row}.period_start', 1) ~ ' - 1',
    }}
) }}

with tenants as (

    select
        *,
        {{ local_date(as_of(), 'time_zone') }} as today
    from {{ ref('stg_tenants') }}

),

definitions as (

    select
        definitions.cohort_id,
        definitions.name,
        periods.period,
        periods.columns
    from {{ ref('cohort_definitions') }} as definitions
    cross join lateral (
        values
        ('day', definitions.day_columns),
        ('week', definitions.week_columns),
        ('month', definitions.month_columns)
    ) as periods (period, columns)

),

cells as (

    select cells.*
    from {{ ref('cohort_cells') }} as cells
    {{ only_affected('cells') }}

),

cohorts as (

    select
        cells.tenant_id,
        cells.cohort_id,
        cells.period,
        cells.cohort_start,
        cells.active_users as cohort_size,
        definitions.name as cohort_name,
        definitions.columns,
        tenants.time_zone,
        -- columns that have begun, and whatever the events already say of later ones
        greatest(
            least(definitions.columns, {{ periods_between('cells.period', 'cells.cohort_start', 'tenants.today') }}), 0
        ) as last_column
    from cells
    inner join definitions on cells.cohort_id = definitions.cohort_id and cells.period = definitions.period
    inner join tenants on cells.tenant_id = tenants.tenant_id
    where cells.period_index = 0

),

final as (

    select
        cohorts.tenant_id,
        cohorts.cohort_id,
        cohorts.period,
        cohorts.cohort_start,
        period_index.period_index,
        cohorts.cohort_name,
        {{ period_shift('cohorts.period', 'cohorts.cohort_start', 'period_index.period_index') }} as period_start,
        cohorts.columns,
        period_index.period_index = cohorts.last_column as is_last_column,
        {{ is_over(
            period_shift('cohorts.period', 'cohorts.cohort_start', 'period_index.period_index + 1'), 'cohorts.time_zone'
        ) }} as is_complete,
        cohorts.cohort_size,
        coalesce(cells.active_users, 0) as active_users,
        {{ ratio('coalesce(cells.active_users, 0)', 'cohorts.cohort_size') }} as retention_rate,
        coalesce(cells.revenue, 0)::numeric(20, 4) as revenue,
        {{ ratio('coalesce(cells.revenue, 0)', 'cohorts.cohort_size') }} as revenue_per_user,
        (
            sum(coalesce(cells.revenue, 0)) over (
                partition by cohorts.tenant_id, cohorts.cohort_id, cohorts.period, cohorts.cohort_start
                order by period_index.period_index
            )
        )::numeric(20, 4) as cumulative_revenue
    from cohorts
    cross join lateral generate_series(0, cohorts.last_column) as period_index (period_index)
    left join cells
        on
            cohorts.tenant_id = cells.tenant_id
            and cohorts.cohort_id = cells.cohort_id
            and cohorts.period = cells.period
            and cohorts.cohort_start = cells.cohort_start
            and period_index.period_index = cells.period_index

)

select * from final
