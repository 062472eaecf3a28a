{{ config(
    unique_key=['tenant_id', 'call_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'called_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'publishes': {'thread': {'id': 'thread_id'}, 'day': {'date': 'called_on'}},
        'date': 'called_on',
    }}
) }}

with named as (

    select
        events.*,
        case
            when events.tool_call_id is not null then 'id:' || events.tool_call_id
            else 'tool:' || events.tool_name
        end as pairs_by
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where events.event_name in ('ai.tool_call_started', 'ai.tool_call_completed')

),

events as (

    select
        *,
        -- without an id of the call, within a conversation and a tool the first started is the first completed
        row_number() over (
            partition by tenant_id, thread_id, event_name, pairs_by
            order by {{ event_order() }}
        ) as call_number
    from named

),

started as (

    select * from events where event_name = 'ai.tool_call_started'

),

completed as (

    select * from events where event_name = 'ai.tool_call_completed'

),

paired as (

    select
        coalesce(completed.tenant_id, started.tenant_id) as tenant_id,
        coalesce(completed.event_id, started.event_id) as call_id,
        coalesce(completed.thread_id, started.thread_id) as thread_id,
        coalesce(completed.conversation_id, started.conversation_id) as conversation_id,
        coalesce(completed.user_id, started.user_id) as user_id,
        coalesce(completed.channel, started.channel) as channel,
        coalesce(completed.tool_name, started.tool_name) as tool_name,
        coalesce(completed.tool_kind, started.tool_kind) as tool_kind,
        case when completed.event_id is null then 'unfinished' else 'completed' end as status,
        completed.success,
        coalesce(completed.optimistic, started.optimistic) as optimistic,
        completed.duration_ms,
        case
            when completed.event_id is null or started.occurred_at <= completed.occurred_at then started.occurred_at
            else completed.occurred_at
        end as called_at,
        case
            when completed.event_id is null or started.occurred_at <= completed.occurred_at then started.occurred_on
            else completed.occurred_on
        end as called_on,
        completed.occurred_at as completed_at
    from completed
    full outer join started
        on
            completed.tenant_id = started.tenant_id
            and completed.thread_id = started.thread_id
            and completed.pairs_by = started.pairs_by
            and completed.call_number = started.call_number

)

select * from paired
