{{ config(materialized='view') }}

-- Masks say which steps an event can serve: bit 0 is step 1. Exclusions have masks of their own.

with funnels as (

    select * from {{ ref('stg_funnels') }}

),

steps as (

    select
        funnel_id,
        unnest(string_to_array(event_names, '|')) as event_name,
        predicate,
        1 << (step - 1) as step_mask,
        0 as exclusion_mask
    from {{ ref('funnel_steps') }}

),

exclusions as (

    select
        funnel_id,
        unnest(string_to_array(event_names, '|')) as event_name,
        predicate,
        0 as step_mask,
        1 << (exclusion - 1) as exclusion_mask
    from {{ ref('funnel_exclusions') }}

),

matchers as (

    select * from steps
    union all
    select * from exclusions

),

final as (

    select
        matchers.*,
        funnels.for_tenant,
        funnels.unit,
        funnels.breakdown
    from matchers
    inner join funnels on matchers.funnel_id = funnels.funnel_id

)

select * from final
