{#- The order in which attempts of one unit count: the furthest, the fastest among equals, then the earliest. -#}
{% macro furthest_first() -%}
    reached desc,
        reached_at[reached] - entered_at asc,
        entered_at asc,
        entry_event_id asc
{%- endmacro %}
