{#-
    `time_triggered` of facts.turns: turns without an answer whose promise the clock has passed, or whose conversation has
    fallen silent by as_of.
-#}
{% macro time_triggered_turns(spec) %}
    select turns.tenant_id, turns.thread_id
    from {{ this }} as turns
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where
        turns.status = 'waiting'
        and (
            turns.expires_at <= {{ as_of() }}
            or turns.is_breach <> {{ is_past_promise('turns.asked_at', as_of(), 'tenants.sla_ms') }}
        )
{% endmacro %}

{#- Whether more time than the tenant promises lies between a question and another moment. -#}
{% macro is_past_promise(asked_at, moment, sla_ms) -%}
    ({{ asked_at }} + {{ sla_ms }} * interval '1 millisecond' < {{ moment }})
{%- endmacro %}
