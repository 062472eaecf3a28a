{#- A customer, once per segment that it is in. Reads the CTE `seen`: the columns of customers, and `as_of`. -#}
{% macro members_of_segments(columns) %}
    {% for segment in segment_conditions() %}
    select
        {{ literals([segment.segment_id]) }} as segment_id,
        {{ columns | join(',\n        ') }}
    from seen
    where {{ segment.condition }}
    union
    {% endfor %}
    select
        null as segment_id,
        {{ columns | join(',\n        ') }}
    from seen
    where false
{% endmacro %}
