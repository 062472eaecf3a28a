{{ config(materialized='view') }}

-- A view over few rows: the days of any range add up to its return, under the assumptions as they are now.

with days as (

    select * from {{ ref('period_totals') }}
    where period = 'day'

),

with_assumptions as (

    select
        days.*,
        {{ costs_of_a_conversation('assumptions') }}
    from days
    inner join lateral {{ best_setting(ref('roi_assumptions'), 'days') }} as assumptions on true

),

final as (

    select
        tenant_id,
        period_start as date,
        is_complete,
        total_conversations,
        ai_resolved_conversations,
        (total_conversations * human_cost)::double precision as human_agent_cost,
        (total_conversations * cost_per_conversation)::double precision as ai_cost,
        (ai_resolved_conversations * (human_cost - cost_per_conversation))::double precision as savings,
        (ai_resolved_conversations * (human_cost_low - cost_per_conversation_high))::double precision as savings_low,
        (ai_resolved_conversations * (human_cost_high - cost_per_conversation_low))::double precision as savings_high
    from with_assumptions

)

select * from final
