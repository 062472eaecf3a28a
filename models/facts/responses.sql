{{ config(
    unique_key=['tenant_id', 'response_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'conversation_started_on']},
        {'columns': ['tenant_id', 'responded_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'publishes': {
            'thread': {'id': 'thread_id'},
            'day': {'date': 'responded_on'},
            'conversation_day': {'date': 'conversation_started_on'},
        },
        'date': 'responded_on',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}

),

thread_days as (

    select
        tenant_id,
        thread_id,
        min(occurred_on) as started_on
    from events
    group by tenant_id, thread_id

),

messages as (

    select
        *,
        false as is_measured,
        -- a turn opens with the customer's first message that follows no other unanswered one
        event_name = 'message.received'
        and lag(event_name, 1, '') over (
            partition by tenant_id, thread_id
            order by {{ event_order() }}
        ) <> 'message.received' as opens_turn
    from events
    where event_name in ('message.received', 'message.sent') and conversation_id is not null

),

measurements as (

    select
        *,
        true as is_measured,
        false as opens_turn
    from events
    where event_name in ('ai.response', 'voice.first_response') and duration_ms is not null

),

numbered as (

    select
        *,
        count(*) filter (where opens_turn) over (
            partition by tenant_id, thread_id
            order by {{ event_order() }}
        ) as turn
    from (
        select * from messages
        union all
        select * from measurements
    ) as turn_events

),

in_turns as (

    select
        *,
        min(occurred_at) filter (where opens_turn) over turns as turn_opened_at,
        bool_or(is_measured) over turns as turn_is_measured,
        row_number() over (
            partition by tenant_id, thread_id, turn, event_name
            order by {{ event_order() }}
        ) as nth_in_turn
    from numbered
    window turns as (partition by tenant_id, thread_id, turn)

),

answers as (

    select
        *,
        case when is_measured then 'measured' else 'derived' end as basis,
        case
            when is_measured then duration_ms
            else {{ milliseconds_between('turn_opened_at', 'occurred_at') }}::double precision
        end as response_ms
    from in_turns
    where
        is_measured
        -- the turn's answer is its first message sent
        or (turn > 0 and event_name = 'message.sent' and nth_in_turn = 1 and not turn_is_measured)

),

final as (

    select
        answers.tenant_id,
        answers.event_id as response_id,
        answers.thread_id,
        answers.conversation_id,
        answers.user_id,
        answers.channel,
        case when answers.is_measured then answers.model else 'unknown' end as model,
        answers.basis,
        answers.occurred_at as responded_at,
        answers.occurred_on as responded_on,
        case when answers.conversation_id is not null then thread_days.started_on end as conversation_started_on,
        answers.response_ms as duration_ms
    from answers
    inner join thread_days
        on answers.tenant_id = thread_days.tenant_id and answers.thread_id = thread_days.thread_id

)

select * from final
