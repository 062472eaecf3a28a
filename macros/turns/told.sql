{#-
    The turns that marked events tell: those that somebody opened, with what closed them, and measurements that no message
    stands around. `measured_ms` is that of the turn's one measurement, `model` the last that was named.
-#}
{% macro turns_told(marks) %}
    select
        tenant_id,
        thread_id,
        {{ only_value('conversation_id', 'opens') }} as conversation_id,
        {{ only_value('event_id', 'opens') }} as turn_id,
        {{ only_value('event_id', 'closes and answers') }} as answer_id,
        coalesce(
            {{ only_value('user_id', 'opens') }},
            {{ only_value('user_id', 'closes and answers') }}
        ) as user_id,
        coalesce(
            {{ only_value('channel', 'closes and answers') }},
            {{ only_value('channel', 'opens') }}
        ) as channel,
        {{ only_value('actor', 'closes and answers') }} as actor,
        case when bool_or(hands_over) then 'agent' else 'assistant' end as wait_for,
        min(occurred_at) filter (where opens) as asked_at,
        min(occurred_at) filter (where closes and answers) as answered_at,
        min(occurred_at) filter (where closes and ends) as ended_at,
        false as is_alone,
        case when count(*) filter (where measures) = 1 then max(duration_ms) filter (where measures) end as measured_ms,
        {{ last_known('model', "measures and model <> 'unknown'") }} as model
    from {{ marks }}
    where not is_alone
    group by tenant_id, thread_id, segment
    having bool_or(opens)
    union all
    select
        tenant_id,
        thread_id,
        conversation_id,
        event_id as turn_id,
        event_id as answer_id,
        user_id,
        channel,
        case when actor = 'agent' then actor else 'assistant' end as actor,
        'assistant' as wait_for,
        -- a year before the answer at most: a measurement may say anything
        occurred_at - least(duration_ms, 31536000000) * interval '1 millisecond' as asked_at,
        occurred_at as answered_at,
        null::timestamptz as ended_at,
        true as is_alone,
        duration_ms as measured_ms,
        model
    from {{ marks }}
    where is_alone
{% endmacro %}
