{#-
    The segments as a list of {segment_id, condition}, with the condition of each of a segment's rows bound to its tenant.
    The predicates are SQL that the owner of the seed wrote, as trusted as a model.
-#}
{% macro segment_conditions() %}
    {% set found = {} %}
    {% set seed = ref('segment_definitions') %}
    {% if execute and load_relation(seed) is not none %}
        {% set definitions = run_query('select segment_id, tenant_id, predicate from ' ~ seed ~ ' order by 1, 2') %}
        {% for row in definitions.rows %}
            {% set of_tenant = '' if row.tenant_id == '*' else 'tenant_id = ' ~ literals([row.tenant_id]) ~ ' and ' %}
            {% do found.setdefault(row.segment_id, []).append('(' ~ of_tenant ~ '(' ~ row.predicate ~ '))') %}
        {% endfor %}
    {% endif %}
    {% set segments = [] %}
    {% for segment_id, conditions in found.items() %}
        {% do segments.append({'segment_id': segment_id, 'condition': '(' ~ conditions | join(' or ') ~ ')'}) %}
    {% endfor %}
    {% do return(segments) %}
{% endmacro %}
