{#-
    How dbt builds a model that is rebuilt by affected keys: the steps of README.md, in one transaction. What the database
    is asked for (columns, comments, indexes, the contract) is asked for once, and a model of which nothing is affected costs
    three queries.
-#}
{% materialization rebuild, default %}
    {% set spec = rebuild_spec() %}
    {% set target = this.incorporate(type='table') %}
    {% call in_one_transaction(target) %}
        {% set spec = lock_and_look(spec) %}
        {% if rebuilding() %}
            {% do rebuild_affected(target, spec, sql) %}
        {% else %}
            {% do build_whole(target, spec, sql) %}
        {% endif %}
    {% endcall %}
    {% do return({'relations': [target]}) %}
{% endmaterialization %}

{#- The whole table, as its contract has it. -#}
{% macro build_whole(target, spec, sql) %}
    {% call statement('take_in_everything') %}{{ taking_in_everything(spec) }}{% endcall %}
    {% do put_in_place(target, by_day(spec, without_late_events(spec, sql))) %}
    {% do record_rebuilding(target, spec, sql) %}
{% endmacro %}

{#- What lands for frozen days comes too late, also where staging is built from what is left. -#}
{% macro without_late_events(spec, sql) %}
    {% if not spec.is_frozen or 'raw' not in spec.reads or not freezes(spec) %}{% do return(sql) %}{% endif %}
    select * from ({{ sql }}) as landed where not {{ is_frozen(spec, 'landed') }}
{% endmacro %}

{#- The rows of a day together, as increments add them: who reads some days reads few pages. Raw events come so. -#}
{% macro by_day(spec, sql) %}
    {% if not spec.get('date') or 'raw' in spec.reads %}{% do return(sql) %}{% endif %}
    select * from ({{ sql }}) as whole order by tenant_id, {{ spec.date }}
{% endmacro %}

{#- What the affected keys' rows have become, in the existing table. -#}
{% macro rebuild_affected(target, spec, sql) %}
    {% set existing = collect_affected(spec) %}
    {% if existing.is_affected %}
        {% do recompute_affected(sql) %}
        {% call statement('main') %}
            {{ write_difference(target, existing.columns, config.get('unique_key'), spec) }}
        {% endcall %}
        {% call statement('analyze_if_grown') %}{{ analyze_if_grown(target) }}{% endcall %}
    {% else %}
        {% call noop_statement('main', 'INSERT 0 0', 'INSERT', 0) %}{% endcall %}
    {% endif %}
    {% do record_rebuilding(target, spec, sql) %}
    {% do change_indexes(target) %}
    {% if existing.comments != described() %}
        {% call statement('describe') %}{{ describe(target) }}{% endcall %}
    {% endif %}
{% endmacro %}

{#- Step 2: the affected keys' rows as they ought to be, in a temporary table. -#}
{% macro recompute_affected(sql) %}
    {% call statement('recompute_affected', fetch_result=True) %}{{ recomputing(sql) }}{% endcall %}
    {% set differing = load_result('recompute_affected').table.columns[0].values() %}
    {% if differing %}
        {% do exceptions.raise_compiler_error(
            'its columns have changed since it was built (' ~ differing | join(', ') ~ '): build it with --full-refresh.'
        ) %}
    {% endif %}
{% endmacro %}

{% macro recomputing(sql) %}
    create temporary table recomputed on commit drop as ({{ sql }});
    analyze pg_temp.recomputed;
    {{ columns_that_differ(this, 'pg_temp.recomputed') }}
{% endmacro %}

{% macro columns_that_differ(left, right) %}
    select attname::text
    from pg_attribute
    where attrelid in ('{{ left }}'::regclass, '{{ right }}'::regclass) and attnum > 0 and not attisdropped
    group by attname
    having count(*) = 1 or min(atttypid::bigint) <> max(atttypid::bigint)
    order by attname
{% endmacro %}
