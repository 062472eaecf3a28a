{{ config(materialized='view') }}

with definitions as (

    select
        *,
        coalesce(hour_columns, 0) > 0 as has_hours
    from {{ ref('cohort_definitions') }}

),

final as (

    select
        cohort_id,
        tenant_id,
        cohort_event as cohort_events,
        cohort_where,
        returning_event as returning_events,
        returning_where,
        breakdown,
        has_hours,
        -- any event of a day does: the days of users say so, and no event need be looked at
        cohort_event is null and cohort_where is null and breakdown is null and not has_hours as is_entered_any_day,
        returning_event is null and returning_where is null and not has_hours as is_returned_any_day
    from definitions

)

select * from final
