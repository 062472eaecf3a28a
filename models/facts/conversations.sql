{{ config(
    unique_key=['tenant_id', 'conversation_id'],
    indexes=[
        {'columns': ['tenant_id', 'started_on']},
        {'columns': ['tenant_id', 'user_id', 'started_on']},
    ],
    meta={'rebuild': {
        'key': {'conversation_id': 'id'},
        'reads': {
            'stg_events': 'thread',
            'conversation_outcomes': 'conversation',
            'turns': 'thread',
            'tool_calls': 'thread',
            'orders': 'thread',
        },
        'publishes': {
            'conversation': {'id': 'conversation_id'},
            'user': {'id': 'user_id', 'date': 'started_on'},
            'day': {'date': 'started_on'},
        },
        'date': 'started_on',
    }}
) }}

with outcomes as (

    select outcomes.*
    from {{ ref('conversation_outcomes') }} as outcomes
    {{ only_affected('outcomes') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

contents as (

    {{ contents_of_conversations() }}

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

final as (

    select
        outcomes.tenant_id,
        outcomes.conversation_id,
        contents.user_id,
        contents.channel,
        contents.agent,
        contents.agent_id,
        contents.team,
        contents.inbox,
        contents.labels,
        outcomes.started_at,
        outcomes.started_on,
        date_part('hour', outcomes.started_at at time zone tenants.time_zone)::integer as started_hour,
        outcomes.last_event_at,
        outcomes.ended_at,
        outcomes.outcome,
        outcomes.outcome_inferred,
        outcomes.resolved_by,
        outcomes.was_escalated,
        outcomes.reopened_count,
        contents.events,
        contents.messages_received,
        contents.messages_sent,
        contents.messages_received + contents.messages_sent as messages,
        turns.first_response_ms,
        turns.avg_response_time_ms,
        coalesce(turns.turns, 0) as turns,
        coalesce(turns.unanswered_turns, 0) as unanswered_turns,
        coalesce(turns.sla_breaches, 0) as sla_breaches,
        outcomes.duration_seconds,
        outcomes.first_resolution_seconds,
        outcomes.next_resolution_seconds,
        outcomes.last_resolution_seconds,
        outcomes.handover_seconds,
        coalesce(tool_calls.tool_calls, 0) as tool_calls,
        contents.tool_failures,
        contents.kb_searches,
        contents.kb_misses,
        contents.fallbacks,
        contents.bookings_requested,
        contents.bookings_confirmed,
        coalesce(orders.revenue, 0)::numeric(20, 4) as revenue,
        contents.rating,
        contents.ratings,
        contents.has_error
    from outcomes
    inner join tenants on outcomes.tenant_id = tenants.tenant_id
    inner join contents
        on outcomes.tenant_id = contents.tenant_id and outcomes.conversation_id = contents.conversation_id
    left join turns
        on outcomes.tenant_id = turns.tenant_id and outcomes.conversation_id = turns.conversation_id
    left join tool_calls
        on outcomes.tenant_id = tool_calls.tenant_id and outcomes.conversation_id = tool_calls.conversation_id
    left join orders
        on outcomes.tenant_id = orders.tenant_id and outcomes.conversation_id = orders.thread_id

)

select * from final
