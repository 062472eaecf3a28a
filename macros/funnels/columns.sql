{#- An event of `source` as one of a funnel: whose it is, and its group, follow from the funnel's definition. -#}
{% macro columns_of_funnel_event(definition) -%}
    source.tenant_id,
        source.event_id,
        source.event_name,
        source.occurred_at,
        source.occurred_on,
        source.sequence,
        source.event_rank,
        {{ definition }}.funnel_id,
        {{ definition }}.unit,
        case
            when {{ definition }}.unit = 'conversation' then source.conversation_id
            else source.person_id
        end as owner_id,
        case
            when {{ definition }}.breakdown is not null
                then ops.breakdown_value({{ definition }}.breakdown, source.source, source.attributes)
        end as breakdown_value
{%- endmacro %}
