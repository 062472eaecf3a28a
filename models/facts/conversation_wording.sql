{{ config(
    unique_key=['tenant_id', 'conversation_id'],
    meta={'rebuild': {
        'key': {'conversation_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'publishes': {'conversation': {'id': 'conversation_id'}},
        'date': 'started_on',
    }}
) }}

with events as (

    select
        events.tenant_id,
        events.conversation_id,
        events.event_id,
        events.event_name,
        events.occurred_at,
        events.occurred_on,
        events.sequence,
        events.event_rank,
        events.marks_conversation,
        events.actor,
        events.is_private,
        case when events.event_name in ('message.received', 'message.sent') then events.text end as text
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', conversation_id='thread_id') }}
    where events.conversation_id is not null

),

patterns as (

    select
        {{ any_term('assistant', 'polite') }} as assistant_polite,
        {{ any_term('assistant', 'rude') }} as assistant_rude,
        {{ any_term('assistant', 'apology') }} as assistant_apology,
        {{ any_term('assistant', 'success') }} as assistant_success,
        {{ any_term('assistant', 'refusal') }} as assistant_refusal,
        {{ any_term('customer', 'polite') }} as customer_polite,
        {{ any_term('customer', 'rude') }} as customer_rude
    from {{ ref('politeness_lexicon') }}

),

conversations as (

    select
        events.tenant_id,
        events.conversation_id,
        min(events.occurred_on) as started_on
    from events
    group by events.tenant_id, events.conversation_id
    having bool_or(events.marks_conversation)

),

messages as (

    select
        events.tenant_id,
        events.conversation_id,
        events.event_id,
        events.occurred_at,
        events.sequence,
        events.event_rank,
        events.event_name = 'message.received' as is_customers,
        {{ plain_words('events.text') }} as words
    from events
    where ({{ is_customers_message('events') }} or {{ is_message_to_customer('events') }}) and events.text is not null

),

read_messages as (

    select
        messages.*,
        settings.ending_messages,
        settings.question_words,
        settings.repeat_lookback,
        settings.repeat_similarity,
        case when is_customers then words ~ customer_polite else words ~ assistant_polite end as is_polite,
        case when is_customers then words ~ customer_rude else words ~ assistant_rude end as is_rude,
        not is_customers and words ~ assistant_apology as is_apology,
        not is_customers and words ~ assistant_success as is_success,
        not is_customers and words ~ assistant_refusal as is_refusal,
        row_number() over (
            partition by messages.tenant_id, conversation_id, is_customers
            order by {{ event_order(descending=true) }}
        ) as nth_from_end,
        case when is_customers then array(select distinct unnest(string_to_array(btrim(words), ' '))) end as word_set
    from messages
    cross join patterns
    inner join lateral {{ best_setting(ref('quality_settings'), 'messages') }} as settings on true

),

counted as (

    select
        tenant_id,
        conversation_id,
        count(*) filter (where is_customers and is_polite) as polite_received,
        count(*) filter (where is_customers and is_rude) as rude_received,
        count(*) filter (where not is_customers and is_polite) as polite_sent,
        count(*) filter (where not is_customers and is_rude) as rude_sent,
        count(*) filter (where not is_customers) as texts_sent,
        count(*) filter (where is_success) as successes_sent,
        count(*) filter (where is_refusal) as refusals_sent,
        bool_or(is_apology) filter (where not is_customers and nth_from_end <= ending_messages)
            as apologized_at_end
    from read_messages
    group by tenant_id, conversation_id

),

{{ questions_repeated('read_messages') }},

final as (

    select
        conversations.tenant_id,
        conversations.conversation_id,
        conversations.started_on,
        coalesce(counted.polite_received, 0) as polite_received,
        coalesce(counted.rude_received, 0) as rude_received,
        coalesce(counted.polite_sent, 0) as polite_sent,
        coalesce(counted.rude_sent, 0) as rude_sent,
        coalesce(counted.texts_sent, 0) as texts_sent,
        coalesce(counted.successes_sent, 0) as successes_sent,
        coalesce(counted.refusals_sent, 0) as refusals_sent,
        counted.apologized_at_end,
        coalesce(questions_counted.questions, 0) as questions,
        coalesce(questions_counted.repeated_questions, 0) as repeated_questions
    from conversations
    left join counted
        on
            conversations.tenant_id = counted.tenant_id
            and conversations.conversation_id = counted.conversation_id
    left join questions_counted
        on
            conversations.tenant_id = questions_counted.tenant_id
            and conversations.conversation_id = questions_counted.conversation_id

)

select * from final
