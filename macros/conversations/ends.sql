{#-
    How each conversation of some events ended: its outcome events, and how often the customer wrote again after it was
    resolved or abandoned, which reopens it. `events` has `is_outcome` and `is_customers_message`.
-#}
{% macro ends_of_conversations(events) %}
    select
        tenant_id,
        conversation_id,
        count(*) filter (where reopens) as reopened_count,
        min(occurred_at) filter (where reopens) as reopened_at,
        {{ last_known('event_name', 'is_outcome') }} as last_outcome,
        {{ last_known('occurred_at', 'is_outcome') }} as last_outcome_at,
        {{ last_known("coalesce(resolved_by, '')", "event_name = 'conversation.resolved'") }} as said_resolved_by,
        min(occurred_at) filter (where event_name = 'conversation.escalated') as escalated_at,
        min(occurred_at) filter (where event_name = 'conversation.resolved') as first_resolved_at,
        min(occurred_at) filter (where event_name = 'conversation.resolved' and reopenings > 0) as next_resolved_at,
        max(occurred_at) filter (where event_name = 'conversation.resolved') as last_resolved_at
    from (
        select
            *,
            count(*) filter (where reopens) over (
                partition by tenant_id, conversation_id
                order by {{ event_order() }}
            ) as reopenings
        from (
            select
                *,
                is_customers_message and coalesce(
                    lag(event_name) over (
                        partition by tenant_id, conversation_id
                        order by {{ event_order() }}
                    ) in ('conversation.resolved', 'conversation.abandoned'),
                    false
                ) as reopens
            from {{ events }}
            where is_outcome or is_customers_message
        ) as turning_points
    ) as numbered
    group by tenant_id, conversation_id
{% endmacro %}
