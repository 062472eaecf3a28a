{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'rejected_events') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

final as (

    select
        source.rejected_id,
        coalesce(source.tenant_id, '(unknown)') as tenant_id,
        source.event_name,
        source.reason,
        source.message,
        source.received_at,
        {{ local_date('source.received_at', "coalesce(tenants.time_zone, 'UTC')") }} as received_on,
        source.replayed_by is not null as is_replayed
    from source
    left join tenants on source.tenant_id = tenants.tenant_id

)

select * from final
