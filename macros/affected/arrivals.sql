{#- `affected_by` of marts.event_reconciliation: the local dates on which new batches arrived, or whose events changed. -#}
{% macro affected_arrivals(spec) %}
    select batches.tenant_id, batches.received_on as date
    from {{ ref('stg_load_batches') }} as batches
    inner join ops.watermarks on watermarks.model = '{{ model.name }}' and watermarks.upstream = 'raw'
    inner join pg_temp.taken on taken.upstream = watermarks.upstream
    where batches.batch_id > watermarks.position and batches.batch_id <= taken.position
    union
    select changed.tenant_id, changed.date
    from ({{ changed(spec) }}) as changed
    where changed.date is not null
    {% for condition in reread_conditions(spec, 'received_on') %}
    union
    select tenant_id, received_on from {{ ref('stg_load_batches') }} where {{ condition }}
    {% endfor %}
    {{ affected_beside_changes(spec) }}
{% endmacro %}
