{{ config(
    unique_key=['tenant_id', 'conversation_id'],
    meta={'rebuild': {
        'key': {'conversation_id': 'id'},
        'reads': {
            'stg_events': 'thread',
            'conversations': 'conversation',
            'conversation_wording': 'conversation',
            'responses': 'thread',
            'kb_searches': 'thread',
        },
        'publishes': {'conversation': {'id': 'conversation_id'}},
        'date': 'started_on',
    }}
) }}

with conversations as (

    select conversations.*
    from {{ ref('conversations') }} as conversations
    {{ only_affected('conversations') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

turn_events as (

    select
        events.tenant_id,
        events.conversation_id,
        events.occurred_at,
        events.sequence,
        events.event_rank,
        events.event_id,
        case when events.event_name = 'message.sent' then events.is_fallback end as is_fallback,
        events.event_name = 'message.received' as asks,
        coalesce(lag(events.event_name) over (
            partition by events.tenant_id, events.conversation_id
            order by {{ event_order('events') }}
        ), '') <> 'message.received' as follows_no_question
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', conversation_id='thread_id') }}
    where
        events.conversation_id is not null
        and ({{ is_customers_message('events') }} or {{ is_answer('events') }})

),

turns as (

    select
        tenant_id,
        conversation_id,
        count(*) filter (where asks and follows_no_question) as turns,
        {{ last_known('asks') }} as ends_unanswered,
        count(is_fallback) > 0 as reports_fallbacks
    from turn_events
    group by tenant_id, conversation_id

),

answers as (

    select
        responses.tenant_id,
        responses.conversation_id,
        count(*) as answers,
        count(*) filter (where responses.duration_ms > tenants.sla_ms) as slow_answers
    from {{ ref('responses') }} as responses
    {{ only_affected('responses', conversation_id='thread_id') }}
    inner join tenants on responses.tenant_id = tenants.tenant_id
    where responses.conversation_id is not null
    group by responses.tenant_id, responses.conversation_id

),

searches as (

    select
        searches.tenant_id,
        searches.conversation_id,
        bool_or(searches.was_used) as was_used
    from {{ ref('kb_searches') }} as searches
    {{ only_affected('searches', conversation_id='thread_id') }}
    where searches.conversation_id is not null
    group by searches.tenant_id, searches.conversation_id

),

final as (

    select
        conversations.tenant_id,
        conversations.conversation_id,
        conversations.started_on,
        -- silence after an answer says nothing: only what an event says counts
        {{ signal("case
            when conversations.outcome = 'resolved' then 1
            when conversations.outcome in ('escalated', 'abandoned') and not conversations.outcome_inferred then 0
        end") }} as resolution,
        {{ signal(within_0_and_1('conversations.rating')) }} as rating,
        {{ signal('1 - wording.apologized_at_end::integer') }} as ending,
        {{ signal(
            'case when wording.texts_sent > 0 then least(wording.successes_sent::numeric / settings.success_messages, 1) end'
        ) }} as progress,
        {{ share_without('wording.refusals_sent', 'wording.texts_sent') }} as refusals,
        {{ signal(
            'case when conversations.bookings_requested > 0
                then least(conversations.bookings_confirmed::numeric / conversations.bookings_requested, 1) end'
        ) }} as bookings,
        {{ share_without('turns.ends_unanswered::integer', 'turns.turns') }} as answered,
        {{ signal(
            'case when turns.reports_fallbacks then 1 - conversations.fallbacks::numeric / conversations.messages_sent end'
        ) }} as fallbacks,
        {{ signal('case when conversations.was_escalated then 0 end') }} as escalation,
        {{ signal(
            'case when wording.questions > 1 then 1 - wording.repeated_questions::numeric / wording.questions end'
        ) }} as repetition,
        {{ share_without('answers.slow_answers', 'answers.answers') }} as response_time,
        {{ share_without('conversations.kb_misses', 'conversations.kb_searches') }} as kb_found,
        {{ signal('case when searches.was_used then 1 end') }} as kb_used,
        {{ share_without('conversations.tool_failures', 'conversations.tool_calls') }} as tools,
        {{ signal('case when conversations.has_error then 0 end') }} as errors,
        {{ share_without('wording.rude_received', '(wording.polite_received + wording.rude_received)') }}
            as customer_tone,
        {{ share_without('wording.rude_sent', '(wording.polite_sent + wording.rude_sent)') }} as assistant_tone
    from conversations
    inner join {{ ref('conversation_wording') }} as wording
        on
            conversations.tenant_id = wording.tenant_id
            and conversations.conversation_id = wording.conversation_id
    inner join lateral {{ best_setting(ref('quality_settings'), 'conversations') }} as settings on true
    left join turns
        on conversations.tenant_id = turns.tenant_id and conversations.conversation_id = turns.conversation_id
    left join answers
        on conversations.tenant_id = answers.tenant_id and conversations.conversation_id = answers.conversation_id
    left join searches
        on conversations.tenant_id = searches.tenant_id and conversations.conversation_id = searches.conversation_id

)

select * from final
