{#-
    The order of events, wherever they are put in one: by time; within an instant by `sequence`, where the producer says it,
    then by the place of the event type in the tracking plan; at last by event_id.
-#}
{% macro event_order(alias=none, descending=false) -%}
    {%- set columns = [] -%}
    {%- for column in ['occurred_at', 'sequence', 'event_rank', 'event_id'] -%}
        {%- do columns.append((alias ~ '.' if alias else '') ~ column ~ (' desc' if descending else '')) -%}
    {%- endfor -%}
    {{ columns | join(', ') }}
{%- endmacro %}

{#- The first or last known value of a group's rows in the order of events. -#}

{% macro first_known(column, where=none) -%}
    (array_agg({{ column }} order by {{ event_order() }})
        filter (where {{ column }} is not null{% if where %} and {{ where }}{% endif %}))[1]
{%- endmacro %}

{% macro last_known(column, where=none) -%}
    (array_agg({{ column }} order by {{ event_order(descending=true) }})
        filter (where {{ column }} is not null{% if where %} and {{ where }}{% endif %}))[1]
{%- endmacro %}
