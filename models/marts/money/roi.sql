{{ config(
    unique_key=['tenant_id', 'period', 'period_start'],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'period_totals': 'period'},
        'affected_by': 'affected_period_and_all',
        'date': 'last_day',
    }}
) }}

with totals as (

    select * from {{ ref('period_totals') }}
    where period in ('month', 'quarter', 'year') and total_conversations > 0

),

periods as (

    select
        tenant_id,
        period,
        period_start,
        last_day,
        is_complete,
        total_conversations,
        ai_resolved_conversations
    from totals
    union all
    select
        tenant_id,
        'all' as period,
        '1970-01-01'::date as period_start,
        {{ period_shift("'all'", "'1970-01-01'::date", 1) }} - 1 as last_day,
        false as is_complete,
        sum(total_conversations)::bigint as total_conversations,
        sum(ai_resolved_conversations)::bigint as ai_resolved_conversations
    from totals
    where period = 'month'
    group by tenant_id

),

with_assumptions as (

    select
        periods.*,
        assumptions.minutes_per_conversation,
        assumptions.hourly_cost,
        {{ costs_of_a_conversation('assumptions') }}
    from periods
    {{ only_affected('periods') }}
    inner join lateral {{ best_setting(ref('roi_assumptions'), 'periods') }} as assumptions on true

),

final as (

    select
        tenant_id,
        period,
        period_start,
        last_day,
        is_complete,
        total_conversations,
        ai_resolved_conversations,
        (total_conversations * human_cost)::double precision as human_agent_cost,
        (total_conversations * cost_per_conversation)::double precision as ai_cost,
        (ai_resolved_conversations * (human_cost - cost_per_conversation))::double precision as savings,
        {{ roi_percentage(
            'ai_resolved_conversations * (human_cost - cost_per_conversation)', 'cost_per_conversation'
        ) }} as roi_percentage,
        minutes_per_conversation::double precision as minutes_per_conversation,
        hourly_cost::double precision as hourly_cost,
        cost_per_conversation::double precision as cost_per_conversation,

        -- everything against the assistant, and everything for it
        (ai_resolved_conversations * (human_cost_low - cost_per_conversation_high))::double precision as savings_low,
        (ai_resolved_conversations * (human_cost_high - cost_per_conversation_low))::double precision as savings_high,
        {{ roi_percentage(
            'ai_resolved_conversations * (human_cost_low - cost_per_conversation_high)', 'cost_per_conversation_high'
        ) }} as roi_percentage_low,
        {{ roi_percentage(
            'ai_resolved_conversations * (human_cost_high - cost_per_conversation_low)', 'cost_per_conversation_low'
        ) }} as roi_percentage_high
    from with_assumptions

)

select * from final
