{{ config(
    unique_key=['tenant_id', 'conversation_id'],
    indexes=[
        {'columns': ['tenant_id', 'started_on']},
        {'columns': ['tenant_id', 'user_id', 'started_on']},
        {'columns': ['outcome', 'last_event_at']},
    ],
    meta={'rebuild': {
        'key': {'conversation_id': 'id'},
        'reads': {
            'stg_events': 'thread',
            'turns': 'thread',
            'tool_calls': 'thread',
            'orders': 'thread',
        },
        'time_triggered': 'time_triggered_abandonment',
        'publishes': {
            'conversation': {'id': 'conversation_id'},
            'user': {'id': 'user_id', 'date': 'started_on'},
            'day': {'date': 'started_on'},
        },
        'date': 'started_on',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', conversation_id='thread_id') }}
    where events.conversation_id is not null

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

in_conversation as (

    select
        *,
        event_name in ('conversation.resolved', 'conversation.escalated', 'conversation.abandoned') as is_outcome
    from events

),

-- a customer who writes again after the end has reopened the conversation
reopenings as (

    select
        tenant_id,
        conversation_id,
        count(*) as reopened_count
    from (
        select
            tenant_id,
            conversation_id,
            event_name,
            lag(event_name) over (
                partition by tenant_id, conversation_id
                order by {{ event_order() }}
            ) as previous_name
        from in_conversation
        where is_outcome or event_name = 'message.received'
    ) as turning_points
    where
        event_name = 'message.received'
        and previous_name in ('conversation.resolved', 'conversation.abandoned')
    group by tenant_id, conversation_id

),

summed as (

    select
        tenant_id,
        conversation_id,
        {{ first_known('user_id') }} as user_id,
        coalesce({{ first_known('channel', "channel <> 'unknown'") }}, 'unknown') as channel,
        min(occurred_at) as started_at,
        min(occurred_on) as started_on,
        max(occurred_at) as last_event_at,
        {{ last_known('event_name', 'is_outcome') }} as last_outcome,
        {{ last_known('occurred_at', 'is_outcome') }} as last_outcome_at,
        {{ last_known("coalesce(resolved_by, '')", "event_name = 'conversation.resolved'") }} as said_resolved_by,
        bool_or(event_name = 'conversation.escalated') as was_escalated,
        count(*) as events,
        count(*) filter (where event_name = 'message.received') as messages_received,
        count(*) filter (where event_name = 'message.sent') as messages_sent,
        count(*) filter (where event_name = 'ai.tool_call_completed' and not success) as tool_failures,
        count(*) filter (where event_name = 'kb.search') as kb_searches,
        count(*) filter (where event_name = 'kb.search' and results_count = 0) as kb_misses,
        count(*) filter (where event_name = 'message.sent' and is_fallback) as fallbacks,
        count(distinct booking_id) filter (where event_name = 'booking.requested') as bookings_requested,
        count(distinct booking_id) filter (where event_name = 'booking.confirmed') as bookings_confirmed,
        {{ last_known('rating', "event_name = 'conversation.rated'") }} as rating,
        bool_or(event_name = 'system.error') as has_error
    from in_conversation
    group by tenant_id, conversation_id
    having bool_or(marks_conversation)

),

turns as (

    select
        turns.tenant_id,
        turns.conversation_id,
        count(*) as turns,
        count(*) filter (where turns.status = 'unanswered') as unanswered_turns,
        count(*) filter (where turns.is_breach) as sla_breaches,
        {{ mean('turns.wait_ms') }} as avg_response_time_ms,
        (array_agg(turns.wait_ms order by turns.answered_at, turns.answer_id)
            filter (where turns.status = 'answered'))[1] as first_response_ms
    from {{ ref('turns') }} as turns
    {{ only_affected('turns', conversation_id='thread_id') }}
    where turns.conversation_id is not null
    group by turns.tenant_id, turns.conversation_id

),

tool_calls as (

    select
        tool_calls.tenant_id,
        tool_calls.conversation_id,
        count(*) as tool_calls
    from {{ ref('tool_calls') }} as tool_calls
    {{ only_affected('tool_calls', conversation_id='thread_id') }}
    where tool_calls.conversation_id is not null
    group by tool_calls.tenant_id, tool_calls.conversation_id

),

orders as (

    select
        orders.tenant_id,
        orders.thread_id,
        sum(orders.revenue)::numeric(20, 4) as revenue
    from {{ ref('orders') }} as orders
    {{ only_affected('orders', conversation_id='thread_id') }}
    where orders.thread_id is not null
    group by orders.tenant_id, orders.thread_id

),

judged as (

    select
        summed.*,
        date_part('hour', summed.started_at at time zone tenants.time_zone)::integer as started_hour,
        summed.last_outcome is null
        and {{ abandoned_at('summed', 'tenants') }} <= {{ as_of() }} as outcome_inferred
    from summed
    inner join tenants on summed.tenant_id = tenants.tenant_id

),

final as (

    select
        judged.tenant_id,
        judged.conversation_id,
        judged.user_id,
        judged.channel,
        judged.started_at,
        judged.started_on,
        judged.started_hour,
        judged.last_event_at,
        case when judged.outcome_inferred then judged.last_event_at else judged.last_outcome_at end as ended_at,
        case
            when judged.outcome_inferred then 'abandoned'
            else coalesce(split_part(judged.last_outcome, '.', 2), 'open')
        end as outcome,
        judged.outcome_inferred,
        case
            when judged.last_outcome = 'conversation.resolved'
                then coalesce(
                    nullif(judged.said_resolved_by, ''),
                    case when judged.was_escalated then 'human' else 'assistant' end
                )
        end as resolved_by,
        judged.was_escalated,
        coalesce(reopenings.reopened_count, 0) as reopened_count,
        judged.events,
        judged.messages_received,
        judged.messages_sent,
        judged.messages_received + judged.messages_sent as messages,
        turns.first_response_ms,
        turns.avg_response_time_ms,
        coalesce(turns.turns, 0) as turns,
        coalesce(turns.unanswered_turns, 0) as unanswered_turns,
        coalesce(turns.sla_breaches, 0) as sla_breaches,
        {{ seconds_between('judged.started_at', 'judged.last_event_at') }}::double precision as duration_seconds,
        coalesce(tool_calls.tool_calls, 0) as tool_calls,
        judged.tool_failures,
        judged.kb_searches,
        judged.kb_misses,
        judged.fallbacks,
        judged.bookings_requested,
        judged.bookings_confirmed,
        coalesce(orders.revenue, 0)::numeric(20, 4) as revenue,
        judged.rating,
        judged.has_error
    from judged
    left join reopenings
        on judged.tenant_id = reopenings.tenant_id and judged.conversation_id = reopenings.conversation_id
    left join turns
        on judged.tenant_id = turns.tenant_id and judged.conversation_id = turns.conversation_id
    left join tool_calls
        on judged.tenant_id = tool_calls.tenant_id and judged.conversation_id = tool_calls.conversation_id
    left join orders
        on judged.tenant_id = orders.tenant_id and judged.conversation_id = orders.thread_id

)

select * from final
