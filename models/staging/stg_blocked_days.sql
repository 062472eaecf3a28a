{{ config(materialized='view') }}

-- Each build brings ops.blocked_inputs up to date before it begins, and publishes what has changed of it.

with final as (

    select
        tenant_id,
        day,
        basis
    from ops.blocked_inputs

)

select * from final
