{#-
    Tables and views that every build rebuilds whole: as dbt's own materializations do, in one transaction, but in two
    statements. dbt's take some ten, and gather all macros of dbt for every drop, rename and look at columns.
-#}
{% materialization table, default %}
    {% set target = this.incorporate(type='table') %}
    {% call in_one_transaction(target) %}
        {% do put_in_place(target, sql) %}
        {% do record_refreshing(target, sql) %}
    {% endcall %}
    {% do return({'relations': [target]}) %}
{% endmaterialization %}

{% materialization view, default %}
    {% set target = this.incorporate(type='view') %}
    {% call in_one_transaction(target) %}
        {% set existing = load_cached_relation(this) %}
        {% if existing is not none and existing.is_view %}
            {% do replace_view(target, sql) %}
        {% else %}
            {% do put_in_place(target, sql) %}
        {% endif %}
    {% endcall %}
    {% do return({'relations': [target]}) %}
{% endmaterialization %}

{#- The view as it is now, in its place: what reads it stays, unless its columns have changed. -#}
{% macro replace_view(target, sql) %}
    {% set creating = get_create_view_as_sql(target, sql) %}
    {% call statement('main') %}
    do $view$
    begin
        {{ creating.replace('create view', 'create or replace view', 1) }}
    exception when invalid_table_definition then
        drop view {{ target }} cascade;
        {{ creating }}
    end
    $view$
    {% endcall %}
    {% call statement('finish') %}{{ describe(target) }}{{ protect(target) }}{% endcall %}
{% endmacro %}

{#- What the caller does to a relation, with what dbt does around every materialization. -#}
{% macro in_one_transaction(target) %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {{ caller() }}
    {% do apply_grants(target, config.get('grants'), should_revoke=should_revoke(target, full_refresh_mode=False)) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
{% endmacro %}

{#- A relation as its contract has it, in place of the existing one, if there is any. -#}
{% macro put_in_place(target, sql) %}
    {% set existing = load_cached_relation(this) %}
    {% set built = target if existing is none else make_intermediate_relation(target) %}
    {% call statement('main') %}
        {{ get_create_view_as_sql(built, sql) if target.is_view else get_create_table_as_sql(False, built, sql) }}
    {% endcall %}
    {% call statement('finish') %}
        {% for index in indexes_of() %}{{ get_create_index_sql(built, index) }};{% endfor %}
        {{ describe(built) }}
        {{ protect(built) }}
        {% if target.is_table %}{{ owe_readers() }}{% endif %}
        {#- what is built of a table next is planned by its size, which Postgres would find out in a minute -#}
        {% if target.is_table %}analyze {{ built }};{% endif %}
        {#- last, so that readers of the existing one wait no longer than this takes -#}
        {% if existing is not none %}
        {#- it may have gone with a view that it reads, since dbt looked -#}
        drop {{ existing.type }} if exists {{ existing }} cascade;
        alter {{ target.type }} {{ built }} rename to {{ adapter.quote(target.identifier) }};
        {% endif %}
    {% endcall %}
{% endmacro %}

{#- The indexes of a table: a unique one on its key, and those its config asks for. -#}
{% macro indexes_of() %}
    {% set unique_key = config.get('unique_key') %}
    {% set unique = [{'columns': unique_key, 'unique': true}] if unique_key else [] %}
    {% do return(unique + config.get('indexes', [])) %}
{% endmacro %}

{% macro index_as_text(index) -%}
    {{ 'unique ' if index.unique }}{{ index.type or 'btree' }} {{ index.columns | join(', ') }}
{%- endmacro %}

{#- The indexes that a table has from dbt, by name as `index_as_text` says them. What people made has other names. -#}
{% macro indexes_there(target) %}
    {% call statement('indexes_there', fetch_result=True) %}
    select relname as name, case when indisunique then 'unique ' else '' end || amname || ' ' || columns.names as said
    from pg_index
    inner join pg_class on pg_class.oid = indexrelid
    inner join pg_am on pg_am.oid = relam
    cross join lateral (
        select string_agg(attname, ', ' order by place) as names
        from unnest(indkey) with ordinality as keys (number, place)
        inner join pg_attribute on pg_attribute.attrelid = indrelid and attnum = number
    ) as columns
    where indrelid = '{{ target }}'::regclass and relname ~ '^[0-9a-f]{32}$'
    {% endcall %}
    {% set found = {} %}
    {% for index in load_result('indexes_there').table.rows %}{% do found.update({index.name: index.said}) %}{% endfor %}
    {% do return(found) %}
{% endmacro %}

{#- Give a table the indexes that it asks for, and no others. Another key is another grain: that takes a full refresh. -#}
{% macro change_indexes(target) %}
    {% set there = indexes_there(target) %}
    {% set wanted = {} %}
    {% for index in indexes_of() %}{% do wanted.update({index_as_text(index): index}) %}{% endfor %}
    {% for said, index in wanted.items() if said not in there.values() %}
        {% if index.unique %}
            {% do exceptions.raise_compiler_error(
                'its key has changed since it was built: build it with --full-refresh.'
            ) %}
        {% endif %}
        {% call statement('create_index') %}{{ get_create_index_sql(target, index) }}{% endcall %}
    {% endfor %}
    {% for name, said in there.items() if said not in wanted %}
        {% call statement('drop_index') %}drop index {{ adapter.quote(target.schema) }}.{{ adapter.quote(name) }}{% endcall %}
    {% endfor %}
{% endmacro %}

{#- The comments that a model's YAML asks for, by column; the relation's own is under an empty name. -#}
{% macro described() %}
    {% set comments = {'': model.description} %}
    {% for column in model.columns.values() %}{% do comments.update({column.name: column.description}) %}{% endfor %}
    {% do return(comments) %}
{% endmacro %}

{% macro describe(relation) %}
    {% for column, comment in described().items() %}
    comment on {{ 'column ' ~ relation ~ '.' ~ adapter.quote(column) if column else relation.type ~ ' ' ~ relation }}
    is {{ postgres_escape_comment(comment) }};
    {% endfor %}
{% endmacro %}
