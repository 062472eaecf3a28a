{#- The signals that a score may be made of, as in the seed `quality_weights`. -#}
{% macro signals_of(score) %}
    {% if score == 'overall' %}
        {% do return(['helpfulness', 'accuracy', 'politeness']) %}
    {% endif %}
    {% do return([
        'resolution', 'rating', 'ending', 'progress', 'refusals', 'bookings', 'answered', 'fallbacks', 'escalation',
        'repetition', 'response_time', 'kb_found', 'kb_used', 'tools', 'errors', 'customer_tone', 'assistant_tone',
    ]) %}
{% endmacro %}

{#-
    The weighted mean, to two decimals, of the signals that apply; null where none does. Reads the columns of the signals
    and `<score>_<signal>`, their weights, which are null where a signal does not bear on the score.
-#}
{% macro weighted_score(score) -%}
    round(
        (
            {%- for signal in signals_of(score) %}
            {{ '+ ' if not loop.first }}coalesce({{ signal }} * {{ score }}_{{ signal }}, 0)
            {%- endfor %}
        ) / nullif(
            {%- for signal in signals_of(score) %}
            {{ '+ ' if not loop.first }}case when {{ signal }} is null then 0 else coalesce({{ score }}_{{ signal }}, 0) end
            {%- endfor %}, 0
        ), 2
    )::numeric(3, 2)
{%- endmacro %}

{#- What `weighted_score` was made of, as JSON: signal to value and weight. -#}
{% macro weighed_signals(score) -%}
    jsonb_strip_nulls(jsonb_build_object(
        {%- for signal in signals_of(score) %}
        '{{ signal }}', case
            when {{ signal }} is not null and {{ score }}_{{ signal }} > 0
                then jsonb_build_object(
                    'value', trim_scale({{ signal }}), 'weight', trim_scale({{ score }}_{{ signal }})
                )
        end{{ ',' if not loop.last }}
        {%- endfor %}
    ))
{%- endmacro %}

{#- A signal: a share of 0 to 1 to four decimals, so that a score can be recomputed from what is kept of it. -#}
{% macro signal(value) -%}
    round(({{ value }})::numeric, 4)::numeric(5, 4)
{%- endmacro %}

{#- What is no share is no score either: a tenant's own version of an event type may allow other numbers. -#}
{% macro within_0_and_1(value) -%}
    case when {{ value }} between 0 and 1 then {{ value }} end
{%- endmacro %}

{#- The signal of troubles among attempts: the share without; null where nothing was attempted. -#}
{% macro share_without(troubles, attempts) -%}
    {{ signal('1 - ' ~ troubles ~ '::numeric / nullif(' ~ attempts ~ ', 0)') }}
{%- endmacro %}
