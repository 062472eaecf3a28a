{#-
    `affected_by` of facts.unplaced_events: the days whose events changed, and those with an event that was in no fact when
    it was looked for, until it is found.
-#}
{% macro affected_placements(spec) %}
    select changed.tenant_id, changed.date as occurred_on
    from ({{ changed(spec) }}) as changed
    where changed.date is not null
    union
    select tenant_id, occurred_on from {{ this }}
    {{ affected_beside_changes(spec) }}
{% endmacro %}
