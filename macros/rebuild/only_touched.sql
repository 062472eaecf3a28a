{#-
    `join` that keeps of an upstream (by its alias) only the rows of touched keys; nothing while the whole table is built.

    only_touched('events', conversation_id='thread_id'): the model's key column and the upstream's column that holds it;
    a key column that is not named has the same name upstream.
-#}
{% macro only_touched(alias) -%}
    {%- if rebuilding() %}
    inner join pg_temp.touched
        on {{ alias }}.tenant_id = touched.tenant_id
        {%- for column in rebuild_spec().key %}
        and {{ alias }}.{{ kwargs.get(column, column) }} = touched.{{ column }}
        {%- endfor %}
        {%- if rebuild_spec().get('range') %}
        and {{ alias }}.{{ kwargs.get(rebuild_spec().range) }} between touched.from_at and touched.to_at
        {%- endif %}
    {%- else %}{# keeps macros that are called with other names from being refused #}{% do kwargs %}
    {%- endif %}
{%- endmacro %}
