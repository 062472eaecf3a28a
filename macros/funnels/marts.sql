{#-
    `time_triggered` of marts.funnels: periods that are over since it was built, or in which a window has ended since that an
    attempt could still have converted in. A clock that is turned back rebuilds everything.
-#}
{% macro time_triggered_funnel_windows(spec) %}
    {{ time_triggered_completeness({'key': spec.key, 'end': 'next_period_start'}) }}
    and still_in_window = 0  -- no period is complete before
    union
    select
        attempts.tenant_id,
        attempts.funnel_id,
        periods.period,
        {{ period_start('periods.period', 'attempts.entered_on', 'tenants.week_start') }}
    from {{ ref('funnel_attempts') }} as attempts
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    cross join {{ periods(spec.periods) }}
    where
        attempts.window_ends_at > {{ as_of_last_build() }}
        and attempts.window_ends_at <= {{ as_of() }}
        and not attempts.is_converted
{% endmacro %}
