{#-
    The segments as a list of {segment_id, condition}, with each condition bound to its tenant. The predicates are SQL that
    the owner of the seed wrote, as trusted as a model.
-#}
{% macro segment_conditions() %}
    {% set found = [] %}
    {% set seed = ref('segment_definitions') %}
    {% if execute and load_relation(seed) is not none %}
        {% set definitions = run_query('select segment_id, tenant_id, predicate from ' ~ seed ~ ' order by 1, 2') %}
        {% for row in definitions.rows %}
            {% set of_tenant = '' if row.tenant_id == '*' else 'tenant_id = ' ~ literals([row.tenant_id]) ~ ' and ' %}
            {% do found.append({'segment_id': row.segment_id, 'condition': of_tenant ~ '(' ~ row.predicate ~ ')'}) %}
        {% endfor %}
    {% endif %}
    {% do return(found) %}
{% endmacro %}
