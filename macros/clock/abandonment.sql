{#- When a conversation without an outcome counts as abandoned: after the tenant's hours of silence. -#}
{% macro abandoned_at(conversation, tenant) -%}
    {{ conversation }}.last_event_at + {{ tenant }}.abandon_after_hours * interval '1 hour'
{%- endmacro %}

{#- `time_triggered` of facts.conversations: those that have fallen silent by as_of, and, for an earlier one, had not yet. -#}
{% macro time_triggered_abandonment(spec) %}
    select conversations.tenant_id, conversations.conversation_id
    from {{ this }} as conversations
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where
        (conversations.outcome = 'open' and {{ abandoned_at('conversations', 'tenants') }} <= {{ as_of() }})
        or (
            conversations.outcome = 'abandoned'
            and conversations.outcome_inferred
            and conversations.last_event_at > {{ as_of() }} - (select max(abandon_after_hours) from {{ ref('stg_tenants') }}) * interval '1 hour'
            and {{ abandoned_at('conversations', 'tenants') }} > {{ as_of() }}
        )
{% endmacro %}
