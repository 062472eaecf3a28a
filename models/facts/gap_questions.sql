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

misses as (

    select
        events.tenant_id,
        events.thread_id,
        events.conversation_id,
        events.user_id,
        events.event_id,
        events.occurred_at,
        events.occurred_on,
        events.turn,
        events.text as question,
        1 as priority,
        case when events.results_count = 0 then 'no_results' else 'low_relevance' end as why
    from events
    inner join lateral {{ best_setting(ref('gap_settings'), 'events') }} as setting on true
    where
        events.event_name = 'kb.search'
        and (events.results_count = 0 or events.top_score < setting.relevance_threshold)

),

fallbacks as (

    select
        asked.tenant_id,
        asked.thread_id,
        asked.conversation_id,
        asked.user_id,
        asked.event_id,
        asked.occurred_at,
        asked.occurred_on,
        asked.turn,
        asked.text as question,
        2 as priority,
        'fallback' as why
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

),

repetitions as (

    select
        asked.tenant_id,
        asked.thread_id,
        asked.conversation_id,
        asked.user_id,
        asked.event_id,
        asked.occurred_at,
        asked.occurred_on,
        asked.turn,
        asked.text as question,
        3 as priority,
        'repeated' as why
    from asked
    where asked.is_repeated and char_length(asked.wording) >= 12

),

candidates as (

    select * from misses
    union all
    select * from fallbacks
    union all
    select * from repetitions

),

-- one turn is one question, however many signs say that it was not answered
final as (

    select distinct on (candidates.tenant_id, candidates.thread_id, candidates.turn)
        candidates.tenant_id,
        candidates.event_id as question_id,
        candidates.thread_id,
        candidates.conversation_id,
        candidates.user_id,
        candidates.occurred_at as asked_at,
        candidates.occurred_on as asked_on,
        candidates.question,
        candidates.why as reason,
        coalesce(escalations.escalated_at >= candidates.occurred_at, false) as was_escalated_after
    from candidates
    left join escalations
        on candidates.tenant_id = escalations.tenant_id and candidates.thread_id = escalations.thread_id
    where btrim(candidates.question) <> ''
    order by
        candidates.tenant_id asc,
        candidates.thread_id asc,
        candidates.turn asc,
        candidates.priority asc,
        candidates.occurred_at asc,
        candidates.event_id asc

)

select * from final
