{#-
    Every event is in the fact that it belongs to: of what arrived in the last week, event by event, and of conversations
    by the number of their events, in facts that have taken in all of staging; one that was never built is left out. It
    goes by the events, not by what a fact says of itself; events of frozen days are not in staging, and counted as too
    late. On the model that reconciles, so that a build fails where it is not so.
-#}
{% test each_event_is_in_its_fact(model) %}
    {% set places = [
        ('kb_searches', 'search_id', 'event_id', "event_name = 'kb.search'"),
        ('errors', 'error_id', 'event_id', "event_name = 'system.error'"),
        ('voice_events', 'voice_event_id', 'event_id', "event_name like 'voice.%'"),
        ('tool_chains', 'chain_id', 'event_id', "event_name = 'ai.tool_chain_completed'"),
        ('tool_calls', 'call_id', 'event_id', "event_name = 'ai.tool_call_completed'"),
        ('orders', 'order_id', 'order_id', "event_name in ('commerce.order_completed', 'commerce.order_refunded') and order_id is not null"),
        ('bookings', 'booking_id', 'booking_id', "event_name in ('booking.slot_hold', 'booking.requested', 'booking.confirmed') and booking_id is not null"),
    ] %}
    with events as (
        select *
        from {{ ref('stg_events') }}
        where received_on >= (select max(received_on) - 7 from {{ ref('stg_events') }})
    )
    select null as fact, null as tenant_id, null::uuid as event_id, null as event_name, null::date as occurred_on
    where false
    {% if is_built('conversations') %}
    union all
    -- a conversation counts its events, wherever they stand in it
    select 'conversations', events.tenant_id, min(events.event_id::text)::uuid, min(events.event_name), min(events.occurred_on)
    from {{ ref('stg_events') }} as events
    left join {{ ref('conversations') }} as fact
        on fact.tenant_id = events.tenant_id and fact.conversation_id = events.conversation_id
    where
        (events.tenant_id, events.conversation_id) in (
            select tenant_id, conversation_id from events where conversation_id is not null
        )
        and {{ has_taken_in('conversations') }}
    group by events.tenant_id, events.conversation_id
    having bool_or(events.marks_conversation) and count(*) > coalesce(max(fact.events), 0)
    {% endif %}
    {% for fact, key, column, belongs in places if is_built(fact) %}
    union all
    select '{{ fact }}', events.tenant_id, events.event_id, events.event_name, events.occurred_on
    from events
    where
        {{ belongs }}
        and not exists (
            select 1 from {{ ref(fact) }} as fact
            where fact.tenant_id = events.tenant_id and fact.{{ key }} = events.{{ column }}
        )
        and {{ has_taken_in(fact) }}
    {% endfor %}
{% endtest %}

{#- Whether a fact exists; while the project is parsed, all do. -#}
{% macro is_built(fact) %}{% do return(not execute or load_relation(ref(fact)) is not none) %}{% endmacro %}

{#- Whether a fact has taken in all of staging. -#}
{% macro has_taken_in(fact) -%}
    not exists (
        select 1
        from ops.changes
        inner join ops.watermarks on watermarks.model = '{{ fact }}' and watermarks.upstream = changes.model
        where changes.model = 'stg_events' and changes.change_id > watermarks.position
    )
{%- endmacro %}
