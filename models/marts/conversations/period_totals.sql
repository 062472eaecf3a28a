{{ config(
    materialized='incremental',
    incremental_strategy='rebuild',
    unique_key=['tenant_id', 'period', 'period_start'],
    indexes=[{'columns': ['tenant_id', 'period', 'period_start'], 'unique': true}],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'conversations': 'day', 'responses': 'conversation_day'},
        'touch': 'touch_periods',
        'periods': ['day', 'week', 'month', 'quarter', 'year'],
        'crosses': 'crosses_completeness',
        'end': 'next_period_start',
        'publishes': {'period': {'id': 'period', 'date': 'period_start'}},
        'date': 'last_day',
    }}
) }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

periods as (

    {{ periods_to_build(ref('conversations'), 'started_on') }}

),

-- each worked out once, however few periods the planner expects
conversations as materialized (

    select
        periods.tenant_id,
        periods.period,
        periods.period_start,
        periods.next_period_start,
        count(*) as total_conversations,
        count(*) filter (where conversations.outcome = 'resolved') as resolved_conversations,
        count(*) filter (where conversations.outcome = 'escalated') as escalated_conversations,
        count(*) filter (where conversations.outcome = 'abandoned') as abandoned_conversations,
        count(*) filter (where conversations.outcome = 'open') as open_conversations,
        count(*) filter (where conversations.outcome = 'resolved' and conversations.resolved_by = 'assistant')
            as ai_resolved_conversations,
        sum(conversations.messages)::bigint as total_messages,
        count(distinct conversations.user_id) as unique_customers,
        {{ mean('conversations.rating') }} as avg_rating
    from periods
    inner join {{ ref('conversations') }} as conversations
        on
            periods.tenant_id = conversations.tenant_id
            and periods.period_start <= conversations.started_on
            and periods.next_period_start > conversations.started_on
    group by periods.tenant_id, periods.period, periods.period_start, periods.next_period_start

),

responses as materialized (

    select
        periods.tenant_id,
        periods.period,
        periods.period_start,
        {{ mean('responses.duration_ms') }} as avg_response_time_ms,
        {{ percentile(0.5, 'responses.duration_ms') }} as p50_response_time_ms,
        {{ percentile(0.95, 'responses.duration_ms') }} as p95_response_time_ms,
        {{ percentile(0.99, 'responses.duration_ms') }} as p99_response_time_ms
    from periods
    inner join {{ ref('responses') }} as responses
        on
            periods.tenant_id = responses.tenant_id
            and periods.period_start <= responses.conversation_started_on
            and periods.next_period_start > responses.conversation_started_on
    group by periods.tenant_id, periods.period, periods.period_start

),

final as (

    select
        conversations.tenant_id,
        conversations.period,
        conversations.period_start,
        conversations.next_period_start,
        conversations.next_period_start - 1 as last_day,
        {{ is_over('conversations.next_period_start', 'tenants.time_zone') }} as is_complete,
        conversations.total_conversations,
        conversations.resolved_conversations,
        conversations.escalated_conversations,
        conversations.abandoned_conversations,
        conversations.open_conversations,
        conversations.ai_resolved_conversations,
        responses.avg_response_time_ms,
        responses.p50_response_time_ms,
        responses.p95_response_time_ms,
        responses.p99_response_time_ms,
        conversations.total_messages,
        conversations.unique_customers,
        conversations.avg_rating
    from conversations
    inner join tenants on conversations.tenant_id = tenants.tenant_id
    left join responses
        on
            conversations.tenant_id = responses.tenant_id
            and conversations.period = responses.period
            and conversations.period_start = responses.period_start

)

select * from final
