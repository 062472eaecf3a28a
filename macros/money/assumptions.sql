{#- What a conversation costs with the assistant and with a person, by a row of roi_assumptions: expected, and both ends. -#}
{% macro costs_of_a_conversation(assumptions) -%}
    {{ assumptions }}.cost_per_conversation,
        {{ assumptions }}.cost_per_conversation_low,
        {{ assumptions }}.cost_per_conversation_high,
        {{ assumptions }}.minutes_per_conversation / 60 * {{ assumptions }}.hourly_cost as human_cost,
        {{ assumptions }}.minutes_low / 60 * {{ assumptions }}.hourly_cost_low as human_cost_low,
        {{ assumptions }}.minutes_high / 60 * {{ assumptions }}.hourly_cost_high as human_cost_high
{%- endmacro %}
