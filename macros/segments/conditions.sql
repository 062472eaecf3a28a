{#-
    The segments as a list of {segment_id, condition}, with each condition bound to its tenant. The predicates are SQL that
    the owner of the seed wrote, as trusted as a model.
-#}
{% macro segment_conditions() %}
    {% set found = [] %}
    {% set seed = ref('segment_definitions') %}
    {% if execute and load_relation(seed) is not none %}
        {% for row in run_query('select segment_id, tenant_id, predicate from ' ~ seed ~ ' order by segment_id, tenant_id').rows %}
            {% set of_tenant = '' if row.tenant_id == '*' else 'tenant_id in (' ~ literals([row.tenant_id]) ~ ') and ' %}
            {% do found.append({'segment_id': row.segment_id, 'condition': of_tenant ~ '(' ~ row.predicate ~ ')'}) %}
        {% endfor %}
    {% endif %}
    {% do return(found) %}
{% endmacro %}

{#- A customer's row as one row per segment that it is in; reads the CTE `seen` with the customers' columns and `as_of`. -#}
{% macro members_of_segments(columns) %}
    {% for segment in segment_conditions() %}
    select
        {{ literals([segment.segment_id]) }} as segment_id,
        {{ columns | join(',\n        ') }}
    from seen
    where {{ segment.condition }}
    union
    {% endfor %}
    select
        null as segment_id,
        {{ columns | join(',\n        ') }}
    from seen
    where false
{% endmacro %}
