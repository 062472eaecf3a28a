{#- Seconds from the step before to the step, for attempts that reached it; null for the first step. -#}
{% macro seconds_to_step() -%}
    case
        when by_value.reached >= steps.step and steps.step > 1
            then {{ seconds_between('by_value.reached_at[steps.step - 1]', 'by_value.reached_at[steps.step]') }}::double precision
    end
{%- endmacro %}

{#- The entry days of touched periods, of those that have attempts. -#}
{% macro touched_entry_days() -%}
    (
        select distinct
            attempts.tenant_id,
            attempts.funnel_id,
            attempts.entered_on
        from pg_temp.touched
        inner join {{ ref('funnel_attempts') }} as attempts
            on
                touched.tenant_id = attempts.tenant_id
                and touched.funnel_id = attempts.funnel_id
                and attempts.entered_on >= touched.period_start
                and attempts.entered_on < {{ period_shift('touched.period', 'touched.period_start', 1) }}
    )
{%- endmacro %}

{#-
    `crosses` of marts.funnels: periods that counted attempts still in their window, or began before they were over, and,
    for an earlier as_of, those whose attempts were still in it.
-#}
{% macro crosses_funnel_windows(spec) %}
    select tenant_id, funnel_id, period, period_start
    from {{ this }}
    where still_in_window > 0
    union
    {{ crosses_completeness({'key': spec.key, 'end': 'next_period_start'}) }}
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
