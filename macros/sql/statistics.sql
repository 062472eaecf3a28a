{#- Null, not an error and not 0, where there is nothing to divide by. -#}
{% macro ratio(numerator, denominator) -%}
    ({{ numerator }})::double precision / nullif({{ denominator }}, 0)
{%- endmacro %}

{#-
    A mean that does not depend on the order in which rows are read: doubles are added up as exact decimals, so that an
    incremental build and a full refresh agree to the last bit.
-#}
{% macro mean(value, where=none) -%}
    (avg(({{ value }})::numeric){% if where %} filter (where {{ where }}){% endif %})::double precision
{%- endmacro %}

{% macro percentile(share, value) -%}
    percentile_cont({{ share }}) within group (order by {{ value }})
{%- endmacro %}

{#-
    The logarithmic bucket of a latency: bucket i holds (g^(i-1), g^i] with g = (1 + a) / (1 - a) and a = 1 %, so that its
    middle is within 1 % of every value in it (DDSketch: Masson, Rim, Lee, VLDB 2019). Counts of a bucket may be added
    over days, channels and models. Values of a millisecond and less share bucket 0.
-#}
{% macro latency_bucket(milliseconds) -%}
    ceil(ln(greatest({{ milliseconds }}, 1.0)) / ln(1.01 / 0.99))::integer
{%- endmacro %}

{% macro latency_of_bucket(bucket) -%}
    (2 * power(1.01 / 0.99, {{ bucket }}) / (1.01 / 0.99 + 1))
{%- endmacro %}

{#-
    The bucket of doubling width of a time in seconds: bucket i holds (2^(i-1), 2^i], bucket 0 a second and less. It is how
    many powers of two are less: they are whole numbers, and so no more than one below the next whole number.
-#}
{% macro doubling_bucket(seconds) -%}
    {%- set powers = [] %}
    {%- for exponent in range(40) %}{% do powers.append(2 ** exponent) %}{% endfor -%}
    width_bucket(ceil({{ seconds }}) - 1, array{{ powers }}::double precision[])
{%- endmacro %}

{#- Savings per cost of the assistant's conversations, in percent; 0 where they cost nothing. -#}
{% macro roi_percentage(savings, cost_per_conversation) -%}
    coalesce({{ ratio(savings, 'total_conversations * ' ~ cost_per_conversation) }} * 100, 0)
{%- endmacro %}
