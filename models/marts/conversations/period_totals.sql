{{ config(
    unique_key=['tenant_id', 'period', 'period_start'],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'conversations': 'day', 'responses': 'conversation_day', 'tenant_days': 'day'},
        'affected_by': 'affected_periods',
        'periods': ['day', 'week', 'month', 'quarter', 'year'],
        'time_triggered': 'time_triggered_completeness',
        'end': 'next_period_start',
        'publishes': {'period': {'id': 'period', 'date': 'period_start'}},
        'date': 'last_day',
    }}
) }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

periods as (

    {{ periods_to_build([(ref('conversations'), 'started_on'), (ref('tenant_days'), 'date')]) }}

),

final as (

    select
        periods.tenant_id,
        periods.period,
        periods.period_start,
        periods.next_period_start,
        periods.next_period_start - 1 as last_day,
        {{ is_over('periods.next_period_start', 'tenants.time_zone') }} as is_complete,
        conversations.total_conversations,
        conversations.resolved_conversations,
        conversations.escalated_conversations,
        conversations.abandoned_conversations,
        conversations.open_conversations,
        conversations.no_reply_conversations,
        conversations.ai_resolved_conversations,
        responses.avg_response_time_ms,
        responses.percentiles[1] as p50_response_time_ms,
        responses.percentiles[2] as p95_response_time_ms,
        responses.percentiles[3] as p99_response_time_ms,
        conversations.turns,
        conversations.unanswered_turns,
        conversations.sla_breaches,
        conversations.total_messages,
        conversations.unique_customers,
        conversations.avg_rating,
        conversations.ratings,
        conversations.good_ratings,
        conversations.avg_resolution_seconds
    from periods
    inner join tenants on periods.tenant_id = tenants.tenant_id
    -- period by period, so that sorting compares customers and durations alone
    cross join lateral (
        select
            count(*) as total_conversations,
            count(*) filter (where counted.outcome = 'resolved') as resolved_conversations,
            count(*) filter (where counted.outcome = 'escalated') as escalated_conversations,
            count(*) filter (where counted.outcome = 'abandoned') as abandoned_conversations,
            count(*) filter (where counted.outcome = 'open') as open_conversations,
            count(*) filter (where counted.outcome = 'no_reply') as no_reply_conversations,
            count(*) filter (where counted.outcome = 'resolved' and counted.resolved_by = 'assistant')
                as ai_resolved_conversations,
            coalesce(sum(counted.turns), 0)::bigint as turns,
            coalesce(sum(counted.unanswered_turns), 0)::bigint as unanswered_turns,
            coalesce(sum(counted.sla_breaches), 0)::bigint as sla_breaches,
            coalesce(sum(counted.messages), 0)::bigint as total_messages,
            count(distinct counted.user_id) as unique_customers,
            {{ mean('counted.rating') }} as avg_rating,
            count(counted.rating) as ratings,
            count(*) filter (where counted.rating >= tenants.good_rating) as good_ratings,
            {{ mean('counted.last_resolution_seconds', where="counted.outcome = 'resolved'") }}
                as avg_resolution_seconds
        from {{ ref('conversations') }} as counted
        where
            counted.tenant_id = periods.tenant_id
            and counted.started_on >= periods.period_start
            and counted.started_on < periods.next_period_start
    ) as conversations
    cross join lateral (
        select
            {{ mean('counted.duration_ms') }} as avg_response_time_ms,
            percentile_cont(array[0.5, 0.95, 0.99]) within group (order by counted.duration_ms) as percentiles
        from {{ ref('responses') }} as counted
        where
            counted.tenant_id = periods.tenant_id
            and counted.conversation_started_on >= periods.period_start
            and counted.conversation_started_on < periods.next_period_start
    ) as responses
    where
        conversations.total_conversations > 0
        or {{ has_days('periods') }}

)

select * from final
