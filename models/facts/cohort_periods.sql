{{ config(
    unique_key=['tenant_id', 'user_id', 'cohort_id', 'period', 'cohort_start', 'period_index'],
    indexes=[{'columns': ['tenant_id', 'cohort_id', 'period', 'cohort_start', 'period_index']}],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'cohort_days': 'user'},
        'publishes': {
            'cell': {'id': "cohort_id || ':' || period || ':' || period_index", 'date': 'cohort_start'},
        },
    }}
) }}

with definitions as (

    select
        definitions.cohort_id,
        definitions.kind,
        periods.period,
        periods.columns
    from {{ ref('cohort_definitions') }} as definitions
    cross join lateral (
        values
        ('day', definitions.day_columns),
        ('week', definitions.week_columns),
        ('month', definitions.month_columns)
    ) as periods (period, columns)
    where periods.columns > 0

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

days as (

    select days.*
    from {{ ref('cohort_days') }} as days
    {{ only_affected('days') }}

),

active_periods as (

    select
        days.tenant_id,
        days.cohort_id,
        days.user_id,
        definitions.kind,
        definitions.period,
        definitions.columns,
        {{ period_start('definitions.period', 'days.date', 'tenants.week_start') }} as period_start,
        bool_or(days.enters) as enters,
        bool_or(days.returns) as returns,
        sum(days.revenue)::numeric(20, 4) as revenue
    from days
    inner join definitions on days.cohort_id = definitions.cohort_id
    inner join tenants on days.tenant_id = tenants.tenant_id
    group by
        days.tenant_id,
        days.cohort_id,
        days.user_id,
        definitions.kind,
        definitions.period,
        definitions.columns,
        {{ period_start('definitions.period', 'days.date', 'tenants.week_start') }}

),

entries as (

    select distinct
        tenant_id,
        cohort_id,
        user_id,
        period,
        case
            when kind = 'recurring' then period_start
            else min(period_start) over (partition by tenant_id, cohort_id, user_id, period)
        end as cohort_start
    from active_periods
    where enters

),

final as (

    select
        entries.tenant_id,
        entries.cohort_id,
        entries.period,
        entries.user_id,
        entries.cohort_start,
        {{ periods_between('entries.period', 'entries.cohort_start', 'active_periods.period_start') }} as period_index,
        -- column 0 is the cohort itself, whatever the returning event
        active_periods.returns or active_periods.period_start = entries.cohort_start as is_active,
        active_periods.revenue
    from entries
    inner join active_periods
        on
            entries.tenant_id = active_periods.tenant_id
            and entries.cohort_id = active_periods.cohort_id
            and entries.user_id = active_periods.user_id
            and entries.period = active_periods.period
            and entries.cohort_start <= active_periods.period_start
    where
        {{ periods_between('entries.period', 'entries.cohort_start', 'active_periods.period_start') }}
        <= active_periods.columns

)

select * from final
