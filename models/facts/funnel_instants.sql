{{ config(
    unique_key=['tenant_id', 'funnel_id', 'unit_id', 'position'],
    indexes=[{'columns': ['tenant_id', 'owner_id']}],
    meta={'rebuild': {
        'key': {'owner_id': 'id'},
        'reads': {'stg_funnel_events': 'owner', 'sessions': 'user'},
        'publishes': {'owner': {'id': 'owner_id'}},
        'date': 'occurred_on',
        'freezes': 'nothing',
    }}
) }}

{%- set steps = most_funnel_steps() %}
{%- set exclusions = most_funnel_exclusions() %}

with events as (

    select events.*
    from {{ ref('stg_funnel_events') }} as events
    {{ only_affected('events') }}

),

sessions as (

    select sessions.*
    from {{ ref('sessions') }} as sessions
    {{ only_affected('sessions', owner_id='user_id') }}

),

in_units as (

    select
        events.*,
        events.owner_id as unit_id
    from events
    where events.unit in ('user', 'conversation')
    union all
    select
        events.*,
        sessions.session_id::text as unit_id
    from events
    inner join sessions
        on
            events.tenant_id = sessions.tenant_id
            and events.owner_id = sessions.user_id
            and events.occurred_at between sessions.started_at and sessions.ended_at
    where events.unit = 'session'

),

-- events of one instant may serve in either order, so they are one place on the unit's way
instants as (

    select
        tenant_id,
        funnel_id,
        owner_id,
        unit_id,
        row_number() over way as position,
        occurred_at,
        min(occurred_on) as occurred_on,
        count(*) as events,
        bit_or(step_mask) as step_mask,
        bit_or(exclusion_mask) as exclusion_mask,
        array_agg(step_mask order by step_mask) as masks
    from in_units
    group by tenant_id, funnel_id, owner_id, unit_id, occurred_at
    window way as (partition by tenant_id, funnel_id, unit_id order by occurred_at)

),

final as (

    select
        tenant_id,
        funnel_id,
        owner_id,
        unit_id,
        position,
        occurred_at,
        occurred_on,
        events,
        step_mask,
        masks,
        array[
            {% for step in range(steps) -%}
            min(position) filter (where step_mask & {{ 2 ** step }} <> 0) over ahead{{ ',' if not loop.last }}
            {% endfor %}
        ] as next_of_step,
        array[
            {% for exclusion in range(exclusions) -%}
            min(position) filter (where exclusion_mask & {{ 2 ** exclusion }} <> 0) over ahead{{ ',' if not loop.last }}
            {% endfor %}
        ]::bigint[] as next_of_exclusion
    from instants
    window ahead as (
        partition by tenant_id, funnel_id, unit_id
        order by position
        rows between 1 following and unbounded following
    )

)

select * from final
