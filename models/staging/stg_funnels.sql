{{ config(materialized='view') }}

with funnels as (

    select * from {{ ref('funnel_definitions') }}

),

steps as (

    select
        funnel_id,
        max(step) as steps
    from {{ ref('funnel_steps') }}
    group by funnel_id

),

final as (

    select
        funnels.funnel_id,
        funnels.name,
        funnels.tenant_id as for_tenant,
        funnels.unit,
        funnels.step_order,
        funnels.window_seconds * interval '1 second' as conversion_window,
        funnels.breakdown,
        funnels.breakdown_touch,
        funnels.breakdown_step,
        steps.steps
    from funnels
    inner join steps on funnels.funnel_id = steps.funnel_id

)

select * from final
