{#-
    Step 3 of README.md. `recomputed` holds the affected keys' recomputed rows; the difference to the existing rows is
    written and published, and nothing else: a row that came out the same costs no write here and no work downstream.
-#}
{% macro write_difference(target, table_columns, unique_key, spec) %}
    {% set columns = table_columns | map(attribute='quoted') | join(', ') %}
    {% set keeps_frozen = spec.is_frozen and freezes(spec) %}
    create temporary table removed on commit drop as
    select {{ columns_of('existing', table_columns) }}
    from {{ target }} as existing
    left join pg_temp.recomputed on {{ same('existing', 'recomputed', unique_key) }}
    where
        {{ is_affected('existing') }}
        and {{ differs('recomputed', 'existing', table_columns) }}
        {% if keeps_frozen %}
        and (not {{ is_frozen(spec, 'existing') }} or recomputed.tenant_id is not null and not {{ is_frozen(spec, 'recomputed') }})
        {% endif %};
    create temporary table added on commit drop as
    select {{ columns_of('recomputed', table_columns) }}
    from pg_temp.recomputed
    left join {{ target }} as existing on {{ same('existing', 'recomputed', unique_key) }} and {{ is_affected('existing') }}
    where
        {{ differs('existing', 'recomputed', table_columns) }}
        {% if keeps_frozen %}
        and (not {{ is_frozen(spec, 'recomputed') }} or existing.tenant_id is not null and not {{ is_frozen(spec, 'existing') }})
        {% endif %};
    delete from {{ target }} as target using pg_temp.removed where {{ same('target', 'removed', unique_key) }};
    {{ publish_changes(spec) }}
    {{ record_rebuild(spec, unique_key) }}
    {{ owe_readers('exists (select from pg_temp.removed union all select from pg_temp.added)') }}
    {#- last, so that what dbt reports of the model is the number of rows it wrote -#}
    insert into {{ target }} ({{ columns }}) select {{ columns }} from pg_temp.added;
{% endmacro %}

{#-
    A table that has grown by much is described to the planner at once: what is built of it next is planned by its size, and
    Postgres would find it out in a minute.
-#}
{% macro analyze_if_grown(target) %}
    do $grown$
    begin
        if (select count(*) from pg_temp.added)
            > (select 1000 + 0.2 * greatest(reltuples, 0) from pg_class where oid = '{{ target }}'::regclass)
        then
            analyze {{ target }};
        end if;
    end
    $grown$;
{% endmacro %}

{% macro columns_of(alias, columns) -%}
    {%- for column in columns %}{{ alias }}.{{ column.quoted }}{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}

{% macro same(left, right, unique_key) -%}
    {%- for column in unique_key %}{{ left }}.{{ column }} = {{ right }}.{{ column }}{% if not loop.last %} and {% endif %}{% endfor -%}
{%- endmacro %}

{#- Condition: of one key, the first has no row or another than the second. -#}
{% macro differs(left, right, columns) -%}
    ({{ left }}.tenant_id is null or ({{ columns_of(left, columns) }}) is distinct from ({{ columns_of(right, columns) }}))
{%- endmacro %}

{#- Condition: the row is of an affected key. A key of a stretch of time (`range`) has the rows that begin in it. -#}
{% macro is_affected(alias) -%}
    {%- set spec = rebuild_spec() -%}
    exists (
        select 1 from pg_temp.affected
        where {{ alias }}.tenant_id = affected.tenant_id
        {%- for column in spec.key %} and {{ alias }}.{{ column }} = affected.{{ column }}{% endfor %}
        {%- if spec.get('range') %} and {{ alias }}.{{ spec.range }} between affected.from_at and affected.to_at{% endif %}
    )
{%- endmacro %}

{#- One row per thing that the written difference changed, of each kind that the model publishes. -#}
{% macro publish_changes(spec) %}
    {% for kind, columns in spec.get('publishes', {}).items() %}
    insert into ops.changes (model, kind, tenant_id, id, date)
    select '{{ model.name }}', '{{ kind }}', tenant_id, id, date
    from (
        {% for difference in ['removed', 'added'] %}
        select tenant_id, {{ columns.get('id') or 'null' }}::text as id, {{ columns.get('date') or 'null' }}::date as date
        from pg_temp.{{ difference }}
        {% if not loop.last %}union{% endif %}
        {% endfor %}
    ) as changed
    where coalesce({% if columns.get('id') %}id{% else %}null{% endif %}, {% if columns.get('date') %}date::text{% else %}null{% endif %}) is not null
    order by tenant_id, id, date;
    {% endfor %}
{% endmacro %}

{#- What the written difference came to, for those who watch builds; where there is none, nothing is written. -#}
{% macro record_rebuild(spec, unique_key) %}
    insert into ops.rebuilds (build_id, model, rows_added, rows_changed, rows_removed, days)
    select
        {{ build_id() }},
        '{{ model.name }}',
        keys.number - removed.number,
        removed.number + added.number - keys.number,
        keys.number - added.number,
        {% if spec.get('date') -%}
        coalesce(
            (
                select range_agg(daterange(day, day, '[]'))
                from (
                    select {{ spec.date }} as day from pg_temp.removed
                    union
                    select {{ spec.date }} from pg_temp.added
                ) as days
                where day is not null
            ),
            '{}'
        )
        {%- else %}'{}'{% endif %}
    from (select count(*) as number from pg_temp.removed) as removed
    cross join (select count(*) as number from pg_temp.added) as added
    cross join (
        -- counted, not joined: of tables that nobody has analysed, a join takes several times as long
        select count(*) as number
        from (
            select {{ unique_key | join(', ') }} from pg_temp.removed
            union
            select {{ unique_key | join(', ') }} from pg_temp.added
        ) as keys
    ) as keys
    where keys.number > 0
    on conflict (build_id, model) do update set  -- a second attempt of the same build
        rows_added = rebuilds.rows_added + excluded.rows_added,
        rows_changed = rebuilds.rows_changed + excluded.rows_changed,
        rows_removed = rebuilds.rows_removed + excluded.rows_removed,
        days = rebuilds.days + excluded.days,
        rebuilt_at = excluded.rebuilt_at;
{% endmacro %}
