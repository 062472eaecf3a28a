{#-
    `time_triggered` of marts.funnels: periods that counted attempts still in their window, or began before they were over, and,
    for an earlier as_of, those whose attempts were still in it.
-#}
{% macro time_triggered_funnel_windows(spec) %}
    select tenant_id, funnel_id, period, period_start
    from {{ this }}
    where still_in_window > 0
    union
    {{ time_triggered_completeness({'key': spec.key, 'end': 'next_period_start'}) }}
    union
    select
        attempts.tenant_id,
        attempts.funnel_id,
        periods.period,
        {{ period_start('periods.period', 'attempts.entered_on', 'tenants.week_start') }}
    from {{ ref('funnel_attempts') }} as attempts
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    cross join {{ periods(spec.periods) }}
    where attempts.window_ends_at > {{ as_of() }} and not attempts.is_converted
{% endmacro %}
