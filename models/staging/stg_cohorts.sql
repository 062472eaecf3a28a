{{ config(materialized='view') }}

-- An activity is entered by nobody; who returns by it is active.

with cohorts as (

    select
        cohort_id,
        tenant_id,
        kind,
        cohort_event as cohort_events,
        cohort_where,
        returning_event as returning_events,
        returning_where,
        breakdown,
        coalesce(hour_columns, 0) > 0 as has_hours
    from {{ ref('cohort_definitions') }}

),

activities as (

    select
        activity_id as cohort_id,
        tenant_id,
        'activity' as kind,
        null::text as cohort_events,
        null::text as cohort_where,
        event_names as returning_events,
        predicate as returning_where,
        null::text as breakdown,
        false as has_hours
    from {{ ref('activity_definitions') }}

),

definitions as (

    select * from cohorts
    union all
    select * from activities

),

final as (

    select
        cohort_id,
        tenant_id,
        kind,
        cohort_events,
        cohort_where,
        returning_events,
        returning_where,
        -- a bar between two attributes, not one of a path's own doubled ones
        regexp_split_to_array(breakdown, '(?<![|])[|](?![|])') as breakdown,
        has_hours,
        -- any event of a day does: the days of users say so, and no event need be looked at
        kind <> 'activity'
        and cohort_events is null
        and cohort_where is null
        and breakdown is null
        and not has_hours as is_entered_any_day,
        returning_events is null and returning_where is null and not has_hours as is_returned_any_day
    from definitions

)

select * from final
