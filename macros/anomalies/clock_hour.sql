{#- Hours on the face of a clock of 24, from 0 up to 24. -#}
{% macro clock_hour(hours) -%}
    ({{ hours }} - 24 * floor(({{ hours }}) / 24))
{%- endmacro %}
