{{ config(materialized='view') }}

-- Accepted events of days that were frozen history when they arrived: they changed nothing any more.

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

still_in_raw as (

    select
        events.tenant_id,
        events.event_id,
        events.event_name,
        events.occurred_at,
        events.received_at
    from {{ source('raw', 'events') }} as events
    inner join ops.raw_horizon as horizon on events.tenant_id = horizon.tenant_id
    inner join tenants on events.tenant_id = tenants.tenant_id
    left join {{ ref('stg_events') }} as staged
        on events.tenant_id = staged.tenant_id and events.event_id = staged.event_id
    left join {{ ref('stg_excluded_events') }} as excluded
        on events.tenant_id = excluded.tenant_id and events.event_id = excluded.event_id
    where
        events.occurred_at < {{ local_midnight('horizon.frozen_before', 'tenants.time_zone') }}
        and staged.event_id is null
        and excluded.event_id is null

),

all_of_them as (

    select * from still_in_raw
    union -- while retention takes them out of raw, they are in both
    select
        tenant_id,
        event_id,
        event_name,
        occurred_at,
        received_at
    from ops.too_late_events

),

final as (

    select
        events.*,
        {{ local_date('events.received_at', 'tenants.time_zone') }} as received_on
    from all_of_them as events
    inner join tenants on events.tenant_id = tenants.tenant_id

)

select * from final
