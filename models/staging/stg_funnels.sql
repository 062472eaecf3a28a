{{ config(materialized='view') }}

with funnels as (

    select * from {{ ref('funnel_definitions') }}

),

steps as (

    select
        funnel_id,
        max(step) as steps,
        array_agg(step order by step) filter (where is_optional is not true) as required_steps
    from {{ ref('funnel_steps') }}
    group by funnel_id

),

exclusions as (

    select
        funnel_id,
        array_agg(after_step order by exclusion) as exclusion_after,
        array_agg(before_step order by exclusion) as exclusion_before
    from {{ ref('funnel_exclusions') }}
    group by funnel_id

),

final as (

    select
        funnels.funnel_id,
        funnels.name,
        funnels.tenant_id as for_tenant,
        funnels.unit,
        funnels.step_order,
        coalesce(funnels.ties, 'any') as ties,
        funnels.window_seconds * interval '1 second' as conversion_window,
        -- a bar between two attributes, not one of a path's own doubled ones
        regexp_split_to_array(funnels.breakdown, '(?<![|])[|](?![|])') as breakdown,
        funnels.breakdown_touch,
        funnels.breakdown_step,
        funnels.breakdown_limit,
        steps.steps,
        steps.required_steps,
        exclusions.exclusion_after,
        exclusions.exclusion_before
    from funnels
    inner join steps on funnels.funnel_id = steps.funnel_id
    left join exclusions on funnels.funnel_id = exclusions.funnel_id

)

select * from final
