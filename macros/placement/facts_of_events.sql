{#- Facts with a row that the event is, or is part of: which events belong to it, and what makes it their row. -#}
{% macro facts_of_one_row() %}
    {% do return({
        'tool_calls': {
            'belongs': "events.event_name in ('ai.tool_call_started', 'ai.tool_call_completed')",
            'is_there': 'fact.call_id = events.event_id',
            'or_there': [
                "events.event_name = 'ai.tool_call_started' and fact.thread_id = events.thread_id"
                    ~ ' and fact.called_at = events.occurred_at',
                "events.event_name = 'ai.tool_call_started' and fact.thread_id = events.thread_id"
                    ~ ' and fact.completed_at <= events.occurred_at',
            ],
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

{#- Facts whose rows follow one another, each of a stretch of time that its events lie in. -#}
{% macro facts_of_stretches() %}
    {% do return({
        'sessions': {
            'belongs': "events.user_id is not null and events.actor = 'customer'",
            'by': 'user_id',
            'begins': 'fact.started_at',
            'ends': 'fact.ended_at',
        },
        'turns': {
            'belongs': "events.conversation_id is not null and ("
                ~ "events.event_name = 'message.received' and events.actor = 'customer'"
                ~ " or events.event_name = 'conversation.escalated')",
            'by': 'thread_id',
            'begins': 'fact.asked_at',
            'ends': "coalesce(fact.answered_at, fact.ended_at, 'infinity')",
        },
    }) %}
{% endmacro %}
