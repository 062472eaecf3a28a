{#-
    How dbt builds an incremental model of this project: the steps of README.md, in one transaction. What dbt asks the
    database for in each build of its own incremental models (columns, comments, the contract) is asked for once here, and a
    model of which nothing is touched costs two queries.
-#}
{% materialization incremental, default %}
    {% set spec = rebuild_spec() %}
    {% if spec is none %}{% do return(dbt.materialization_incremental_default()) %}{% endif %}

    {% set target = this.incorporate(type='table') %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% set spec = lock_and_look(spec) %}
    {% if rebuilding() %}
        {% do rebuild_touched(target, spec, sql) %}
    {% else %}
        {% do build_whole(target, spec, sql) %}
    {% endif %}
    {% do apply_grants(target, config.get('grants'), should_revoke=should_revoke(target, full_refresh_mode=False)) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {% do return({'relations': [target]}) %}
{% endmaterialization %}

{#- The table anew, in place of the standing one, if there is any; as its contract has it. -#}
{% macro build_whole(target, spec, sql) %}
    {% set standing = load_cached_relation(this) %}
    {% set built = target if standing is none else make_intermediate_relation(target) %}
    {% do take_in_everything(spec) %}
    {% call statement('main') %}{{ get_create_table_as_sql(False, built, by_day(spec, sql)) }}{% endcall %}
    {% call statement('finish') %}
        {#- in SQL: each call of adapter.drop_relation or rename_relation gathers all macros of dbt for a context -#}
        {% if standing is not none %}
        drop {{ standing.type }} {{ standing }} cascade;
        alter table {{ built }} rename to {{ adapter.quote(target.identifier) }};
        {% endif %}
        {% for index in config.get('indexes', []) %}{{ get_create_index_sql(target, index) }};{% endfor %}
        {{ describe(target) }}
        {#- what is built of this table next is planned by its size, which Postgres would find out in a minute -#}
        analyze {{ target }}
    {% endcall %}
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

{#- The comments that a model's YAML asks for, by column; the table's own is under an empty name. -#}
{% macro described() %}
    {% set comments = {'': model.description} %}
    {% for column in model.columns.values() %}{% do comments.update({column.name: column.description}) %}{% endfor %}
    {% do return(comments) %}
{% endmacro %}

{% macro describe(relation) %}
    {% for column, comment in described().items() %}
    comment on {{ 'column ' ~ relation ~ '.' ~ adapter.quote(column) if column else 'table ' ~ relation }}
    is {{ postgres_escape_comment(comment) }};
    {% endfor %}
{% endmacro %}
