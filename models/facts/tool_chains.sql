{{ config(
    unique_key=['tenant_id', 'chain_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'occurred_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'publishes': {'day': {'date': 'occurred_on'}},
        'date': 'occurred_on',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where events.event_name = 'ai.tool_chain_completed'

),

final as (

    select
        tenant_id,
        event_id as chain_id,
        thread_id,
        conversation_id,
        user_id,
        channel,
        tool_count,
        success,
        occurred_at,
        occurred_on
    from events

)

select * from final
