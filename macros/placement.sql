{#-
    The events that are not in a fact that they belong to, as rows of (tenant_id, event_id, event_name, occurred_on,
    received_on, fact). It goes by the events, and not by what a fact says of itself. `events` is a relation of staging's
    columns, of whole days or of all that arrived on some; `facts` are those to look into.

    An event that names no order, booking or person belongs to fewer facts, and every one to facts.event_days.
-#}
{% macro unplaced_events(events, facts) %}
    {% for fact in facts %}
    {{ 'union all' if not loop.first }}
    select
        events.tenant_id,
        events.event_id,
        events.event_name,
        events.occurred_on,
        events.received_on,
        '{{ fact }}' as fact
    {% if fact == 'conversations' -%}
    {{ not_counted_in_conversations(events) }}
    {%- elif fact in facts_that_count() -%}
    {{ not_counted_in(fact, events, **facts_that_count()[fact]) }}
    {%- else -%}
    from {{ events }} as events
    where {{ facts_of_one_row()[fact].belongs }} and not exists (
        select 1
        from {{ ref(fact) }} as fact
        where fact.tenant_id = events.tenant_id and {{ facts_of_one_row()[fact].is_there }}
    )
    {%- endif %}
    {% endfor %}
{% endmacro %}

{#- Every fact that events belong to. -#}
{% macro facts_of_events() %}
    {% do return(['conversations'] + (facts_that_count().keys() | list) + (facts_of_one_row().keys() | list)) %}
{% endmacro %}

{#- Facts with a row that the event is, or is part of: which events belong to it, and what makes it their row. -#}
{% macro facts_of_one_row() %}
    {% do return({
        'sessions': {
            'belongs': "events.user_id is not null and events.actor = 'customer'",
            'is_there': 'fact.user_id = events.user_id'
                ~ ' and events.occurred_at between fact.started_at and fact.ended_at',
        },
        'turns': {
            'belongs': "events.conversation_id is not null and ("
                ~ "events.event_name = 'message.received' and events.actor = 'customer'"
                ~ " or events.event_name = 'conversation.escalated')",
            'is_there': 'fact.thread_id = events.thread_id and events.occurred_at >= fact.asked_at'
                ~ " and events.occurred_at <= coalesce(fact.answered_at, fact.ended_at, 'infinity')",
        },
        'tool_calls': {
            'belongs': "events.event_name in ('ai.tool_call_started', 'ai.tool_call_completed')",
            'is_there': "fact.thread_id = events.thread_id and (fact.call_id = events.event_id"
                ~ " or events.event_name = 'ai.tool_call_started'"
                ~ " and (fact.called_at = events.occurred_at or fact.completed_at <= events.occurred_at))",
        },
        'kb_searches': {'belongs': "events.event_name = 'kb.search'", 'is_there': 'fact.search_id = events.event_id'},
        'errors': {'belongs': "events.event_name = 'system.error'", 'is_there': 'fact.error_id = events.event_id'},
        'voice_events': {
            'belongs': "events.event_name like 'voice.%'",
            'is_there': 'fact.voice_event_id = events.event_id',
        },
        'tool_chains': {
            'belongs': "events.event_name = 'ai.tool_chain_completed'",
            'is_there': 'fact.chain_id = events.event_id',
        },
        'model_calls': {'belongs': "events.event_name = 'ai.response'", 'is_there': 'fact.call_id = events.event_id'},
        'judgements': {
            'belongs': "events.event_name = 'conversation.scored'",
            'is_there': 'fact.judgement_id = events.event_id',
        },
        'payments': {
            'belongs': "events.event_name in ('commerce.order_completed', 'commerce.order_refunded')"
                ~ ' and events.order_id is not null',
            'is_there': 'fact.order_id = events.order_id and case'
                ~ " when events.event_name = 'commerce.order_refunded' then fact.payment_id = events.event_id"
                ~ " else fact.kind = 'order' and fact.paid_at <= events.occurred_at end",
        },
        'orders': {
            'belongs': "events.event_name in ('commerce.order_completed', 'commerce.order_refunded')"
                ~ ' and events.order_id is not null',
            'is_there': 'fact.order_id = events.order_id and case'
                ~ " when events.event_name = 'commerce.order_refunded' then fact.refunded_at else fact.ordered_at"
                ~ ' end <= events.occurred_at',
        },
        'bookings': {
            'belongs': "events.event_name in ('booking.slot_hold', 'booking.requested', 'booking.confirmed')"
                ~ ' and events.booking_id is not null',
            'is_there': 'fact.booking_id = events.booking_id and case'
                ~ " when events.event_name = 'booking.slot_hold' then fact.held_at"
                ~ " when events.event_name = 'booking.requested' then fact.requested_at"
                ~ ' else fact.confirmed_at end <= events.occurred_at',
        },
        'experiment_units': {
            'belongs': "events.event_name = 'experiment.exposed' and events.user_id is not null"
                ~ ' and events.experiment is not null and events.variant is not null',
            'is_there': 'fact.user_id = events.user_id and fact.experiment = events.experiment'
                ~ ' and fact.exposed_at <= events.occurred_at',
        },
    }) %}
{% endmacro %}

{#- Facts that count the events of a day by some columns: those, as pairs of the fact's and staging's, and which events. -#}
{% macro facts_that_count() %}
    {% do return({
        'event_days': {
            'by': [['date', 'occurred_on'], ['event_name'] * 2, ['channel'] * 2, ['received_on'] * 2],
            'belongs': 'true',
        },
        'user_days': {
            'by': [['user_id'] * 2, ['date', 'occurred_on']],
            'belongs': "user_id is not null and actor = 'customer'",
        },
    }) %}
{% endmacro %}

{% macro not_counted_in(fact, events, by, belongs) %}
    from (
        select
            *,
            count(*) over (partition by tenant_id{% for _, column in by %}, {{ column }}{% endfor %}) as together
        from {{ events }}
        where {{ belongs }}
    ) as events
    left join {{ ref(fact) }} as fact
        on
            events.tenant_id = fact.tenant_id
            {%- for own, column in by %} and events.{{ column }} = fact.{{ own }}{% endfor %}
    where events.together > coalesce(fact.events, 0)
{% endmacro %}

{#- A conversation counts its events of every day. -#}
{% macro not_counted_in_conversations(events) %}
    from {{ events }} as events
    inner join (
        select
            of_thread.tenant_id,
            of_thread.thread_id,
            count(*) as together
        from {{ ref('stg_events') }} as of_thread
        inner join (
            select distinct tenant_id, thread_id from {{ events }} where conversation_id is not null
        ) as asked_for on of_thread.tenant_id = asked_for.tenant_id and of_thread.thread_id = asked_for.thread_id
        group by of_thread.tenant_id, of_thread.thread_id
        having bool_or(of_thread.marks_conversation)
    ) as threads on events.tenant_id = threads.tenant_id and events.conversation_id = threads.thread_id
    left join {{ ref('conversations') }} as fact
        on events.tenant_id = fact.tenant_id and events.conversation_id = fact.conversation_id
    where threads.together > coalesce(fact.events, 0)
{% endmacro %}

{#- Condition: retention has not frozen the event's day. -#}
{% macro is_no_history(events) -%}
    not exists (
        select 1
        from ops.raw_horizon as horizon
        where horizon.tenant_id = {{ events }}.tenant_id and {{ events }}.occurred_on < horizon.frozen_before
    )
{%- endmacro %}
