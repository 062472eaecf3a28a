{#- The `affected_by` macros of marts whose keys are not just the days or users that changed. -#}

{#- A change of one day affects the thirty days whose monthly active users count it; the clock adds the days since. -#}
{% macro affected_trailing_month(spec) %}
    select distinct
        changed.tenant_id,
        changed.date + ahead.days as date
    from ({{ changed(spec) }}) as changed
    cross join generate_series(0, 29) as ahead (days)
    where changed.date is not null
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#-
    A change of one day affects the day, week, month, … that it is in: the model's `periods`. Key columns other than the
    period are taken from the change.
-#}
{% macro affected_periods(spec) %}
    select distinct
        changed.tenant_id,
        {%- for column, part in spec.key.items() %}
        {% if column == 'period' %}periods.period
        {%- elif column == 'period_start' %}{{ period_start('periods.period', 'changed.date', 'tenants.week_start') }} as period_start
        {%- else %}changed.{{ part }} as {{ column }}{% endif %}{{ ',' if not loop.last }}
        {%- endfor %}
    from ({{ changed(spec) }}) as changed
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    cross join {{ periods(spec.periods) }}
    where changed.date is not null
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#- A change of a period affects it and the one after it, which is compared with it. -#}
{% macro affected_period_and_next(spec) %}
    select distinct
        changed.tenant_id,
        changed.id as period,
        {{ period_shift('changed.id', 'changed.date', 'shift.periods') }} as period_start
    from ({{ changed(spec) }}) as changed
    cross join (values (0), (1)) as shift (periods)
    where changed.id is not null and changed.date is not null
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#- The same, and the periods that a day is in which has begun: its change names no period. -#}
{% macro affected_period_next_and_begun(spec) %}
    {{ affected_period_and_next(spec) }}
    union
    select
        changed.tenant_id,
        periods.period,
        {{ period_start('periods.period', 'changed.date', 'tenants.week_start') }} as period_start
    from ({{ changed(spec) }}) as changed
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    cross join {{ periods(spec.periods) }}
    where changed.id is null and changed.date is not null
{% endmacro %}

{#- The named periods, as a table to join. -#}
{% macro periods(names) -%}
    unnest(array[{{ literals(names) }}]) as periods (period)
{%- endmacro %}

{#- A change of a period affects it and the total of all. -#}
{% macro affected_period_and_all(spec) %}
    select changed.tenant_id, changed.id as period, changed.date as period_start
    from ({{ changed(spec) }}) as changed
    where changed.id in ('month', 'quarter', 'year')
    union
    select changed.tenant_id, 'all', '1970-01-01'::date
    from ({{ changed(spec) }}) as changed
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#-
    The periods to build, with the first date after each: those affected, else all that the upstreams, pairs of a relation
    and its column, have a date in. `columns` are what the model's key has besides tenant and period.
-#}
{% macro periods_to_build(upstreams, columns=[]) %}
    select
        periods.*,
        {{ period_shift('periods.period', 'periods.period_start', 1) }} as next_period_start
    from (
        {% if rebuilding() -%}
        select tenant_id,{% for column in columns %} {{ column }},{% endfor %} period, period_start from pg_temp.affected
        {%- else -%}
        select distinct
            days.tenant_id,
            {% for column in columns %}days.{{ column }},{% endfor %}
            periods.period,
            {{ period_start('periods.period', 'days.date', 'tenants.week_start') }} as period_start
        from (
            {% for upstream, date in upstreams -%}
            {{ 'union' if not loop.first }}
            select distinct tenant_id,{% for column in columns %} {{ column }},{% endfor %} {{ date }} as date
            from {{ upstream }}
            {% endfor %}
        ) as days
        inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
        cross join {{ periods(rebuild_spec().periods) }}
        {%- endif %}
    ) as periods
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    -- after a change of the tenant's first day of the week, its old weeks are affected and exist no more
    where periods.period_start = {{ period_start('periods.period', 'periods.period_start', 'tenants.week_start') }}
{% endmacro %}
