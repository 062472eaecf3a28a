{#- `affected_by` of facts.field_changes: a change of one day of an event type affects the days that learn from it. -#}
{% macro affected_trained_days(spec) %}
    select distinct
        changed.tenant_id,
        changed.id as event_name,
        changed.date + ahead.days as date
    from ({{ changed(spec) }}) as changed
    cross join generate_series(0, (select max(training_days) from {{ ref('anomaly_settings') }})) as ahead (days)
    where changed.date is not null
    {{ affected_beside_changes(spec) }}
{% endmacro %}
