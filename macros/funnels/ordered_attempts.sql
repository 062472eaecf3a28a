{#-
    Attempts of ordered and strict funnels: every event that serves step one opens one. From instant to instant it takes the
    nearest next step within the window; taking the nearest and going as far as an instant allows loses nothing, because
    whoever is further, or as far and earlier, can do all that the other can.

    A strict attempt must go on at the unit's very next instant and use up all of its events. At the opening instant other
    events may stand before the opening one or serve further steps, so each count of steps done there is tried.

    Reads the CTEs `funnels`, `events`, `instants` and `step_sets`.
-#}
{% macro ordered_attempts(steps) %}
openings as (

    select
        events.tenant_id,
        events.funnel_id,
        events.owner_id,
        instants.unit_id,
        events.event_id,
        events.occurred_on as entered_on,
        events.occurred_at as entered_at,
        events.breakdown_value,
        funnels.steps,
        funnels.step_order = 'strict' as is_strict,
        events.occurred_at + funnels.conversion_window as until,
        instants.position,
        instants.next_of_step,
        {{ furthest_step('instants', 1, 'funnels.steps', without='events.step_mask') }} as furthest
    from events
    inner join funnels on events.funnel_id = funnels.funnel_id
    inner join instants
        on
            events.tenant_id = instants.tenant_id
            and events.funnel_id = instants.funnel_id
            and events.owner_id = instants.owner_id
            and events.occurred_at = instants.occurred_at
    where funnels.step_order in ('ordered', 'strict') and events.step_mask & 1 <> 0

),

after_1 as (

    select
        openings.tenant_id,
        openings.funnel_id,
        openings.owner_id,
        openings.unit_id,
        openings.event_id,
        openings.entered_on,
        openings.entered_at,
        openings.breakdown_value,
        openings.steps,
        openings.is_strict,
        openings.until,
        openings.position,
        openings.next_of_step,
        done.done,
        false as is_over,
        array_fill(openings.entered_at, array[done.done]) as reached_at,
        array_fill(openings.position, array[done.done]) as positions
    from openings
    cross join lateral generate_series(
        case when openings.is_strict then 1 else openings.furthest end, openings.furthest
    ) as done (done)

),

{% for move in range(1, steps) %}
after_{{ move + 1 }} as (

    select
        before.tenant_id,
        before.funnel_id,
        before.owner_id,
        before.unit_id,
        before.event_id,
        before.entered_on,
        before.entered_at,
        before.breakdown_value,
        before.steps,
        before.is_strict,
        before.until,
        coalesce(next.position, before.position) as position,
        coalesce(next.next_of_step, before.next_of_step) as next_of_step,
        reach.done,
        next.position is null or (before.is_strict and reach.done - before.done < next.events) as is_over,
        before.reached_at || array_fill(next.occurred_at, array[reach.done - before.done]) as reached_at,
        before.positions || array_fill(next.position, array[reach.done - before.done]) as positions
    from after_{{ move }} as before
    left join instants as next
        on
            before.tenant_id = next.tenant_id
            and before.funnel_id = next.funnel_id
            and before.unit_id = next.unit_id
            and next.position
            = case when before.is_strict then before.position + 1 else before.next_of_step[before.done + 1] end
            and before.until >= next.occurred_at
            and before.done < before.steps
            and not before.is_over
    cross join lateral (
        select
            case
                when next.position is null then before.done
                else {{ furthest_step('next', 'before.done', 'before.steps') }}
            end as done
    ) as reach

),

{% endfor %}
ordered_attempts as (

    select
        tenant_id,
        funnel_id,
        owner_id,
        unit_id,
        event_id,
        entered_on,
        entered_at,
        breakdown_value,
        done as reached,
        reached_at,
        positions
    from after_{{ steps }}

)
{% endmacro %}
