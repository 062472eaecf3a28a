{#- How well a customer is known, by how many events it has had: new, engaged or returning. -#}
{% macro familiarity(events) -%}
    case when {{ events }} <= 2 then 'new' when {{ events }} <= 10 then 'engaged' else 'returning' end
{%- endmacro %}
