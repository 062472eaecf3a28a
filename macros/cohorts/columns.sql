{#-
    Columns of cohorts, counted from the cohort's own, 0. Hours are those of the tenant's clock, told by the instant at
    which they begin; days, weeks and months by their first date.
-#}

{#- How many columns of a cohort have begun. -#}
{% macro cohort_columns_begun(cohort, time_zone) -%}
    case
        when {{ cohort }}.period = 'hour' then {{ hours_between(cohort ~ '.cohort_started_at', as_of()) }}
        else {{ periods_between(cohort ~ '.period', cohort ~ '.cohort_start', local_date(as_of(), time_zone)) }}
    end
{%- endmacro %}

{#- The local date on which a column begins. -#}
{% macro cohort_column_start(cohort, period_index, time_zone) -%}
    case
        when {{ cohort }}.period = 'hour'
            then {{ local_date('(' ~ cohort ~ ".cohort_started_at + " ~ period_index ~ " * interval '1 hour')", time_zone) }}
        else {{ period_shift(cohort ~ '.period', cohort ~ '.cohort_start', period_index) }}
    end
{%- endmacro %}

{% macro cohort_column_is_over(cohort, period_index, time_zone) -%}
    case
        when {{ cohort }}.period = 'hour'
            then {{ cohort }}.cohort_started_at + ({{ period_index }} + 1) * interval '1 hour' <= {{ as_of() }}
        else {{ is_over(period_shift(cohort ~ '.period', cohort ~ '.cohort_start', period_index ~ ' + 1'), time_zone) }}
    end
{%- endmacro %}

{#- The last local date of a cohort's last column: all that it is made of; of hours, a day more where they begin late. -#}
{% macro last_day_of_cohort(cohort) -%}
    case
        when {{ cohort }}.period = 'hour' then {{ cohort }}.cohort_start + {{ cohort }}.columns / 24 + 2
        else {{ period_shift(cohort ~ '.period', cohort ~ '.cohort_start', cohort ~ '.columns + 1') }} - 1
    end
{%- endmacro %}
