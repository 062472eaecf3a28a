{#- What the model says of its own rebuilding, see README.md; none for other models. -#}
{% macro rebuild_spec(node=none) %}
    {% set node = node or model %}
    {% if node.config.incremental_strategy == 'rebuild' %}
        {% do return(node.config.meta.rebuild) %}
    {% endif %}
    {% do return(none) %}
{% endmacro %}

{#- Whether this run rebuilds touched keys only: false where the table is being built as a whole. -#}
{% macro rebuilding() %}
    {% do return(execute and is_incremental()) %}
{% endmacro %}

{#- The graph's node of a model of this project. -#}
{% macro model_node(name) %}
    {% do return(graph.nodes['model.' ~ project_name ~ '.' ~ name]) %}
{% endmacro %}

{% macro relation_of(node) %}
    {% do return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) %}
{% endmacro %}

{#- Whether a model reads another directly: a model's rows are bound to the tenants' settings if it reads those. -#}
{% macro reads_model(name) %}
    {% do return(('model.' ~ project_name ~ '.' ~ name) in model.depends_on.nodes) %}
{% endmacro %}

{#- A list of values as SQL literals. -#}
{% macro literals(values) -%}
    {%- for value in values %}'{{ value | replace("'", "''") }}'{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}
