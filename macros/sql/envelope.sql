{#- What an event type says of its events: the tenant's own type counts before the one for all tenants. -#}

{#- The place of an event among those of its instant, 1 to 5. -#}
{% macro event_rank(own_type, shared_type) -%}
    array_position(
        array['start', 'customer', 'answer', 'end', 'afterwards'],
        coalesce({{ own_type }}.rank, {{ shared_type }}.rank, 'customer')
    )::smallint
{%- endmacro %}

{#- Whose doing an event is: as it says, in the envelope or, of a message sent, among its attributes; else as its type. -#}
{% macro event_actor(event, own_type, shared_type) -%}
    coalesce(
        {{ event }}.actor,
        case
            when {{ event }}.event_name <> 'message.sent' then null
            when {{ text_attribute('actor', event ~ '.attributes') }} = 'human' then 'agent'
            when {{ text_attribute('actor', event ~ '.attributes') }} = 'assistant' then 'assistant'
        end,
        {{ own_type }}.actor,
        {{ shared_type }}.actor,
        'customer'
    )
{%- endmacro %}
