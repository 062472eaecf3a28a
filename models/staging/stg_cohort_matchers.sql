{{ config(materialized='view') }}

with cohorts as (

    select
        *,
        -- a bar between two attributes, not one of a path's own doubled ones
        regexp_split_to_array(breakdown, '(?<![|])[|](?![|])') as breakdown_parts
    from {{ ref('stg_cohorts') }}

),

entered_by as (

    select
        cohort_id,
        tenant_id,
        unnest(coalesce(string_to_array(cohort_events, '|'), array['*'])) as event_name,
        cohort_where as predicate,
        breakdown_parts as breakdown,
        has_hours,
        true as enters,
        false as returns
    from cohorts
    where not is_entered_any_day

),

returned_by as (

    select
        cohort_id,
        tenant_id,
        unnest(coalesce(string_to_array(returning_events, '|'), array['*'])) as event_name,
        returning_where as predicate,
        breakdown_parts as breakdown,
        has_hours,
        false as enters,
        true as returns
    from cohorts
    where not is_returned_any_day

),

activities as (

    select
        activity_id as cohort_id,
        tenant_id,
        unnest(coalesce(string_to_array(event_names, '|'), array['*'])) as event_name,
        predicate,
        null::text[] as breakdown,
        false as has_hours,
        false as enters,
        true as returns
    from {{ ref('activity_definitions') }}

),

final as (

    select * from entered_by
    union all
    select * from returned_by
    union all
    select * from activities

)

select * from final
