{#- A tenant's first local date with an event, and the date at `as_of`. A tenant whose events are all later has none. -#}
{% macro bounds_of_tenants() %}
    select
        tenants.tenant_id,
        first_days.date as first_date,
        {{ local_date(as_of(), 'tenants.time_zone') }} as last_date
    from {{ ref('stg_tenants') }} as tenants
    cross join lateral (
        select min(event_days.date) as date from {{ ref('event_days') }} as event_days
        where event_days.tenant_id = tenants.tenant_id
    ) as first_days
    where first_days.date <= {{ local_date(as_of(), 'tenants.time_zone') }}
{% endmacro %}

{#-
    `time_triggered` of facts.tenant_days: the days that its rows lack at either end, and those that are there beyond it, since
    the clock, or the tenant's first event, has moved.
-#}
{% macro time_triggered_tenant_days(spec) %}
    select
        bounds.tenant_id,
        missing.date::date as date
    from ({{ bounds_of_tenants() }}) as bounds
    left join (
        select tenant_id, min(date) as first_date, max(date) as last_date from {{ this }} group by tenant_id
    ) as existing on bounds.tenant_id = existing.tenant_id
    cross join lateral (
        select date from generate_series(
            bounds.first_date::timestamp, least(existing.first_date - 1, bounds.last_date)::timestamp, interval '1 day'
        ) as before (date)
        union all
        select date from generate_series(
            greatest(existing.last_date + 1, bounds.first_date)::timestamp, bounds.last_date::timestamp, interval '1 day'
        ) as after (date)
    ) as missing
    union
    select existing.tenant_id, existing.date
    from {{ this }} as existing
    left join ({{ bounds_of_tenants() }}) as bounds on existing.tenant_id = bounds.tenant_id
    where bounds.tenant_id is null or existing.date < bounds.first_date or existing.date > bounds.last_date
{% endmacro %}

{#-
    Rows of a mart by tenant and date with one for each day of the tenant, from its first to `as_of`, also where nothing
    happened on it: the named CTE's columns; there counts and sums of money (`amounts`) are 0 and the others null.
-#}
{% macro on_each_day(rows, counts, amounts=[], others=[]) %}
    select
        coalesce(days.tenant_id, {{ rows }}.tenant_id) as tenant_id,
        coalesce(days.date, {{ rows }}.date) as date
        {%- for column in counts %},
        coalesce({{ rows }}.{{ column }}, 0)::bigint as {{ column }}
        {%- endfor %}
        {%- for column in amounts %},
        coalesce({{ rows }}.{{ column }}, 0)::numeric(20, 4) as {{ column }}
        {%- endfor %}
        {%- for column in others %},
        {{ rows }}.{{ column }}
        {%- endfor %}
    from (
        select tenant_days.*
        from {{ ref('tenant_days') }} as tenant_days
        {{ only_affected('tenant_days') }}
    ) as days
    full outer join {{ rows }} on days.tenant_id = {{ rows }}.tenant_id and days.date = {{ rows }}.date
{% endmacro %}

{#- Condition: the tenant has a day in the period of this alias, which has `period_start` and `next_period_start`. -#}
{% macro has_days(periods) -%}
    exists (
        select 1 from {{ ref('tenant_days') }} as days
        where
            days.tenant_id = {{ periods }}.tenant_id
            and days.date >= {{ periods }}.period_start
            and days.date < {{ periods }}.next_period_start
    )
{%- endmacro %}
