{{ config(
    unique_key=['tenant_id', 'funnel_id', 'unit_id', 'entry_event_id'],
    indexes=[{'columns': ['tenant_id', 'owner_id']}],
    meta={'rebuild': {
        'key': {'owner_id': 'id'},
        'reads': {'funnel_attempts': 'owner', 'stg_funnel_events': 'owner', 'sessions': 'user'},
        'definitions': ['stg_funnels'],
        'publishes': {'funnel': {'id': 'funnel_id'}, 'entry': {'id': 'funnel_id', 'date': 'entered_on'}},
    }}
) }}

with attempts as (

    select
        attempts.*,
        case when funnels.breakdown_touch = 'all_events' then coalesce(attempts.breakdown_value, '') end as stream
    from {{ ref('funnel_attempts') }} as attempts
    {{ only_affected('attempts') }}
    inner join {{ ref('stg_funnels') }} as funnels on attempts.funnel_id = funnels.funnel_id

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

-- the furthest attempt of a unit or, where `all_events` cuts it by value, of each value of it; the fastest among equals
best as (

    select distinct on (tenant_id, funnel_id, unit_id, stream)
        *,
        case when is_converted then reached_at[steps] else window_ends_at end as journey_ends_at,
        max(window_ends_at) over (partition by tenant_id, funnel_id, unit_id, stream) as last_window_ends_at
    from attempts
    order by
        tenant_id asc,
        funnel_id asc,
        unit_id asc,
        stream asc,
        {{ furthest_first() }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by tenant_id, funnel_id, unit_id
            order by {{ furthest_first() }}
        ) = 1 as is_furthest
    from best

),

visited as (

    select
        best.tenant_id,
        best.funnel_id,
        best.unit_id,
        events.event_name,
        row_number() over way as place,
        lag(events.event_name) over way as previous_name
    from ranked as best
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
        best.is_furthest
        and (events.step_mask <> 0 or events.exclusion_mask <> 0)
        and (best.stream is null or best.stream = coalesce(events.breakdown_value, ''))
        and (events.unit <> 'session' or events.occurred_at <= sessions.ended_at)
    window way as (
        partition by best.tenant_id, best.funnel_id, best.unit_id
        order by {{ event_order('events') }}
    )

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
            order by place
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
        best.served_mask,
        best.steps,
        best.is_converted,
        best.is_furthest,
        best.breakdown_kind,
        best.breakdown_value,
        paths.path || case when best.is_converted then '' else ' > (dropped)' end as path
    from ranked as best
    left join paths
        on
            best.is_furthest
            and best.tenant_id = paths.tenant_id
            and best.funnel_id = paths.funnel_id
            and best.unit_id = paths.unit_id

)

select * from final
