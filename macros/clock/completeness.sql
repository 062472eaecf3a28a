{#- Whether a period is over: its last local day has ended by the build's as_of. `end_date` is the day after it. -#}
{% macro is_over(end_date, time_zone) -%}
    ({{ local_midnight(end_date, time_zone) }} <= {{ as_of() }})
{%- endmacro %}

{#- `crosses` of marts with `is_complete`: rows for which the clock now says otherwise. -#}
{% macro crosses_completeness(spec) %}
    select tenant_id, {{ spec.key.keys() | join(', ') }}
    from (
        select standing.*, {{ is_over('standing.' ~ spec.end, 'tenants.time_zone') }} as is_over
        from {{ this }} as standing
        inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    ) as judged
    where is_complete <> is_over
{% endmacro %}
