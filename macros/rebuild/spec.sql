{#- What the model says of its own rebuilding, see README.md; none for other models. -#}
{% macro rebuild_spec(node=none) %}
    {% set node = node or model %}
    {% if node.config.materialized == 'rebuild' %}
        {% do return(node.config.meta.get('rebuild', {})) %}{# while dbt parses, it is not there yet #}
    {% endif %}
    {% do return(none) %}
{% endmacro %}

{#- Whether this run rebuilds affected keys only: false where the whole table is built. -#}
{% macro rebuilding() %}
    {% if not execute or model.config.materialized != 'rebuild' %}{% do return(false) %}{% endif %}
    {% if 'rendered_for' in model %}{% do return(model.rendered_for == 'affected') %}{% endif %}{# record.sql #}
    {% set existing = load_cached_relation(this) %}
    {% do return(existing is not none and existing.is_table and not should_full_refresh()) %}
{% endmacro %}

{#- The graph's node of a model of this project. -#}
{% macro model_node(name) %}
    {% do return(graph.nodes['model.' ~ project_name ~ '.' ~ name]) %}
{% endmacro %}

{% macro relation_of(node) %}
    {% do return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.get('alias') or node.identifier)) %}
{% endmacro %}

{#- Whether a model reads another directly: a model's rows are bound to the tenants' settings if it reads those. -#}
{% macro reads_model(name) %}
    {% do return(('model.' ~ project_name ~ '.' ~ name) in model.depends_on.nodes) %}
{% endmacro %}

{#- What a contract calls a node: a model or seed by its name, a source's table with its schema. -#}
{% macro name_in_contract(node) %}
    {% do return(node.source_name ~ '.' ~ node.name if node.resource_type == 'source' else node.name) %}
{% endmacro %}

{#- A list of values as SQL literals. -#}
{% macro literals(values) -%}
    {%- for value in values %}'{{ value | replace("'", "''") }}'{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}
