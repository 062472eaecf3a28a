{#- The first or last known value of a group's rows in the order of time; ties are broken by event_id. -#}

{% macro first_known(column, where=none) -%}
    (array_agg({{ column }} order by occurred_at, event_id)
        filter (where {{ column }} is not null{% if where %} and {{ where }}{% endif %}))[1]
{%- endmacro %}

{% macro last_known(column, where=none) -%}
    (array_agg({{ column }} order by occurred_at desc, event_id desc)
        filter (where {{ column }} is not null{% if where %} and {{ where }}{% endif %}))[1]
{%- endmacro %}
