{{ config(
    unique_key=['tenant_id', 'funnel_id', 'unit_id'],
    indexes=[{'columns': ['tenant_id', 'owner_id']}],
    meta={'rebuild': {
        'key': {'owner_id': 'id'},
        'reads': {'funnel_attempts': 'owner', 'stg_funnel_events': 'owner', 'sessions': 'user'},
        'publishes': {'funnel': {'id': 'funnel_id'}, 'entry': {'id': 'funnel_id', 'date': 'entered_on'}},
    }}
) }}

with attempts as (

    select attempts.*
    from {{ ref('funnel_attempts') }} as attempts
    {{ only_affected('attempts') }}

),

events as (

    select events.*
    from {{ ref('stg_funnel_events') }} as events
    {{ only_affected('events') }}

),

sessions as (

    select sessions.*
    from {{ ref('sessions') }} as sessions
    {{ only_affected('sessions', owner_id='user_id') }}

),

-- the unit's furthest attempt, the fastest among equals
best as (

    select distinct on (tenant_id, funnel_id, unit_id)
        *,
        case when is_converted then reached_at[steps] else window_ends_at end as journey_ends_at,
        max(window_ends_at) over (partition by tenant_id, funnel_id, unit_id) as last_window_ends_at
    from attempts
    order by
        tenant_id asc,
        funnel_id asc,
        unit_id asc,
        {{ furthest_first() }}

),

visited as (

    select
        best.tenant_id,
        best.funnel_id,
        best.unit_id,
        events.event_name,
        events.occurred_at,
        events.event_id,
        lag(events.event_name) over (
            partition by best.tenant_id, best.funnel_id, best.unit_id
            order by events.occurred_at, events.event_id
        ) as previous_name
    from best
    inner join events
        on
            best.tenant_id = events.tenant_id
            and best.owner_id = events.owner_id
            and best.funnel_id = events.funnel_id
            and events.occurred_at between best.entered_at and best.journey_ends_at
    left join sessions
        on
            events.unit = 'session'
            and best.tenant_id = sessions.tenant_id
            and best.owner_id = sessions.user_id
            and best.unit_id = sessions.session_id::text
    where
        (events.step_mask <> 0 or events.exclusion_mask <> 0)
        and (events.unit <> 'session' or events.occurred_at <= sessions.ended_at)

),

-- a run of one event is one stop, and a path is told to its twelfth stop
stops as (

    select
        tenant_id,
        funnel_id,
        unit_id,
        event_name,
        row_number() over (
            partition by tenant_id, funnel_id, unit_id
            order by occurred_at, event_id
        ) as stop
    from visited
    where previous_name is distinct from event_name

),

paths as (

    select
        tenant_id,
        funnel_id,
        unit_id,
        string_agg(event_name, ' > ' order by stop) as path
    from stops
    where stop <= 12
    group by tenant_id, funnel_id, unit_id

),

final as (

    select
        best.tenant_id,
        best.funnel_id,
        best.owner_id,
        best.unit_id,
        best.entry_event_id,
        best.entered_at,
        best.entered_on,
        best.window_ends_at,
        best.last_window_ends_at,
        best.reached,
        best.reached_at,
        best.steps,
        best.is_converted,
        best.breakdown_value,
        paths.path || case when best.is_converted then '' else ' > (dropped)' end as path
    from best
    inner join paths
        on
            best.tenant_id = paths.tenant_id
            and best.funnel_id = paths.funnel_id
            and best.unit_id = paths.unit_id

)

select * from final
