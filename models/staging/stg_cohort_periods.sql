{{ config(materialized='view') }}

with definitions as (

    select * from {{ ref('cohort_definitions') }}

),

final as (

    select
        definitions.cohort_id,
        definitions.tenant_id,
        definitions.name,
        definitions.kind,
        coalesce(definitions.returning_minimum, 1) as returning_minimum,
        definitions.breakdown is not null as is_broken_down,
        definitions.breakdown_limit,
        periods.period,
        periods.columns
    from definitions
    cross join lateral (
        values
        ('hour', definitions.hour_columns),
        ('day', definitions.day_columns),
        ('week', definitions.week_columns),
        ('month', definitions.month_columns)
    ) as periods (period, columns)
    where periods.columns > 0

)

select * from final
