{{ config(
    unique_key=['tenant_id', 'voice_event_id'],
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
    where events.event_name like 'voice.%'

),

final as (

    select
        tenant_id,
        event_id as voice_event_id,
        thread_id,
        conversation_id,
        user_id,
        channel,
        event_name,
        duration_ms,
        latency_ms,
        occurred_at,
        occurred_on
    from events

)

select * from final
