{{ config(materialized='view') }}

-- What event types say that changes rows of staging.stg_events: of a tenant's own, those that say it otherwise.

with event_types as (

    select
        tenant_id,
        event_name,
        is_conversational,
        actor,
        rank
    from {{ source('raw', 'event_types') }}

),

final as (

    select own_type.*
    from event_types as own_type
    left join event_types as shared_type
        on shared_type.tenant_id = '*' and own_type.event_name = shared_type.event_name
    where
        own_type.tenant_id = '*'
        or (own_type.is_conversational, own_type.actor, own_type.rank) is distinct from (
            coalesce(shared_type.is_conversational, false),
            coalesce(shared_type.actor, 'customer'),
            coalesce(shared_type.rank, 'customer')
        )

)

select * from final
