{#- Condition: the input gate does not leave out an event of raw.events (docs/inputs.md). -#}
{% macro is_not_blocked(event) -%}
    {%- for basis, column in [('happened', 'occurred_at'), ('arrived', 'received_at')] %}
    {{ 'and ' if not loop.first }}not exists (
        select 1
        from {{ ref('stg_blocked_days') }} as blocked
        where
            blocked.basis = '{{ basis }}'
            and blocked.tenant_id = {{ event }}.tenant_id
            and blocked.day = ({{ event }}.{{ column }} at time zone 'UTC')::date
    )
    {%- endfor %}
{%- endmacro %}

{#- Of the events that the model has taken in, those of days that were blocked or let through since it was last built. -#}
{% macro events_of_days_blocked_or_released(columns='events.*') %}
    {% for basis in ['happened', 'arrived'] %}
    {{ 'union' if not loop.first }}
    select {{ columns }}
    from ops.watermarks
    inner join ops.changes
        on changes.model = 'stg_blocked_days' and changes.id = '{{ basis }}' and changes.change_id > watermarks.position
    {% if basis == 'happened' %}
    inner join {{ source('raw', 'events') }} as events
        on changes.tenant_id = events.tenant_id
        and events.occurred_at >= changes.date::timestamp at time zone 'UTC'
        and events.occurred_at < (changes.date + 1)::timestamp at time zone 'UTC'
    {% else %}
    inner join {{ source('raw', 'load_batches') }} as batches
        on changes.tenant_id = batches.tenant_id
        and batches.received_at >= changes.date::timestamp at time zone 'UTC'
        and batches.received_at < (changes.date + 1)::timestamp at time zone 'UTC'
    inner join {{ source('raw', 'events') }} as events
        on batches.tenant_id = events.tenant_id and batches.batch_id = events.batch_id
    {% endif %}
    where watermarks.model = '{{ model.name }}' and watermarks.upstream = 'stg_blocked_days'
        and events.batch_id <= (
            select known.position from ops.watermarks as known
            where known.model = '{{ model.name }}' and known.upstream = 'raw'
        )
    {% endfor %}
{% endmacro %}
