{{ config(
    unique_key=['tenant_id', 'conversation_id'],
    indexes=[
        {'columns': ['outcome', 'last_event_at']},
    ],
    meta={'rebuild': {
        'key': {'conversation_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'time_triggered': 'time_triggered_abandonment',
        'publishes': {'conversation': {'id': 'conversation_id'}},
        'date': 'started_on',
    }}
) }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

events as (

    select
        events.*,
        events.event_name in ('conversation.resolved', 'conversation.escalated', 'conversation.abandoned')
            as is_outcome,
        -- what people and the assistant do in it; not what is said of it afterwards
        events.actor in ('customer', 'assistant', 'agent')
        and events.event_name not in ('conversation.rated', 'conversation.scored') as is_talk,
        {{ is_customers_message('events') }} as is_customers_message,
        {{ is_message_to_customer('events') }} as is_message_to_customer,
        {{ is_answer('events') }} and events.actor = 'agent'
        and count(*) filter (where events.event_name = 'conversation.escalated') over (
            partition by events.tenant_id, events.conversation_id
            order by {{ event_order('events') }}
        ) > 0 as is_taken_over
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', conversation_id='thread_id') }}
    where events.conversation_id is not null

),

ends as (

    {{ ends_of_conversations('events') }}

),

-- up to the last end: what is said after it does not lengthen the conversation
spans as (

    select
        events.tenant_id,
        events.conversation_id,
        min(events.occurred_at) as started_at,
        min(events.occurred_on) as started_on,
        min(events.occurred_at) filter (where events.is_talk) as first_talk_at,
        coalesce(
            max(events.occurred_at) filter (
                where events.is_talk
                and (
                    ends.last_outcome is null
                    or ends.last_outcome = 'conversation.escalated'
                    or events.occurred_at <= ends.last_outcome_at
                )
            ),
            max(events.occurred_at)
        ) as last_event_at,
        min(events.occurred_at) filter (where events.is_taken_over) as taken_over_at,
        -- the business wrote, and the customer never did
        not bool_or(events.is_customers_message or events.event_name = 'voice.turn_started')
        and bool_or(events.is_message_to_customer) as has_no_reply
    from events
    left join ends on events.tenant_id = ends.tenant_id and events.conversation_id = ends.conversation_id
    group by events.tenant_id, events.conversation_id
    having bool_or(events.marks_conversation)

),

told as (

    select
        spans.*,
        ends.reopened_at,
        ends.last_outcome,
        ends.last_outcome_at,
        ends.said_resolved_by,
        ends.escalated_at,
        ends.first_resolved_at,
        ends.next_resolved_at,
        ends.last_resolved_at,
        coalesce(ends.reopened_count, 0) as reopened_count,
        not spans.has_no_reply
        and ends.last_outcome is null
        and {{ abandoned_at('spans', 'tenants') }} <= {{ as_of() }} as outcome_inferred
    from spans
    inner join tenants on spans.tenant_id = tenants.tenant_id
    left join ends on spans.tenant_id = ends.tenant_id and spans.conversation_id = ends.conversation_id

),

final as (

    select
        tenant_id,
        conversation_id,
        started_at,
        started_on,
        last_event_at,
        case when outcome_inferred then last_event_at else last_outcome_at end as ended_at,
        case
            when has_no_reply then 'no_reply'
            when outcome_inferred then 'abandoned'
            else coalesce(split_part(last_outcome, '.', 2), 'open')
        end as outcome,
        outcome_inferred,
        case
            when last_outcome = 'conversation.resolved' and not has_no_reply
                then coalesce(
                    nullif(said_resolved_by, ''),
                    case when escalated_at is not null then 'human' else 'assistant' end
                )
        end as resolved_by,
        escalated_at is not null as was_escalated,
        reopened_count,
        {{ seconds_between('coalesce(first_talk_at, last_event_at)', 'last_event_at') }}::double precision
            as duration_seconds,
        {{ seconds_between('started_at', 'first_resolved_at') }}::double precision as first_resolution_seconds,
        {{ seconds_between('reopened_at', 'next_resolved_at') }}::double precision as next_resolution_seconds,
        {{ seconds_between('started_at', 'last_resolved_at') }}::double precision as last_resolution_seconds,
        {{ seconds_between('escalated_at', 'taken_over_at') }}::double precision as handover_seconds
    from told

)

select * from final
