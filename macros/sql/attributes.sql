{#-
    JSON is read here and nowhere else. A value of another JSON type than the one asked for is null: an event type
    that a tenant registered, or one admitted unregistered, may use our attribute's name for something else, and must
    not break the build.
-#}

{% macro text_attribute(name, column='attributes') -%}
    {{ column }} ->> '{{ name }}'
{%- endmacro %}

{#- Beyond ±1e15 a number says nothing about milliseconds, money or counts, and may not fit its column. -#}
{% macro number_attribute(name, type='double precision', column='attributes') -%}
    case
        when jsonb_typeof({{ column }} -> '{{ name }}') = 'number'
            then case
                when abs(({{ column }} -> '{{ name }}')::numeric) < 1e15
                    then ({{ column }} -> '{{ name }}')::{{ type }}
            end
    end
{%- endmacro %}

{% macro boolean_attribute(name, column='attributes') -%}
    case when jsonb_typeof({{ column }} -> '{{ name }}') = 'boolean' then ({{ column }} -> '{{ name }}')::boolean end
{%- endmacro %}

{#- A list of texts as one text: sorted, without doubles, `|` between them; of a text its parts between commas. -#}
{% macro texts_attribute(name, column='attributes') -%}
    case when {{ column }} ? '{{ name }}' then (
        select string_agg(distinct btrim(listed.value), '|' order by btrim(listed.value))
        from unnest(case
            when jsonb_typeof({{ column }} -> '{{ name }}') = 'array'
                then array(select jsonb_array_elements_text({{ column }} -> '{{ name }}'))
            when jsonb_typeof({{ column }} -> '{{ name }}') = 'string' then string_to_array({{ column }} ->> '{{ name }}', ',')
        end) as listed (value)
        where btrim(listed.value) <> ''
    ) end
{%- endmacro %}

{#-
    A number on the scale that stands beside it, as 0 to 1. Without a maximum it is on that scale already; with one, the
    minimum is 1 where none is given.
-#}
{% macro scaled_attribute(name, minimum, maximum, column='attributes') -%}
    case
        when {{ number_attribute(maximum, column=column) }} is null then {{ number_attribute(name, column=column) }}
        else
            ({{ number_attribute(name, column=column) }} - coalesce({{ number_attribute(minimum, column=column) }}, 1))
            / nullif(
                {{ number_attribute(maximum, column=column) }} - coalesce({{ number_attribute(minimum, column=column) }}, 1),
                0
            )
    end
{%- endmacro %}

{#- Whether attributes satisfy a SQL/JSON path predicate (`$.confidence_score > 0.8`); a missing one never does. -#}
{% macro satisfies(attributes, predicate) -%}
    coalesce(jsonb_path_match({{ attributes }}, {{ predicate }}::jsonpath, '{}', true), false)
{%- endmacro %}

{#- The first value at a SQL/JSON path, as text; null where there is none. -#}
{% macro first_at_path(attributes, path) -%}
    jsonb_path_query_first({{ attributes }}, {{ path }}::jsonpath, '{}', true) #>> '{}'
{%- endmacro %}

{#- The names of the ids that an event was sent with. -#}
{% macro sent_ids(event) -%}
    to_jsonb(array_remove(
        array[
            {%- for name in ['user_id', 'conversation_id', 'session_id'] %}
            case when {{ event }}.{{ name }} is not null then '{{ name }}' end{{ ',' if not loop.last }}
            {%- endfor %}
        ],
        null
    ))
{%- endmacro %}

{#- The names of the attributes, and in the same order their JSON types. -#}
{% macro sent_fields(event) -%}
    to_jsonb(array(select jsonb_object_keys({{ event }}.attributes)))
{%- endmacro %}

{% macro sent_types(event) -%}
    jsonb_path_query_array({{ event }}.attributes, '$.*.type()')
{%- endmacro %}
