{#-
    `join` that keeps of an upstream (by its alias) only the rows of affected keys; nothing while the whole table is built.

    only_affected('events', conversation_id='thread_id'): the model's key column and the upstream's column that holds it;
    a key column that is not named has the same name upstream.
-#}
{% macro only_affected(alias) -%}
    {%- if rebuilding() %}
    inner join pg_temp.affected
        on {{ alias }}.tenant_id = affected.tenant_id
        {%- for column in rebuild_spec().key %}
        and {{ alias }}.{{ kwargs.get(column, column) }} = affected.{{ column }}
        {%- endfor %}
        {%- if rebuild_spec().get('range') %}
        and {{ alias }}.{{ kwargs.get(rebuild_spec().range) }} between affected.from_at and affected.to_at
        {%- endif %}
    {%- else %}{# keeps macros that are called with other names from being refused #}{% do kwargs %}
    {%- endif %}
{%- endmacro %}
