{#-
    CTEs `periods` and `best`: the attempt that counts of each unit in each period in which it entered, in the total, in its
    group of the breakdown, or in both. It is the furthest, the fastest among equals; the unit can still go on for as long
    as any of its attempts can.

    `only_converted` leaves out units of which no attempt converted, where no limit asks how frequent a value is: the best of
    the others are the same without them.

    Values beyond the funnel's limit, the most frequent first, are the group `other`. Where `all_events` cuts units by value,
    a unit is in the group of each of its values.
-#}
{% macro best_attempts(only_converted=false) %}
periods as (

    select
        to_build.*,
        funnels.steps,
        funnels.breakdown_limit,
        coalesce(funnels.breakdown_touch = 'all_events', false) as is_cut,
        row_number() over (
            order by to_build.tenant_id, to_build.funnel_id, to_build.period, to_build.period_start
        ) as period_number
    from (
        {{ periods_to_build([(ref('funnel_attempts'), 'entered_on')], columns=['funnel_id']) }}
    ) as to_build
    inner join {{ ref('stg_funnels') }} as funnels on to_build.funnel_id = funnels.funnel_id

),

candidates as (

    -- in all of time: its journey
    select
        periods.tenant_id,
        periods.period_number,
        periods.is_cut,
        periods.breakdown_limit,
        journeys.unit_id,
        journeys.breakdown_kind,
        journeys.breakdown_value,
        journeys.reached,
        journeys.served_mask,
        journeys.reached_at,
        journeys.entered_at,
        journeys.entry_event_id,
        journeys.last_window_ends_at
    from periods
    inner join {{ ref('funnel_journeys') }} as journeys
        on periods.tenant_id = journeys.tenant_id and periods.funnel_id = journeys.funnel_id
    where
        periods.period = 'all'
        {%- if only_converted %} and (journeys.reached = periods.steps or periods.breakdown_limit is not null){% endif %}
    union all
    select
        periods.tenant_id,
        periods.period_number,
        periods.is_cut,
        periods.breakdown_limit,
        entered.*
    from periods
    -- period by period, so that sorting compares units alone
    cross join lateral (
        select distinct on (attempts.tenant_id, attempts.unit_id, case when periods.is_cut then attempts.breakdown_value end)
            attempts.unit_id,
            attempts.breakdown_kind,
            attempts.breakdown_value,
            attempts.reached,
            attempts.served_mask,
            attempts.reached_at,
            attempts.entered_at,
            attempts.entry_event_id,
            max(attempts.window_ends_at) over (
                partition by
                    attempts.tenant_id, attempts.unit_id, case when periods.is_cut then attempts.breakdown_value end
            ) as last_window_ends_at
        from {{ ref('funnel_attempts') }} as attempts
        where
            attempts.tenant_id = periods.tenant_id
            and attempts.funnel_id = periods.funnel_id
            and attempts.entered_on >= periods.period_start
            and attempts.entered_on < periods.next_period_start
            {%- if only_converted %} and (attempts.reached = periods.steps or periods.breakdown_limit is not null){% endif %}
        order by
            attempts.tenant_id asc,
            attempts.unit_id asc,
            case when periods.is_cut then attempts.breakdown_value end asc,
            {{ furthest_first() }}
    ) as entered
    where periods.period <> 'all'

),

ranked_values as (

    select
        tenant_id,
        period_number,
        breakdown_value,
        row_number() over (
            partition by tenant_id, period_number
            order by count(*) desc, breakdown_value asc
        ) > min(breakdown_limit) as is_other
    from candidates
    where breakdown_limit is not null and breakdown_kind = 'value'
    group by tenant_id, period_number, breakdown_value

),

placed as (

    select
        candidates.tenant_id,
        candidates.period_number,
        candidates.is_cut,
        candidates.unit_id,
        candidates.reached,
        candidates.served_mask,
        candidates.reached_at,
        candidates.entered_at,
        candidates.entry_event_id,
        candidates.last_window_ends_at,
        case when ranked_values.is_other then 'other' else candidates.breakdown_kind end as breakdown_kind,
        case when ranked_values.is_other then '' else coalesce(candidates.breakdown_value, '') end as breakdown_value
    from candidates
    left join ranked_values
        on
            candidates.tenant_id = ranked_values.tenant_id
            and candidates.period_number = ranked_values.period_number
            and candidates.breakdown_value = ranked_values.breakdown_value

),

best as (

    select
        {{ columns_of_best() }},
        true as is_in_total,
        breakdown_kind is not null as is_in_group
    from placed
    where not is_cut
    {%- for is_of_group in [false, true] %}
    {%- set unit = ['tenant_id', 'period_number', 'unit_id'] + (['breakdown_kind', 'breakdown_value'] if is_of_group else []) %}
    union all
    -- a unit that is cut has several attempts in the total, and in what is other
    (
        select distinct on ({{ unit | join(', ') }})
            {{ columns_of_best('max(last_window_ends_at) over (partition by ' ~ unit | join(', ') ~ ')') }},
            {{ not is_of_group }} as is_in_total,
            {{ is_of_group }} as is_in_group
        from placed
        where is_cut{{ ' and breakdown_kind is not null' if is_of_group }}
        order by
            {% for column in unit %}{{ column }} asc,
            {% endfor -%}
            {{ furthest_first() }}
    )
    {%- endfor %}

)
{% endmacro %}

{% macro columns_of_best(last_window_ends_at='last_window_ends_at') -%}
    tenant_id,
        period_number,
        breakdown_kind,
        breakdown_value,
        reached,
        served_mask,
        reached_at,
        {{ last_window_ends_at }} as last_window_ends_at
{%- endmacro %}

{#- Measures of what is made of `best`, by `keys`: under the total, which is the group `all`, and under each group. -#}
{% macro in_total_and_groups(source, keys, measures) %}
    {%- for place in ['total', 'group'] %}
    select
        tenant_id,
        period_number,
        {% if place == 'total' %}'all' as breakdown_kind,
        '' as breakdown_value{% else %}breakdown_kind,
        breakdown_value{% endif %},
        {{ keys | join(', ') }},
        {{ measures }}
    from {{ source }}
    where is_in_{{ place }}
    group by tenant_id, period_number,{{ ' breakdown_kind, breakdown_value,' if place == 'group' }} {{ keys | join(', ') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{% endmacro %}
