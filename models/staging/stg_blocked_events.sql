{{ config(materialized='view') }}

-- Of days that are frozen history, stg_too_late_events has what is in no other table.

with blocked as (

    select
        tenant_id,
        basis,
        day::timestamp at time zone 'UTC' as begins_at,
        (day + 1)::timestamp at time zone 'UTC' as ends_at
    from {{ ref('stg_blocked_days') }}

),

batches as (

    select * from {{ ref('stg_load_batches') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

happened as (

    select events.*
    from blocked
    inner join {{ source('raw', 'events') }} as events
        on
            blocked.tenant_id = events.tenant_id
            and blocked.begins_at <= events.occurred_at
            and blocked.ends_at > events.occurred_at
    where blocked.basis = 'happened'

),

arrived as (

    select events.*
    from blocked
    inner join batches
        on
            blocked.tenant_id = batches.tenant_id
            and blocked.begins_at <= batches.received_at
            and blocked.ends_at > batches.received_at
    inner join {{ source('raw', 'events') }} as events
        on batches.tenant_id = events.tenant_id and batches.batch_id = events.batch_id
    where blocked.basis = 'arrived'

),

left_out as (

    select * from happened
    union
    select * from arrived

),

final as (

    select
        events.tenant_id,
        events.event_id,
        events.event_name,
        events.occurred_at,
        events.batch_id,
        {{ local_date('events.received_at', 'tenants.time_zone') }} as received_on
    from left_out as events
    inner join tenants on events.tenant_id = tenants.tenant_id
    left join ops.raw_horizon as horizon on events.tenant_id = horizon.tenant_id
    where
        horizon.tenant_id is null
        or events.occurred_at >= {{ local_midnight('horizon.frozen_before', 'tenants.time_zone') }}

)

select * from final
