{#-
    The events that tell what customers wait for, each with its place in a turn (docs/decisions/turns.md). `events` is a
    relation of staging's columns. Beside them:

    segment   of the conversation: begins where a turn opens or the customer begins to speak, and ends with an end
    opens     opens a turn: asks, or hands over, while nobody is waited for
    closes    ends the wait: the answer, or the end without one
    answers   is seen or heard by the customer
    measures  says how long something took
    is_alone  a measurement that no message stands around: a turn of its own

    What ends a wait depends on what came before only by counts: an agent's answer and an end close whatever is open; the
    assistant's answer does unless the conversation was handed over since.
-#}
{% macro turn_marks(events) %}
    {%- set way = 'partition by tenant_id, thread_id order by ' ~ event_order() -%}
    {%- set before = 'rows between unbounded preceding and 1 preceding' -%}
    with told as (

        select
            *,
            {{ is_customers_message('events') }} as asks,
            event_name = 'conversation.escalated' as hands_over,
            {{ is_answer('events') }} as answers,
            event_name in ('conversation.resolved', 'conversation.abandoned') as ends,
            event_name in ('ai.response', 'voice.first_response') and duration_ms >= 0 as measures,
            bool_or(
                event_name in ('message.received', 'voice.first_response')
                or ({{ is_message_to_customer('events') }})
            ) over (partition by tenant_id, thread_id) as has_messages
        from {{ events }} as events
        where
            event_name in ('ai.response', 'voice.first_response')
            or (
                event_name in (
                    'message.received', 'message.sent', 'voice.turn_started',
                    'conversation.escalated', 'conversation.resolved', 'conversation.abandoned'
                )
                and conversation_id is not null
            )

    ),

    in_blocks as (

        select
            *,
            count(*) filter (where ends or (answers and actor = 'agent')) over ({{ way }} {{ before }}) as block
        from told

    ),

    with_resets as (

        select
            *,
            ends or (answers and (actor = 'agent' or count(*) filter (where hands_over) over (
                partition by tenant_id, thread_id, block
                order by {{ event_order() }}
                {{ before }}
            ) = 0)) as resets
        from in_blocks

    ),

    in_stretches as (

        select
            *,
            count(*) filter (where resets) over ({{ way }} {{ before }}) as stretch
        from with_resets

    ),

    with_waits as (

        select
            *,
            count(*) filter (where asks or hands_over) over (
                partition by tenant_id, thread_id, stretch
                order by {{ event_order() }}
                {{ before }}
            ) > 0 as is_awaited
        from in_stretches

    ),

    in_segments as (

        select
            *,
            (asks or hands_over) and not is_awaited as opens,
            resets and is_awaited as closes,
            count(*) filter (
                where not is_awaited and (asks or hands_over or event_name = 'voice.turn_started')
            ) over ({{ way }})
            + count(*) filter (where ends) over ({{ way }} {{ before }}) as segment
        from with_waits

    )

    select
        *,
        measures and case
            when event_name = 'ai.response' then not has_messages
            else not bool_or(opens) over (partition by tenant_id, thread_id, segment)
        end as is_alone
    from in_segments
{% endmacro %}

{#- The value of the only row of a group for which a condition holds; null where there is none. -#}
{% macro only_value(column, where) -%}
    (array_agg({{ column }}) filter (where {{ where }}))[1]
{%- endmacro %}
