{#-
    How dbt builds an incremental model of this project: the steps of README.md, in one transaction. What dbt asks the
    database for in each build of its own incremental models (columns, comments, the contract) is asked for once here, and a
    model of which nothing is touched costs two queries.
-#}
{% materialization incremental, default %}
    {% set spec = rebuild_spec() %}
    {% if spec is none %}{% do return(dbt.materialization_incremental_default()) %}{% endif %}

    {% set target = this.incorporate(type='table') %}
    {% call in_one_transaction(target) %}
        {% set spec = lock_and_look(spec) %}
        {% if rebuilding() %}
            {% do rebuild_touched(target, spec, sql) %}
        {% else %}
            {% do build_whole(target, spec, sql) %}
        {% endif %}
    {% endcall %}
    {% do return({'relations': [target]}) %}
{% endmaterialization %}

{#- The table anew, as its contract has it. -#}
{% macro build_whole(target, spec, sql) %}
    {% do take_in_everything(spec) %}
    {% do put_in_place(target, by_day(spec, sql)) %}
{% endmacro %}

{#- The rows of a day together, as increments add them: who reads some days reads few pages. Raw events come so. -#}
{% macro by_day(spec, sql) %}
    {% if not spec.get('date') or 'raw' in spec.reads %}{% do return(sql) %}{% endif %}
    select * from ({{ sql }}) as whole order by tenant_id, {{ spec.date }}
{% endmacro %}

{#- What the touched keys' rows have become, in the standing table. -#}
{% macro rebuild_touched(target, spec, sql) %}
    {% set standing = collect_touched(spec) %}
    {% if standing.is_touched %}
        {% do recompute_touched(sql) %}
        {% call statement('main') %}
            {{ get_incremental_rebuild_sql({
                'target_relation': target,
                'temp_relation': 'pg_temp.recomputed',
                'unique_key': config.get('unique_key'),
                'dest_columns': standing.columns,
            }) }}
        {% endcall %}
    {% else %}
        {% call noop_statement('main', 'INSERT 0 0', 'INSERT', 0) %}{% endcall %}
    {% endif %}
    {% if standing.comments != described() %}
        {% call statement('describe') %}{{ describe(target) }}{% endcall %}
    {% endif %}
{% endmacro %}

{#- Step 2: the touched keys' rows as they ought to be, in a temporary table. -#}
{% macro recompute_touched(sql) %}
    {% call statement('recompute_touched', fetch_result=True) %}
        create temporary table recomputed on commit drop as ({{ sql }});
        {{ columns_that_differ(this, 'pg_temp.recomputed') }}
    {% endcall %}
    {% set differing = load_result('recompute_touched').table.columns[0].values() %}
    {% if differing %}
        {% do exceptions.raise_compiler_error(
            'The schemas on this incremental model are out of sync: ' ~ differing | join(', ') ~ '.'
        ) %}
    {% endif %}
{% endmacro %}

{% macro columns_that_differ(left, right) %}
    select attname::text
    from pg_attribute
    where attrelid in ('{{ left }}'::regclass, '{{ right }}'::regclass) and attnum > 0 and not attisdropped
    group by attname
    having count(*) = 1 or min(atttypid::bigint) <> max(atttypid::bigint)
    order by attname
{% endmacro %}
