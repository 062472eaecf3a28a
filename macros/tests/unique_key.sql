{#-
    The columns are the table's key: no two rows share them and none is null. Postgres keeps that promise at every write by
    a unique index and not-null constraints, so the test asks whether they stand, which costs the same at any size; a view
    has neither, so its rows are counted.
-#}
{% test unique_key(model, columns) %}
    {% set relation = load_relation(model) %}
    {% if relation is not none and relation.is_view %}
    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1{% for column in columns %} or {{ column }} is null{% endfor %}
    {% else %}
    select 'no unique index on exactly these columns' as problem
    where not exists (
        select from pg_index
        where
            indrelid = '{{ model }}'::regclass
            and indisunique and indisvalid and indpred is null
            and (
                select array_agg(attname::text order by attname::text)
                from pg_attribute
                where attrelid = indrelid and attnum = any (indkey::smallint [])
            ) = (select array_agg(name order by name) from unnest(array[{{ literals(columns) }}]) as name)
    )
    union all
    select 'a key column may be null: ' || attname
    from pg_attribute
    where attrelid = '{{ model }}'::regclass and not attnotnull and attname in ({{ literals(columns) }})
    {% endif %}
{% endtest %}
