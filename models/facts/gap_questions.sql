{{ config(
    unique_key=['tenant_id', 'question_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'asked_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'date': 'asked_on',
    }}
) }}

with events as (

    select
        events.tenant_id,
        events.thread_id,
        events.conversation_id,
        events.user_id,
        events.event_id,
        events.event_name,
        events.occurred_at,
        events.occurred_on,
        events.sequence,
        events.event_rank,
        events.text,
        events.is_fallback,
        events.results_count,
        events.top_score,
        -- what the assistant does belongs to the customer's last message
        count(*) filter (where events.event_name = 'message.received') over way as turn,
        lower(btrim(events.text)) as wording
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where
        {{ is_customers_message('events') }}
        or {{ is_message_to_customer('events') }}
        or events.event_name in ('kb.search', 'conversation.escalated')
    window way as (
        partition by events.tenant_id, events.thread_id
        order by {{ event_order('events') }}
    )

),

-- the customer's own words in each turn
asked as (

    select
        *,
        row_number() over (
            partition by tenant_id, thread_id, wording
            order by {{ event_order() }}
        ) > 1 as is_repeated
    from events
    where event_name = 'message.received'

),

escalations as (

    select
        tenant_id,
        thread_id,
        max(occurred_at) as escalated_at
    from events
    where event_name = 'conversation.escalated'
    group by tenant_id, thread_id

),

-- the signs that a question was not answered, the plainest first
signs as (

    select
        events.*,
        false as is_repeated,
        1 as priority,
        case when events.results_count = 0 then 'no_results' else 'low_relevance' end as reason
    from events
    inner join lateral {{ best_setting(ref('gap_settings'), 'events') }} as setting on true
    where
        events.event_name = 'kb.search'
        and (events.results_count = 0 or events.top_score < setting.relevance_threshold)
    union all
    select
        asked.*,
        2 as priority,
        'fallback' as reason
    from asked
    where exists (
        select from events
        where
            events.tenant_id = asked.tenant_id
            and events.thread_id = asked.thread_id
            and events.turn = asked.turn
            and events.event_name = 'message.sent'
            and events.is_fallback
    )
    union all
    select
        asked.*,
        3 as priority,
        'repeated' as reason
    from asked
    where asked.is_repeated and char_length(asked.wording) >= 12

),

-- one turn is one question, however many signs say that it was not answered
final as (

    select distinct on (signs.tenant_id, signs.thread_id, signs.turn)
        signs.tenant_id,
        signs.event_id as question_id,
        signs.thread_id,
        signs.conversation_id,
        signs.user_id,
        signs.occurred_at as asked_at,
        signs.occurred_on as asked_on,
        signs.text as question,
        signs.reason,
        coalesce(escalations.escalated_at >= signs.occurred_at, false) as was_escalated_after
    from signs
    left join escalations
        on signs.tenant_id = escalations.tenant_id and signs.thread_id = escalations.thread_id
    where btrim(signs.text) <> ''
    order by
        signs.tenant_id asc,
        signs.thread_id asc,
        signs.turn asc,
        signs.priority asc,
        signs.occurred_at asc,
        signs.event_id asc

)

select * from final
