{#-
    Every event is in the fact that it belongs to: of what arrived in the last week, event by event, in facts that have
    taken in all of staging; one that was never built is left out. It goes by the events, not by what a fact says of
    itself; events of frozen days are not in staging, and counted as too late. On the model that reconciles, so that a
    build fails where it is not so.
-#}
{% test each_event_is_in_its_fact(model) %}
    {% set places = [
        ('conversations', 'conversation_id', 'thread_id', "event_name = 'message.received' and marks_conversation", 'and (fact.last_event_at >= events.occurred_at or fact.ended_at <= events.occurred_at and not fact.outcome_inferred)'),
        ('kb_searches', 'search_id', 'event_id', "event_name = 'kb.search'", ''),
        ('errors', 'error_id', 'event_id', "event_name = 'system.error'", ''),
        ('voice_events', 'voice_event_id', 'event_id', "event_name like 'voice.%'", ''),
        ('tool_chains', 'chain_id', 'event_id', "event_name = 'ai.tool_chain_completed'", ''),
        ('tool_calls', 'call_id', 'event_id', "event_name = 'ai.tool_call_completed'", ''),
        ('orders', 'order_id', 'order_id', "event_name in ('commerce.order_completed', 'commerce.order_refunded') and order_id is not null", ''),
        ('bookings', 'booking_id', 'booking_id', "event_name in ('booking.slot_hold', 'booking.requested', 'booking.confirmed') and booking_id is not null", ''),
    ] %}
    with events as (
        select *
        from {{ ref('stg_events') }}
        where received_on >= (select max(received_on) - 7 from {{ ref('stg_events') }})
    )
    {% for fact, key, column, belongs, reaches in places if not execute or load_relation(ref(fact)) is not none %}
    {% if not loop.first %}union all{% endif %}
    select '{{ fact }}' as fact, events.tenant_id, events.event_id, events.event_name, events.occurred_on
    from events
    where
        {{ belongs }}
        and not exists (
            select 1 from {{ ref(fact) }} as fact
            where fact.tenant_id = events.tenant_id and fact.{{ key }} = events.{{ column }} {{ reaches }}
        )
        and not exists (
            select 1
            from ops.changes
            inner join ops.watermarks on watermarks.model = '{{ fact }}' and watermarks.upstream = changes.model
            where changes.model = 'stg_events' and changes.change_id > watermarks.position
        )
    {% endfor %}
{% endtest %}
