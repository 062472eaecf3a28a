{#-
    Attempts of unordered funnels: every event that serves any step opens one, and step i means that i different steps have
    been served by different events.

    i steps can be served as soon as, for every set of steps larger than the `steps - i` that may be missing, that many more
    events of the set have happened (the deficiency form of Hall's theorem). So the time of step i is the latest, over
    the sets and counts with steps - size + count = i, of the time at which the set's count-th event since the opening
    happened.

    Reads the CTEs `funnels`, `events`, `instants` and `step_sets`.
-#}
{% macro unordered_attempts() %}
unordered_events as (

    select
        events.*,
        instants.unit_id,
        instants.position,
        funnels.steps,
        events.occurred_at + funnels.conversion_window as until
    from events
    inner join funnels on events.funnel_id = funnels.funnel_id
    inner join instants
        on
            events.tenant_id = instants.tenant_id
            and events.funnel_id = instants.funnel_id
            and events.owner_id = instants.owner_id
            and events.occurred_at = instants.occurred_at
    where funnels.step_order = 'unordered' and events.step_mask <> 0

),

-- for every event and set of steps: how many events of the set came before its instant, and which of them it is
counted as (

    select
        unordered_events.*,
        step_sets.mask as set_mask,
        step_sets.size as set_size,
        unordered_events.step_mask & step_sets.mask <> 0 as is_of_set,
        count(*) filter (where unordered_events.step_mask & step_sets.mask <> 0) over earlier as of_set_before,
        count(*) filter (where unordered_events.step_mask & step_sets.mask <> 0) over so_far as nth_of_set
    from unordered_events
    inner join step_sets on unordered_events.steps >= step_sets.highest
    window
        earlier as (
            partition by
                unordered_events.tenant_id, unordered_events.funnel_id, unordered_events.unit_id, step_sets.mask
            order by unordered_events.position
            groups between unbounded preceding and 1 preceding
        ),
        so_far as (
            partition by
                unordered_events.tenant_id, unordered_events.funnel_id, unordered_events.unit_id, step_sets.mask
            order by unordered_events.position, unordered_events.event_id
            rows between unbounded preceding and current row
        )

),

demands as (

    select
        openings.tenant_id,
        openings.funnel_id,
        openings.unit_id,
        openings.event_id,
        openings.until,
        openings.steps - openings.set_size + needed.events as step,
        served.occurred_at,
        served.position
    from counted as openings
    cross join lateral generate_series(1, openings.set_size) as needed (events)
    left join counted as served
        on
            openings.tenant_id = served.tenant_id
            and openings.funnel_id = served.funnel_id
            and openings.unit_id = served.unit_id
            and openings.set_mask = served.set_mask
            and served.is_of_set
            and openings.of_set_before + needed.events = served.nth_of_set

),

served_steps as (

    select
        tenant_id,
        funnel_id,
        unit_id,
        event_id,
        step,
        max(occurred_at) as occurred_at,
        max(position) as position
    from demands
    group by tenant_id, funnel_id, unit_id, event_id, step
    having bool_and(occurred_at is not null and occurred_at <= until)

),

unordered_attempts as (

    select
        opening.tenant_id,
        opening.funnel_id,
        opening.owner_id,
        opening.unit_id,
        opening.event_id,
        opening.occurred_on as entered_on,
        opening.occurred_at as entered_at,
        opening.breakdown_value,
        count(*)::integer as reached,
        array_agg(served_steps.occurred_at order by served_steps.step) as reached_at,
        array_agg(served_steps.position order by served_steps.step) as positions
    from unordered_events as opening
    inner join served_steps
        on
            opening.tenant_id = served_steps.tenant_id
            and opening.funnel_id = served_steps.funnel_id
            and opening.unit_id = served_steps.unit_id
            and opening.event_id = served_steps.event_id
    group by
        opening.tenant_id,
        opening.funnel_id,
        opening.owner_id,
        opening.unit_id,
        opening.event_id,
        opening.occurred_on,
        opening.occurred_at,
        opening.breakdown_value

)
{% endmacro %}
