{#- The setting of a metric that fits a row best, as a sub-select: the tenant's own before `*`, then the event type's. -#}
{% macro anomaly_setting(row, metric) -%}
    (
        select candidates.*
        from {{ ref('anomaly_settings') }} as candidates
        where
            candidates.metric = {{ metric }}
            and candidates.tenant_id in ('*', {{ row }}.tenant_id)
            and candidates.event_name in ('*', {{ row }}.event_name)
        order by candidates.tenant_id = '*', candidates.event_name = '*'
        limit 1
    )
{%- endmacro %}
