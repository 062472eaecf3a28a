{#-
    How dbt builds an incremental model of this project: the four steps of README.md, in one transaction. What dbt asks the
    database for in each build of its own incremental models (columns, comments, the contract) is asked for once here, and a
    model of which nothing is touched costs two queries.
-#}
{% materialization incremental, default %}
    {% if rebuild_spec() is none %}{% do return(dbt.materialization_incremental_default()) %}{% endif %}

    {% set spec = lock_and_look(rebuild_spec()) %}
    {% if not rebuilding() %}
        {% do take_in_everything(spec) %}
        {% set built = dbt.materialization_incremental_default() %}
        {#- what is built of this table next is planned by its size, which Postgres would find out in a minute -#}
        {% call statement('analyze') %}analyze {{ this }}{% endcall %}
        {% do adapter.commit() %}
        {% do return(built) %}
    {% endif %}

    {% set target = this.incorporate(type='table') %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
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
    {% if standing.comments != described() %}{% do persist_docs(target, model) %}{% endif %}
    {% do apply_grants(target, config.get('grants'), should_revoke=should_revoke(target, full_refresh_mode=False)) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {% do return({'relations': [target]}) %}
{% endmaterialization %}

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
