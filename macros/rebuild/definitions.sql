{#-
    What a model's rows are built under, besides events: the settings of each tenant, if the model reads `stg_tenants`, and
    the whole of each table that the model's `definitions` names (funnels, cohorts, weights). Each entry has a select of
    (tenant_id, fingerprint), to be compared with `ops.definitions`, and the tenant that a difference makes to be read again:
    itself, or, with null, all.
-#}
{% macro definitions_of(spec) %}
    {% set found = [] %}
    {% if reads_model('stg_tenants') %}
        {% do found.append({
            'tenant_id': 'current_ones.tenant_id',
            'fingerprints': 'select tenant_id, fingerprint from ' ~ ref('stg_tenants'),
        }) %}
    {% endif %}
    {% for name in spec.get('definitions', []) %}
        {% do found.append({
            'tenant_id': 'null::text',
            'fingerprints': "select '*" ~ name ~ "' as tenant_id, coalesce(md5(string_agg(definition::text, '|' order by "
                ~ "definition::text)), '') as fingerprint from " ~ ref(name) ~ " as definition",
        }) %}
    {% endfor %}
    {% do return(found) %}
{% endmacro %}
