{#- Whether a period is over: its last local day has ended by the build's as_of. `end_date` is the day after it. -#}
{% macro is_over(end_date, time_zone) -%}
    ({{ local_midnight(end_date, time_zone) }} <= {{ as_of() }})
{%- endmacro %}

{#- `time_triggered` of marts with `is_complete`: rows for which the clock now says otherwise. -#}
{% macro time_triggered_completeness(spec) %}
    select tenant_id, {{ spec.key.keys() | join(', ') }}
    from (
        select existing.*, {{ is_over('existing.' ~ spec.end, 'tenants.time_zone') }} as is_over
        from {{ this }} as existing
        inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    ) as compared
    where is_complete <> is_over
{% endmacro %}
