{{ config(
    unique_key=['tenant_id', 'response_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'conversation_started_on']},
        {'columns': ['tenant_id', 'responded_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'turns': 'thread'},
        'publishes': {
            'thread': {'id': 'thread_id'},
            'day': {'date': 'responded_on'},
            'conversation_day': {'date': 'conversation_started_on'},
        },
        'date': 'responded_on',
    }}
) }}

with turns as (

    select turns.*
    from {{ ref('turns') }} as turns
    {{ only_affected('turns') }}

),

final as (

    select
        tenant_id,
        answer_id as response_id,
        turn_id,
        thread_id,
        conversation_id,
        user_id,
        channel,
        model,
        actor,
        basis,
        answered_at as responded_at,
        answered_on as responded_on,
        conversation_started_on,
        wait_ms as duration_ms,
        is_breach
    from turns
    where status = 'answered'

)

select * from final
