{#- After the run: changes that every reader has taken in are of no more use. -#}
{% macro forget_taken_changes() %}
    {% if not execute or flags.WHICH not in ('build', 'run') %}{% do return('') %}{% endif %}
    {% set names = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and rebuild_spec(node) is not none %}
        {% do names.append(node.name) %}
    {% endfor %}
    select ops.forget_taken_changes(array[{{ literals(names) }}])
{% endmacro %}
