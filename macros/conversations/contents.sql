{#- What is in each affected conversation: who and where, counts of what happened, the last rating. -#}
{% macro contents_of_conversations() %}
    select
        events.tenant_id,
        events.conversation_id,
        {{ first_known('user_id') }} as user_id,
        coalesce({{ first_known('channel', "channel <> 'unknown'") }}, 'unknown') as channel,
        count(*) as events,
        count(*) filter (where {{ is_customers_message('events') }}) as messages_received,
        count(*) filter (where {{ is_message_to_customer('events') }}) as messages_sent,
        count(*) filter (where events.event_name = 'ai.tool_call_completed' and not events.success) as tool_failures,
        count(*) filter (where events.event_name = 'kb.search') as kb_searches,
        count(*) filter (where events.event_name = 'kb.search' and events.results_count = 0) as kb_misses,
        count(*) filter (where {{ is_message_to_customer('events') }} and events.is_fallback) as fallbacks,
        count(distinct events.booking_id) filter (where events.event_name = 'booking.requested') as bookings_requested,
        count(distinct events.booking_id) filter (where events.event_name = 'booking.confirmed') as bookings_confirmed,
        {{ last_known('rating', "event_name = 'conversation.rated'") }} as rating,
        count(events.rating) filter (where events.event_name = 'conversation.rated') as ratings,
        bool_or(events.event_name = 'system.error') as has_error,
        {{ last_known('coalesce(agent_name, agent_id)') }} as agent,
        {{ last_known('agent_id') }} as agent_id,
        {{ last_known('team') }} as team,
        {{ last_known('inbox') }} as inbox,
        (
            select string_agg(distinct label.name, '|' order by label.name)
            from unnest(string_to_array(string_agg(events.labels, '|'), '|')) as label (name)
        ) as labels
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', conversation_id='thread_id') }}
    where events.conversation_id is not null
    group by events.tenant_id, events.conversation_id
{% endmacro %}
