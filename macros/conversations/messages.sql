{#- Conditions on events of messages: who wrote to whom. What neither fits is a note, or what a machine wrote. -#}

{#- The customer wrote. A message that somebody else put in, such as an automatic reply, is not theirs. -#}
{% macro is_customers_message(events) -%}
    {{ events }}.event_name = 'message.received' and {{ events }}.actor = 'customer'
{%- endmacro %}

{#- The customer was written to: a private note is seen by people behind the assistant alone. -#}
{% macro is_message_to_customer(events) -%}
    {{ events }}.event_name = 'message.sent' and {{ events }}.is_private is not true
{%- endmacro %}

{#- The customer saw or heard an answer, of the assistant or of an agent. A call of a model is none. -#}
{% macro is_answer(events) -%}
    ({{ is_message_to_customer(events) }} or {{ events }}.event_name = 'voice.first_response')
    and {{ events }}.actor in ('assistant', 'agent')
{%- endmacro %}
