{{ config(materialized='view') }}

with source as (

    select * from {{ source('raw', 'load_batches') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

final as (

    select
        source.tenant_id,
        source.batch_id,
        source.load_id,
        source.received_at,
        {{ local_date('source.received_at', "coalesce(tenants.time_zone, 'UTC')") }} as received_on,
        source.received,
        source.accepted,
        source.duplicate,
        source.rejected,
        source.no_consent,
        source.erased_subject,
        source.resent,
        -- of lines that are sent again, all that are not accepted are counted as sent again
        case when source.resent > 0 then source.duplicate else 0 end as resent_duplicate
    from source
    left join tenants on source.tenant_id = tenants.tenant_id

)

select * from final
