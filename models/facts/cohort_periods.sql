{{ config(
    unique_key=['tenant_id', 'user_id', 'cohort_id', 'period', 'cohort_start', 'cohort_started_at', 'period_index'],
    indexes=[{'columns': ['tenant_id', 'cohort_id', 'period', 'cohort_start', 'period_index']}],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'cohort_days': 'user'},
        'definitions': ['stg_cohort_periods'],
        'publishes': {
            'cell': {'id': "period || ':' || period_index || ':' || cohort_id", 'date': 'cohort_start'},
        },
    }}
) }}

with definitions as (

    select * from {{ ref('stg_cohort_periods') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

days as (

    select days.*
    from {{ ref('cohort_days') }} as days
    {{ only_affected('days') }}

),

in_periods as (

    select
        days.*,
        definitions.kind,
        definitions.returning_minimum,
        definitions.is_broken_down,
        definitions.period,
        definitions.columns,
        {{ period_start('definitions.period', 'days.date', 'tenants.week_start') }} as period_start,
        case
            when definitions.period = 'hour' then days.started_at
            else {{ local_midnight(
                period_start('definitions.period', 'days.date', 'tenants.week_start'), 'tenants.time_zone'
            ) }}
        end as period_started_at
    from days
    inner join definitions on days.cohort_id = definitions.cohort_id
    inner join tenants on days.tenant_id = tenants.tenant_id

),

active_periods as (

    select
        tenant_id,
        cohort_id,
        user_id,
        kind,
        is_broken_down,
        period,
        columns,
        period_start,
        period_started_at,
        bool_or(enters) as enters,
        sum(returns) >= returning_minimum as returns,
        (array_agg(breakdown_value order by started_at) filter (where enters))[1] as breakdown_value,
        sum(revenue)::numeric(20, 4) as revenue
    from in_periods
    group by
        tenant_id,
        cohort_id,
        user_id,
        kind,
        returning_minimum,
        is_broken_down,
        period,
        columns,
        period_start,
        period_started_at

),

entries as (

    select
        *,
        row_number() over (partition by tenant_id, cohort_id, user_id, period order by period_started_at) as nth
    from active_periods
    where enters

),

followed as (

    select
        entries.tenant_id,
        entries.cohort_id,
        entries.period,
        entries.user_id,
        entries.period_start as cohort_start,
        entries.period_started_at as cohort_started_at,
        case when entries.is_broken_down then case when entries.breakdown_value is null then 'none' else 'value' end end
            as breakdown_kind,
        entries.breakdown_value,
        entries.columns,
        case
            when entries.period = 'hour'
                then {{ hours_between('entries.period_started_at', 'active_periods.period_started_at') }}
            else {{ periods_between('entries.period', 'entries.period_start', 'active_periods.period_start') }}
        end as period_index,
        -- column 0 is the cohort itself, whatever the returning event
        active_periods.returns or active_periods.period_started_at = entries.period_started_at as is_active,
        active_periods.revenue
    from entries
    inner join active_periods
        on
            entries.tenant_id = active_periods.tenant_id
            and entries.cohort_id = active_periods.cohort_id
            and entries.user_id = active_periods.user_id
            and entries.period = active_periods.period
            and entries.period_started_at <= active_periods.period_started_at
    where entries.kind = 'recurring' or entries.nth = 1

),

final as (

    select
        tenant_id,
        cohort_id,
        period,
        user_id,
        cohort_start,
        cohort_started_at,
        breakdown_kind,
        breakdown_value,
        period_index,
        is_active,
        is_active and period_index = max(period_index) filter (where is_active) over (
            partition by tenant_id, cohort_id, period, user_id, cohort_started_at
        ) as is_last_active,
        revenue
    from followed
    where period_index <= columns

)

select * from final
