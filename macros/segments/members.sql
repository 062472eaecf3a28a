{#- A customer, once per segment that it is in. Reads the CTE `seen`: the columns of customers, and `as_of`. -#}
{% macro members_of_segments(columns) %}
    select
        segments.segment_id,
        {{ columns | join(',\n        ') }}
    from seen
    cross join lateral (
        values
        {% for segment in segment_conditions() %}
        ({{ literals([segment.segment_id]) }}, {{ segment.condition }}),
        {% endfor %}
        (null, false)
    ) as segments (segment_id, has_it)
    where segments.has_it
{% endmacro %}

{#- How many customers of each segment there are by these columns. Reads `seen`, as above, once for all segments. -#}
{% macro sizes_of_segments(columns) %}
    {% set segments = segment_conditions() %}
    select
        {{ columns | join(',\n        ') }},
        segments.segment_id,
        segments.customers
    from (
        select
            {% for segment in segments %}
            count(*) filter (where {{ segment.condition }}) as segment_{{ loop.index }},
            {% endfor %}
            {{ columns | join(',\n            ') }}
        from seen
        group by {{ columns | join(', ') }}
    ) as counted
    cross join lateral (
        values
        {% for segment in segments %}
        ({{ literals([segment.segment_id]) }}, segment_{{ loop.index }}),
        {% endfor %}
        (null, 0)
    ) as segments (segment_id, customers)
    where segments.customers > 0
{% endmacro %}
