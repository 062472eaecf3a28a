{#-
    A seed that has gained a column gets it in its existing table too. dbt would only empty the table and fill it by the
    file's columns, which fails; to build everything anew for a column of a small table would be too much to ask.
-#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
    {% if not full_refresh %}
        {% set known = adapter.get_columns_in_relation(old_relation) | map(attribute='name') | list %}
        {% set types = model['config'].get('column_types', {}) %}
        {% for name in agate_table.column_names if name not in known %}
            {% call statement('add_column_' ~ loop.index) %}
                alter table {{ old_relation }}
                add column {{ adapter.quote(name) }} {{ types.get(name, adapter.convert_type(agate_table, agate_table.column_names.index(name))) }}
            {% endcall %}
        {% endfor %}
    {% endif %}
    {{ return(default__reset_csv_table(model, full_refresh, old_relation, agate_table)) }}
{% endmacro %}
